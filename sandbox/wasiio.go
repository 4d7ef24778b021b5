package sandbox

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/evoke-run/evoke/sdk/abi"
)

// vectors calls f for each buffer of a list of (address, length), until f wants no more.
func (c call) vectors(list, count uint64, f func([]byte) (more bool)) uint32 {
	if uint32(count) > maxVectors {
		return wasiInval
	}
	b, ok := c.memory.Read(uint32(list), 8*uint32(count))
	if !ok {
		return wasiFault
	}
	for ; len(b) > 0; b = b[8:] {
		buffer, ok := c.memory.Read(binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]))
		if !ok {
			return wasiFault
		}
		if !f(buffer) {
			break
		}
	}
	return wasiOK
}

// fdWrite takes stderr, and stdout of a function that replies otherwise, as log lines; a command's stdout is its reply.
func fdWrite(c call, in []uint64) uint32 {
	var write func([]byte)
	switch uint32(in[0]) {
	case fdStdout:
		write = c.log.writeStdout
		if c.program.kind == KindCommand {
			write = c.writeReply
		}
	case fdStderr:
		write = c.log.writeStderr
	default:
		return wasiBadf
	}
	written := 0
	errno := c.vectors(in[1], in[2], func(b []byte) bool {
		b = b[:min(len(b), maxWrite-written)]
		write(b)
		written += len(b)
		return written < maxWrite
	})
	if errno == wasiOK && c.tooLong {
		errno = wasiFbig
	}
	if errno != wasiOK {
		return errno
	}
	return c.words(in[3], uint32(written))
}

func (c call) writeReply(b []byte) {
	if c.appendReply(b) == abi.TooLarge {
		c.tooLong = true
	}
}

func fdRead(c call, in []uint64) uint32 {
	if uint32(in[0]) != fdStdin {
		return wasiBadf
	}
	read := 0
	errno := c.vectors(in[1], in[2], func(b []byte) bool {
		n := copy(b, c.stdin)
		c.stdin = c.stdin[n:]
		read += n
		return len(c.stdin) > 0
	})
	if errno != wasiOK {
		return errno
	}
	c.bill.BytesIn += int64(read)
	return c.words(in[3], uint32(read))
}

// fdFdstatGet says character device without the right to seek: C programs then write whole lines.
func fdFdstatGet(c call, in []uint64) uint32 {
	const rightRead, rightWrite, rightPoll = 1 << 1, 1 << 6, 1 << 27
	switch uint32(in[0]) {
	case fdStdin:
		return c.words(in[1], charDevice, 0, rightRead|rightPoll, 0, 0, 0)
	case fdStdout, fdStderr:
		return c.words(in[1], charDevice, 0, rightWrite|rightPoll, 0, 0, 0)
	}
	return wasiBadf
}

func fdFilestatGet(c call, in []uint64) uint32 {
	if uint32(in[0]) > fdStderr {
		return wasiBadf
	}
	var stat [16]uint32 // device, inode, filetype, links, size, three times; 64 bits each
	stat[4] = charDevice
	stat[6] = 1
	return c.words(in[1], stat[:]...)
}

// Layouts of poll_oneoff.
const (
	subscriptionSize = 48
	pollEventSize    = 32
	pollClock        = 0
	pollAbsolute     = 1
)

// pollOneoff sleeps until the first of the given times, but never beyond the deadline. The three descriptors are always ready.
func pollOneoff(c call, in []uint64) uint32 {
	count := uint32(in[2])
	if count == 0 || count > maxPoll {
		return wasiInval
	}
	subs, ok := c.memory.Read(uint32(in[0]), count*subscriptionSize)
	if !ok {
		return wasiFault
	}
	out, ok := c.memory.Read(uint32(in[1]), count*pollEventSize)
	if !ok {
		return wasiFault
	}
	waits := make([]time.Duration, count)
	for i := range waits {
		waits[i] = c.pollWait(subs[i*subscriptionSize:])
	}
	shortest := slices.Min(waits)
	c.sleep(shortest)
	var events []byte // apart from out, which may overlap with subs
	for i, wait := range waits {
		if wait == shortest {
			events = append(events, pollEvent(subs[i*subscriptionSize:])...)
		}
	}
	copy(out, events)
	return c.words(in[3], uint32(len(events)/pollEventSize))
}

// pollWait is how long a subscription has to wait from now on; 0 also when it is wrong, which pollEvent tells.
func (c call) pollWait(s []byte) time.Duration {
	if s[8] != pollClock {
		return 0
	}
	timeout := int64(min(binary.LittleEndian.Uint64(s[24:]), math.MaxInt64))
	if binary.LittleEndian.Uint16(s[40:])&pollAbsolute == 0 {
		return time.Duration(timeout)
	}
	now, _ := c.now(binary.LittleEndian.Uint32(s[16:]))
	return time.Duration(max(0, timeout-now))
}

func pollEvent(s []byte) []byte {
	event := make([]byte, pollEventSize)
	copy(event, s[:8])
	event[10] = s[8]
	id := binary.LittleEndian.Uint32(s[16:])
	switch {
	case s[8] == pollClock && id > clockThread, s[8] > 2:
		event[8] = wasiInval
	case s[8] != pollClock && id > fdStderr:
		event[8] = wasiBadf
	}
	return event
}

func (c call) sleep(d time.Duration) {
	if err := c.rest(d); err != nil {
		panic(err)
	}
}

// rest sleeps, unless the time is over first.
func (inv *invocation) rest(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if inv.world != nil {
		inv.world.sleep(d)
		return nil
	}
	defer inv.back(time.Now())
	inv.instance.memory.Leave()
	inv.host.Outside(inv.Context, inv.instance.burnt(), func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-inv.Done():
		}
	})
	inv.deadline, _ = inv.Deadline()
	if inv.Err() != nil {
		return errStopped
	}
	return nil
}

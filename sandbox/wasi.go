package sandbox

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Results of WASI functions, its errno.
const (
	wasiOK     = 0
	wasiBadf   = 8
	wasiFault  = 21
	wasiFbig   = 22
	wasiInval  = 28
	wasiNosys  = 52
	wasiNosock = 57
	wasiSpipe  = 70
	fdStdin    = 0
	fdStdout   = 1
	fdStderr   = 2
	charDevice = 2 // filetype of the three
)

// Bounds that keep one call short; POSIX allows a write to be partial.
const (
	maxVectors   = 1024
	maxWrite     = 1 << 20
	maxPoll      = 1024
	randomPieces = 64 << 10
)

// wasiFuncs are the functions of wasi_snapshot_preview1: no files and no sockets, and nothing an instance would have to remember.
func wasiFuncs() []hostFunc {
	funcs := []hostFunc{
		wasi("args_get", "ii", argsGet),
		wasi("args_sizes_get", "ii", argsSizesGet),
		wasi("environ_get", "ii", environGet),
		wasi("environ_sizes_get", "ii", environSizesGet),
		wasi("clock_res_get", "ii", clockResGet),
		wasi("clock_time_get", "ili", clockTimeGet),
		wasi("fd_write", "iiii", fdWrite),
		wasi("fd_read", "iiii", fdRead),
		wasi("fd_fdstat_get", "ii", fdFdstatGet),
		wasi("fd_filestat_get", "ii", fdFilestatGet),
		wasi("fd_seek", "ilii", onStdio(wasiSpipe)),
		wasi("fd_tell", "ii", onStdio(wasiSpipe)),
		wasi("fd_close", "i", onStdio(wasiOK)),
		wasi("fd_fdstat_set_flags", "ii", onStdio(wasiOK)),
		wasi("fd_sync", "i", onStdio(wasiOK)),
		wasi("fd_datasync", "i", onStdio(wasiOK)),
		wasi("sock_accept", "iii", onStdio(wasiNosock)),
		wasi("sock_recv", "iiiiii", onStdio(wasiNosock)),
		wasi("sock_send", "iiiii", onStdio(wasiNosock)),
		wasi("sock_shutdown", "ii", onStdio(wasiNosock)),
		wasi("poll_oneoff", "iiii", pollOneoff),
		wasi("random_get", "ii", randomGet),
		wasi("sched_yield", "", answer(wasiOK)),
		wasi("proc_raise", "i", answer(wasiNosys)),
		{name: "proc_exit", sig: signature{params("i"), nil}, init: true, call: procExit},
	}
	for _, f := range []struct{ name, params string }{
		{"fd_advise", "illi"}, {"fd_allocate", "ill"}, {"fd_fdstat_set_rights", "ill"}, {"fd_filestat_set_size", "il"},
		{"fd_filestat_set_times", "illi"}, {"fd_pread", "iiili"}, {"fd_prestat_get", "ii"}, {"fd_prestat_dir_name", "iii"},
		{"fd_pwrite", "iiili"}, {"fd_readdir", "iiili"}, {"fd_renumber", "ii"}, {"path_create_directory", "iii"},
		{"path_filestat_get", "iiiii"}, {"path_filestat_set_times", "iiiilli"}, {"path_link", "iiiiiii"}, {"path_open", "iiiiillii"},
		{"path_readlink", "iiiiii"}, {"path_remove_directory", "iii"}, {"path_rename", "iiiiii"}, {"path_symlink", "iiiii"},
		{"path_unlink_file", "iii"},
	} {
		funcs = append(funcs, wasi(f.name, f.params, answer(wasiBadf)))
	}
	return funcs
}

// wasi is a function that returns an errno. Unlike evoke_v1, WASI answers a bad pointer with EFAULT.
func wasi(name, in string, f func(c call, in []uint64) uint32) hostFunc {
	return hostFunc{name: name, sig: signature{params(in), []api.ValueType{i32}}, init: true, call: func(c call, stack []uint64) {
		stack[0] = uint64(f(c, stack))
	}}
}

func answer(errno uint32) func(call, []uint64) uint32 {
	return func(call, []uint64) uint32 { return errno }
}

// onStdio answers for the three descriptors there are.
func onStdio(errno uint32) func(call, []uint64) uint32 {
	return func(_ call, in []uint64) uint32 {
		if uint32(in[0]) > fdStderr {
			return wasiBadf
		}
		return errno
	}
}

// words writes little-endian numbers of 32 bits behind each other.
func (c call) words(ptr uint64, values ...uint32) uint32 {
	b, ok := c.memory.Read(uint32(ptr), uint32(4*len(values)))
	if !ok {
		return wasiFault
	}
	for i, v := range values {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	return wasiOK
}

func argsGet(c call, in []uint64) uint32    { return c.writeStrings(in, c.program.args) }
func environGet(c call, in []uint64) uint32 { return c.writeStrings(in, c.program.environ) }

func argsSizesGet(c call, in []uint64) uint32    { return c.sizes(in, c.program.args) }
func environSizesGet(c call, in []uint64) uint32 { return c.sizes(in, c.program.environ) }

// writeStrings writes each string with a zero byte to in[1] and their addresses to in[0].
func (c call) writeStrings(in []uint64, list []string) uint32 {
	at := uint32(in[1])
	for i, s := range list {
		if errno := c.words(in[0]+uint64(4*i), at); errno != wasiOK {
			return errno
		}
		if !c.memory.WriteString(at, s) || !c.memory.WriteByte(at+uint32(len(s)), 0) {
			return wasiFault
		}
		at += uint32(len(s)) + 1
	}
	return wasiOK
}

func (c call) sizes(in []uint64, list []string) uint32 {
	total := 0
	for _, s := range list {
		total += len(s) + 1
	}
	if errno := c.words(in[0], uint32(len(list))); errno != wasiOK {
		return errno
	}
	return c.words(in[1], uint32(total))
}

const (
	clockRealtime  = 0
	clockMonotonic = 1
	clockThread    = 3 // 2 and 3 are CPU times, measured here by the wall
)

// now returns a clock's time in nanoseconds.
func (c call) now(clock uint32) (ns int64, ok bool) {
	switch {
	case clock > clockThread:
		return 0, false
	case c.world != nil:
		return c.world.now(clock), true
	case clock == clockRealtime:
		return time.Now().UnixNano(), true
	case clock == clockMonotonic:
		return int64(c.instance.uptime()), true
	}
	return int64(time.Since(c.started)), true
}

// uptime is the guest's monotonic clock. Sleeping while the snapshot was made may have put it ahead; it never goes back.
func (i *instance) uptime() time.Duration {
	up := i.program.runtime.uptime()
	if i.snapshot != nil {
		up += i.snapshot.ahead
	}
	return up
}

func clockResGet(c call, in []uint64) uint32 {
	if uint32(in[0]) > clockThread {
		return wasiInval
	}
	return c.words(in[1], 1, 0)
}

func clockTimeGet(c call, in []uint64) uint32 {
	ns, ok := c.now(uint32(in[0]))
	if !ok {
		return wasiInval
	}
	return c.words(in[2], uint32(ns), uint32(ns>>32))
}

func randomGet(c call, in []uint64) uint32 {
	b, ok := c.memory.Read(uint32(in[0]), uint32(in[1]))
	if !ok {
		return wasiFault
	}
	for len(b) > 0 {
		if c.Err() != nil {
			panic(errStopped)
		}
		n := min(len(b), randomPieces)
		if c.world != nil {
			c.world.read(b[:n])
		} else {
			_, _ = rand.Read(b[:n]) // never fails: it ends the process when the system has no randomness
		}
		b = b[n:]
	}
	return wasiOK
}

func procExit(_ call, stack []uint64) { panic(&exitError{uint32(stack[0])}) }

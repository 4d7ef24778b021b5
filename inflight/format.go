package inflight

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"
	"time"
	"unsafe"
)

// The file, little-endian:
//
//	header, 64 bytes   magic [8], version u32, slot size u32, slots u32, CRC-32C of these u32, zeros
//	slot, 256 bytes    state u32 (0 empty, 1 taken), CRC-32C of the rest that is used u32, start in unix ms i64, attempt u32, revision u32,
//	                   lengths of invocation, namespace, function u8 each, u8 zero, u32 zero, the three texts
const (
	magic      = "evkfly\r\n"
	version    = 1
	headerSize = 64
	slotSize   = 256
	headerCRC  = 20
	maxSlots   = 1 << 16

	slotEmpty = 0
	slotTaken = 1

	atCRC, atStart, atAttempt, atRevision, atLengths, atText = 4, 8, 16, 20, 24, 32

	maxInvocation, maxNamespace = 64, 64
	maxFunction                 = slotSize - atText - maxInvocation - maxNamespace
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func fileSize(slots int) int { return headerSize + slots*slotSize }

func emptyFile(slots int) []byte {
	b := make([]byte, fileSize(slots))
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], slotSize)
	binary.LittleEndian.PutUint32(b[16:], uint32(slots))
	return sealHeader(b)
}

func sealHeader(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[headerCRC:], crc32.Checksum(b[:headerCRC], castagnoli))
	return b
}

func slotOf(mem []byte, slot int) []byte { return mem[headerSize+slot*slotSize:][:slotSize] }

// stateOf is the word that says whether a slot is taken; it is aligned, because header and slots are multiples of its size.
func stateOf(slot []byte) *uint32 { return (*uint32)(unsafe.Pointer(&slot[0])) }

// writeSlot sets the state last: a process that ends in between leaves an empty slot.
func writeSlot(slot []byte, n *Note) {
	binary.LittleEndian.PutUint64(slot[atStart:], uint64(n.Start.UnixMilli()))
	binary.LittleEndian.PutUint32(slot[atAttempt:], uint32(n.Attempt))
	binary.LittleEndian.PutUint32(slot[atRevision:], uint32(n.Revision))
	end := atText
	for i, text := range [...]struct {
		s    string
		most int
	}{{n.Invocation, maxInvocation}, {n.Namespace, maxNamespace}, {n.Function, maxFunction}} {
		used := copy(slot[end:end+text.most], text.s)
		slot[atLengths+i] = byte(used)
		end += used
	}
	binary.LittleEndian.PutUint32(slot[atCRC:], crc32.Checksum(slot[atStart:end], castagnoli))
	atomic.StoreUint32(stateOf(slot), slotTaken)
}

// decode reads the notes of a whole file. Slots that are damaged are left out; the error then counts them, and the other notes hold.
func decode(data []byte) ([]Note, error) {
	if len(data) < headerSize || string(data[:len(magic)]) != magic {
		return nil, errors.New("it is no file of attempts in flight")
	}
	if crc32.Checksum(data[:headerCRC], castagnoli) != binary.LittleEndian.Uint32(data[headerCRC:]) {
		return nil, errors.New("its header is damaged")
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != version {
		return nil, fmt.Errorf("its version is %d, this program reads %d", v, version)
	}
	slots := int(binary.LittleEndian.Uint32(data[16:]))
	if binary.LittleEndian.Uint32(data[12:]) != slotSize || slots > maxSlots || len(data) != fileSize(slots) {
		return nil, fmt.Errorf("it has %d bytes, which is no size for %d attempts", len(data), slots)
	}
	var notes []Note
	damaged := 0
	for i := range slots {
		slot := slotOf(data, i)
		if binary.LittleEndian.Uint32(slot) == slotEmpty {
			continue
		}
		n, ok := readSlot(slot)
		if !ok {
			damaged++
			continue
		}
		notes = append(notes, n)
	}
	if damaged > 0 {
		return notes, fmt.Errorf("%d of its attempts are damaged", damaged)
	}
	return notes, nil
}

func readSlot(slot []byte) (Note, bool) {
	lengths := [3]int{int(slot[atLengths]), int(slot[atLengths+1]), int(slot[atLengths+2])}
	end := atText + lengths[0] + lengths[1] + lengths[2]
	if end > len(slot) || crc32.Checksum(slot[atStart:end], castagnoli) != binary.LittleEndian.Uint32(slot[atCRC:]) {
		return Note{}, false
	}
	text := slot[atText:end]
	return Note{
		Invocation: string(text[:lengths[0]]), Namespace: string(text[lengths[0] : lengths[0]+lengths[1]]), Function: string(text[lengths[0]+lengths[1]:]),
		Attempt:  int(binary.LittleEndian.Uint32(slot[atAttempt:])),
		Revision: int(binary.LittleEndian.Uint32(slot[atRevision:])),
		Start:    time.UnixMilli(int64(binary.LittleEndian.Uint64(slot[atStart:]))).UTC(),
	}, true
}

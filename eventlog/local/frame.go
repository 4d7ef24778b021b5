package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/evoke-run/evoke/eventlog"
)

// A frame is the value of an L key, little-endian:
//
//	version u8 = 1
//	count   u32
//	count × span u32, length u32, bytes
//	crc     u32   CRC32C of the key and everything before
//
// Offsets are not stored: the first is in the key, each next one is the one before plus its span.
const (
	frameVersion  = 1
	frameHeader   = 1 + 4
	frameTrailer  = 4
	recordHeader  = 4 + 4
	frameOverhead = frameHeader + frameTrailer
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const keySize = 1 + 2 + 8

func putKey(b []byte, partition int, offset uint64) {
	b[0] = 'L'
	binary.BigEndian.PutUint16(b[1:], uint16(partition))
	binary.BigEndian.PutUint64(b[3:], offset)
}

func logKey(partition int, offset uint64) []byte {
	b := make([]byte, keySize)
	putKey(b, partition, offset)
	return b
}

// keyAfter is the first key behind all of a partition.
func keyAfter(partition int) []byte {
	if partition == MaxPartitions-1 {
		return []byte{'L' + 1}
	}
	return logKey(partition+1, 0)
}

func splitKey(key []byte) (partition int, offset uint64, err error) {
	if len(key) != keySize || key[0] != 'L' {
		return 0, 0, fmt.Errorf("unknown key %x", key)
	}
	return int(binary.BigEndian.Uint16(key[1:])), binary.BigEndian.Uint64(key[3:]), nil
}

func frameSize(records []eventlog.Record) int {
	n := frameOverhead
	for i := range records {
		n += recordHeader + len(records[i].Data)
	}
	return n
}

// putFrame fills b, which has frameSize bytes.
func putFrame(b, key []byte, records []eventlog.Record) {
	b[0] = frameVersion
	binary.LittleEndian.PutUint32(b[1:], uint32(len(records)))
	at := frameHeader
	for i := range records {
		r := &records[i]
		binary.LittleEndian.PutUint32(b[at:], r.Span)
		binary.LittleEndian.PutUint32(b[at+4:], uint32(len(r.Data)))
		at += recordHeader + copy(b[at+recordHeader:], r.Data)
	}
	binary.LittleEndian.PutUint32(b[at:], frameSum(key, b[:at]))
}

func frameSum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

var errFrame = errors.New("its lengths do not fit")

// parseFrame returns the records of a frame, which share its memory, or why it cannot be one.
func parseFrame(key, b []byte) ([]eventlog.Record, error) {
	_, offset, err := splitKey(key)
	if err != nil {
		return nil, err
	}
	if len(b) < frameOverhead {
		return nil, fmt.Errorf("it has %d bytes, a frame has at least %d", len(b), frameOverhead)
	}
	body, sum := b[:len(b)-frameTrailer], binary.LittleEndian.Uint32(b[len(b)-frameTrailer:])
	if got := frameSum(key, body); got != sum {
		return nil, fmt.Errorf("checksum %08x, want %08x", got, sum)
	}
	if body[0] != frameVersion {
		return nil, fmt.Errorf("frame version %d, this program knows %d", body[0], frameVersion)
	}
	count, body := binary.LittleEndian.Uint32(body[1:]), body[frameHeader:]
	if count == 0 || uint64(count)*recordHeader > uint64(len(body)) {
		return nil, errFrame
	}
	records := make([]eventlog.Record, count)
	for i := range records {
		if len(body) < recordHeader {
			return nil, errFrame
		}
		span, n := binary.LittleEndian.Uint32(body), uint64(binary.LittleEndian.Uint32(body[4:]))
		body = body[recordHeader:]
		if span == 0 || n > uint64(len(body)) || offset+uint64(span) < offset {
			return nil, errFrame
		}
		records[i] = eventlog.Record{Offset: offset, Span: span, Data: body[:n:n]}
		body = body[n:]
		offset += uint64(span)
	}
	if len(body) != 0 {
		return nil, errFrame
	}
	return records, nil
}

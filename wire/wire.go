// Package wire reads and appends the fields that our formats are made of: fixed little-endian integers, uvarints, and bytes behind their length; and strings of JSON.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrTruncated says that a field reaches beyond the end of the bytes.
var ErrTruncated = errors.New("truncated")

// AppendU32 appends a fixed 32-bit number.
func AppendU32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

// AppendU64 appends a fixed 64-bit number.
func AppendU64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendUvarint appends a number in 1 to 10 bytes.
func AppendUvarint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// AppendBytes appends s behind its length as uvarint.
func AppendBytes[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// SizeBytes is how many bytes AppendBytes needs for n bytes.
func SizeBytes(n int) int { return SizeUvarint(uint64(n)) + n }

// SizeUvarint is how many bytes AppendUvarint needs for v.
func SizeUvarint(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// Reader takes fields off the front of its bytes. After the first error every read answers zero, so a decoder checks Err once at the end.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads b. What Bytes returns shares b's memory.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Rest is what has not been read yet.
func (r *Reader) Rest() []byte { return r.b }

// Close is the error of the whole decoding: the first one, or that bytes are left.
func (r *Reader) Close() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes after the end", len(r.b))
	}
	return r.err
}

// U8 reads one byte.
func (r *Reader) U8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// U32 reads a fixed 32-bit number.
func (r *Reader) U32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads a fixed 64-bit number.
func (r *Reader) U64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Uvarint reads a number of 1 to 10 bytes.
func (r *Reader) Uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count reads the length of a list. An element takes at least one byte, so a count beyond the bytes left is an error before anyone allocates for it.
func (r *Reader) Count() int {
	n := r.Uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Bytes reads bytes behind their length.
func (r *Reader) Bytes() []byte { return r.take(r.Uvarint()) }

// String reads a string behind its length.
func (r *Reader) String() string { return string(r.Bytes()) }

// Strings reads strings that follow each other. They share one piece of memory.
func (r *Reader) Strings(to ...*string) {
	all := r.b
	for range to {
		r.Bytes()
	}
	if r.err != nil {
		return
	}
	text := string(all[:len(all)-len(r.b)])
	again := NewReader(all)
	for _, s := range to {
		n := len(again.Bytes())
		end := len(all) - len(again.b)
		*s = text[end-n : end]
	}
}

func (r *Reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *Reader) fail() {
	if r.err == nil {
		r.err = ErrTruncated
	}
	r.b = nil
}

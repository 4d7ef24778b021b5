// Package host is the border to the runtime: the host functions of docs/abi.md with Go types. Compiled for wasip1 they are the runtime's own; anywhere
// else package evoketest stands in for it.
package host

import (
	"unsafe"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
)

// Text returns a part of an event that is text, and most often short; "" when the event does not have it.
func Text(ev, part int32) string {
	var short [128]byte
	got := EventRead(ev, part, 0, short[:])
	switch {
	case got <= 0:
		return ""
	case int(got) < len(short):
		return string(short[:got])
	}
	b, _ := Part(ev, part)
	return unsafe.String(unsafe.SliceData(b), len(b)) // nobody else has these bytes
}

// Part returns a part of an event; false when the event does not have it.
func Part(ev, part int32) ([]byte, bool) {
	n := EventLen(ev, part)
	if n < 0 {
		return nil, false
	}
	b := make([]byte, n)
	for off := 0; off < len(b); {
		got := EventRead(ev, part, uint32(off), b[off:])
		if got <= 0 {
			return nil, false
		}
		off += int(got)
	}
	return b, true
}

// Do runs one capability and waits for it. The status is one of HTTP's; a negative one is a result of the ABI: the call could not be started or not
// be waited for.
func Do(op string, req []byte) (status int32, answer []byte) {
	h := Call(op, req)
	if h < 0 {
		return h, nil
	}
	defer CallClose(h)
	done := CallWait(h, -1)
	if done < 0 {
		return int32(done), nil
	}
	answer, result := read(h)
	if result < 0 {
		return result, nil
	}
	return int32(done), answer // the lower half; the handle is in the upper
}

// read copies an answer.
func read(h int32) (answer []byte, result int32) {
	n := CallLen(h)
	if n < 0 {
		return nil, n
	}
	answer = make([]byte, n)
	for off := 0; off < len(answer); {
		got := CallRead(h, uint32(off), answer[off:])
		if got <= 0 {
			return nil, min(got, abi.Absent)
		}
		off += int(got)
	}
	return answer, 0
}

// Answer copies the answer of a call that has ended.
func Answer(h int32) ([]byte, error) {
	answer, result := read(h)
	if result < 0 {
		return nil, ErrGone
	}
	return answer, nil
}

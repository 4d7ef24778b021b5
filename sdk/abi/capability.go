package abi

import (
	"encoding/binary"
	"fmt"
)

// What hosts share of the capabilities in section 8 of docs/abi.md: how requests are read, and in which words wrong ones are refused.

// Name is how people read a verdict: "done", "rejected" or "failed".
func (v Verdict) Name() string {
	switch v {
	case Done:
		return "done"
	case Rejected:
		return "rejected"
	}
	return "failed"
}

// CutText takes a text behind its length, a u32, from the front of a request. ok is false when the request is too short for it.
func CutText(request []byte) (text string, rest []byte, ok bool) {
	if len(request) < 4 {
		return "", nil, false
	}
	n := binary.LittleEndian.Uint32(request)
	rest = request[4:]
	if uint64(n) > uint64(len(rest)) {
		return "", nil, false
	}
	return string(rest[:n]), rest[n:], true
}

// AppendText appends a text as CutText reads it.
func AppendText(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
}

// RefuseState refuses keyed state to a function that may not have it, or whose event has no key; status 0 = neither.
func RefuseState(allowed bool, key string) (status int32, reason string) {
	switch {
	case !allowed:
		return StatusDenied, "state is not allowed; set allow: { state: true } in fn.yaml"
	case key == "":
		return StatusNoKey, "the event has no key; set partitionkey or subject, or key: on the http trigger"
	}
	return 0, ""
}

// ParseState reads a request of state.get, state.set or state.delete; status 0 = it can be read. How long a value may be is for CheckStateValue.
func ParseState(op string, request []byte) (name string, value []byte, status int32, reason string) {
	name = string(request)
	if op == OpStateSet {
		var ok bool
		if name, value, ok = CutText(request); !ok {
			return "", nil, StatusInvalid, "a state.set request is the length of the name as u32, the name, the value"
		}
	}
	if len(name) == 0 || len(name) > MaxStateName {
		return "", nil, StatusInvalid, fmt.Sprintf("the name of a state entry has 1 to %d bytes, not %d", MaxStateName, len(name))
	}
	return name, value, 0, ""
}

// CheckStateValue refuses a value that is too long; status 0 = it is not.
func CheckStateValue(value []byte) (status int32, reason string) {
	if len(value) > MaxStateValue {
		return StatusTooLarge, fmt.Sprintf("the value has %d bytes, the limit is %d", len(value), MaxStateValue)
	}
	return 0, ""
}

// ParseStateList reads a request of state.list; reason "" = it can be read, else its status is StatusInvalid.
func ParseStateList(request []byte) (prefix, after, reason string) {
	prefix, rest, ok := CutText(request)
	if !ok || len(prefix) > MaxStateName || len(rest) > MaxStateName {
		return "", "", fmt.Sprintf("a state.list request is the length of the prefix as u32, the prefix, and the name behind which to begin, of at most %d bytes each", MaxStateName)
	}
	return prefix, string(rest), ""
}

// ParseInvoke reads a request of invoke; reason "" = it can be read, else its status is StatusInvalid.
func ParseInvoke(request []byte) (function string, event []byte, reason string) {
	function, event, ok := CutText(request)
	if !ok || function == "" {
		return "", nil, "an invoke request is the length of the function's name as u32, the name, and the event in JSON"
	}
	return function, event, ""
}

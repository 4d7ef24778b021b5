//go:build wasip1

package host

import "unsafe"

//go:wasmimport evoke_v1 event_count
func eventCount() int32

//go:wasmimport evoke_v1 event_len
func eventLen(ev, part int32) int32

//go:wasmimport evoke_v1 event_read
//go:noescape
func eventRead(ev, part int32, off uint32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 reply
//go:noescape
func reply(part int32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 emit
//go:noescape
func emit(topic unsafe.Pointer, topicLen uint32, event unsafe.Pointer, eventLen uint32) int32

//go:wasmimport evoke_v1 verdict
//go:noescape
func verdict(ev, verdict int32, retryAfterMs int64, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 log
//go:noescape
func log(level int32, ptr unsafe.Pointer, n uint32)

//go:wasmimport evoke_v1 call
//go:noescape
func call(op unsafe.Pointer, opLen uint32, req unsafe.Pointer, reqLen uint32) int32

//go:wasmimport evoke_v1 call_wait
func callWait(handle int32, timeoutMs int64) int64

//go:wasmimport evoke_v1 call_len
func callLen(handle int32) int32

//go:wasmimport evoke_v1 call_read
//go:noescape
func callRead(handle int32, off uint32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 call_close
func callClose(handle int32) int32

//go:wasmimport evoke_v1 deadline_ms
func deadlineMs() int64

func ofBytes(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func ofString(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

// EventCount is the number of events in this delivery.
func EventCount() int32 { return eventCount() }

// EventLen is the length of a part in bytes, or negative.
func EventLen(ev, part int32) int32 { return eventLen(ev, part) }

// EventRead copies bytes of a part from off on to b and returns how many.
func EventRead(ev, part int32, off uint32, b []byte) int32 {
	p, n := ofBytes(b)
	return eventRead(ev, part, off, p, n)
}

// Reply appends data to the reply or sets its JSON.
func Reply(part int32, b []byte) int32 {
	p, n := ofBytes(b)
	return reply(part, p, n)
}

// Emit adds an event in structured JSON.
func Emit(topic string, event []byte) int32 {
	t, tn := ofString(topic)
	e, en := ofBytes(event)
	return emit(t, tn, e, en)
}

// Verdict sets the verdict of one event, or of all with ev -1.
func Verdict(ev, v int32, retryAfterMs int64, reason string) int32 {
	p, n := ofString(reason)
	return verdict(ev, v, retryAfterMs, p, n)
}

// Log writes one log line.
func Log(level int32, line string) {
	p, n := ofString(line)
	log(level, p, n)
}

// Call starts a capability and returns its handle, or negative.
func Call(op string, req []byte) int32 {
	o, on := ofString(op)
	r, rn := ofBytes(req)
	return call(o, on, r, rn)
}

// CallWait waits for a call.
func CallWait(handle int32, timeoutMs int64) int64 { return callWait(handle, timeoutMs) }

// CallLen is the length of an answer.
func CallLen(handle int32) int32 { return callLen(handle) }

// CallRead copies bytes of an answer.
func CallRead(handle int32, off uint32, b []byte) int32 {
	p, n := ofBytes(b)
	return callRead(handle, off, p, n)
}

// CallClose forgets a call.
func CallClose(handle int32) int32 { return callClose(handle) }

// DeadlineMs is the number of milliseconds left.
func DeadlineMs() int64 { return deadlineMs() }

//go:build !wasip1

package host

import "sync"

// Runtime stands in for the runtime when a function is compiled for the machine it is tested on. Its methods are the host functions.
type Runtime interface {
	EventCount() int32
	EventLen(ev, part int32) int32
	EventRead(ev, part int32, off uint32, b []byte) int32
	Reply(part int32, b []byte) int32
	Emit(topic string, event []byte) int32
	Verdict(ev, v int32, retryAfterMs int64, reason string) int32
	Log(level int32, line string)
	Call(op string, req []byte) int32
	CallWait(handle int32, timeoutMs int64) int64
	CallLen(handle int32) int32
	CallRead(handle int32, off uint32, b []byte) int32
	CallClose(handle int32) int32
	DeadlineMs() int64
}

// The SDK's functions have no argument that says which runtime they talk to, because a sandbox has only one. So there is one at a time here, too.
var (
	delivery sync.Mutex // held during a delivery

	mu      sync.Mutex
	current Runtime
)

// Deliver makes r the runtime while f runs. Deliveries of tests that run in parallel wait for each other.
func Deliver(r Runtime, f func()) {
	delivery.Lock()
	defer delivery.Unlock()
	set(r)
	defer set(nil)
	f()
}

func set(r Runtime) {
	mu.Lock()
	defer mu.Unlock()
	current = r
}

func runtime() Runtime {
	mu.Lock()
	defer mu.Unlock()
	if current == nil {
		panic("evoke: called outside of a delivery; in a test, run the handler with package evoketest")
	}
	return current
}

// EventCount is the number of events in this delivery.
func EventCount() int32 { return runtime().EventCount() }

// EventLen is the length of a part in bytes, or negative.
func EventLen(ev, part int32) int32 { return runtime().EventLen(ev, part) }

// EventRead copies bytes of a part from off on to b and returns how many.
func EventRead(ev, part int32, off uint32, b []byte) int32 {
	return runtime().EventRead(ev, part, off, b)
}

// Reply appends data to the reply or sets its JSON.
func Reply(part int32, b []byte) int32 { return runtime().Reply(part, b) }

// Emit adds an event in structured JSON.
func Emit(topic string, event []byte) int32 { return runtime().Emit(topic, event) }

// Verdict sets the verdict of one event, or of all with ev -1.
func Verdict(ev, v int32, retryAfterMs int64, reason string) int32 {
	return runtime().Verdict(ev, v, retryAfterMs, reason)
}

// Log writes one log line.
func Log(level int32, line string) { runtime().Log(level, line) }

// Call starts a capability and returns its handle, or negative.
func Call(op string, req []byte) int32 { return runtime().Call(op, req) }

// CallWait waits for a call.
func CallWait(handle int32, timeoutMs int64) int64 { return runtime().CallWait(handle, timeoutMs) }

// CallLen is the length of an answer.
func CallLen(handle int32) int32 { return runtime().CallLen(handle) }

// CallRead copies bytes of an answer.
func CallRead(handle int32, off uint32, b []byte) int32 { return runtime().CallRead(handle, off, b) }

// CallClose forgets a call.
func CallClose(handle int32) int32 { return runtime().CallClose(handle) }

// DeadlineMs is the number of milliseconds left.
func DeadlineMs() int64 { return runtime().DeadlineMs() }

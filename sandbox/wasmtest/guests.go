package wasmtest

import "github.com/evoke-run/evoke/sdk/abi"

// Addresses the guests below use in their memory.
const (
	inputAt  = 0x10000 // 1 MiB of input
	pages    = 32
	stringAt = 0x100
)

// Imports are the indexes of all functions of evoke_v1 in a module made by NewGuest.
type Imports struct {
	EventCount, EventLen, EventRead, Reply, Emit, Verdict, Log uint32
	Call, CallWait, CallLen, CallRead, CallClose, DeadlineMs   uint32
}

// NewGuest is New with every function of evoke_v1 imported.
func NewGuest() (*Module, Imports) {
	m := New()
	i32s := func(n int) []byte { return []byte{I32, I32, I32, I32, I32}[:n] }
	one, wide := []byte{I32}, []byte{I64}
	i := Imports{
		EventCount: m.Import(abi.Module, "event_count", nil, one),
		EventLen:   m.Import(abi.Module, "event_len", i32s(2), one),
		EventRead:  m.Import(abi.Module, "event_read", i32s(5), one),
		Reply:      m.Import(abi.Module, "reply", i32s(3), one),
		Emit:       m.Import(abi.Module, "emit", i32s(4), one),
		Verdict:    m.Import(abi.Module, "verdict", []byte{I32, I32, I64, I32, I32}, one),
		Log:        m.Import(abi.Module, "log", i32s(3), nil),
		Call:       m.Import(abi.Module, "call", i32s(4), one),
		CallWait:   m.Import(abi.Module, "call_wait", []byte{I32, I64}, wide),
		CallLen:    m.Import(abi.Module, "call_len", one, one),
		CallRead:   m.Import(abi.Module, "call_read", i32s(4), one),
		CallClose:  m.Import(abi.Module, "call_close", one, one),
		DeadlineMs: m.Import(abi.Module, "deadline_ms", nil, wide),
	}
	return m, i
}

// Handle adds evoke_handle; code leaves the verdict.
func (m *Module) Handle(code ...[]byte) *Module {
	m.Func(abi.ExportHandle, nil, []byte{I32}, 4, code...)
	return m
}

// Returns is a guest that does nothing and returns a verdict.
func Returns(v abi.Verdict) []byte { return New().Handle(I32Const(int32(v))).Bytes() }

// Echo replies with the event's data (at most 1 MiB) and is done.
func Echo() []byte {
	m, i := NewGuest()
	m.Memory(pages)
	return m.Handle(
		Call(i.EventRead, 0, int32(abi.PartData), 0, inputAt, 1<<20), LocalSet(0),
		I32Const(abi.ReplyData), I32Const(inputAt), LocalGet(0), Call(i.Reply), Drop(),
		I32Const(0),
	).Bytes()
}

// Says sets the verdict of the event with a reason; retryAfterMs -1 leaves the time to the policy.
func Says(v abi.Verdict, retryAfterMs int64, reason string) []byte {
	m, i := NewGuest()
	m.Data(stringAt, []byte(reason))
	return m.Handle(
		I32Const(-1), I32Const(int32(v)), I64Const(retryAfterMs), I32Const(stringAt), I32Const(int32(len(reason))), Call(i.Verdict), Drop(),
		I32Const(0),
	).Bytes()
}

// Emits emits one event to a topic, logs a line, and is done. It replies with the number that emit returned, as four bytes.
func Emits(topic, event string) []byte {
	m, i := NewGuest()
	m.Memory(pages)
	m.Data(stringAt, []byte(topic))
	m.Data(inputAt, []byte(event))
	return m.Handle(
		I32Const(0),
		Call(i.Emit, stringAt, int32(len(topic)), inputAt, int32(len(event))), Store(),
		Call(i.Log, abi.LevelInfo, stringAt, int32(len(topic))),
		Call(i.Reply, abi.ReplyData, 0, 4), Drop(),
		I32Const(0),
	).Bytes()
}

// Calls runs one capability and replies with its status (four bytes, little-endian) and then its answer.
func Calls(op, request string) []byte {
	m, i := NewGuest()
	m.Memory(pages)
	m.Data(stringAt, []byte(op))
	m.Data(inputAt, []byte(request))
	return m.Handle(
		Call(i.Call, stringAt, int32(len(op)), inputAt, int32(len(request))), LocalSet(0),
		I32Const(0), LocalGet(0), I64Const(-1), Call(i.CallWait), WrapI64(), Store(),
		Call(i.Reply, abi.ReplyData, 0, 4), Drop(),
		LocalGet(0), I32Const(0), I32Const(inputAt), I32Const(1<<20), Call(i.CallRead), LocalSet(1),
		I32Const(abi.ReplyData), I32Const(inputAt), LocalGet(1), Call(i.Reply), Drop(),
		I32Const(0),
	).Bytes()
}

// Traps executes unreachable.
func Traps() []byte { return New().Handle(Unreachable()).Bytes() }

// Loops never returns.
func Loops() []byte { return New().Handle(Forever(), Unreachable()).Bytes() }

// Sleeps waits, without a processor, until it is stopped.
func Sleeps() []byte {
	m := New()
	poll := m.Import("wasi_snapshot_preview1", "poll_oneoff", []byte{I32, I32, I32, I32}, []byte{I32})
	subscription := make([]byte, 48)
	for i := 24; i < 32; i++ { // a time of 584 years
		subscription[i] = 0xff
	}
	m.Data(stringAt, subscription)
	return m.Handle(Call(poll, stringAt, stringAt+0x100, 1, stringAt+0x200)).Bytes()
}

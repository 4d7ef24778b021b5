package hostile

import (
	"encoding/binary"
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// abuses call evoke_v1 more often, or with more, than it allows.
func abuses() []Case {
	const wholeMemory = whole << 16
	call := func(code func(i w.Imports) []byte) func() []byte {
		return guest(func(m *w.Module, i w.Imports) { m.Memory(whole); m.Handle(code(i), w.I32Const(0)) })
	}
	storm := func(code func(i w.Imports) []byte) func() []byte {
		return call(func(i w.Imports) []byte { return w.Forever(code(i)) })
	}
	verdict := func(i w.Imports, ev, v int32, after int64, length int32) []byte {
		return slices.Concat(w.I32Const(ev), w.I32Const(v), w.I64Const(after), w.I32Const(0), w.I32Const(length), w.Call(i.Verdict))
	}
	return []Case{
		{Name: "log storm", End: Killed, Wasm: storm(func(i w.Imports) []byte { return w.Call(i.Log, 0, 0, wholeMemory) })},
		{Name: "log of odd levels", End: Done, Wasm: call(func(i w.Imports) []byte {
			return slices.Concat(w.Call(i.Log, -1<<31, 0, 1), w.Call(i.Log, 1<<31-1, 0, 1))
		})},
		{Name: "call storm", End: Killed, Wasm: storm(func(i w.Imports) []byte { return append(w.Call(i.Call, 0, 10, 0, 1<<20), w.Drop()...) })},
		{Name: "call of an operation whose name is 64 MiB long", End: Done,
			Wasm: call(func(i w.Imports) []byte { return mustBe(1, w.Call(i.Call, 0, wholeMemory, 0, 0)) })},
		{Name: "call with a request above the limit", End: Done, Wasm: call(func(i w.Imports) []byte { return mustBe(abi.TooLarge, w.Call(i.Call, 0, 1, 0, 1<<20+1)) })},
		{Name: "call opened and closed for ever", End: Killed,
			Wasm: storm(func(i w.Imports) []byte {
				return slices.Concat(w.Call(i.Call, 0, 1, 0, 0), w.Call(i.CallClose), w.Drop())
			})},
		{Name: "handles that were never given", End: Done, Wasm: call(func(i w.Imports) []byte {
			wait := slices.Concat(w.I32Const(-7), w.I64Const(-1), w.Call(i.CallWait), w.WrapI64())
			return slices.Concat(mustBe(abi.Invalid, w.Call(i.CallClose, -1<<31)), mustBe(abi.Invalid, w.Call(i.CallLen, 0)),
				mustBe(abi.Invalid, w.Call(i.CallRead, 5, -1, 0, 0)), mustBe(abi.Invalid, wait))
		})},
		{Name: "emit storm", End: Killed, Wasm: storm(func(i w.Imports) []byte { return append(w.Call(i.Emit, 0, 1, 0, 1<<20), w.Drop()...) })},
		{Name: "emit of 64 MiB", End: Done, Wasm: call(func(i w.Imports) []byte { return mustBe(abi.TooLarge, w.Call(i.Emit, 0, 1, 0, wholeMemory)) })},
		{Name: "emit to a topic whose name is 64 MiB long", End: Done,
			Wasm: call(func(i w.Imports) []byte { return mustBe(abi.TooLarge, w.Call(i.Emit, 0, wholeMemory, 0, 1)) })},
		{Name: "emit of JSON that is nested a million deep", End: Done, Wasm: guest(func(m *w.Module, i w.Imports) {
			m.Memory(whole)
			m.Data(0, []byte("a"))
			m.Handle(w.I32Const(16), w.I32Const('['), w.I32Const(1<<20), w.MemoryFill(), mustBe(abi.Invalid, w.Call(i.Emit, 0, 1, 16, 1<<20)), w.I32Const(0))
		})},
		{Name: "reply storm", End: Killed, Wasm: storm(func(i w.Imports) []byte { return append(w.Call(i.Reply, 0, 0, 1000), w.Drop()...) })},
		{Name: "reply of JSON that is nested a million deep", End: Done, Wasm: guest(func(m *w.Module, i w.Imports) {
			m.Memory(whole)
			m.Data(0, []byte(`{"a":`))
			m.Handle(w.I32Const(5), w.I32Const('['), w.I32Const(1<<20-5), w.MemoryFill(), mustBe(abi.Invalid, w.Call(i.Reply, abi.ReplyJSON, 0, 1<<20)), w.I32Const(0))
		})},
		{Name: "reply to a part that is none", End: Done, Wasm: call(func(i w.Imports) []byte { return mustBe(abi.Invalid, w.Call(i.Reply, -1, 0, wholeMemory)) })},
		{Name: "event_read into all of memory for ever", End: Killed,
			Wasm: storm(func(i w.Imports) []byte {
				return append(w.Call(i.EventRead, 0, int32(abi.PartEvent), 0, 0, wholeMemory), w.Drop()...)
			})},
		{Name: "event_read from behind the end", End: Done,
			Wasm: call(func(i w.Imports) []byte { return mustBe(0, w.Call(i.EventRead, 0, 0, -1, 0, wholeMemory)) })},
		{Name: "event_read of 4 GiB", End: Fails, Class: classTrap, Want: []string{"evoke_v1.event_read: 4294967295 bytes at address 1 are outside of memory"},
			Wasm: call(func(i w.Imports) []byte { return append(w.Call(i.EventRead, 0, 0, 0, 1, -1), w.Drop()...) })},
		{Name: "verdicts of events that are not there", End: Done,
			Wasm: call(func(i w.Imports) []byte {
				return slices.Concat(mustBe(abi.Invalid, verdict(i, 1, 1, -1, 0)), mustBe(abi.Invalid, verdict(i, -2, 1, -1, 0)))
			})},
		{Name: "verdict with a wait before time began", End: Done, Wasm: call(func(i w.Imports) []byte { return mustBe(abi.Invalid, verdict(i, 0, 1, -1<<63, 0)) })},
		{Name: "verdict that is none, for the longest time, with a reason of 64 MiB", End: Fails, Class: "error", Want: []string{"\x00"},
			Wasm: call(func(i w.Imports) []byte { return append(verdict(i, -1, -1<<31, 1<<63-1, wholeMemory), w.Drop()...) })},
		{Name: "verdict storm", End: Killed, Wasm: storm(func(i w.Imports) []byte { return append(verdict(i, -1, 2, 0, wholeMemory), w.Drop()...) })},
	}
}

// wasiAbuses call WASI with what it must not believe.
func wasiAbuses() []Case {
	const fault, inval = 21, 28
	storm := func(code ...[]byte) []byte { return slices.Concat(w.Forever(code...), w.Unreachable()) }
	expect := func(errno int32, name string, args ...int32) Case {
		return Case{End: Done, Wasm: wasiCall(name, i32s(len(args)), func(f uint32) []byte { return append(mustBe(errno, w.Call(f, args...)), w.I32Const(0)...) })}
	}
	all := []Case{
		{Name: "random_get of 64 MiB for ever", End: Killed,
			Wasm: wasiCall("random_get", i32s(2), func(f uint32) []byte { return storm(w.Call(f, 0, whole<<16), w.Drop()) })},
		{Name: "fd_write of 1,024 times all of memory for ever", End: Killed, Wasm: vectorStorm("fd_write", 2)},
		{Name: "fd_read of 1,024 times all of memory for ever", End: Killed, Wasm: vectorStorm("fd_read", 0)},
		{Name: "poll_oneoff for 584 years", End: Killed, Wasm: build(func(m *w.Module) {
			poll := m.Import(wasi, "poll_oneoff", i32s(4), i32s(1))
			m.Data(16, poll48(1<<64-1))
			m.Handle(w.Call(poll, 16, 0x100, 1, 0x200))
		})},
		{Name: "poll_oneoff for no time, for ever", End: Killed, Wasm: build(func(m *w.Module) {
			poll := m.Import(wasi, "poll_oneoff", i32s(4), i32s(1))
			m.Handle(forever(w.Call(poll, 16, 0x1000, 1000, 8), w.Drop()))
		})},
		{Name: "sched_yield for ever", End: Killed, Wasm: wasiCall("sched_yield", nil, func(f uint32) []byte { return storm(w.Call(f), w.Drop()) })},
		{Name: "sleeps for centuries while it is initialised", End: Done, Wasm: build(func(m *w.Module) {
			poll := m.Import(wasi, "poll_oneoff", i32s(4), i32s(1))
			m.Data(16, poll48(1<<64-1))
			entry(m, abi.ExportInitialize, slices.Repeat(slices.Concat(w.Call(poll, 16, 0x100, 1, 0x200), w.Drop()), 5))
			m.Handle(w.I32Const(0))
		})},
	}
	for name, c := range map[string]Case{
		"random_get of 4 GiB":                 expect(fault, "random_get", 1, -1),
		"poll_oneoff of 4 billion times":      expect(inval, "poll_oneoff", 0, 0, -1, 0),
		"args_get at the end of 4 GiB":        expect(fault, "args_get", -1, -1),
		"environ_get at the end of memory":    expect(fault, "environ_get", 0, whole<<16-1),
		"environ_sizes_get outside of memory": expect(fault, "environ_sizes_get", whole<<16, -4),
		"fd_fdstat_get outside of memory":     expect(fault, "fd_fdstat_get", 1, whole<<16-23),
		"fd_filestat_get outside of memory":   expect(fault, "fd_filestat_get", 1, -63),
	} {
		c.Name = name
		all = append(all, c)
	}
	return all
}

// vectorStorm gives a function as many buffers as it takes, each of them all of memory.
func vectorStorm(name string, fd int32) func() []byte {
	return build(func(m *w.Module) {
		f := m.Import(wasi, name, i32s(4), i32s(1))
		m.Memory(whole)
		m.Data(0x10000, slices.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 4}, 1024))
		m.Handle(forever(w.Call(f, fd, 0x10000, 1024, 16), w.Drop()))
	})
}

// poll48 is a subscription to the monotonic clock.
func poll48(nanoseconds uint64) []byte {
	b := make([]byte, 48)
	binary.LittleEndian.PutUint32(b[16:], 1)
	binary.LittleEndian.PutUint64(b[24:], nanoseconds)
	return b
}

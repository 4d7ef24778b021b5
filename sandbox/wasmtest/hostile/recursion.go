package hostile

import (
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// recursions fill the stack.
func recursions() []Case {
	one := []byte{w.I32}
	more := slices.Concat(w.LocalGet(0), w.I32Const(1), w.Add())
	all := []Case{
		{Name: "two functions call each other", Want: []string{"ping", "pong"}, Wasm: build(func(m *w.Module) {
			ping := m.Next()
			m.Unexported("ping", one, one, 0, more, w.Call(ping+1), w.I32Const(1), w.Add())
			m.Unexported("pong", one, one, 0, more, w.Call(ping), w.I32Const(1), w.Add())
			m.Handle(w.I32Const(0), w.Call(ping))
		})},
		{Name: "a function calls itself through a table", Want: []string{"down ("}, Wasm: build(func(m *w.Module) {
			m.Table(1)
			down := m.Next()
			m.Unexported("down", one, one, 0, more, w.I32Const(0), w.CallIndirect(m.Type(one, one)), w.I32Const(1), w.Add())
			m.Elements(0, down)
			m.Handle(w.I32Const(0), w.Call(down))
		})},
		{Name: "evoke_handle calls itself", Want: []string{"evoke_handle ("},
			Wasm: build(func(m *w.Module) { m.Handle(w.Call(m.Next()), w.I32Const(1), w.Add()) })},
		{Name: "recursion with a host call at each depth", Want: []string{"down ("}, Wasm: guest(func(m *w.Module, i w.Imports) {
			down := m.Next()
			m.Unexported("down", nil, one, 0, w.Call(i.EventCount), w.Call(down), w.Add())
			m.Handle(w.Call(down))
		})},
		{Name: "recursion with vectors that wait", Want: []string{"down ("}, Wasm: build(func(m *w.Module) {
			down := m.Next()
			wait, use := vectors(200)
			m.Raw("down", nil, nil, []byte{1, 1, w.V128}, wait, w.Call(down), use)
			m.Handle(w.Call(down), w.I32Const(0))
		})},
		{Name: "recursion with 500 values that wait", Want: []string{"down ("}, Wasm: build(func(m *w.Module) {
			down := m.Next()
			m.Unexported("down", one, one, 0, slices.Repeat(slices.Concat(w.LocalGet(0), w.LocalGet(0), []byte{0x6c}), 500), more, w.Call(down), slices.Repeat(w.Add(), 500))
			m.Handle(w.I32Const(3), w.Call(down))
		})},
		{Name: "recursion with a thousand parameters", Want: []string{"down ("}, Wasm: build(func(m *w.Module) {
			down := m.Next()
			var all []byte
			for n := range uint32(1000) {
				all = append(all, w.LocalGet(n)...)
			}
			m.Unexported("down", i32s(1000), nil, 0, all, w.Call(down), all, w.Call(down))
			m.Handle(slices.Repeat(w.I32Const(1), 1000), w.Call(down), w.I32Const(0))
		})},
		// The engine makes them ordinary calls, and so does the account of the stack.
		{Name: "tail calls with more parameters than the caller has", Wasm: build(func(m *w.Module) {
			wide := m.Next()
			m.Unexported("wide", i32s(100), []byte{w.I32}, 0, w.ReturnCall(wide+1))
			m.Handle(slices.Repeat(w.I32Const(1), 100), w.ReturnCall(wide))
		})},
		{Name: "recursion with ten thousand values that wait", Heavy: true, Want: []string{"down ("}, Wasm: build(func(m *w.Module) {
			down := m.Next()
			m.Unexported("down", one, one, 0, slices.Repeat(slices.Concat(w.LocalGet(0), w.LocalGet(0), []byte{0x6c}), 10_000), more, w.Call(down), slices.Repeat(w.Add(), 10_000))
			m.Handle(w.I32Const(3), w.Call(down))
		})},
	}
	for n := range all {
		all[n].End, all[n].Class, all[n].Want = Fails, classTrap, append(all[n].Want, "stack overflow in ")
	}
	return all
}

// vectors leaves n sums of local 0 on the stack, and folds them into it.
func vectors(n int) (wait, use []byte) {
	add := []byte{0xfd, 0xae, 1}
	wait = slices.Repeat(slices.Concat(w.LocalGet(0), w.LocalGet(0), add), n)
	return wait, append(slices.Repeat(add, n-1), w.LocalSet(0)...)
}

// traps are everything a processor or a table refuses.
func traps() []Case {
	table := func(code ...[]byte) func() []byte {
		return build(func(m *w.Module) {
			m.Table(2)
			m.Elements(0, m.Unexported("leaf", i32s(1), nil, 0))
			void := m.Type(nil, nil)
			m.Handle(append(code, w.CallIndirect(void), w.I32Const(0))...)
		})
	}
	all := []Case{
		{Name: "division by zero", Wasm: handle(w.I32Const(1), w.I32Const(0), []byte{0x6d}), Want: []string{"integer divide by zero"}},
		{Name: "remainder by zero", Wasm: handle(w.I64Const(1), w.I64Const(0), []byte{0x82}, w.WrapI64()), Want: []string{"integer divide by zero"}},
		{Name: "the lowest number divided by -1", Wasm: handle(w.I32Const(-1<<31), w.I32Const(-1), []byte{0x6d}), Want: []string{"integer overflow"}},
		{Name: "a float too large for an integer", Wasm: handle([]byte{0x43, 0, 0, 0x80, 0x7f, 0xa8}), Want: []string{"integer overflow"}},
		{Name: "a float that is no number", Wasm: handle([]byte{0x43, 0, 0, 0xc0, 0x7f, 0xa8}), Want: []string{"invalid conversion to integer"}},
		{Name: "an indirect call behind the table", Wasm: table(w.I32Const(2)), Want: []string{"invalid table access"}},
		{Name: "an indirect call behind 4 billion", Wasm: table(w.I32Const(-1)), Want: []string{"invalid table access"}},
		{Name: "an indirect call of nothing", Wasm: table(w.I32Const(1)), Want: []string{"invalid table access"}},
		{Name: "an indirect call of another type", Wasm: table(w.I32Const(0)), Want: []string{"indirect call type mismatch"}},
		{Name: "a read behind 4 GiB", Wasm: handle(w.I32Const(-1), []byte{0x28, 2, 0xff, 0xff, 0xff, 0xff, 0x0f}), Want: []string{"out of bounds memory access"}},
	}
	for n := range all {
		all[n].End, all[n].Class = Fails, classTrap
		all[n].Want[0] += " in evoke_handle"
	}
	return all
}

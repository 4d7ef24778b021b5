package hostile

import (
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// spinners use the processor until they are stopped, each in another way.
func spinners() []Case {
	large := func(code ...[]byte) func() []byte {
		return build(func(m *w.Module) { m.Memory(whole); m.Handle(code...) })
	}
	table := func(code ...[]byte) func() []byte {
		return build(func(m *w.Module) { m.Table(maxTable); m.Handle(code...) })
	}
	const end = whole<<16 - 1
	all := []Case{
		{Name: "memory.fill of 64 MiB for ever", Wasm: large(forever(w.I32Const(0), w.I32Const(1), w.I32Const(end), w.MemoryFill()))},
		{Name: "memory.copy of 64 MiB for ever", Wasm: large(forever(w.I32Const(1), w.I32Const(0), w.I32Const(end), w.MemoryCopy()))},
		{Name: "memory.init of 1 MiB for ever", Wasm: build(func(m *w.Module) {
			m.Memory(whole)
			s := m.Passive(make([]byte, 1<<20))
			m.Handle(forever(w.I32Const(1), w.I32Const(0), w.I32Const(1<<20), w.MemoryInit(s)))
		})},
		{Name: "table.fill for ever", Wasm: table(forever(w.I32Const(0), w.RefNull(), w.I32Const(maxTable), w.TableFill()))},
		{Name: "table.copy for ever", Wasm: table(forever(w.I32Const(1), w.I32Const(0), w.I32Const(maxTable-1), w.TableCopy()))},
		{Name: "a giant switch for ever", Wasm: handle(forever(w.Block(w.LocalGet(0), w.I32Const(1), w.Add(), w.LocalSet(0), w.LocalGet(0), w.BrTable(make([]uint32, 5000)...))))},
		{Name: "indirect calls for ever", Wasm: build(func(m *w.Module) {
			m.Table(1)
			f := m.Unexported("leaf", nil, nil, 0)
			m.Elements(0, f)
			m.Handle(forever(w.I32Const(0), w.CallIndirect(m.Type(nil, nil))))
		})},
		{Name: "vectors for ever", Wasm: build(func(m *w.Module) {
			// local 0 is multiplied with itself, as eight lanes of 16 bits.
			square := slices.Concat(w.LocalGet(0), w.LocalGet(0), []byte{0xfd, 0x95, 1}, w.LocalSet(0))
			f := m.Raw("lanes", nil, nil, []byte{1, 1, w.V128}, w.Forever(slices.Repeat(square, 100)))
			m.Handle(w.Call(f), w.I32Const(0))
		})},
		{Name: "divisions for ever", Wasm: handle(forever(w.I64Const(-7), w.I64Const(3), []byte{0x7f}, w.Drop(), w.I32Const(9), w.I32Const(4), []byte{0x6f}, w.Drop()))},
		{Name: "square roots for ever", Wasm: handle(forever(f64(2), []byte{0x9f}, w.Drop()))},
		{Name: "tail calls for ever", Wasm: build(func(m *w.Module) { m.Handle(w.ReturnCall(m.Next())) })},
		{Name: "a straight line of 400 KiB for ever", Heavy: true, Wasm: build(func(m *w.Module) {
			line := slices.Concat(w.LocalGet(0), w.I32Const(1), w.Add(), w.LocalSet(0))
			f := m.Unexported("line", nil, nil, 1, slices.Repeat(line, 60_000))
			m.Handle(forever(w.Call(f)))
		})},
	}
	for n := range all {
		all[n].End = Killed
	}
	return all
}

// f64 pushes a whole number from 1 to 2.
func f64(v int) []byte {
	if v == 1 {
		return []byte{0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f}
	}
	return []byte{0x44, 0, 0, 0, 0, 0, 0, 0, 0x40}
}

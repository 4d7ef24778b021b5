package hostile

import (
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// whole is 64 MiB, what a function has by default, in pages.
const whole = 1024

// memories ask for more than they get.
func memories() []Case {
	pages := func(limits ...uint32) func() []byte {
		return build(func(m *w.Module) { m.Memory(limits...); m.Handle(w.I32Const(0)) })
	}
	tooMuch := []string{"the module starts with 4Gi of memory, its limit is 64Mi", "raise memory: in fn.yaml"}
	return []Case{
		{Name: "a memory of 4 GiB", Wasm: pages(65_536), End: Refused, Want: tooMuch},
		{Name: "a memory of 4 GiB with a maximum", Wasm: pages(65_536, 65_536), End: Refused, Want: tooMuch},
		{Name: "a memory a page above the limit", Wasm: pages(whole + 1), End: Refused, Want: []string{"starts with 65600Ki of memory", "raise memory"}},
		{Name: "a memory that may grow to 4 GiB", Wasm: pages(1, 65_536), End: Done},
		{Name: "a memory larger than any", Wasm: pages(1<<32 - 1), End: Refused, Want: []string{"starts with 4294967295 pages of memory"}},
		{Name: "a memory that may grow to more than there is", Wasm: pages(1, 65_537), End: Refused, Want: []string{"a memory of 1 to 65537 pages cannot be"}},
		{Name: "a memory with a maximum below its size", Wasm: pages(2, 1), End: Refused, Want: []string{"a memory of 2 to 1 pages cannot be"}},
		{Name: "memory grows page by page for ever", Wasm: handle(forever(w.I32Const(1), w.MemoryGrow(), w.Drop())), End: Killed},
		{Name: "memory grows by all there is for ever", Wasm: handle(forever(w.I32Const(65_536), w.MemoryGrow(), w.Drop(), w.I32Const(-1), w.MemoryGrow(), w.Drop())), End: Killed},
		{Name: "memory grows page by page and then dies", End: Fails, Class: classMemory,
			Wasm: handle(w.While(w.I32Const(1), w.MemoryGrow(), w.I32Const(1), w.Add()), w.Unreachable()),
			Want: []string{"wanted more memory than its limit of 64Mi and then died: unreachable in evoke_handle"}},
		{Name: "all memory is written", End: Done,
			Wasm: handle(w.I32Const(whole-1), w.MemoryGrow(), w.Drop(), w.I32Const(0), w.I32Const(1), w.I32Const(whole<<16), w.MemoryFill(), w.I32Const(0))},
	}
}

const maxTable = 100_000

// tables take memory of the host, not of the guest.
func tables() []Case {
	limits := func(b ...byte) func() []byte {
		return build(func(m *w.Module) { m.TableRaw(append([]byte{0x70}, b...)); m.Handle(w.I32Const(0)) })
	}
	most := slices.Concat([]byte{0}, w.U32(maxTable))
	grow := func(by int32) []byte { return slices.Concat(w.RefNull(), w.I32Const(by), w.TableGrow()) }
	table := func(code ...[]byte) func() []byte {
		return build(func(m *w.Module) { m.Table(0); m.Handle(code...) })
	}
	return []Case{
		{Name: "a table of 4 billion elements", Wasm: limits(slices.Concat([]byte{0}, w.U32(1<<32-1))...), End: Refused,
			Want: []string{"a table of 4294967295 entries, the limit is 100000"}},
		{Name: "a table that may grow to 4 billion elements", Wasm: limits(slices.Concat([]byte{1, 0}, w.U32(1<<32-1))...), End: Done},
		{Name: "a table as large as allowed", Wasm: limits(most...), End: Done},
		{Name: "a table with a maximum below its size", Wasm: limits(1, 2, 1), End: Refused, Want: []string{"a table's maximum 1 is below its size 2"}},
		{Name: "a thousand tables", End: Refused, Want: []string{"it has more than 16 tables"}, Wasm: build(func(m *w.Module) {
			for range 1000 {
				m.Table(1)
			}
			m.Handle(w.I32Const(0))
		})},
		{Name: "sixteen tables as large as allowed", End: Done, Wasm: build(func(m *w.Module) {
			for range 16 {
				m.TableRaw(append([]byte{0x70}, most...))
			}
			m.Handle(w.I32Const(0))
		})},
		{Name: "a table grows by one for ever", Wasm: table(forever(grow(1), w.Drop())), End: Killed},
		{Name: "a table grows by 4 billion for ever", Wasm: table(forever(grow(-1), w.Drop())), End: Killed},
		{Name: "a table grows by more than allowed", Wasm: table(mustBe(-1, grow(maxTable+1)), mustBe(0, grow(maxTable)), mustBe(-1, grow(1)), w.I32Const(0)), End: Done},
	}
}

// segments lie outside of what they fill, on top of each other, or are too many.
func segments() []Case {
	at := func(address int32, size uint32) []byte {
		return slices.Concat([]byte{0}, w.I32Const(address), []byte{opEnd}, w.U32(size), make([]byte, size))
	}
	data := func(all ...[]byte) func() []byte {
		return build(func(m *w.Module) {
			for _, s := range all {
				m.DataRaw(s)
			}
			m.Handle(w.I32Const(0))
		})
	}
	elements := func(table uint32, segment []byte) func() []byte {
		return build(func(m *w.Module) { m.Table(table); m.ElementsRaw(segment); m.Handle(w.I32Const(0)) })
	}
	elementsAt := func(index int32, n int) []byte {
		return slices.Concat([]byte{0}, w.I32Const(index), []byte{opEnd}, vector(n, 0))
	}
	return []Case{
		{Name: "data at the end of 4 GiB", Wasm: data(at(-1, 2)), End: Refused, Want: []string{"data segment 0 ends at byte 4294967297 and the memory has 65536"}},
		{Name: "data that announces 4 GiB", Wasm: data(slices.Concat([]byte{0, 0x41, 0, opEnd}, w.U32(1<<32-1))), End: Refused,
			Want: []string{"4294967295 bytes are announced"}},
		{Name: "no data behind the memory", Wasm: data(at(65_537, 0)), End: Refused, Want: []string{"data segment 0 ends at byte 65537"}},
		{Name: "ten thousand segments on the same bytes", Wasm: data(slices.Repeat([][]byte{at(0, 1000)}, 10_000)...), End: Done},
		{Name: "data in a place that is computed for ever", End: Refused, Want: []string{"instructions in constant expressions", "leave out what is not used"},
			Wasm: data(slices.Concat([]byte{0, 0x41, 0}, slices.Repeat([]byte{0x41, 0, 0x6a}, 600_000), []byte{opEnd, 0}))},
		{Name: "a million empty data segments", Wasm: sectionOf(11, 1_000_000, 1, 0), End: Refused, Want: []string{"more than 100000 data segments"}},
		{Name: "passive data read from outside", End: Fails, Class: classTrap, Want: []string{"out of bounds memory access in evoke.memory.init < evoke_handle"},
			Wasm: build(func(m *w.Module) {
				s := m.Passive([]byte("abc"))
				m.Handle(w.I32Const(0), w.I32Const(2), w.I32Const(2), w.MemoryInit(s), w.I32Const(0))
			})},
		{Name: "passive data whose end overflows 32 bits", End: Fails, Class: classTrap, Want: []string{"out of bounds memory access in evoke.memory.init < evoke_handle"},
			Wasm: build(func(m *w.Module) {
				s := m.Passive([]byte("abc"))
				m.Handle(w.I32Const(16), w.I32Const(-1), w.I32Const(2), w.MemoryInit(s), w.I32Const(0))
			})},
		// The engine leaves elements out that find no place.
		{Name: "elements behind the table", Wasm: elements(1, elementsAt(1, 1)), End: Done},
		{Name: "elements at the end of 4 billion", Wasm: elements(1, elementsAt(-1, 2)), End: Done},
		{Name: "elements that are no functions", Wasm: elements(1, []byte{0, 0x41, 0, opEnd, 1, 9}), End: Refused, Want: []string{"names function 9, which does not exist"}},
		{Name: "two million elements", Wasm: elements(maxTable, elementsAt(0, 2_000_000)), End: Refused, Want: []string{"more than 1000000 elements"}},
		{Name: "a million empty element segments", Wasm: sectionOf(9, 1_000_000, 1, 0, 0), End: Refused, Want: []string{"more than 100000 element segments"}},
	}
}

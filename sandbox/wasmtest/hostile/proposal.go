package hostile

import (
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// proposals are modules of later versions of WebAssembly; each is refused by the name of what it uses.
func proposals() []Case {
	memory64 := slices.Concat([]byte{5}, w.U32(1), []byte{2})
	all := []Case{
		{Name: "threads: atomic addition", Wasm: handle(w.I32Const(0), w.I32Const(1), []byte{0xfe, 0x1e, 2, 0}), Want: []string{"it uses threads", "evoke_handle"}},
		{Name: "threads: fence", Wasm: handle([]byte{0xfe, 0x03, 0}, w.I32Const(0)), Want: []string{"it uses threads", "evoke_handle"}},
		{Name: "memory64 with a maximum", Wasm: build(func(m *w.Module) { m.MemoryRaw(memory64); m.Handle(w.I32Const(0)) }), Want: []string{"memory64"}},
		{Name: "64-bit table", Wasm: build(func(m *w.Module) { m.TableRaw([]byte{0x70, 4, 1}); m.Handle(w.I32Const(0)) }), Want: []string{"64-bit or shared tables"}},
		{Name: "multi-memory: load from memory 1", Wasm: handle(w.I32Const(0), []byte{0x28, 0x42, 1, 0}), Want: []string{"multiple memories", "evoke_handle"}},
		{Name: "multi-memory: copy to memory 1", Wasm: handle(w.I32Const(0), w.I32Const(0), w.I32Const(0), []byte{0xfc, 10, 1, 0}, w.I32Const(0)),
			Want: []string{"multiple memories", "evoke_handle"}},
		{Name: "exceptions: throw", Wasm: handle([]byte{0x08, 0}), Want: []string{"exception handling", "evoke_handle"}},
		{Name: "exceptions: try_table", Wasm: handle([]byte{0x1f, 0x40, 0, 0x0b}, w.I32Const(0)), Want: []string{"exception handling", "evoke_handle"}},
		{Name: "exceptions: an imported tag", Wasm: build(func(m *w.Module) { m.ImportRaw("env", "t", 4, []byte{0, 0}); m.Handle(w.I32Const(0)) }),
			Want: []string{"imports the tag env.t"}},
		{Name: "garbage collection: struct.new", Wasm: handle([]byte{0xfb, 0, 0}, w.I32Const(0)), Want: []string{"garbage collection", "evoke_handle"}},
		{Name: "garbage collection: a group of types", Wasm: sections(w.Section(1, []byte{1, 0x4e, 1, 0x60, 0, 0})), Want: []string{"garbage collection"}},
		{Name: "typed references: call_ref", Wasm: handle([]byte{0x14, 0}, w.I32Const(0)), Want: []string{"typed function references", "evoke_handle"}},
		{Name: "stack switching: resume", Wasm: handle([]byte{0xe3, 0, 0}, w.I32Const(0)), Want: []string{"instruction 0xe3 is unknown", "evoke_handle"}},
	}
	for n := range all {
		all[n].End = Refused
	}
	return all
}

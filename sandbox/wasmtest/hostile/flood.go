package hostile

import (
	"fmt"
	"slices"
	"strings"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// good has all that a module needs to be loaded, in sections that come before what floods put between.
func good() *w.Module { return w.New().Handle(w.I32Const(0)) }

// sectionOf is a good module in which the section of a number is n times one item.
func sectionOf(id byte, n int, item ...byte) func() []byte {
	return func() []byte { return replace(good().Bytes(), id, vector(n, item...)) }
}

// replace puts a section in the place of the module's own, or before the first that has to follow it.
func replace(wasm []byte, id byte, content []byte) []byte {
	out := slices.Clone(wasm[:8])
	placed := false
	for rest := wasm[8:]; len(rest) > 0; {
		size, n := 0, 1
		for shift := 0; ; shift += 7 {
			size |= int(rest[n]&0x7f) << shift
			if n++; rest[n-1] < 0x80 {
				break
			}
		}
		if have := rest[0]; !placed && (have >= id || have == 0) {
			out = append(out, w.Section(id, content)...)
			placed = true
		}
		if rest[0] != id {
			out = append(out, rest[:n+size]...)
		}
		rest = rest[n+size:]
	}
	return out
}

// floods have too many of something.
func floods() []Case {
	const many = 1_000_000
	global := []byte{w.I32, 0, 0x41, 0, opEnd}
	return []Case{
		{Name: "a million types", Wasm: sectionOf(1, many, 0x60, 0, 0), End: Refused, Want: []string{"the module has more than 100000 types"}},
		{Name: "a million functions without code", Wasm: sectionOf(3, many, 0), End: Refused, Want: []string{"the module has more than 100000 functions"}},
		{Name: "a million imports", Wasm: sectionOf(2, 1_000_000, 0, 0, 0, 0), End: Refused, Want: []string{"the module has more than 100000 imports"}},
		{Name: "a million imports that are no functions", Wasm: sectionOf(2, many, 0, 0, w.KindGlobal, w.I32, 0), End: Refused,
			Want: []string{"the module has more than 100000 imports"}},
		{Name: "a hundred thousand imports of one function", End: Done, Heavy: true, Wasm: build(func(m *w.Module) {
			for range maxFunctions - 1 {
				m.Import(abi.Module, "event_count", nil, []byte{w.I32})
			}
			m.Handle(w.I32Const(0))
		})},
		{Name: "imports nobody offers", End: Refused, Want: []string{"env.f0, env.f1, env.f2, env.f3, env.f4 and 49995 more, which this runtime does not offer"},
			Wasm: build(func(m *w.Module) {
				for i := range 50_000 {
					m.Import("env", fmt.Sprintf("f%d", i), nil, nil)
				}
				m.Handle(w.I32Const(0))
			})},
		{Name: "a million exports", Wasm: sectionOf(7, many, 0, 2, 0), End: Refused, Want: []string{"the module has more than 100000 exports"}},
		{Name: "exports of one name", Wasm: build(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Handle(w.I32Const(1)) }), End: Refused,
			Want: []string{`duplicates name "evoke_handle"`}},
		{Name: "a hundred thousand globals", Wasm: sectionOf(6, maxFunctions, global...), End: Refused, Want: []string{"it has more than 10000 globals"}},
		{Name: "globals of computed values", Wasm: sectionOf(6, 10_000, slices.Concat(global[:4], slices.Repeat([]byte{0x41, 0, 0x6a}, 100), []byte{opEnd})...),
			End: Refused, Want: []string{"instructions in constant expressions"}},
		{Name: "custom sections without end", End: Done, Wasm: build(func(m *w.Module) {
			m.Handle(w.I32Const(0))
			for range 100_000 {
				m.Custom("x", nil)
			}
		})},
		{Name: "a custom section of 32 MiB", End: Done, Wasm: build(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Custom("x", make([]byte, 32<<20)) })},
		{Name: "a module of more than 64 MiB", End: Refused, Want: []string{"bytes, the limit is 67108864", "strip debug information"},
			Wasm: build(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Custom("x", make([]byte, 64<<20)) })},
		{Name: "a custom section whose name is longer than it", Wasm: func() []byte { return append(good().Bytes(), 0, 1, 100) }, End: Refused,
			Want: []string{"100 bytes are announced and 0 follow"}},
		{Name: "our global's name", Wasm: build(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Func("evoke_depth", nil, nil, 0) }), End: Refused,
			Want: []string{`it exports "evoke_depth"`, "rename it"}},
		{Name: "our name of a global of its own", End: Refused, Want: []string{`it exports "evoke_g0"`, "rename it"}, Wasm: build(func(m *w.Module) {
			m.Export("evoke_g0", w.KindGlobal, m.Global(w.I32, w.I32Const(0)))
			m.Handle(w.I32Const(0))
		})},
		{Name: "our host module", Wasm: build(func(m *w.Module) { m.Import("evoke_host", "yield", nil, nil); m.Handle(w.I32Const(0)) }), End: Refused,
			Want: []string{"the module imports evoke_host.yield, which this runtime does not offer"}},
		{Name: "our names inside of the name section", End: Done, Wasm: build(func(m *w.Module) {
			m.Handle(w.Call(m.Unexported("evoke_host.yield", nil, nil, 0)), w.I32Const(0))
		})},
	}
}

// terminal clears a screen, and more, where it is printed as it is.
const terminal = "\x1b[2J\x1b]0;owned\x07\r\n\x00\u202e\xff"

// names end up in messages, or are lies.
func names() []Case {
	named := func(name string) func() []byte {
		return build(func(m *w.Module) { m.Handle(w.Call(m.Unexported(name, nil, nil, 0, w.Unreachable())), w.I32Const(0)) })
	}
	section := func(content ...[]byte) func() []byte {
		return build(func(m *w.Module) { m.Handle(w.Unreachable()); m.Custom("name", slices.Concat(content...)) })
	}
	long := strings.Repeat("x", 4000)
	trapped := []string{"unreachable"}
	down := func(name string) func() []byte {
		return build(func(m *w.Module) {
			m.Handle(w.Call(m.Unexported(name, nil, nil, 0, w.Call(0), w.Call(0))), w.I32Const(0))
		})
	}
	return []Case{
		{Name: "a function's name that steers the terminal", Wasm: named(terminal), End: Fails, Class: classTrap, Want: []string{"unreachable in ", "< evoke_handle"}},
		{Name: "a function's name that looks like a message of ours", End: Fails, Class: classTrap, Want: []string{"unreachable in "},
			Wasm: named("f\nwasm stack trace:\n\tinnocent() (recovered by wazero)")},
		{Name: "a function's name of a megabyte, many times", Wasm: down(strings.Repeat("n", 1<<20)), End: Fails, Class: classTrap,
			Want: []string{"stack overflow in nnn"}},
		{Name: "an export's name that steers the terminal", End: Refused, Want: []string{"exports neither evoke_handle nor _start"},
			Wasm: build(func(m *w.Module) { m.Func("\x1b[2J\r\n\u009b", nil, nil, 0) })},
		{Name: "an import's name that steers the terminal", End: Refused, Want: []string{"which this runtime does not offer"},
			Wasm: build(func(m *w.Module) { m.Import("\x1b[2J", "\r\n\u009b", nil, nil); m.Handle(w.I32Const(0)) })},
		{Name: "imports with long names", End: Refused, Want: []string{"xxx", "which this runtime does not offer"}, Wasm: build(func(m *w.Module) {
			for range 10 {
				m.Import(long, long, nil, nil)
			}
			m.Handle(w.I32Const(0))
		})},
		{Name: "an import of a kind we refuse with a long name", End: Refused, Want: []string{"imports the global xxx", "only functions can be imported"},
			Wasm: build(func(m *w.Module) { m.ImportRaw(long, long, w.KindGlobal, []byte{w.I32, 0}); m.Handle(w.I32Const(0)) })},
		{Name: "a reserved export with a long name", End: Refused, Want: []string{`it exports "evoke_xxx`},
			Wasm: build(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Func("evoke_"+long, nil, nil, 0) })},
		{Name: "an import's name of a megabyte", End: Refused, Want: []string{"a name is not UTF-8 text of at most 4096 bytes"},
			Wasm: build(func(m *w.Module) { m.Import("env", strings.Repeat("x", 1<<20), nil, nil); m.Handle(w.I32Const(0)) })},
		{Name: "two exports of one long name", End: Refused, Want: []string{"duplicates name"},
			Wasm: build(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Func(long, nil, nil, 0); m.Func(long, nil, nil, 0) })},
		{Name: "a name section that ends early", Wasm: section([]byte{1, 100, 1}), End: Fails, Class: classTrap, Want: trapped},
		{Name: "a name section of 4 billion names", Wasm: section([]byte{1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}), End: Fails, Class: classTrap, Want: trapped},
		{Name: "a name section out of order", Wasm: section([]byte{1, 9, 2, 1, 1, 'b', 0, 1, 'a', 0, 0}), End: Fails, Class: classTrap, Want: trapped},
		{Name: "names of functions that do not exist", Wasm: section([]byte{1}, text(string(vectorOf(distinctNames(1_000_000))))), End: Fails, Class: classTrap, Want: trapped},
		{Name: "a module's name that is no text", Wasm: section([]byte{0}, text(string(text(terminal)))), End: Fails, Class: classTrap, Want: trapped},
	}
}

// distinctNames are entries of a name section for n functions.
func distinctNames(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = append(w.U32(uint32(i)), 1, 'n')
	}
	return all
}

func vectorOf(items [][]byte) []byte {
	return append(w.U32(uint32(len(items))), slices.Concat(items...)...)
}

package hostile

import (
	"fmt"
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// Limits that cases stand just below or just above, as documented in sandbox/rewrite.
const (
	maxNesting   = 5000
	maxTargets   = 16_384
	maxBranches  = 1 << 20
	maxLocals    = 10_000
	maxBody      = 1 << 20
	maxFunctions = 100_000
)

// shapes are functions whose form is the attack: too deep, too wide, too long.
func shapes() []Case {
	all := []Case{
		{Name: "one br_table with a target too many", End: Refused, Wasm: handle(w.I32Const(0), w.BrTable(make([]uint32, maxTargets+2)...)),
			Want: []string{"a br_table has 16385 targets and 16384 are allowed", "in function evoke_handle", "split the switch"}},
		{Name: "one br_table with all the targets allowed", End: Done, Wasm: handle(w.Block(w.I32Const(7), w.BrTable(make([]uint32, maxTargets+1)...)), w.I32Const(0))},
		{Name: "br_tables with too many targets together", End: Refused, Wasm: manySwitches(maxBranches/maxTargets+1, maxTargets),
			Want: []string{"br_table instructions have more than 1048576 targets together", "in function switch", "split the module"}},
		{Name: "br_table that announces 4 billion targets", End: Refused, Wasm: handle(w.I32Const(0), []byte{0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f}),
			Want: []string{"in function evoke_handle"}},
		{Name: "half a million locals in one run", End: Refused, Wasm: locals(run(500_000)), Want: []string{"more than 10000 locals", "in function victim"}},
		{Name: "half a million locals in as many runs", End: Refused, Wasm: locals(vector(500_000, 1, w.I64)),
			Want: []string{"more than 10000 locals", "in function victim"}},
		{Name: "runs of locals whose sum overflows 32 bits", End: Refused, Wasm: locals(vector(2, append(w.U32(1<<31), w.I32)...)),
			Want: []string{"more than 10000 locals", "in function victim"}},
		{Name: "four billion runs of locals", End: Refused, Wasm: locals(w.U32(1<<32 - 1)), Want: []string{"entries are announced", "in function victim"}},
		{Name: "runs of no locals", End: Done, Wasm: locals(vector(maxBody/2-100, 0, w.V128))},
		{Name: "all the locals allowed", End: Done, Wasm: locals(run(maxLocals))},
		{Name: "ten thousand functions of ten thousand locals", End: Refused, Want: []string{"more than 5000000 locals together", "in function many", "split the module"},
			Wasm: build(func(m *w.Module) {
				for range 10_000 {
					m.Raw("many", nil, nil, run(maxLocals))
				}
				m.Handle(w.I32Const(0))
			})},
		{Name: "calls of a thousand values", End: Refused, Want: []string{"pass more than 500000 together", "in function evoke_handle", "pass structures in memory"},
			Wasm: passing(func(f uint32) []byte { return slices.Repeat(w.Call(f), 1000) })},
		{Name: "blocks of a thousand values", End: Refused, Want: []string{"pass more than 500000 together", "in function evoke_handle"},
			Wasm: passing(func(uint32) []byte { return slices.Repeat([]byte{0x02, 0, opEnd}, 1000) })},
		{Name: "a giant switch of a thousand values", End: Refused, Want: []string{"pass more than 500000 together", "in function evoke_handle"},
			Wasm: passing(func(uint32) []byte {
				return slices.Concat([]byte{0x02, 0}, w.I32Const(0), w.BrTable(make([]uint32, 1000)...), []byte{opEnd})
			})},
		{Name: "a function a byte too long", End: Refused, Wasm: handle(slices.Repeat([]byte{opNop}, maxBody), w.I32Const(0)),
			Want: []string{"its code has 1048582 bytes and 1048576 are allowed", "in function evoke_handle", "split it"}},
		{Name: "a function of a megabyte", End: Done, Wasm: straight(maxBody - 100), Heavy: true},
		{Name: "a function more than allowed", End: Refused, Wasm: manyFunctions(maxFunctions), Want: []string{"the module has more than 100000 functions"}},
		{Name: "as many functions as allowed", End: Done, Wasm: manyFunctions(maxFunctions - 1), Heavy: true},
		{Name: "a function with too many results", End: Refused,
			Wasm: sections(w.Section(1, slices.Concat([]byte{1, 0x60, 0}, vector(1001, w.I32)))), Want: []string{"exports neither evoke_handle nor _start"}},
		{Name: "a block with too many parameters", End: Refused,
			Wasm: build(func(m *w.Module) { m.Type(slices.Repeat([]byte{w.I32}, 1001), nil); m.Handle(w.I32Const(0)) }),
			Want: []string{"a function type has 1001 parameters or results and 1000 are allowed", "pass a structure in memory"}},
	}
	for name, opener := range map[string][]byte{"blocks": {0x02, 0x40}, "loops": {0x03, 0x40}, "ifs": {0x41, 1, 0x04, 0x40}} {
		all = append(all,
			Case{Name: "nested " + name + ", one too many", Wasm: nested(opener, maxNesting+1), End: Refused,
				Want: []string{"blocks are nested deeper than 5000", "in function evoke_handle", "split the function"}},
			Case{Name: "nested " + name + ", a million", Wasm: nested(opener, 100_000), End: Refused, Want: []string{"nested deeper than 5000"}},
			Case{Name: "nested " + name + ", as deep as allowed", Wasm: nested(opener, maxNesting), End: Done, Heavy: true})
	}
	return all
}

const (
	opNop = 0x01
	opEnd = 0x0b
)

func nested(opener []byte, depth int) func() []byte {
	return handle(slices.Repeat(opener, depth), slices.Repeat([]byte{opEnd}, depth), w.I32Const(0))
}

func run(n uint32) []byte { return slices.Concat([]byte{1}, w.U32(n), []byte{w.I32}) }

// locals is a module with a function that has these runs of locals.
func locals(runs []byte) func() []byte {
	return build(func(m *w.Module) { m.Handle(w.Call(m.Raw("victim", nil, nil, runs)), w.I32Const(0)) })
}

// passing has a thousand values on the stack, and code that passes them on: to a function, or to blocks of type 0.
func passing(code func(f uint32) []byte) func() []byte {
	return build(func(m *w.Module) {
		f := m.Unexported("pass", i32s(1000), i32s(1000), 0, w.Unreachable())
		m.Handle(slices.Repeat(w.I32Const(1), 1000), code(f), slices.Repeat(w.Drop(), 1000), w.I32Const(0))
	})
}

// manySwitches has n functions of one br_table each.
func manySwitches(n, targets int) func() []byte {
	return build(func(m *w.Module) {
		code := w.Block(w.I32Const(0), w.BrTable(make([]uint32, targets+1)...))
		for range n {
			m.Unexported("switch", nil, nil, 0, code)
		}
		m.Handle(w.I32Const(0))
	})
}

// straight is one function without any branch, of about so many bytes.
func straight(size int) func() []byte {
	line := slices.Concat(w.LocalGet(0), w.I32Const(1), w.Add(), w.LocalSet(0))
	return handle(slices.Repeat(line, size/len(line)), w.I32Const(0))
}

// manyFunctions has n functions besides evoke_handle, which calls one of them.
func manyFunctions(n int) func() []byte {
	return build(func(m *w.Module) {
		for i := range n {
			m.Unexported(fmt.Sprintf("f%d", i), nil, nil, 0)
		}
		m.Handle(w.Call(uint32(n-1)), w.I32Const(0))
	})
}

package hostile

import (
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// beginnings misbehave before the event. What is before a snapshot fails when the module is loaded, evoke_restore when an event comes.
func beginnings() []Case {
	var all []Case
	for _, during := range []string{start, abi.ExportInitialize, abi.ExportInit, abi.ExportRestore} {
		end := func(of End) End {
			if during == abi.ExportRestore {
				return of
			}
			return Init
		}
		before := func(code ...[]byte) func() []byte {
			return build(func(m *w.Module) { entry(m, during, code...); m.Handle(w.I32Const(0)) })
		}
		all = append(all,
			Case{Name: during + " never ends", Wasm: before(w.Forever()), End: end(Killed), Class: classDeadline, Want: []string{notInTime, " (in " + during + ")"}},
			Case{Name: during + " traps", Wasm: before(w.Unreachable()), End: end(Fails), Class: classInit, Want: []string{during + ": unreachable in "}},
			Case{Name: during + " recurses", Wasm: recursiveBeginning(during), End: end(Fails), Class: classInit, Want: []string{during + ": stack overflow in down ("}},
			Case{Name: during + " exits", Wasm: exitDuring(during), End: end(Fails), Class: classInit, Want: []string{during + ": exited with code 7"}},
			Case{Name: during + " takes all memory", End: end(Fails), Class: classMemory,
				Wasm: before(w.While(w.I32Const(1), w.MemoryGrow(), w.I32Const(1), w.Add()), w.Unreachable()),
				Want: []string{"wanted more memory than its limit of 64Mi", during + ": unreachable"}},
			Case{Name: during + " reads the event", End: end(Fails), Class: classInit, Want: []string{"evoke_v1.event_count may not be called during " + during},
				Wasm: guest(func(m *w.Module, i w.Imports) {
					entry(m, during, w.Call(i.EventCount), w.Drop())
					m.Handle(w.I32Const(0))
				})},
			Case{Name: during + " handles the event itself", End: end(Fails), Class: classInit, Want: []string{"evoke_v1.reply may not be called during " + during},
				Wasm: guest(func(m *w.Module, i w.Imports) {
					own := m.Next()
					m.Handle(w.Call(i.Reply, 0, 0, 1))
					entry(m, during, w.Call(own), w.Drop())
				})},
			Case{Name: during + " logs for ever", End: end(Killed), Class: classDeadline, Want: []string{notInTime, " (in " + during + ")"},
				Wasm: guest(func(m *w.Module, i w.Imports) {
					entry(m, during, w.Forever(w.Call(i.Log, 0, 0, 60_000)))
					m.Handle(w.I32Const(0))
				})},
		)
	}
	return append(all,
		Case{Name: "evoke_init says no", End: Init, Class: classInit, Want: []string{"evoke_init returned -1"}, Wasm: build(func(m *w.Module) {
			m.Func(abi.ExportInit, nil, []byte{w.I32}, 0, w.I32Const(-1))
			m.Handle(w.I32Const(0))
		})},
		Case{Name: "evoke_handle initialises again and again", End: Killed, Wasm: build(func(m *w.Module) {
			again := m.Next()
			entry(m, abi.ExportInitialize, w.I32Const(1), w.MemoryGrow(), w.Drop())
			m.Handle(forever(w.Call(again)))
		})},
		Case{Name: "a start function with a parameter", End: Refused, Want: []string{"the start function 0 has parameters or results"},
			Wasm: build(func(m *w.Module) { m.Start(m.Unexported("begin", i32s(1), nil, 0)); m.Handle(w.I32Const(0)) })},
		Case{Name: "a start function that is the host's", End: Refused, Want: []string{"the start function 10 has parameters or results"},
			Wasm: guest(func(m *w.Module, i w.Imports) { m.Start(i.CallRead); m.Handle(w.I32Const(0)) })},
		Case{Name: "proc_exit with code 0 in evoke_handle", End: Fails, Class: classExit, Want: []string{"exited with code 0"}, Wasm: build(func(m *w.Module) {
			exit := m.Import(wasi, "proc_exit", []byte{w.I32}, nil)
			m.Handle(w.Call(exit, 0), w.Unreachable())
		})},
	)
}

func recursiveBeginning(during string) func() []byte {
	return build(func(m *w.Module) {
		down := m.Next()
		m.Unexported("down", nil, nil, 0, w.Call(down), w.Call(down))
		entry(m, during, w.Call(down))
		m.Handle(w.I32Const(0))
	})
}

func exitDuring(during string) func() []byte {
	return build(func(m *w.Module) {
		exit := m.Import(wasi, "proc_exit", []byte{w.I32}, nil)
		entry(m, during, w.Call(exit, 7))
		m.Handle(w.I32Const(0))
	})
}

const wasi = "wasi_snapshot_preview1"

// wasiCall is the generator of a module that imports one function of WASI and runs code with its index.
func wasiCall(name string, params []byte, code func(f uint32) []byte) func() []byte {
	return build(func(m *w.Module) {
		f := m.Import(wasi, name, params, []byte{w.I32})
		m.Memory(whole)
		m.Handle(code(f))
	})
}

func i32s(n int) []byte { return slices.Repeat([]byte{w.I32}, n) }

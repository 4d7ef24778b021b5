// Package hostile makes modules that were written to hurt a runtime, and says of each how it ends: refused, failed, killed, or harmless after all.
//
// A case is a generator, not a file: what makes a module hostile is a number somewhere, and the generator shows which one. What is malformed (cut off,
// bits flipped) comes in series, from Truncations and Flips. Faults that single tests of package sandbox and sandbox/rewrite read the message of (wild
// pointers, wrong kinds of files, unknown imports) are not repeated here.
package hostile

import (
	"slices"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// End is when and how a case is stopped.
type End int

// The ends of cases.
const (
	Refused End = iota // loading answers with a refusal
	Init               // it is loaded; what runs before an event fails
	Fails              // an event fails
	Killed             // an event is stopped at its deadline
	Done               // an event is done: what it tried had no effect
)

// Case is one hostile module.
type Case struct {
	Name  string
	Wasm  func() []byte
	End   End
	Class string   // of the result when End is Init or Fails, as in package sandbox
	Want  []string // parts of the refusal or of the reason
	Heavy bool     // it takes more than a second to make or to compile
}

// Cases are all of them.
func Cases() []Case {
	return slices.Concat(shapes(), memories(), tables(), segments(), floods(), names(), beginnings(), spinners(), recursions(), traps(),
		abuses(), wasiAbuses(), proposals())
}

// Classes of results, as in package sandbox.
const (
	classTrap     = "trap"
	classInit     = "init"
	classDeadline = "deadline"
	classMemory   = "memory"
	classExit     = "exit"
)

// notInTime begins the reason of everything that is stopped.
const notInTime = "did not finish within "

// build is the generator of a module with everything but what f adds.
func build(f func(m *w.Module)) func() []byte {
	return func() []byte {
		m := w.New()
		f(m)
		return m.Bytes()
	}
}

// handle is the generator of a module that runs code for an event.
func handle(code ...[]byte) func() []byte { return build(func(m *w.Module) { m.Handle(code...) }) }

// guest is build with every function of evoke_v1 imported.
func guest(f func(m *w.Module, i w.Imports)) func() []byte {
	return func() []byte {
		m, i := w.NewGuest()
		f(m, i)
		return m.Bytes()
	}
}

// sections is the generator of a module of these sections alone.
func sections(all ...[]byte) func() []byte {
	return func() []byte { return slices.Concat(w.Header(), slices.Concat(all...)) }
}

// vector is n times the same item behind its count.
func vector(n int, item ...byte) []byte { return append(w.U32(uint32(n)), slices.Repeat(item, n)...) }

// text is a name as the format has it.
func text(s string) []byte { return append(w.U32(uint32(len(s))), s...) }

// forever is a loop that ends by no condition of its own, as the last code of evoke_handle.
func forever(code ...[]byte) []byte { return append(w.Forever(code...), w.Unreachable()...) }

// mustBe traps when what code leaves is not want.
func mustBe(want int32, code ...[]byte) []byte {
	return slices.Concat(slices.Concat(code...), w.I32Const(want), []byte{opI32Ne}, w.If(w.Unreachable()))
}

const opI32Ne = 0x47

// entry is what the runtime calls before an event, with a result where it has one.
func entry(m *w.Module, name string, code ...[]byte) {
	switch name {
	case abi.ExportInit:
		m.Func(name, nil, []byte{w.I32}, 0, slices.Concat(code...), w.I32Const(0))
	case start:
		m.Start(m.Unexported("begin", nil, nil, 0, code...))
	default:
		m.Func(name, nil, nil, 0, code...)
	}
}

// start is the name of the start function in messages; it has none in a module.
const start = "the start function"

package hostile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Whole is a good module with something in every section, to be broken: it calls itself, through a table, and the host; it has data of both kinds.
func Whole() []byte {
	m, i := w.NewGuest()
	m.Memory(2, 8)
	m.Data(16, []byte("topic"))
	s := m.Passive([]byte("hello"))
	m.Table(3)
	sum := m.Global(w.I32, w.I32Const(7))
	one := []byte{w.I32}
	square := m.Unexported("square", one, one, 0, w.LocalGet(0), w.LocalGet(0), []byte{0x6c})
	m.Elements(1, square)
	m.Start(m.Unexported("begin", nil, nil, 0, w.I32Const(3), w.GlobalSet(sum)))
	m.Func(abi.ExportInit, nil, one, 0, w.I32Const(64), w.I32Const(0), w.I32Const(5), w.MemoryInit(s), w.I32Const(0))
	return m.Handle(
		w.I32Const(3), w.I32Const(1), w.CallIndirect(m.Type(one, one)), w.GlobalGet(sum), w.Add(), w.LocalSet(0),
		w.Block(w.LocalGet(0), w.BrTable(0, 0)),
		w.While(w.LocalGet(0), w.I32Const(1), w.Sub(), w.LocalSet(0), w.LocalGet(0)),
		w.I32Const(128), w.I32Const(64), w.I32Const(5), w.MemoryCopy(),
		w.Call(i.Reply, 0, 128, 5),
	).Bytes()
}

// Truncations are the module cut off after every byte but the last.
func Truncations(wasm []byte) [][]byte {
	var all [][]byte
	for n := range wasm {
		all = append(all, wasm[:n:n])
	}
	return all
}

// Flips are n copies of the module with one to four bits flipped, the same ones for the same seed. The header is left alone.
func Flips(wasm []byte, seed uint64, n int) [][]byte {
	r := rand.New(rand.NewPCG(seed, 0))
	all := make([][]byte, n)
	for i := range all {
		all[i] = slices.Clone(wasm)
		for range 1 + r.IntN(4) {
			all[i][8+r.IntN(len(wasm)-8)] ^= 1 << r.IntN(8)
		}
	}
	return all
}

// Printable complains about a message that could steer the terminal of whoever reads it, or fill it.
func Printable(message string) error {
	const most = 8 << 10
	if len(message) > most {
		return fmt.Errorf("it has %d bytes", len(message))
	}
	if strings.ToValidUTF8(message, "") != message {
		return fmt.Errorf("%q is no UTF-8", message)
	}
	if strings.ContainsFunc(message, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		return fmt.Errorf("%q has control characters", message)
	}
	return nil
}

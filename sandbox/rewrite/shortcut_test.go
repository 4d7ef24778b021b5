package rewrite_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// jumps is a function as Go's compiler writes them: it goes from place to place by a number in a local, and leaves a trail. Parameter 0 is the first place,
// local 1 the number, local 2 how often the last place goes on to another.
func jumps(table []byte, target ...int) wat {
	note := func(place int) []byte { // trail = trail*10 + place
		return cat(get(3), []byte{0x42}, s(10), []byte{0x7e, 0x42}, s(place), []byte{0x7c}, set(3))
	}
	jump := func(to, depth int) []byte { return cat(constI32(to), set(1), []byte{0x0c}, u(depth)) }
	code := cat(get(0), set(1), constI32(3), set(2),
		[]byte{0x03, 0x40, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40}, get(1), []byte{0x0e}, table,
		[]byte{0x0b}, note(1), jump(target[0], 2),
		[]byte{0x0b}, note(2), get(2), []byte{0x04, 0x40}, jump(target[1], 2), []byte{0x0b}, note(4),
		[]byte{0x0b}, note(3), get(2), []byte{0x45, 0x04, 0x40}, get(3), []byte{0x0f, 0x0b},
		get(2), constI32(1), []byte{0x6b, 0x21}, u(2), jump(target[2], 0), []byte{0x0b}, get(3))
	return wat{funcs: []fn{{name: "run", params: []byte{i32}, results: []byte{i64}, locals: []byte{i32, i32, i64}, code: code}}}
}

func TestShortcutsLeadToTheSamePlace(t *testing.T) {
	t.Parallel()
	const toNext, toLast = 0, 1
	for name, c := range map[string]struct {
		w     wat
		label byte // of the branch of the first place
	}{
		"to the next place":   {jumps([]byte{2, 0, 1, 2}, 1, 2, 0), toNext},
		"two places on":       {jumps([]byte{2, 0, 1, 2}, 2, 2, 0), toLast},
		"by the default":      {jumps([]byte{2, 0, 1, 2}, 9, -1<<31, 0), toLast},
		"all by the default":  {jumps([]byte{1, 0, 2}, -1, -1, -1), toLast},
		"places in disorder":  {jumps([]byte{2, 2, 1, 0}, 1, 0, 9), toNext},
		"one goes to the top": {jumps([]byte{3, 0, 1, 2, 3}, 1, 2, 0), toNext},
	} {
		result, err := rewrite.Module(c.w.bytes(), rewrite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		// The fuel global is the first one: its charge, and the branch.
		if !bytes.Contains(result.Wasm, []byte{0x24, 0, 0x0c, c.label, 0x0b}) {
			t.Errorf("%s: no shortcut", name)
		}
		plainRT, _ := newRuntime(t)
		plain, err := plainRT.InstantiateWithConfig(context.Background(), c.w.bytes(), wazero.NewModuleConfig())
		if err != nil {
			t.Fatal(err)
		}
		rt, _ := newRuntime(t)
		changed, err := instantiate(rt, c.w.bytes(), wazero.NewModuleConfig())
		if err != nil {
			t.Fatal(err)
		}
		for first := range uint64(3) {
			if a, b := outcome(plain, "run", first), outcome(changed, "run", first); a != b {
				t.Errorf("%s from %d: plain %s, rewritten %s", name, first, a, b)
			}
		}
	}
}

// TestShortcutsPayForTheWayRound: what a guest pays says what it did, not how we run it.
func TestShortcutsPayForTheWayRound(t *testing.T) {
	t.Parallel()
	other := jumps([]byte{2, 0, 1, 2}, 1, 2, 0)
	other.funcs[0].code = bytes.ReplaceAll(other.funcs[0].code, set(1), cat(set(1), []byte{0x01})) // a nop, which is free, hides the jumps
	for first := range uint64(3) {
		if got, want := burn(t, jumps([]byte{2, 0, 1, 2}, 1, 2, 0), first), burn(t, other, first); got != want {
			t.Errorf("from %d: %d, and %d the way round", first, got, want)
		}
	}
}

package rewrite_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// burn runs a function and says what it paid.
func burn(t *testing.T, w wat, args ...uint64) int64 {
	t.Helper()
	rt, m := newRuntime(t)
	mod, err := instantiate(rt, w.bytes(), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mod.ExportedFunction("run").Call(context.Background(), args...); err != nil {
		t.Fatal(err)
	}
	return m.filled - int64(mod.ExportedGlobal(rewrite.FuelGlobal).Get())
}

func TestStraightLinesPayTheirInstructions(t *testing.T) {
	t.Parallel()
	for _, pairs := range []int{0, 1, 31, 32, 33, 64, 500, 5_000} {
		w := wat{funcs: []fn{{name: "run", code: repeat(pairs, 0x41, 0, 0x1a)}}}
		if got, want := burn(t, w), int64(2*pairs); got != want {
			t.Errorf("%d instructions paid %d", want, got)
		}
	}
}

func TestLoopsPayTheirTurns(t *testing.T) {
	t.Parallel()
	nest := func(body []byte, counter, turns int) []byte { // set, loop, body, get, const, sub, tee, br_if
		return cat(constI32(turns), set(counter), []byte{0x03, 0x40}, body, get(counter), constI32(1), []byte{0x6b, 0x22}, u(counter), []byte{0x0d, 0, 0x0b})
	}
	pad := func(n int) []byte { return repeat(n, 0x41, 0, 0x1a) }
	leave := cat([]byte{0x02, 0x40, 0x03, 0x40}, get(0), []byte{0x45, 0x0d, 1}, get(0), constI32(1), []byte{0x6b, 0x21, 0, 0x0c, 0, 0x0b, 0x0b})
	returns := cat([]byte{0x03, 0x40}, pad(2), get(0), []byte{0x45, 0x04, 0x40, 0x0f, 0x0b}, get(0), constI32(1), []byte{0x6b, 0x21, 0, 0x0c, 0, 0x0b})
	sent := cat([]byte{0x02, 0x40, 0x03, 0x40}, get(0), constI32(1), []byte{0x6b, 0x22, 0, 0x45, 0x0e, 1, 0, 1, 0x0b, 0x0b}) // by a br_table
	for name, c := range map[string]struct {
		code []byte
		want int64
	}{
		"empty":           {nest(nil, 1, 10), 2 + 10*5},
		"many":            {nest(pad(3), 1, 100_000), 2 + 100_000*11},
		"many of many":    {nest(nest(pad(2), 2, 1000), 1, 200), 2 + 200*(5+2+1000*9)},
		"many with calls": {nest(cat(call(2), pad(2)), 1, 20_000), 2 + 20_000*(5+1+2+3*5+4)},
		"left by return":  {returns, 7*(4+3+5) + 4 + 4},
		"by a table":      {cat(sent, pad(3)), 7*6 + 6},
		"short":           {nest(pad(3), 1, 1000), 2 + 1000*11},
		"long":            {nest(pad(1000), 1, 77), 2 + 77*2005},
		"nested":          {nest(nest(pad(2), 2, 10), 1, 20), 2 + 20*(5+2+10*9)},
		"then a line":     {cat(nest(pad(1), 1, 9), pad(50)), 2 + 9*7 + 100},
		"left by br_if":   {cat(leave, pad(20)), 7*8 + 3 + 40},
		"calls a leaf":    {nest(call(1), 1, 100), 2 + 100*(5+1+2)},
		"calls a loop":    {nest(call(2), 1, 100), 2 + 100*(5+1+2+3*5)},
	} {
		w := wat{funcs: []fn{
			{name: "run", params: []byte{i32}, locals: []byte{i32, i32}, code: c.code},
			{code: pad(1)},
			{locals: []byte{i32}, code: nest(nil, 0, 3)},
		}}
		if got := burn(t, w, 7); got != c.want {
			t.Errorf("%s: paid %d, want %d", name, got, c.want)
		}
	}
}

// TestATrapHasPaid: what a loop did before a trap is paid but for the last turn.
func TestATrapHasPaid(t *testing.T) {
	t.Parallel()
	turn := cat(get(0), constI32(1), []byte{0x6b, 0x22, 0, 0x45, 0x04, 0x40, 0x00, 0x0b}) // traps at 0
	for name, code := range map[string][]byte{
		"by br":    cat([]byte{0x03, 0x40}, turn, []byte{0x0c, 0, 0x0b}),
		"by br_if": cat([]byte{0x03, 0x40}, turn, constI32(1), []byte{0x0d, 0, 0x0b}),
		"calling":  cat([]byte{0x03, 0x40}, call(1), turn, []byte{0x0c, 0, 0x0b}),
	} {
		rt, m := newRuntime(t)
		w := wat{funcs: []fn{{name: "run", params: []byte{i32}, code: code}, {code: repeat(10, 0x41, 0, 0x1a)}}}
		mod, err := instantiate(rt, w.bytes(), wazero.NewModuleConfig())
		if err != nil {
			t.Fatal(err)
		}
		const turns = 10_000
		if _, err := mod.ExportedFunction("run").Call(context.Background(), turns); err == nil {
			t.Errorf("%s: no trap", name)
		}
		if paid := m.filled - int64(mod.ExportedGlobal(rewrite.FuelGlobal).Get()); paid < 7*(turns-1) {
			t.Errorf("%s: %d paid for %d turns", name, paid, turns)
		}
	}
}

// TestBranchesPayAtLeastWhatRuns: of two branches the dearer one is paid, and never more than one charge too much.
func TestBranchesPayAtLeastWhatRuns(t *testing.T) {
	t.Parallel()
	pad := func(n int) []byte { return repeat(n, 0x41, 0, 0x1a) }
	for _, arg := range []uint64{0, 1} {
		for _, c := range [][2]int{{1, 1}, {20, 1}, {1, 20}, {400, 3}, {3, 400}} {
			code := cat(get(0), []byte{0x04, 0x40}, pad(c[0]), []byte{0x05}, pad(c[1]), []byte{0x0b}, pad(2))
			ran := int64(2 + 4 + 2*c[1-arg])
			got := burn(t, wat{funcs: []fn{{name: "run", params: []byte{i32}, code: code}}}, arg)
			if got < ran || got > ran+64 {
				t.Errorf("if %v with %d: %d ran, %d paid", c, arg, ran, got)
			}
		}
	}
}

func TestRangesPayByLength(t *testing.T) {
	t.Parallel()
	for op, code := range map[string][]byte{"memory.fill": {0xfc, 11, 0}, "memory.copy": {0xfc, 10, 0, 0}} {
		w := wat{pages: 128, funcs: []fn{{name: "run", params: []byte{i32}, code: cat(constI32(8), constI32(1), get(0), code)}}}
		for _, n := range []uint64{0, 7, 8, 65536, 65537, 1 << 20, 8_000_000} {
			if got, want := burn(t, w, n), int64(4+n/8); got != want && got != want-1 {
				t.Errorf("%s of %d bytes paid %d, want %d", op, n, got, want)
			}
		}
	}
}

// doubling is functions that call the next one twice and have paid when they end: a number of calls that no machine gets done, without a loop or a
// recursion.
func doubling(depth int) []fn {
	funcs := []fn{{name: "run", code: call(1)}}
	for i := range depth {
		var calls []byte
		if i < depth-1 {
			calls = cat(call(i+2), call(i+2))
		}
		funcs = append(funcs, fn{code: cat([]byte{0x02, 0x40}, calls, repeat(40, 0x41, 0, 0x1a), []byte{0x0c, 0, 0x0b})})
	}
	return funcs
}

func TestAGuestIsKilledWhateverItDoes(t *testing.T) {
	t.Parallel()
	forever := func(code ...byte) []byte { return cat([]byte{0x03, 0x40}, code, []byte{0x0c, 0, 0x0b}) }
	fill := cat(constI32(0), constI32(1), constI32(64<<16), []byte{0xfc, 11, 0})
	for name, w := range map[string]wat{
		"loop":           {funcs: []fn{{name: "run", code: forever()}}},
		"leaf":           {funcs: []fn{{name: "run", code: forever(call(1)...)}, {code: repeat(50_000, 0x41, 0, 0x1a)}}},
		"paid within":    {funcs: []fn{{name: "run", code: cat(repeat(15, 0x41, 0, 0x1a), forever(cat([]byte{0x02, 0x40}, repeat(40, 0x41, 0, 0x1a), []byte{0x0c, 0, 0x0b})...))}}},
		"calls of calls": {funcs: doubling(40)},
		"fill":           {pages: 64, funcs: []fn{{name: "run", code: forever(fill...)}}},
		"tail":           {funcs: []fn{{name: "run", code: []byte{0x12, 0}}}},
		"recursion":      {funcs: []fn{{name: "run", code: cat(call(1), call(0))}, {code: forever()}}},
		"start":          {funcs: []fn{{code: forever()}}, extra: []byte{8, 1, 0}},
	} {
		rt, m := newRuntime(t)
		m.limit = 10
		mod, err := instantiate(rt, w.bytes(), wazero.NewModuleConfig())
		if err == nil && mod.ExportedFunction("run") != nil {
			_, err = mod.ExportedFunction("run").Call(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), errKilled.Error()) || m.yields != 11 {
			t.Errorf("%s: %v after %d yields", name, err, m.yields)
		}
	}
}

// TestWhateverIsLongLooks: a guest that has used up its fuel owes little when it yields, also where nothing repeats and where calls lie in each other.
func TestWhateverIsLongLooks(t *testing.T) {
	t.Parallel()
	pad := func(n int) []byte { return repeat(n, 0x41, 0, 0x1a) }
	calls := func(n, f int) []byte { return slices.Repeat(call(f), n) }
	either := func(code []byte) []byte { return cat(constI32(1), []byte{0x04, 0x40}, code, []byte{0x0b}) }
	for name, w := range map[string]wat{
		"a line":               {funcs: []fn{{name: "run", code: pad(100_000)}}},
		"calls of lines":       {funcs: []fn{{name: "run", code: calls(500, 1)}, {code: pad(50_000)}}},
		"calls of short lines": {funcs: []fn{{name: "run", code: calls(20_000, 1)}, {code: pad(120)}}},
		"calls behind an if":   {funcs: []fn{{name: "run", code: slices.Repeat(either(calls(100, 1)), 200)}, {code: pad(120)}}},
		"calls through a table": {funcs: []fn{{name: "run", code: slices.Repeat(cat(constI32(0), []byte{0x11, 1, 0}), 20_000)}, {code: pad(120)}},
			table: []uint32{1}},
		"lines in each other": {funcs: []fn{{name: "run", code: cat(pad(20_000), call(0))}}},
		"calls in each other": {funcs: []fn{{name: "run", code: cat(pad(200), call(0))}}},
		"by a table in each other": {funcs: []fn{{name: "run", code: cat(pad(200), constI32(0), []byte{0x11, 0, 0})}},
			table: []uint32{0}},
	} {
		rt, m := newRuntime(t)
		m.limit = 20
		mod, err := instantiate(rt, w.bytes(), wazero.NewModuleConfig())
		if err != nil {
			t.Fatal(err)
		}
		_, err = mod.ExportedFunction("run").Call(context.Background())
		if m.yields < 4 || m.debt > 3000 {
			t.Errorf("%s: owed up to %d in %d yields: %v", name, m.debt, m.yields, err)
		}
	}
}

// TestBulkOperationsMoveTheSameBytes compares plain and rewritten for ranges around the size of a piece, overlapping both ways and out of bounds.
func TestBulkOperationsMoveTheSameBytes(t *testing.T) {
	t.Parallel()
	const pages = 8
	three := []byte{i32, i32, i32}
	args := cat(get(0), get(1), get(2))
	seed := cat([]byte{0x03, 0x40}, get(0), get(0), constI32(2_654_435_761-1<<32), []byte{0x6c, 0x36, 2, 0}, get(0), constI32(4), []byte{0x6a, 0x22, 0}, constI32(pages<<16), []byte{0x49, 0x0d, 0, 0x0b})
	w := wat{pages: pages, extra: section(12, []byte{1}), tail: section(11, cat([]byte{1, 1}, u(200_000), repeat(50_000, 1, 2, 3, 4))), funcs: []fn{
		{name: "fill", params: three, code: cat(args, []byte{0xfc, 11, 0})},
		{name: "copy", params: three, code: cat(args, []byte{0xfc, 10, 0, 0})},
		{name: "init", params: three, code: cat(args, []byte{0xfc, 8, 0, 0})},
		{name: "seed", locals: []byte{i32}, code: seed},
		{name: "zdrop", code: []byte{0xfc, 9, 0}},
	}}
	plainRT, _ := newRuntime(t)
	plain, err := plainRT.InstantiateWithConfig(context.Background(), w.bytes(), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	rt, _ := newRuntime(t)
	changed, err := instantiate(rt, w.bytes(), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	edges := []uint64{0, 1, 65536, 65537, 131_072, 200_000, 300_000, pages << 16, 1<<32 - 65_537, 1<<32 - 1}
	calls := 0
	for _, name := range []string{"fill", "copy", "init", "zdrop", "init"} {
		for _, d := range edges {
			for _, s := range edges {
				for _, n := range edges {
					params := []uint64{d, s, n}
					if name == "zdrop" {
						params = nil
					}
					if calls%16 == 0 {
						outcome(plain, "seed")
						outcome(changed, "seed")
					}
					calls++
					if a, b := outcome(plain, name, params...), outcome(changed, name, params...); a != b {
						t.Fatalf("%s%v: plain %s, rewritten %s", name, params, a, b)
					}
					if name == "zdrop" {
						break
					}
					if calls%8 == 0 && memory(plain) != memory(changed) {
						t.Fatalf("%s%v left other bytes", name, params)
					}
				}
			}
		}
	}
}

func outcome(mod api.Module, name string, args ...uint64) string {
	results, err := mod.ExportedFunction(name).Call(context.Background(), args...)
	line, _, _ := strings.Cut(fmt.Sprint(err), "\n")
	return fmt.Sprint(results, line)
}

func memory(mod api.Module) string {
	b, _ := mod.Memory().Read(0, mod.Memory().Size())
	return string(b)
}

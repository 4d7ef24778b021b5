package rewrite_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// asEngine rewrites a module with Options.Engine, runs it and says what it paid.
func asEngine(t *testing.T, w wat, limit int, args ...uint64) (paid int64, err error) {
	t.Helper()
	rt, m := newRuntime(t)
	m.limit = limit
	result, e := rewrite.Module(w.bytes(), rewrite.Options{Engine: true})
	if e != nil {
		t.Fatal(e)
	}
	mod, err := result2module(rt, result, wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	_, err = mod.ExportedFunction("run").Call(context.Background(), args...)
	fuel := mod.ExportedGlobal(rewrite.FuelGlobal)
	return m.filled - int64(fuel.Get()), err
}

func TestEnginesPayInLoopsAlone(t *testing.T) {
	t.Parallel()
	pad := repeat(50, 0x41, 0, 0x1a)
	loop := cat(constI32(100), set(0), []byte{0x03, 0x40}, repeat(3, 0x41, 0, 0x1a), get(0), constI32(1), []byte{0x6b, 0x22, 0, 0x0d, 0, 0x0b})
	for name, c := range map[string]struct {
		code []byte
		want int64
	}{
		"a line": {pad, 0}, "a call": {call(1), 0}, "a loop": {loop, 99 * 11}, "a loop before a line": {cat(loop, pad), 99 * 11},
		"ranges": {cat(constI32(0), constI32(0), constI32(8000), []byte{0xfc, 11, 0}), 1000},
	} {
		w := wat{pages: 1, funcs: []fn{{name: "run", locals: []byte{i32}, code: c.code}, {code: pad}}}
		if paid, err := asEngine(t, w, 0); paid < c.want || paid > c.want+4 || err != nil {
			t.Errorf("%s: paid %d, want %d; %v", name, paid, c.want, err)
		}
	}
}

// What an engine runs for others is stopped in its loops, in ranges and in recursions, with whatever lies between two functions of a cycle.
func TestEnginesAreStopped(t *testing.T) {
	t.Parallel()
	forever := func(code ...byte) []byte { return cat([]byte{0x03, 0x40}, code, []byte{0x0c, 0, 0x0b}) }
	fill := cat(constI32(0), constI32(1), constI32(64<<16), []byte{0xfc, 11, 0})
	for name, w := range map[string]wat{
		"loop":  {funcs: []fn{{name: "run", code: forever()}}},
		"calls": {funcs: []fn{{name: "run", code: forever(call(1)...)}, {code: repeat(500, 0x41, 0, 0x1a)}}},
		"fill":  {pages: 64, funcs: []fn{{name: "run", code: forever(fill...)}}},
	} {
		if _, err := asEngine(t, w, 10); err == nil || !strings.Contains(err.Error(), errKilled.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := recursions()
	one := func(code []byte) fn { return fn{code: code} }
	all["a ring"] = wat{funcs: []fn{{name: "run", params: []byte{i32}, code: call(1)}, one(call(2)), one(call(3)), one(cat(call(4), call(1))), one(call(2))}}
	all["rings by a table"] = wat{table: []uint32{1, 2}, funcs: []fn{{name: "run", params: []byte{i32}, code: call(1)},
		one(cat(constI32(1), []byte{0x11, 1, 0})), one(cat(call(3), constI32(0), []byte{0x11, 1, 0})), one(call(2))}}
	for name, w := range all {
		if _, err := asEngine(t, w, 100_000, 1); err == nil || !strings.Contains(err.Error(), errOverflow.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

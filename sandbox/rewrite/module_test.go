package rewrite_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

func module(t *testing.T, wasm []byte) *rewrite.Result {
	t.Helper()
	r, err := rewrite.Module(wasm, rewrite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// global section entries: type, mutability, value.
func globals(entries ...[]byte) []byte { return section(6, vec(entries...)) }

func TestStateIsTakenOut(t *testing.T) {
	t.Parallel()
	data := vec(cat([]byte{0}, constI32(16), []byte{0x0b}, text("hello")), cat([]byte{0}, constI32(20), []byte{0x0b}, text("p!")))
	w := wat{pages: 1, tail: section(11, data), funcs: []fn{
		{name: "run", results: []byte{i32}, code: cat([]byte{0x23, 0})},
		{code: cat(constI32(16), []byte{0x28, 2, 0, 0x24, 0})},
	}}
	// Sections are in order: memory 5, globals 6, exports 7, start 8.
	plain := w.bytes()
	at := bytes.Index(plain, section(7, vec(cat(text("run"), []byte{0, 0}), cat(text("memory"), []byte{2, 0}))))
	wasm := cat(plain[:at], globals([]byte{i32, 1, 0x41, 7, 0x0b}, []byte{i64, 0, 0x42, 7, 0x0b}, []byte{0x7d, 1, 0x43, 0, 0, 0, 0, 0x0b}), plain[at:])
	code := bytes.Index(wasm, []byte("memory\x02\x00")) + len("memory\x02\x00")
	wasm = cat(wasm[:code], []byte{8, 1, 1}, wasm[code:])

	r := module(t, wasm)
	if want := []rewrite.Segment{{Offset: 16, Bytes: []byte("hello")}, {Offset: 20, Bytes: []byte("p!")}}; !reflect.DeepEqual(r.Data, want) {
		t.Errorf("data %v", r.Data)
	}
	if want := []rewrite.Global{{Name: "evoke_g0", Type: rewrite.I32}, {Name: "evoke_g2", Type: rewrite.F32}}; !reflect.DeepEqual(r.Globals, want) {
		t.Errorf("globals %v", r.Globals)
	}
	if r.Start != rewrite.StartExport || !r.Resettable || r.MinPages != 1 || r.MaxPages != 65536 {
		t.Errorf("result %+v", r)
	}
	rt, _ := newRuntime(t)
	mod, err := instantiate(rt, wasm, wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	got, err := mod.ExportedFunction("run").Call(context.Background())
	if err != nil || got[0] != 0x6c6c6568 || mod.ExportedGlobal("evoke_g0").Get() != got[0] {
		t.Errorf("the start function read %#x, %v", got, err)
	}
}

func TestTracesKeepTheirNames(t *testing.T) {
	t.Parallel()
	names := section(0, cat(text("name"), section(1, vec(cat([]byte{0}, text("host_side")), cat([]byte{1}, text("outer")), cat([]byte{2}, text("inner"))))))
	w := wat{imports: []fn{{name: "env"}}, funcs: []fn{{name: "run", code: call(2)}, {code: []byte{0x00}}}, tail: names}
	rt, _ := newRuntime(t)
	if _, err := rt.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(func() {}).Export("f").Instantiate(context.Background()); err != nil {
		t.Fatal(err)
	}
	mod, err := instantiate(rt, w.bytes(), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	_, err = mod.ExportedFunction("run").Call(context.Background())
	if err == nil || !strings.Contains(err.Error(), ".inner()") || !strings.Contains(err.Error(), ".outer()") {
		t.Errorf("trace %v", err)
	}
}

// Names of a module reach people and their terminals in traces, and the engine takes UTF-8 only.
func TestNamesAreMadeReadable(t *testing.T) {
	t.Parallel()
	const long = 1 << 20
	for name, want := range map[string]string{
		"main.(*größe[go.shape.int]).Of·1": "main.(*größe[go.shape.int]).Of·1",
		"\x1b[2J\r\n\u202e":                "\uFFFD[2J\uFFFD\uFFFD\uFFFD",
		"a\xff\xc3":                        "a\uFFFD\uFFFD",
		strings.Repeat("é", long):          strings.Repeat("é", 2048),
		strings.Repeat("x", long):          strings.Repeat("x", 4096),
		"x" + strings.Repeat("é", long):    "x" + strings.Repeat("é", 2047) + "\uFFFD",
	} {
		names := section(0, cat(text("name"), section(0, text(name)), section(1, vec(cat([]byte{0}, text(name)), cat(u(1<<30), text("none"))))))
		rt, _ := newRuntime(t)
		mod, err := instantiate(rt, wat{funcs: []fn{{name: "run", code: []byte{0x00}}}, tail: names}.bytes(), wazero.NewModuleConfig())
		if err != nil {
			t.Errorf("%.20q: %v", name, err)
			continue
		}
		_, err = mod.ExportedFunction("run").Call(context.Background())
		if err == nil || !strings.Contains(err.Error(), "."+want+"()\n") && !strings.HasSuffix(err.Error(), "."+want+"()") {
			t.Errorf("%.20q: trace %.200q", name, err)
		}
	}
}

func TestWhatCannotBeReset(t *testing.T) {
	t.Parallel()
	run := func(code ...byte) wat { return wat{table: []uint32{0}, funcs: []fn{{name: "run", code: code}}} }
	for name, c := range map[string]struct {
		w    wat
		want string
	}{
		"nothing":     {run(), ""},
		"table.set":   {run(0x41, 0, 0xd0, 0x70, 0x26, 0), "table.set in function 0"},
		"table.grow":  {run(0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a), "table.grow in function 0"},
		"table.fill":  {run(0x41, 0, 0xd0, 0x70, 0x41, 1, 0xfc, 17, 0), "table.fill in function 0"},
		"elem.drop 0": {run(0xfc, 13, 0), ""},
	} {
		r := module(t, c.w.bytes())
		if r.WhyNot != c.want || r.Resettable != (c.want == "") {
			t.Errorf("%s: %q, resettable %v", name, r.WhyNot, r.Resettable)
		}
	}
}

func TestTablesGetAMaximum(t *testing.T) {
	t.Parallel()
	w := wat{table: []uint32{0}, funcs: []fn{{name: "run", params: []byte{i32}, results: []byte{i32}, code: cat([]byte{0xd0, 0x70}, get(0), []byte{0xfc, 15, 0})}}}
	rt, _ := newRuntime(t)
	mod, err := instantiate(rt, w.bytes(), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]uint64{{99_999, 1}, {1, 1<<32 - 1}, {1<<32 - 1, 1<<32 - 1}, {0, 100_000}} {
		got, err := mod.ExportedFunction("run").Call(context.Background(), c[0])
		if err != nil || got[0] != c[1] {
			t.Errorf("table.grow(%d) = %d, %v; want %d", c[0], got, err, c[1])
		}
	}
}

// TestGoGuest runs a Go program as it is and rewritten.
func TestGoGuest(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("compiling a Go program twice takes a minute under the race detector")
	}
	wasm := goGuest(t)
	type result struct {
		verdict uint64
		replies string
		err     string
	}
	player := func(rewritten bool) func(kind string) result {
		rt, m := newRuntime(t)
		m.limit = 10_000
		host := newFakeHost(t, rt)
		code := &rewrite.Result{Wasm: wasm, MaxPages: 65536}
		if rewritten {
			code = module(t, wasm)
		}
		return func(kind string) result {
			host.kind, host.data, host.reply = kind, "ping", ""
			mod, err := result2module(rt, code, wazero.NewModuleConfig().WithName("").WithArgs("guest").WithStartFunctions())
			if err != nil {
				t.Fatal(err)
			}
			defer mod.Close(context.Background())
			if _, err := mod.ExportedFunction("_initialize").Call(context.Background()); err != nil {
				t.Fatal(err)
			}
			out, err := mod.ExportedFunction("evoke_handle").Call(context.Background())
			r := result{replies: host.reply}
			if err != nil {
				r.err, _, _ = strings.Cut(err.Error(), "\n")
			} else {
				r.verdict = out[0]
			}
			return r
		}
	}
	plain, rewritten := player(false), player(true)
	for _, kind := range []string{"echo", "goroutines", "hide", "panic", "file", "unheard"} {
		if a, b := plain(kind), rewritten(kind); a != b {
			t.Errorf("%s: plain %v, rewritten %v", kind, a, b)
		}
	}
	if r := rewritten("loop"); !strings.Contains(r.err, errKilled.Error()) {
		t.Errorf("loop: %v", r)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	run := func(code ...byte) []byte { return wat{pages: 1, funcs: []fn{{name: "run", code: code}}}.bytes() }
	header := []byte("\x00asm\x01\x00\x00\x00")
	named := section(0, cat(text("name"), section(1, vec(cat([]byte{0}, text("victim"))))))
	for name, c := range map[string]struct {
		wasm []byte
		want string
	}{
		"empty":              {nil, "no core WebAssembly module"},
		"component":          {[]byte("\x00asm\x0d\x00\x01\x00"), "build for wasm32-wasip1"},
		"truncated":          {run()[:20], "bytes are announced"},
		"section twice":      {cat(header, []byte{1, 1, 0, 1, 1, 0}), "out of order or there twice"},
		"section unknown":    {cat(header, []byte{14, 0}), "section 14 is unknown"},
		"overlong number":    {cat(header, []byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), "does not fit 32 bits"},
		"count bomb":         {cat(header, []byte{1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}), "entries are announced"},
		"left over":          {cat(header, []byte{1, 2, 0, 0}), "follow the end of section type"},
		"nesting bomb":       {run(cat(repeat(5001, 0x02, 0x40), repeat(5001, 0x0b))...), "blocks are nested deeper than 5000"},
		"br_table bomb":      {run(cat([]byte{0x41, 0, 0x0e}, u(20_000), repeat(20_001, 0))...), "20000 targets"},
		"locals bomb":        {cat(header, section(1, vec([]byte{0x60, 0, 0})), section(3, []byte{1, 0}), section(10, vec(cat([]byte{7}, []byte{1, 0xa0, 0xc2, 0x1e, i32, 0x0b, 0x0b})))), "more than 10000 locals"},
		"locals overflow":    {cat(header, section(1, vec([]byte{0x60, 0, 0})), section(3, []byte{1, 0}), section(10, vec(cat([]byte{9}, []byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f, i32, 0x0b, 0x0b})))), "more than 10000 locals"},
		"giant table":        {cat(header, section(4, cat([]byte{1, 0x70, 0}, u(100_001)))), "a table has 100001 elements"},
		"giant memory":       {cat(header, section(5, cat([]byte{1, 0}, u(65_537)))), "cannot be"},
		"two memories":       {cat(header, section(5, []byte{2, 0, 1, 0, 1})), "multiple memories"},
		"shared memory":      {cat(header, section(5, []byte{1, 3, 1, 1})), "uses threads"},
		"memory64":           {cat(header, section(5, []byte{1, 4, 1})), "64-bit memories"},
		"tag section":        {cat(header, []byte{13, 1, 0}), "exception handling"},
		"gc type":            {cat(header, section(1, []byte{1, 0x5f, 0})), "garbage collection"},
		"atomics":            {run(0xfe, 3, 0), "function 0 at byte 0x"},
		"atomics named":      {cat(run(0xfe, 3, 0), named), "function 0 (victim) at byte 0x"},
		"try":                {run(0x06, 0x40, 0x0b), "uses exception handling"},
		"call_ref":           {run(0x14, 0), "uses typed function references"},
		"relaxed":            {run(0xfd, 0x80, 2), "relaxed vector"},
		"unassigned":         {run(0xfd, 0x9a, 1), "instruction 0xfd 154 is unknown"},
		"unassigned plain":   {run(0x27), "instruction 0x27 is unknown"},
		"unassigned misc":    {run(0xfc, 18), "instruction 0xfc 18 is unknown"},
		"open block":         {run(0x02, 0x40), "inside of a block"},
		"code after the end": {run(0x0b, 0x01), "follow the end of its code"},
		"label":              {run(0x0c, 1), "label 1 does not exist"},
		"local":              {run(0x20, 0), "local 0 does not exist"},
		"callee":             {run(0x10, 1), "function 1 does not exist"},
		"else":               {run(0x05), "outside of an if"},
		"reserved export":    {wat{funcs: []fn{{name: "evoke_fuel"}}}.bytes(), `exports "evoke_fuel"`},
		"reserved import":    {wat{imports: []fn{{name: "evoke_host"}}}.bytes(), `imports from "evoke_host"`},
		"reserved dot":       {wat{imports: []fn{{name: "evoke.x"}}}.bytes(), `imports from "evoke.x"`},
		"data outside":       {wat{pages: 1, tail: section(11, vec(cat([]byte{0}, constI32(65_535), []byte{0x0b}, text("xx"))))}.bytes(), "data segment 0 ends at byte 65537"},
		"start's type":       {cat(header, section(1, vec([]byte{0x60, 1, i32, 0})), section(3, []byte{1, 0}), []byte{8, 1, 0}, section(10, vec([]byte{2, 0, 0x0b}))), "start function 0 has parameters or results"},
		"code bomb":          {cat(run(repeat(1<<20, 0x01)...), named), "function 0 (victim) at byte 0x"},
		"type bomb":          {cat(header, section(1, vec(slices.Repeat([][]byte{{0x60, 0, 0}}, 100_001)...))), "more than 100000 types"},
		"export bomb":        {cat(header, section(7, vec(slices.Repeat([][]byte{{0, 2, 0}}, 100_001)...))), "more than 100000 exports"},
		"data bomb":          {cat(header, section(11, vec(slices.Repeat([][]byte{{1, 0}}, 100_001)...))), "more than 100000 data segments"},
		"element bomb":       {cat(header, section(9, vec(slices.Repeat([][]byte{{1, 0, 0}}, 100_001)...))), "more than 100000 element segments"},
		"elements bomb":      {cat(header, section(9, cat([]byte{1, 1, 0}, u(1_000_001), repeat(1_000_001, 0)))), "more than 1000000 elements together"},
		"constant bomb":      {cat(header, section(11, cat([]byte{1, 0}, repeat(1_000_001, 0x41, 0)))), "more than 1000000 instructions in constant expressions"},
		"locals in all":      {wat{funcs: slices.Repeat([]fn{{params: repeat(1000, i32), locals: repeat(8900, i32), code: []byte{0x00}}}, 506)}.bytes(), "more than 5000000 locals together"},
		"values passed":      {wat{funcs: []fn{{params: repeat(17, i32), code: cat(repeat(17, 0x20, 0), repeat(29_412, 0x10, 0))}}}.bytes(), "pass more than 500000 together"},
		"start":              {cat(header, []byte{8, 1, 9}), "start function 9 does not exist"},
	} {
		_, err := rewrite.Module(c.wasm, rewrite.Options{})
		var refusal *rewrite.Error
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Compilers nest deeply where no person would: Go a block for each call in a function, C compilers one for each case of a switch.
func TestLargeFunctionsAreAccepted(t *testing.T) {
	t.Parallel()
	const calls = 4000 // esbuild's largest function nests 3,289 blocks, libffi in every Haskell program 1,706
	var targets []byte
	for i := range calls {
		targets = append(targets, u(i)...)
	}
	code := cat(repeat(calls, 0x02, 0x40), []byte{0x41, 7, 0x0e}, u(calls), targets, u(0), repeat(calls, 0x0b))
	r, err := rewrite.Module(wat{funcs: []fn{{name: "run", code: code}}}.bytes(), rewrite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !compiles(t, r.Wasm) {
		t.Error("the rewritten module is not valid")
	}
}

func TestAbiNamesAreTheGuests(t *testing.T) {
	t.Parallel()
	w := wat{imports: []fn{{name: "evoke_v1"}}, funcs: []fn{{name: "evoke_handle"}, {name: "evoke_init"}, {name: "evoke_restore"}}}
	module(t, w.bytes())
}

func FuzzModule(f *testing.F) {
	for _, w := range recursions() {
		if wasm := w.bytes(); len(wasm) < 4096 {
			f.Add(wasm)
		}
	}
	f.Add(fib.bytes())
	f.Add(spin.bytes())
	f.Add(jumps([]byte{2, 0, 1, 2}, 1, 2, 0).bytes())
	f.Add(wat{pages: 1, table: []uint32{0}, imports: []fn{{name: "env"}}, funcs: []fn{{name: "run", code: cat(constI32(0), constI32(0), constI32(0), []byte{0xfc, 11, 0}, call(0))}}}.bytes())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		r, err := rewrite.Module(wasm, rewrite.Options{})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		// What is accepted stays readable but for the names it now has of ours.
		if _, err := rewrite.Module(r.Wasm, rewrite.Options{}); err == nil || !strings.Contains(err.Error(), "evoke_host") {
			t.Fatalf("rewritten twice: %v", err)
		}
		// What was valid stays valid.
		if len(wasm) < 4096 && compiles(t, wasm) && !compiles(t, r.Wasm) {
			t.Fatal("a valid module became invalid")
		}
	})
}

// What compilers write passes few values, however often.
func TestFewValuesPassedAreNotCounted(t *testing.T) {
	t.Parallel()
	module(t, wat{funcs: []fn{{params: repeat(16, i32), code: cat(repeat(16, 0x20, 0), repeat(50_000, 0x10, 0))}}}.bytes())
}

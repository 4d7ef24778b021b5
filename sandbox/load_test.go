package sandbox

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// module builds a module that has everything but what f takes away or adds.
func module(f func(m *w.Module)) []byte {
	m := w.New()
	f(m)
	return m.Bytes()
}

func importing(from, name string, params, results []byte) []byte {
	return module(func(m *w.Module) {
		m.Import(from, name, params, results)
		m.Handle(w.I32Const(0))
	})
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	one := []byte{w.I32}
	for _, c := range []struct {
		name           string
		wasm           []byte
		reason, advice string // parts of the message
	}{
		{"nothing", nil, "this is not WebAssembly: the file is empty", "check the path"},
		{"ELF", []byte("\x7fELF\x02\x01"), "a program for Linux (ELF)", "GOOS=wasip1"},
		{"gzip", []byte("\x1f\x8b\x08\x00"), "compressed with gzip", "unpack it"},
		{"zip", []byte("PK\x03\x04"), "zip archive", "unpack it"},
		{"C archive", []byte("!<arch>\n"), "a library archive", "core module"},
		{"script", []byte("#!/bin/sh\n"), "it is a script", "core module"},
		{"Go source", []byte("// A comment\npackage main\n"), "looks like Go source", "source:"},
		{"JavaScript", []byte("exports.handle = async (e) => { return {} }"), "looks like JavaScript or TypeScript that exports no default", "export default function"},
		{"long script", []byte("export default () => 1 //" + strings.Repeat("x", abi.MaxScript)), "the script has 8388633 bytes, the limit is 8388608", "leave out"},
		{"WAT", []byte("(module (memory 1))"), "it is the text format", "wat2wasm"},
		{"HTML", []byte("<!doctype html><title>404</title>"), "looks like HTML", "error page"},
		{"JSON", []byte(`{"a": 1}`), "looks like JSON", ".wasm"},
		{"text", []byte(strings.Repeat("ü", 514)), `it is text that begins with "üüü`, ".wasm"},
		{"bytes", []byte{1, 2, 3}, "it begins with the bytes 01 02 03", ".wasm"},
		{"cut magic", []byte("\x00as"), "it begins with the bytes 00 61 73", ".wasm"},
		{"only magic", []byte("\x00asm"), "the module ends after 4 bytes", "build it again"},
		{"version", []byte("\x00asm\x02\x00\x00\x00"), "version 2", "core module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "this is a component", "wasm32-wasip1"},
		{"huge", append(w.Header(), make([]byte, maxModule)...), "67108872 bytes, the limit is 67108864", "strip"},
		{"cut section", append(w.Header(), 1, 100), "section 1 is broken: it ends in the middle", "cut"},
		{"cut in a section", append(w.Header(), 1, 2, 5, 0x60), "section 1 is broken: it ends in the middle", "cut"},
		{"long number", append(w.Header(), 1, 0xff, 0xff, 0xff, 0xff, 0xff, 1), "more than 32 bits", "cut"},
		{"wrong import kind", append(w.Header(), w.Section(2, []byte{1, 1, 'm', 1, 'n', 9})...), "of the unknown kind 9", "cut"},
		{"wrong name", append(w.Header(), w.Section(7, []byte{1, 1, 0xff, 0, 0})...), "not UTF-8", "cut"},
		{"many functions", append(w.Header(), w.Section(3, append(w.U32(maxFunctions+1), make([]byte, maxFunctions+1)...))...), "the module has more than 100000 functions", "leave out"},
		{"many types", append(w.Header(), w.Section(1, append(w.U32(maxTypes+1), bytes.Repeat([]byte{0x60, 0, 0}, maxTypes+1)...))...), "the module has more than 100000 types", "leave out"},
		{"many imports", append(w.Header(), w.Section(2, append(w.U32(maxImports+1), bytes.Repeat([]byte{0, 0, 3, w.I32, 0}, maxImports+1)...))...), "the module has more than 100000 imports", "leave out"},
		{"many exports", append(w.Header(), w.Section(7, append(w.U32(maxExports+1), bytes.Repeat([]byte{0, 2, 0}, maxExports+1)...))...), "the module has more than 100000 exports", "leave out"},
		{"large table", append(w.Header(), w.Section(4, append([]byte{1, 0x70, 0}, w.U32(maxTable+1)...))...), "a table of 100001 entries", ""},
		{"GC types", append(w.Header(), w.Section(1, []byte{1, 0x5f, 0})...), "garbage collection", "turn the proposal off"},
		{"typed references", append(w.Header(), w.Section(1, []byte{1, 0x60, 1, 0x64, 0x70, 0})...), "typed references", "turn the proposal off"},
		{"exceptions", append(w.Header(), w.Section(13, []byte{1, 0, 0})...), "exception handling", "turn the proposal off"},
		{"threads", module(func(m *w.Module) { m.MemoryRaw([]byte{3, 1, 1}); m.Handle(w.I32Const(0)) }), "a shared memory (threads)", "turn the proposal off"},
		{"memory64", module(func(m *w.Module) { m.MemoryRaw([]byte{4, 1}); m.Handle(w.I32Const(0)) }), "memory64", "turn the proposal off"},
		{"two memories", append(w.Header(), w.Section(5, []byte{2, 0, 1, 0, 1})...), "2 memories", "turn the proposal off"},
		{"Extism", importing("extism:host/env", "input_length", nil, []byte{w.I64}), "an Extism plug-in: it imports extism:host/env.input_length", "evoke_v1"},
		{"unknown function", importing("evoke_v1", "frobnicate", nil, nil), "the module imports evoke_v1.frobnicate, which", "docs/abi.md"},
		{"newer ABI", importing("evoke_v2", "event_count", nil, one), "evoke_v2.event_count", "a runtime that offers evoke_v2"},
		{"unknown WASI", importing(moduleWASI, "thread_spawn", one, one), moduleWASI + ".thread_spawn", "wasm32-wasip1"},
		{"old WASI", importing("wasi_unstable", "fd_write", one, one), "wasi_unstable.fd_write", "wasm32-wasip1"},
		{"foreign", importing("env", "foo", nil, nil), "the module imports env.foo, which", "left undefined"},
		{"AssemblyScript", importing("env", "abort", nil, nil), "env.abort", "--use abort="},
		{"GOOS=js", importing("gojs", "runtime.wasmExit", one, nil), "gojs.runtime.wasmExit", "GOOS=wasip1"},
		{"wasm-bindgen", importing("wbg", "__wbg_log", nil, nil), "wbg.__wbg_log", "wasm32-wasip1"},
		{"some host", importing("acme", "do", nil, nil), "acme.do", "another host"},
		{"many foreign", module(func(m *w.Module) {
			for _, n := range strings.Split("a b c d e f g", " ") {
				m.Import("env", n, nil, nil)
			}
		}), "env.a, env.b, env.c, env.d, env.e and 2 more", ""},
		{"import's type", importing("evoke_v1", "event_count", []byte{w.I64}, one), "evoke_v1.event_count as (i64) -> i32; its type is () -> i32", "SDK"},
		{"long foreign", importing("env", strings.Repeat("x", 1000), nil, nil), "env." + strings.Repeat("x", 196) + ", which this runtime does not offer", "left undefined"},
		{"foreign that steers the terminal", importing("evoke_v\x1b[2J", "\r\n\u202e", nil, nil), "evoke_v\uFFFD[2J.\uFFFD\uFFFD\uFFFD, which", "a runtime that offers evoke_v\uFFFD[2J,"},
		{"imported memory", module(func(m *w.Module) { m.ImportRaw("env", "memory", w.KindMemory, []byte{0, 1}) }), "imports the memory env.memory", "--import-memory"},
		{"imported table", module(func(m *w.Module) { m.ImportRaw("env", "t", w.KindTable, []byte{0x70, 0, 1}) }), "imports the table env.t", ""},
		{"imported global", module(func(m *w.Module) { m.ImportRaw("env", "g", w.KindGlobal, []byte{w.I32, 0}) }), "imports the global env.g", ""},
		{"no entry point", module(func(m *w.Module) { m.Func("add", nil, nil, 0); m.Func("sub", nil, nil, 0) }),
			"exports neither evoke_handle nor _start; it exports memory, add, sub", "-buildmode=c-shared"},
		{"library without a handler", module(func(m *w.Module) { m.Func("add", nil, nil, 0) }), "exports neither evoke_handle nor _start", "evoke::handler!(f) in Rust"},
		{"no exports", module(func(m *w.Module) { m.NoExports() }), "it exports nothing", "fnctl deploy"},
		{"more exports than are listed", module(func(m *w.Module) {
			for range 25 {
				m.Export(strings.Repeat("x", 100), w.KindMemory, 0)
			}
		}), "and 6 more", ""},
		{"no memory", module(func(m *w.Module) { m.NoExports(); m.Handle(w.I32Const(0)) }), `does not export a memory named "memory"; it exports evoke_handle`, "export the memory"},
		{"memory is a function", module(func(m *w.Module) { m.NoExports(); m.Handle(w.I32Const(0)); m.Func("memory", nil, nil, 0) }), `does not export a memory`, ""},
		{"memory from nowhere", module(func(m *w.Module) { m.MemoryRaw(nil); m.Handle(w.I32Const(0)) }), "has no memory of its own", ""},
		{"handle's type", module(func(m *w.Module) { m.Func(abi.ExportHandle, []byte{w.I32}, nil, 0) }), "evoke_handle has the type (i32); it must be () -> i32", "section 2"},
		{"handle's results", module(func(m *w.Module) {
			m.Func(abi.ExportHandle, nil, []byte{w.I32, w.I64}, 0, w.I32Const(0), w.I64Const(0))
		}), "() -> (i32, i64); it must be () -> i32", ""},
		{"init's type", module(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Func(abi.ExportInit, nil, nil, 0) }), "evoke_init has the type (); it must be () -> i32", ""},
		{"start's type", module(func(m *w.Module) { m.Func(abi.ExportStart, nil, one, 0, w.I32Const(0)) }), "_start has the type () -> i32; it must be ()", ""},
		{"restore's type", module(func(m *w.Module) { m.Handle(w.I32Const(0)); m.Func(abi.ExportRestore, one, nil, 0) }), "evoke_restore has the type (i32)", ""},
		{"handle is a memory", module(func(m *w.Module) { m.Export(abi.ExportHandle, w.KindMemory, 0) }), "evoke_handle is a memory, not a function", ""},
		{"handle from nowhere", module(func(m *w.Module) { m.Export(abi.ExportHandle, w.KindFunc, 9) }), "names function 9, but there are 0", ""},
		{"handle is an import", module(func(m *w.Module) {
			m.Export(abi.ExportHandle, w.KindFunc, m.Import("evoke_v1", "event_count", nil, one))
		}), "is an imported function", ""},
		{"too much memory", module(func(m *w.Module) { m.Memory(1025); m.Handle(w.I32Const(0)) }), "starts with 65600Ki of memory, its limit is 64Mi", "raise memory:"},
		{"invalid code", module(func(m *w.Module) { m.Handle(w.I64Const(0)) }), "the compiler refuses the module: invalid function", ""},
		{"atomics", module(func(m *w.Module) { m.Handle(w.I32Const(0), []byte{0xfe, 0x10, 2, 0}) }), "it uses threads, which the sandbox does not run (instruction 0xfe 16), in function evoke_handle", "build without it"},
		{"nameless function", module(func(m *w.Module) {
			m.Handle(w.Call(m.Unexported("", nil, nil, 0, []byte{0xfe, 0x10, 2, 0})), w.I32Const(0))
		}), "in function 0", "build without it"},
		{"data outside of memory", module(func(m *w.Module) { m.Data(1<<16-1, []byte("xx")); m.Handle(w.I32Const(0)) }), "data segment 0 ends at byte 65537 and the memory has 65536", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := r.Load(t.Context(), c.wasm, Settings{})
			var refused *RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("%v", err)
			}
			if !strings.Contains(refused.Reason, c.reason) || !strings.Contains(refused.Advice, c.advice) {
				t.Errorf("reason %q\nadvice %q", refused.Reason, refused.Advice)
			}
			if want := "module refused: " + refused.Reason + ". Try: " + refused.Advice; err.Error() != want {
				t.Errorf("%q", err)
			}
		})
	}
}

func TestLoadSettings(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for want, s := range map[string]Settings{
		"memory limit of 1000 bytes is not between": {Memory: 1000},
		"memory limit of -1 bytes is not between":   {Memory: -1},
		"memory limit of 5Gi is not between":        {Memory: 5 << 30},
		`env "a=b": a name must not`:                {Env: map[string]string{"a=b": ""}},
		`env "": a name must not`:                   {Env: map[string]string{"": ""}},
		`env "a": a name must not`:                  {Env: map[string]string{"a": "\x00"}},
	} {
		var refused *RefusedError
		if _, err := r.Load(t.Context(), w.Echo(), s); err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestLoadStopsWaiting(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	r.compiling <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Load(ctx, w.Echo(), Settings{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-r.compiling
}

func TestCompilationCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func() {
		t.Helper()
		r, err := New(t.Context(), Options{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close(t.Context())
		m, err := r.Load(t.Context(), w.Echo(), Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "hello" {
			t.Errorf("%+v", res)
		}
	}
	run()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	run()
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{"empty": {}, "cut": good[:len(good)/2], "changed": flipped, "foreign": []byte("#!/bin/sh\nexit 1\n")} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		run()
		if healed, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(healed, good) {
			t.Errorf("%s: not healed (%v)", name, err)
		}
	}
}

func TestNewNamesTheCacheDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Options{CacheDir: file}); err == nil || !strings.Contains(err.Error(), "open compilation cache "+file) {
		t.Error(err)
	}
}

// Whatever the bytes, checking them ends with a kind or a refusal.
func FuzzCheck(f *testing.F) {
	r := newRuntime(f)
	for _, wasm := range [][]byte{w.Echo(), w.Traps(), command("a", "b", 1), importing("env", "x", nil, nil), []byte("text"), append(w.Header(), 1, 100)} {
		f.Add(wasm)
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		kind, err := r.check(wasm, defaultMemory)
		var refused *RefusedError
		if err == nil && kind != KindNative && kind != KindCommand || err != nil && (kind != "" || !errors.As(err, &refused) || refused.Reason == "") {
			t.Errorf("%q, %v", kind, err)
		}
	})
}

// What is loaded from mutated modules may do anything but harm the process.
func FuzzInvoke(f *testing.F) {
	r := newRuntime(f)
	for _, wasm := range [][]byte{w.Echo(), w.Emits("a", `{"type":"t"}`), w.Calls("state.get", "k"), command("a", "b", 1)} {
		f.Add(wasm)
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if len(wasm) > 4096 { // the compiler is not what is tested here
			return
		}
		m, err := r.Load(t.Context(), wasm, Settings{Memory: 4 << 20, InitTimeout: 1e8})
		if err != nil {
			return
		}
		defer m.Close(t.Context())
		if res := m.Invoke(within(t, 1e8), testEvent(), &fakeHost{}); res.Class == ClassInternal {
			t.Errorf("%+v", res)
		}
	})
}

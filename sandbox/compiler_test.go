package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// newCompilingRuntime is a runtime whose modules are compiled by this test's own binary in other processes.
func newCompilingRuntime(t testing.TB, o Options) *Runtime {
	t.Helper()
	if o.CacheDir == "" {
		dir := t.TempDir()
		o.CacheDir, o.ImageDir = filepath.Join(dir, "cache"), filepath.Join(dir, "images")
	}
	if o.Compiler == nil {
		o.Compiler = []string{os.Args[0], compileCommand}
	}
	r, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if left := matches(o.CacheDir, privateDir+"*"); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
	return r
}

// relative is how users name directories.
func relative(t *testing.T, dir string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.Rel(here, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// loops is a module within all limits whose functions take the compiler long.
func loops(functions, depth int) []byte {
	m := w.New()
	m.Memory(1)
	body := slices.Concat(bytes.Repeat([]byte{0x03, 0x40}, depth), bytes.Repeat([]byte{0x0b}, depth)) // loop … end
	for n := range functions {
		m.Unexported(fmt.Sprintf("f%d", n), nil, nil, 0, body)
	}
	return m.Handle(w.I32Const(0)).Bytes()
}

// branches is one whose tables of branches take much memory.
func branches(tables int) []byte {
	m := w.New()
	m.Memory(1)
	const targets = 16_000
	table := slices.Concat([]byte{0x02, 0x40}, w.I32Const(0), []byte{0x0e}, w.U32(targets), bytes.Repeat([]byte{0}, targets+1), []byte{0x0b})
	m.Unexported("bomb", nil, nil, 0, bytes.Repeat(table, tables))
	return m.Handle(w.I32Const(0)).Bytes()
}

func TestCompilerProcess(t *testing.T) {
	t.Parallel()
	dir := relative(t, t.TempDir())
	o := Options{CacheDir: filepath.Join(dir, "cache"), ImageDir: filepath.Join(dir, "images")}
	first := newCompilingRuntime(t, o)
	m, err := first.Load(t.Context(), logsInit(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "AAAABBBB" {
		t.Errorf("%+v", res)
	}
	code := matches(o.CacheDir, "wazero-*", "*")
	if len(code) != 1 {
		t.Fatalf("compiled code: %q", code)
	}

	// A restart compiles nothing: there is no compiler any more.
	o.Compiler = []string{filepath.Join(dir, "nowhere")}
	again := newCompilingRuntime(t, o)
	if m, err = again.Load(t.Context(), logsInit(), Settings{}); err != nil {
		t.Fatal(err)
	}
	if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "AAAABBBB" {
		t.Errorf("%+v", res)
	}
	if _, err := again.Load(t.Context(), w.Echo(), Settings{}); err == nil || !strings.HasPrefix(err.Error(), "start the compiler's process: ") {
		t.Errorf("without a compiler: %v", err)
	}

	// Damaged code is compiled again.
	if err := os.WriteFile(code[0], []byte("no code"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Compiler = nil
	mended := newCompilingRuntime(t, o)
	if m, err = mended.Load(t.Context(), logsInit(), Settings{}); err != nil {
		t.Fatal(err)
	}
	if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "AAAABBBB" {
		t.Errorf("%+v", res)
	}
}

// What a process says of a module is what compiling it here says.
func TestCompilerProcessRefuses(t *testing.T) {
	t.Parallel()
	here, there := newRuntime(t), newCompilingRuntime(t, Options{})
	invalid := w.New().Handle(w.I64Const(1)).Bytes() // a verdict has 32 bits
	for name, wasm := range map[string][]byte{"limit": loops(1, 6000), "invalid": invalid} {
		_, want := here.Load(t.Context(), wasm, Settings{})
		_, got := there.Load(t.Context(), wasm, Settings{})
		if !errors.As(want, new(*RefusedError)) || !errors.As(got, new(*RefusedError)) || got.Error() != want.Error() {
			t.Errorf("%s: got %v\nwant %v", name, got, want)
		}
	}
}

func TestCompilerProcessIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    Options
		wasm []byte
		want string
	}{
		{"time", Options{CompileTime: time.Second}, loops(200, 900), "compiling the module takes longer than 1s"},
		{"memory", Options{CompileMemory: 192 << 20}, branches(20), "compiling the module needs more than 192Mi of memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newCompilingRuntime(t, c.o)
			_, err := r.Load(t.Context(), c.wasm, Settings{})
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Reason != c.want || refused.Advice == "" {
				t.Fatal(err)
			}
			if _, err := r.Load(t.Context(), w.Echo(), Settings{}); err != nil {
				t.Errorf("a good module after it: %v", err)
			}
		})
	}
}

// One that gets no time is not called too large.
func TestCompilerProcessThatGetsNoTime(t *testing.T) {
	t.Parallel()
	r := newCompilingRuntime(t, Options{CompileTime: 20 * time.Millisecond, Compiler: liar(t, "exec sleep 30")})
	_, err := r.Load(t.Context(), w.Echo(), Settings{})
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.HasSuffix(refused.Reason, "of processor time in 200ms and was not done") || refused.Advice != "deploy again when the machine is less busy" {
		t.Error(err)
	}
}

// A deploy that is given up ends its process.
func TestCompilerProcessIsCanceled(t *testing.T) {
	t.Parallel()
	r := newCompilingRuntime(t, Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("enough")) })
	if _, err := r.Load(ctx, loops(2000, 900), Settings{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// liar writes a shell script that says what a compiler's process would.
func liar(t *testing.T, script string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "liar")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

// Nothing that a process leaves behind is trusted further than it must be.
func TestCompilerProcessLies(t *testing.T) {
	t.Parallel()
	const name = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const dir = "mkdir -p code/wazero-v1 && cd code/wazero-v1 && "
	for _, c := range []struct{ what, script, want string }{
		{"nothing", `true`, `the compiler's process answers ""`},
		{"no JSON", `echo hello`, `the compiler's process answers "hello\n"`},
		{"endless", `yes hello | head -c 1000000`, `the compiler's process answers "hello\nhello`},
		{"no code", `echo '{}'`, "the compiler's process left 0 files of code, not one"},
		{"two files", dir + `touch a b; echo '{}'`, "the compiler's process left 2 files of code, not one"},
		{"other name", dir + `touch evil; echo '{"code":"wazero-v1/evil"}'`, `the compiler's process left a file "wazero-v1/evil", which is no name of code`},
		{"other answer", dir + `touch ` + name + `; echo '{"code":"../../x"}'`, `left a file "wazero-v1/` + name + `", which is no name of code`},
		{"link", dir + `ln -s /etc/passwd ` + name + `; echo '{"code":"wazero-v1/` + name + `"}'`, "the compiler's process left no file "},
		{"no module", dir + `touch ` + name + ` ../../data; echo '{"code":"wazero-v1/` + name + `"}'`, "the compiler's process left no file module"},
		{"fault", `echo '{"fault":"disk on fire"}'`, "compile module: disk on fire"},
		{"crash", `echo boom >&2; exit 2`, "module refused: the compiler could not cope with the module"},
		{"killed", `kill -9 $$`, "module refused: the compiler could not cope with the module"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			r := newCompilingRuntime(t, Options{Compiler: liar(t, c.script)})
			if _, err := r.Load(t.Context(), w.Echo(), Settings{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestRunCompilerByHand(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	if code := RunCompiler([]string{"x"}, nil, nil, &stderr); code != 2 || stderr.String() != "this command is for the runtime's own use: it compiles one module\n" {
		t.Error(code, stderr.String())
	}
}

func TestCompilerNeedsDirectories(t *testing.T) {
	t.Parallel()
	if _, err := New(t.Context(), Options{Compiler: []string{"x"}, Logger: slog.New(slog.DiscardHandler)}); err == nil || err.Error() != "a compiler of its own process needs a directory for code and one for images" {
		t.Error(err)
	}
}

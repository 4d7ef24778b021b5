package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// rust is the environment by which cargo builds for WebAssembly, by what is on PATH or by the packages of the system; nil = it cannot.
var rust = sync.OnceValue(func() []string {
	const hasTarget = `for t in wasm32-wasip1 wasm32-wasi; do
	d=$(rustc --print target-libdir --target $t 2>/dev/null) && ls "$d"/libstd-* >/dev/null 2>&1 && cargo --version >/dev/null && exit 0
done
exit 1`
	for _, first := range []string{"", "/usr/bin:"} {
		env := []string{"PATH=" + programs.usual + ":" + first + os.Getenv("PATH")}
		cmd := exec.Command("sh", "-c", hasTarget)
		cmd.Env = append(os.Environ(), env...)
		if cmd.Run() == nil {
			return env
		}
	}
	return nil
})

// needRust skips the test where Rust cannot build for WebAssembly.
func needRust(t *testing.T) []string {
	t.Helper()
	env := rust()
	if env == nil {
		t.Skip("no cargo with the target wasm32-wasip1; Debian: apt-get install rustc cargo libstd-rust-dev-wasm32 lld")
	}
	return env
}

// quickly has cargo spend no time on optimizing, and one place for what its builds have in common.
func quickly(t *testing.T) []string {
	t.Helper()
	return append(needRust(t), "CARGO_TARGET_DIR="+filepath.Join(programs.home, "cargo-target"), "CARGO_NET_OFFLINE=true",
		"CARGO_PROFILE_RELEASE_LTO=off", "CARGO_PROFILE_RELEASE_OPT_LEVEL=1", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16")
}

// withEnv runs fnctl in a directory.
func withEnv(t *testing.T, dir string, env []string, args ...string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs.usual, "fnctl"), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// A new project in Rust, whatever it handles, passes its own test, with nothing but the two programs and cargo, offline, and also in a clone, which has no SDK.
func TestNewProjectsInRust(t *testing.T) {
	t.Parallel()
	env, projects := quickly(t), t.TempDir()
	for _, trigger := range []string{"http", "topic", "cron", "webhook"} {
		name := "1-" + trigger // not every name of a project is one for a crate
		if out, err := withEnv(t, projects, env, "new", name, "-l", "rust", "-t", trigger); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		dir := filepath.Join(projects, name)
		if err := os.RemoveAll(filepath.Join(dir, ".fnctl")); err != nil {
			t.Fatal(err)
		}
		before := readTree(t, dir)
		// With --update whatever is not as expected would be written: the files are compared below.
		if out, err := withEnv(t, dir, env, "test", "--update"); err != nil || strings.Count(out, "ok ") == 0 || strings.Contains(out, "wrote") || strings.Contains(out, "note:") {
			t.Errorf("%s: %v, fnctl test --update printed\n%s", trigger, err, out)
		}
		if err := os.Remove(filepath.Join(dir, "Cargo.lock")); err != nil { // cargo's, and the only thing that is new
			t.Error(err)
		}
		if after := readTree(t, dir); after != before {
			t.Errorf("%s: fnctl test --update changed a new project:\n%s\nbefore:\n%s", trigger, after, before)
		}
	}
}

// Each ability of the Rust SDK once, in the real sandbox.
func TestRustSDK(t *testing.T) {
	t.Parallel()
	env, dir := quickly(t), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/rust")); err != nil {
		t.Fatal(err)
	}
	out, err := withEnv(t, dir, env, "test")
	if err != nil || strings.Count(out, "ok ") != 12 {
		t.Errorf("%v, fnctl test printed\n%s", err, out)
	}
	// A panic is an outcome of its own: what comes behind the reason is of the compiler.
	if err := os.WriteFile(filepath.Join(dir, "events", "panic.json"), []byte(`{"type": "panic"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := withEnv(t, dir, env, "test"); err == nil || !strings.Contains(out, `"reason": "panic: out of cheese, src/lib.rs:`) || !strings.Contains(out, `"class": "trap"`) {
		t.Errorf("%v, fnctl test printed\n%s", err, out)
	}
}

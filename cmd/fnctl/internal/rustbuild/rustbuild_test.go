package rustbuild_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/rustbuild"
)

// sdk is as small as an SDK can be.
var sdk = fstest.MapFS{
	"Cargo.toml": {Data: []byte("[package]\nname = \"evoke\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")},
	"src/lib.rs": {Data: []byte("pub fn answer(n: &[u8]) -> i32 {\n    n[41].into()\n}\n")}, // may panic, and so names its file
}

// builder is one that can build, by the toolchain on PATH or the system's own; without one the test is skipped.
func builder(t *testing.T) *rustbuild.Builder {
	t.Helper()
	var err error
	for _, b := range []*rustbuild.Builder{{SDK: sdk}, {SDK: sdk, Cargo: "/usr/bin/cargo", Rustc: "/usr/bin/rustc"}} {
		if _, err = b.Toolchain(t.Context(), t.TempDir()); err == nil {
			b.Env = append(os.Environ(), "CARGO_NET_OFFLINE=true", "RUSTFLAGS=--cfg nonsense(")
			return b
		}
	}
	t.Skip("no Rust that can build for WebAssembly:", err)
	return nil
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	head     = "[package]\nname = \"f\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"
	withSDK  = head + "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nevoke = { path = \".fnctl/sdk-rust\" }\n"
	function = "#[no_mangle]\npub extern \"C\" fn evoke_handle() -> i32 {\n    evoke::answer(&std::env::args().next().unwrap_or_default().into_bytes())\n}\n"
)

// The SDK comes to where the crate looks for it, nothing is fetched, settings for other builds do not count, and no path of this machine is in the module.
func TestBuild(t *testing.T) {
	t.Parallel()
	b := builder(t)
	dir := write(t, map[string]string{"Cargo.toml": withSDK, "src/lib.rs": "mod other;\n" + function, "src/other.rs": "fn nobody_calls_it() {}\n"})
	r, err := b.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(r.Wasm, []byte("\x00asm\x01\x00\x00\x00")) || !bytes.Contains(r.Wasm, []byte("evoke_handle")) {
		t.Errorf("it made %d bytes that begin with %q", len(r.Wasm), r.Wasm[:min(len(r.Wasm), 8)])
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "nobody_calls_it") {
		t.Errorf("notes %q", r.Notes)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"Cargo.toml", "Cargo.lock", "src/lib.rs", "src/other.rs"} {
		if !slices.Contains(r.Inputs, filepath.Join(real, file)) {
			t.Errorf("%s is not among the inputs %q", file, r.Inputs)
		}
	}
	if bytes.Contains(r.Wasm, []byte(real)) {
		t.Error("the module has a path of this machine")
	}
}

// What compiles and fails when it runs is named with its place, in the crate's own files; what only builds it, is only tested or is of another crate is not.
func TestCallsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := builder(t)
	dir := write(t, map[string]string{
		"Cargo.toml": head + "build = \"build.rs\"\n[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nother = { path = \"other\" }\n",
		"build.rs":   "mod steps;\nfn main() { std::fs::read(\"build.rs\").unwrap(); steps::more(); }\n",
		"steps.rs":   "pub fn more() { std::fs::read(\"build.rs\").unwrap(); }\n",
		"src/lib.rs": "mod files;\npub use other::f;\n#[no_mangle]\npub extern \"C\" fn evoke_handle() -> i32 {\n    std::thread::spawn(files::write);\n    0\n}\n" +
			"#[cfg(test)]\nmod tests {\n    #[test]\n    fn f() { std::fs::read(\"src/lib.rs\").unwrap(); }\n}\n",
		"src/files.rs":     "use std::fs;\n\n// fs::read\npub fn write() {\n    let _ = fs::write(\"fs::read()\", b\"\");\n}\n",
		"src/nobody.rs":    "fn f() { std::fs::read(\"a\"); }\n",
		"other/Cargo.toml": "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
		"other/src/lib.rs": "pub fn f() { let _ = std::net::TcpStream::connect(\"a:1\"); }\n",
	})
	r, err := b.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`src/files.rs:5: fs::write: a function has no files ("failed to find a pre-opened file descriptor"); include_str! and include_bytes! have what comes with it, and keyed state what it keeps, docs/rust.md`,
		`src/lib.rs:5: thread::spawn: a function has one thread ("failed to spawn thread"); events run beside each other by themselves, and requests by Fetch::start, docs/fetch.md`,
	}
	if !slices.Equal(r.Notes, want) {
		t.Errorf("notes\n%s\nwant\n%s", strings.Join(r.Notes, "\n"), strings.Join(want, "\n"))
	}
}

func TestProgramIsACommand(t *testing.T) {
	t.Parallel()
	b := builder(t)
	r, err := b.Build(t.Context(), write(t, map[string]string{"Cargo.toml": head, "src/main.rs": "fn main() {}\n"}))
	if err != nil || !bytes.Contains(r.Wasm, []byte("_start")) {
		t.Errorf("%d bytes, %v", len(r.Wasm), err)
	}
}

// What a user can get wrong is said with what to do.
func TestFaults(t *testing.T) {
	t.Parallel()
	b := builder(t)
	for name, tc := range map[string]struct {
		files       map[string]string
		want        []string
		try         string
		isToCorrect bool     // a CompileError
		about       []string // files; Cargo.toml always is one
	}{
		"does not compile": {
			map[string]string{"Cargo.toml": head + "[lib]\ncrate-type = [\"cdylib\"]\n", "src/lib.rs": "fn f() -> i32 { missing() }\n"},
			[]string{"cargo cannot build DIR:\nerror[E0425]: cannot find function `missing`", "--> src/lib.rs:1:17"}, "correct the code in DIR", true, []string{"Cargo.lock", "src/lib.rs"},
		},
		"another file does not compile": {
			map[string]string{"Cargo.toml": head + "[lib]\ncrate-type = [\"cdylib\"]\n", "src/lib.rs": "mod fine;\nmod other;\n", "src/fine.rs": "", "src/other.rs": "fn f() -> i32 { missing() }\n"},
			[]string{"--> src/other.rs:1:17"}, "correct the code in DIR", true, []string{"Cargo.lock", "src/lib.rs", "src/other.rs"},
		},
		"not TOML": {map[string]string{"Cargo.toml": "[package\n"}, []string{"cargo cannot build DIR:\nerror: "}, "correct the code in DIR", true, nil},
		"a workspace": {
			map[string]string{"Cargo.toml": "[workspace]\nmembers = [\"a\"]\n", "a/Cargo.toml": head, "a/src/lib.rs": ""},
			[]string{"source DIR is a workspace, not a crate"}, "name one of its crates as source: DIR/a", false, nil,
		},
		"for other crates": {
			map[string]string{"Cargo.toml": head, "src/lib.rs": ""},
			[]string{"source DIR is a library for other crates"}, "crate-type = [\"cdylib\"] in [lib] of its Cargo.toml", false, nil,
		},
		"several programs": {
			map[string]string{"Cargo.toml": head, "src/bin/a.rs": "fn main() {}", "src/bin/b.rs": "fn main() {}"},
			[]string{"source DIR has several programs: a, b"}, "default-run = \"a\" in [package] of its Cargo.toml", false, nil,
		},
		"a crate that is not there, offline": {
			map[string]string{"Cargo.toml": withSDK + "nobody-has-this-crate = \"1\"\n", "src/lib.rs": ""},
			[]string{"cargo cannot build DIR:\nerror: no matching package named `nobody-has-this-crate` found"}, "once without CARGO_NET_OFFLINE, so that cargo can fetch its crates; or `cargo vendor` in DIR", true, []string{"Cargo.lock", "src/lib.rs"},
		},
		"the SDK of a registry": {
			map[string]string{"Cargo.toml": head + "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nevoke = \"0.1\"\n", "src/lib.rs": ""},
			[]string{"DIR/Cargo.toml takes the crate evoke from a registry; the SDK is not there, it comes with fnctl"}, "evoke = { path = \".fnctl/sdk-rust\" }", false, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, tc.files)
			_, err := b.Build(t.Context(), dir)
			var adviser interface{ Advice() string }
			if err == nil || !errors.As(err, &adviser) || errors.As(err, new(*rustbuild.CompileError)) != tc.isToCorrect {
				t.Fatalf("%T %v", err, err)
			}
			got, want := filesBelow(t, err, dir), append([]string{"Cargo.toml"}, tc.about...)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("it is about %q, want %q", got, want)
			}
			said, try := strings.ReplaceAll(err.Error(), dir, "DIR"), strings.ReplaceAll(adviser.Advice(), dir, "DIR")
			for _, want := range tc.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s\nwant %s", said, want)
				}
			}
			if !strings.HasPrefix(try, tc.try) {
				t.Errorf("try %s\nwant %s", try, tc.try)
			}
		})
	}
}

// A network that is not there is no fault of the code.
func TestCratesThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	b := *builder(t)
	b.Env = append(os.Environ(), "CARGO_HOME="+t.TempDir(), "CARGO_NET_OFFLINE=false", "CARGO_NET_RETRY=0", "CARGO_HTTP_PROXY=http://127.0.0.1:1")
	dir := write(t, map[string]string{"Cargo.toml": withSDK + "nobody-has-this-crate = \"1\"\n", "src/lib.rs": ""})
	_, err := b.Build(t.Context(), dir)
	var compile *rustbuild.CompileError
	if want := "again, when the network is there; where there is none, CARGO_NET_OFFLINE=true takes the crates"; !errors.As(err, &compile) || !strings.HasPrefix(compile.Advice(), want) {
		t.Errorf("%T %v", err, err)
	}
}

func TestAdviceOnWhatCargoSays(t *testing.T) {
	t.Parallel()
	const correct, network, offline = "correct the code in ./f", "again, when the network is there", "once without CARGO_NET_OFFLINE"
	for output, want := range map[string]string{
		"error: failed to get `serde` as a dependency of package `f v0.1.0 (/f)`\n\nCaused by:\n  download of config.json failed\n\nCaused by:\n  failed to download from `https://index.crates.io/config.json`\n":                           network,
		"error: failed to get `serde` as a dependency of package `f v0.1.0 (/f)`\n\nCaused by:\n  failed to load source for dependency `serde`\n\nCaused by:\n  Unable to update registry `crates-io`\n":                                     network,
		"error: failed to get `x` as a dependency of package `f v0.1.0 (/f)`\n\nCaused by:\n  unable to update https://127.0.0.1:1/x.git\n\nCaused by:\n  failed to clone into: /c/git/db/x-1\n\nCaused by:\n  failed to connect\n":          network,
		"error: failed to get `serde` as a dependency of package `f v0.1.0 (/f)`\n\nCaused by:\n  failed to load source for dependency `serde`\n\nCaused by:\n  Unable to update /none\n\nCaused by:\n  failed to read `/none/Cargo.toml`\n": correct,
		"error: no matching package named `serde` found\nlocation searched: crates.io index\nAs a reminder, you're using offline mode (--offline) which can sometimes cause surprising resolution failures\n":                                offline,
		"error: failed to get `x` as a dependency\n\nCaused by:\n  failed to lookup reference in preexisting repository, and can't check for updates in offline mode (--offline)\n":                                                          offline,
		"error: failed to select a version for the requirement `serde = \"^99\"`\ncandidate versions found which didn't match: 1.0.1\nlocation searched: crates.io index\n":                                                                  correct,
		"error[E0425]: cannot find value `x`\n --> src/lib.rs:2:5\n  |\n2 |     failed to download\n  = note:\n  failed to fetch, in offline mode\n":                                                                                         correct,
		"error: no matching package named `network failure` found\nrequired by package `failed to fetch v0.1.0 (/f)`\n":                                                                                                                      correct,
	} {
		if got := (&rustbuild.CompileError{Dir: "./f", Output: output}).Advice(); !strings.HasPrefix(got, want) {
			t.Errorf("%s\ntry %s\nwant %s", output, got, want)
		}
	}
}

// filesBelow are the files that a fault is about, as far as they lie in a directory.
func filesBelow(t *testing.T, err error, dir string) []string {
	t.Helper()
	real, failed := filepath.EvalSymlinks(dir)
	var fault interface{ Files() []string }
	if failed != nil || !errors.As(err, &fault) {
		t.Fatalf("%T names no files; %v", err, failed)
	}
	var out []string
	for _, file := range fault.Files() {
		if name, ok := strings.CutPrefix(file, real+"/"); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Needs no Rust: the commands are stand-ins.
func TestToolchainThatIsMissing(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"cargo": "#!/bin/sh\necho cargo 1.90.0\n",
		// Knows the target, and has nothing for it.
		"rustc":  "#!/bin/sh\ncase $1 in --version) echo rustc 1.90.0 ;; *) echo /nowhere ;; esac\n",
		"broken": "#!/bin/sh\necho 'error: no override and no default toolchain set' >&2\nexit 1\n",
	})
	command := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.Chmod(path, 0o755); err != nil && name != "gone" {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct{ cargo, rustc, want, try string }{
		{"gone", "rustc", "no cargo command on PATH; building a Rust function needs cargo, rustc 1.63 or newer, and the target wasm32-wasip1", "wasm32-wasip1"},
		{"cargo", "gone", "no rustc command on PATH; building a Rust function needs cargo, rustc 1.63 or newer, and the target wasm32-wasip1", "wasm32-wasip1"},
		{"cargo", "rustc", "rustc 1.90.0 has no standard library for the target wasm32-wasip1", "rustup target add wasm32-wasip1"},
		{"broken", "rustc", "ask cargo for its version: exit status 1: error: no override and no default toolchain set", ""},
	} {
		b := &rustbuild.Builder{Cargo: command(tc.cargo), Rustc: command(tc.rustc)}
		_, err := b.Toolchain(t.Context(), dir)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s and %s: %v, want %s", tc.cargo, tc.rustc, err, tc.want)
		}
		var toolchain *rustbuild.ToolchainError
		if errors.As(err, &toolchain) != (tc.try != "") || toolchain != nil && !strings.Contains(toolchain.Advice(), tc.try) {
			t.Errorf("%s and %s: %T, want to try %q", tc.cargo, tc.rustc, err, tc.try)
		}
	}
}

// Without rustup, what the system has is named first.
func TestAdviceWithoutRustup(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  rustbuild.ToolchainError
		want string
	}{
		{rustbuild.ToolchainError{}, "install Rust from https://rustup.rs, then: rustup target add wasm32-wasip1"},
		{rustbuild.ToolchainError{Rustup: true}, "rustup toolchain install stable --target wasm32-wasip1"},
		{rustbuild.ToolchainError{Version: "rustc 1.90.0"}, "install the package of your system that has it (Debian libstd-rust-dev-wasm32 and lld, Fedora rust-std-static-wasm32-wasip1), or Rust from https://rustup.rs, then: rustup target add wasm32-wasip1"},
	} {
		if got := tc.err.Advice(); got != tc.want {
			t.Errorf("%s\nwant %s", got, tc.want)
		}
	}
}

package gobuild_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/sdkzip"
)

// sdkArchive is as small as an SDK can be.
func sdkArchive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	err := sdkzip.Write(&b, fstest.MapFS{
		"go.mod": {Data: []byte("module " + gobuild.SDKPath + "\n\ngo 1.24\n")},
		"evoke.go": {Data: []byte(`package evoke

import "` + gobuild.SDKPath + `/internal/verdict"

var handle func() int32

func Handle(f func() int32) { handle = f }

//go:wasmexport evoke_handle
func evokeHandle() int32 { return verdict.Of(handle()) }
`)},
		"internal/verdict/verdict.go": {Data: []byte("package verdict\n\nfunc Of(v int32) int32 { return v }\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const handler = `package main

import evoke "github.com/evoke-run/evoke/sdk/go"

func init() { evoke.Handle(func() int32 { return 0 }) }

func main() {}
`

// offline is an environment in which nothing can be fetched.
func offline(more ...string) []string {
	return append(append(os.Environ(), "GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local"), more...)
}

func newBuilder(t *testing.T, env ...string) *gobuild.Builder {
	t.Helper()
	return gobuild.New(gobuild.Options{SDK: sdkArchive(t), CacheDir: filepath.Join(t.TempDir(), "cache"), Env: offline(env...)})
}

// write makes a directory of files and answers it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// contents lists a directory with the bytes of its files.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			b.WriteString(path + "\n")
			return err
		}
		body, err := os.ReadFile(path)
		b.WriteString(path + " " + string(body) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBuild(t *testing.T) {
	t.Parallel()
	require := "require " + gobuild.SDKPath + " v0.9.0\n"
	for _, tc := range []struct {
		name  string
		files map[string]string
		dir   string
		env   []string
		note  string
	}{
		{name: "no go.mod", files: map[string]string{"main.go": handler}},
		{name: "go.mod without the SDK", files: map[string]string{"main.go": handler, "go.mod": "module example.com/f\n\ngo 1.24\n"}},
		{name: "go.mod with another version of the SDK", files: map[string]string{"main.go": handler, "go.mod": "module example.com/f\n\ngo 1.25\n\n" + require}},
		{
			name: "go.mod that replaces the SDK",
			files: map[string]string{
				"main.go": handler,
				"go.mod":  "module example.com/f\n\ngo 1.25\n\n" + require + "replace " + gobuild.SDKPath + " v0.9.0 => ./gone\n",
			},
		},
		{
			name: "package below the root of a module that has its own replacements", dir: "functions/f",
			files: map[string]string{
				"functions/f/main.go": strings.Replace(handler, "import ", "import _ \"example.com/other\"\nimport ", 1),
				"go.mod":              "module example.com/app\n\ngo 1.24\n\nrequire example.com/other v1.0.0\n\nreplace example.com/other => ./other\n",
				"other/go.mod":        "module example.com/other\n\ngo 1.24\n", "other/other.go": "package other\n",
			},
		},
		{
			name: "old go line", note: "go.mod says go 1.20, the SDK needs go 1.24",
			files: map[string]string{"main.go": handler, "go.mod": "module example.com/f\n\ngo 1.20\n"},
		},
		{name: "the user's settings for other builds", files: map[string]string{"main.go": handler}, env: []string{"GOFLAGS=-mod=mod -tags=x -race", "GOOS=plan9", "GOWORK=/nowhere/go.work", "GO111MODULE=off"}},
		{name: "a go.work of others", dir: "f", files: map[string]string{"f/main.go": handler, "go.work": "go 1.24\n\nuse ./other\n", "other/go.mod": "module example.com/other\n"}},
		{name: "a directory with an odd name", dir: "ünsere Funktion", files: map[string]string{"ünsere Funktion/main.go": handler}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, tc.files)
			before := contents(t, dir)
			res, err := newBuilder(t, tc.env...).Build(t.Context(), filepath.Join(dir, tc.dir))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(res.Wasm, []byte("\x00asm\x01\x00\x00\x00")) || !bytes.Contains(res.Wasm, []byte("evoke_handle")) {
				t.Error("the result is not a module with evoke_handle")
			}
			if notes := strings.Join(res.Notes, "\n"); !strings.Contains(notes, tc.note) || (notes == "") != (tc.note == "") {
				t.Errorf("notes %q, want %q", notes, tc.note)
			}
			if after := contents(t, dir); after != before {
				t.Errorf("the user's directory changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func TestSameSourcesGiveSameBytesAnywhere(t *testing.T) {
	t.Parallel()
	var first []byte
	for range 2 {
		dir := write(t, map[string]string{"hello/main.go": handler})
		res, err := newBuilder(t).Build(t.Context(), filepath.Join(dir, "hello")) // another source and another cache directory
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(res.Wasm, []byte(dir)) {
			t.Errorf("the module holds the path %s", dir)
		}
		if first == nil {
			first = res.Wasm
		} else if !bytes.Equal(first, res.Wasm) {
			t.Error("the same sources gave other bytes")
		}
	}
}

func TestBuildThroughASymlink(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"real/main.go": handler})
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "real"), link); err != nil {
		t.Skip("no symbolic links here")
	}
	if _, err := newBuilder(t).Build(t.Context(), link); err != nil {
		t.Error(err)
	}
}

func TestCompileErrorsAreAsTheCompilerWroteThem(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"type error", map[string]string{"main.go": "package main\n\nfunc main() { undefined() }\n"}, "./main.go:3:15: undefined: undefined"},
		{"no main package", map[string]string{"f.go": "package f\n"}, "requires exactly one main package"},
		{"no Go files", map[string]string{"a.txt": ""}, "no Go files in"},
		{"broken go.mod", map[string]string{"main.go": handler, "go.mod": "modul x\n"}, "go.mod:1: unknown directive: modul"},
		{"missing dependency", map[string]string{"main.go": "package main\n\nimport _ \"example.com/nope\"\n\nfunc main() {}\n"}, "example.com/nope"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, tc.files)
			_, err := newBuilder(t).Build(t.Context(), dir)
			var compile *gobuild.CompileError
			if !errors.As(err, &compile) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %T %v, want it to hold %s", err, err, tc.want)
			}
			if missing := compile.Missing(); (missing == "example.com/nope") != (tc.name == "missing dependency") {
				t.Errorf("it misses %q", missing)
			}
		})
	}
}

// A fault names the files that it is about, so that who watches them knows which of them may have corrected it.
func TestFilesThatAFaultIsAbout(t *testing.T) {
	t.Parallel()
	const module = "module example.com/m\n\ngo 1.24\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"an error":              {map[string]string{"main.go": "package main\n\nfunc main() { undefined() }\n", "fine.go": "package main\n"}, []string{"main.go"}},
		"one that is about two": {map[string]string{"main.go": "package main\n\nfunc main() {}\n", "b.go": "package main\n\nfunc main() {}\n", "c.go": "package main\n"}, []string{"b.go", "main.go"}},
		"another package": {map[string]string{"go.mod": module, "main.go": "package main\n\nimport _ \"example.com/m/far/lib\"\n\nfunc main() {}\n", "far/lib/lib.go": "package lib\n\nvar _ = undefined\n"},
			[]string{"far/lib/lib.go", "go.mod", "go.sum"}},
		"go.mod":   {map[string]string{"go.mod": "modul x\n", "main.go": handler}, []string{"go.mod", "go.sum"}},
		"no place": {map[string]string{"f.go": "package f\n", "g.go": "package f\n", "a.txt": ""}, []string{"f.go", "g.go"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, tc.files)
			_, err := newBuilder(t).Build(t.Context(), dir)
			var compile *gobuild.CompileError
			if !errors.As(err, &compile) {
				t.Fatalf("got %T %v", err, err)
			}
			real, err := filepath.EvalSymlinks(dir)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, name := range tc.want {
				want = append(want, filepath.Join(real, name))
			}
			if got := compile.Files(); !slices.Equal(got, want) {
				t.Errorf("%v\nis about %q, want %q", compile, got, want)
			}
		})
	}
}

func TestSourcesThatAreNoGoPackage(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"js/package.json": "", "file": "", "ts/hello.ts": "", "two/a.js": "", "two/b.js": ""})
	for name, want := range map[string]string{
		"js":   "is a directory with JavaScript or TypeScript; name the file that has the function: source: ./main.ts",
		"ts":   "name the file that has the function: source: ./hello.ts",
		"two":  "name the file that has the function: source: ./main.ts",
		"file": "is a file, and neither TypeScript nor JavaScript, nor the directory of a Go package or of a Rust crate; the key for a module of WebAssembly is wasm",
		"gone": "there is no such directory",
	} {
		path := filepath.Join(dir, name)
		_, err := newBuilder(t).Build(t.Context(), path)
		if err == nil || !strings.HasPrefix(err.Error(), "source "+path+": ") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestToolchainThatIsMissingOrOld(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"main.go": handler})
	missing := gobuild.New(gobuild.Options{SDK: sdkArchive(t), CacheDir: t.TempDir(), Go: filepath.Join(dir, "no-go")})
	_, err := missing.Build(t.Context(), dir)
	var toolchain *gobuild.ToolchainError
	if !errors.As(err, &toolchain) || err.Error() != "no go command on PATH; building a Go function needs Go 1.24 or newer" {
		t.Errorf("missing: %T %v", err, err)
	}
	// The shell as the go command: what it is told to do, "env", is a script in the package's directory.
	script := "echo '{\"GOVERSION\": \"go1.22.3\", \"GOMOD\": \"\"}'\n"
	dir = write(t, map[string]string{"main.go": handler, "env": script})
	_, err = gobuild.New(gobuild.Options{SDK: sdkArchive(t), CacheDir: t.TempDir(), Go: "sh"}).Build(t.Context(), dir)
	if !errors.As(err, &toolchain) || err.Error() != "the go command on PATH is go1.22.3; building a Go function needs Go 1.24 or newer" {
		t.Errorf("old: %T %v", err, err)
	}
}

func TestCanceledBuildSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newBuilder(t).Build(ctx, write(t, map[string]string{"main.go": handler})); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCacheIsSharedAndHealsItself(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := write(t, map[string]string{"main.go": handler})
	build := func() error {
		_, err := gobuild.New(gobuild.Options{SDK: sdkArchive(t), CacheDir: cache, Env: offline()}).Build(t.Context(), dir)
		return err
	}
	var wg sync.WaitGroup
	for range 4 { // several processes at once, as far as the cache can tell
		wg.Go(func() {
			if err := build(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil || len(found) != 1 || !strings.HasPrefix(filepath.Base(found[0]), "sdk-") {
		t.Fatalf("the cache holds %v, %v", found, err)
	}
	if err := os.Remove(filepath.Join(found[0], "evoke.go")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(found[0], "go.mod"), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := build(); err != nil {
		t.Errorf("after damage: %v", err)
	}
}

func TestBrokenArchives(t *testing.T) {
	t.Parallel()
	var noMod, noVersion bytes.Buffer
	if err := errors.Join(sdkzip.Write(&noMod, fstest.MapFS{}), sdkzip.Write(&noVersion, fstest.MapFS{"go.mod": {Data: []byte("module x\n")}})); err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{"main.go": handler})
	for name, tc := range map[string]struct {
		archive []byte
		want    string
	}{
		"no zip":     {[]byte("hello"), "open the SDK archive: zip: not a valid zip file"},
		"no go.mod":  {noMod.Bytes(), "open the SDK archive: open go.mod: file does not exist"},
		"no version": {noVersion.Bytes(), "the SDK's go.mod names no Go version"},
	} {
		_, err := gobuild.New(gobuild.Options{SDK: tc.archive, CacheDir: t.TempDir()}).Build(t.Context(), dir)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

func TestVet(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"good/main.go": handler,
		"bad/main.go":  "package main\n\nimport (\n\t\"fmt\"\n\n\tevoke \"" + gobuild.SDKPath + "\"\n)\n\nfunc init() { evoke.Handle(func() int32 { fmt.Printf(\"%d\", \"x\"); return 0 }) }\n\nfunc main() {}\n",
	})
	b := newBuilder(t)
	if err := b.Vet(t.Context(), filepath.Join(dir, "good")); err != nil {
		t.Error(err)
	}
	var found *gobuild.CompileError
	if err := b.Vet(t.Context(), filepath.Join(dir, "bad")); !errors.As(err, &found) || !strings.Contains(err.Error(), "main.go:9:") || !strings.Contains(err.Error(), "Printf format %d") {
		t.Error(err)
	}
}

// What a build is made of: packages of the module, those of a module beside it, and embedded files; not the SDK, the standard library and downloads.
func TestInputs(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(write(t, map[string]string{
		"app/f/main.go":  strings.Replace(handler, "import ", "import \"embed\"\nimport _ \"example.com/other\"\nimport _ \"example.com/app/lib\"\nimport ", 1) + "\n//go:embed texts/*\nvar _ embed.FS\n",
		"app/go.mod":     "module example.com/app\n\ngo 1.24\n\nrequire example.com/other v1.0.0\n\nreplace example.com/other => ../other\n",
		"app/lib/lib.go": "package lib\n", "app/lib/lib_test.go": "package lib\n", "app/unused/unused.go": "package unused\n", "app/f/texts/a.txt": "a",
		"other/go.mod": "module example.com/other\n\ngo 1.24\n", "other/other.go": "package other\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := newBuilder(t).Inputs(t.Context(), filepath.Join(dir, "app", "f"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range []string{"app/f/main.go", "app/f/texts/a.txt", "app/go.mod", "app/go.sum", "app/lib/lib.go", "other/other.go"} {
		want = append(want, filepath.Join(dir, name))
	}
	if !slices.Equal(got, want) {
		t.Errorf("inputs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	alone := write(t, map[string]string{"main.go": handler})
	if got, err = newBuilder(t).Inputs(t.Context(), alone); err != nil || len(got) != 1 || filepath.Base(got[0]) != "main.go" {
		t.Errorf("inputs without a go.mod: %q, %v", got, err)
	}
}

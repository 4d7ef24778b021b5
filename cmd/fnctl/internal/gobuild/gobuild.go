// Package gobuild builds Go functions to WebAssembly with the user's own Go toolchain.
//
// The SDK comes from an archive, not from the network: it is unpacked once into a cache directory and laid into the user's module as a virtual directory,
// together with a go.mod that points to it, by the toolchain's -overlay. Nothing of that is ever written into the user's directory, and no path of this
// machine ends up in the module, so the same sources give the same bytes.
package gobuild

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// SDKPath is the module path of the Go guest SDK.
const SDKPath = "github.com/evoke-run/evoke/sdk/go"

// MinGo is the oldest Go release that can build a function: it brought //go:wasmexport.
const MinGo = "1.24"

// Options of New.
type Options struct {
	// SDK is the archive that package sdkzip makes.
	SDK []byte
	// CacheDir is where the SDK is unpacked to. Default as of the function CacheDir.
	CacheDir string
	// Go is the go command. Default "go", searched on PATH.
	Go string
	// Env is the environment of the go command. Default os.Environ().
	Env []string
}

// Builder builds Go functions. Its methods are safe for concurrent use.
type Builder struct {
	o   Options
	sdk func() (*sdk, error)
}

// New does nothing yet: the SDK is unpacked by the first Build.
func New(o Options) *Builder {
	o.Go = cmp.Or(o.Go, "go")
	return &Builder{o: o, sdk: sync.OnceValues(func() (*sdk, error) { return unpack(o.SDK, o.CacheDir) })}
}

// Result of a Build.
type Result struct {
	Wasm []byte
	// Notes are what the user should know although the build went well, one sentence each.
	Notes []string
}

// CompileError is what the toolchain says about the user's code.
type CompileError struct {
	Dir string
	// Output is as the toolchain wrote it.
	Output string
	files  []string
}

// Files are those that it is about, absolute: the ones that Output names, or the package's when it names none, and what the module is said to be.
func (e *CompileError) Files() []string { return e.files }

func (e *CompileError) Error() string {
	return fmt.Sprintf("the go command cannot build %s:\n%s", e.Dir, strings.TrimRight(e.Output, "\n"))
}

var missingPackage = regexp.MustCompile(`(?:cannot find module providing|no required module provides) package ([^\s:;]+)`)

// Missing is a package that no module of go.mod has, or "".
func (e *CompileError) Missing() string {
	if m := missingPackage.FindStringSubmatch(e.Output); m != nil {
		return m[1]
	}
	return ""
}

// ToolchainError says that there is no usable go command.
type ToolchainError struct {
	// Found is the version that is too old, "go1.22.3"; empty when there is no go command at all.
	Found string
	Err   error
}

func (e *ToolchainError) Error() string {
	if e.Found != "" {
		return fmt.Sprintf("the go command on PATH is %s; building a Go function needs Go %s or newer", e.Found, MinGo)
	}
	return fmt.Sprintf("no go command on PATH; building a Go function needs Go %s or newer", MinGo)
}

// Unwrap gives the reason why there is no go command.
func (e *ToolchainError) Unwrap() error { return e.Err }

// Build builds the package main in dir. It answers *ToolchainError, *CompileError, or what went wrong around them.
func (b *Builder) Build(ctx context.Context, dir string) (r Result, err error) {
	err = b.with(ctx, dir, false, func(p prepared) error {
		if r.Wasm, err = b.build(ctx, p); err == nil {
			r.Notes = append(p.notes, absentNotes(p.dir, p.module, p.root)...)
		}
		return err
	})
	return r, err
}

// Inputs are the files that a build of dir is made of, absolute, but for those of the standard library, of the SDK and of downloaded modules, which do not change.
func (b *Builder) Inputs(ctx context.Context, dir string) (files []string, err error) {
	err = b.with(ctx, dir, false, func(p prepared) error {
		files, err = b.list(ctx, p)
		return err
	})
	return files, err
}

// prepared is a package with all that the go command needs to find the SDK.
type prepared struct {
	shown, dir string   // as the user wrote it, and the real one
	gomod      string   // its go.mod; os.DevNull or "" when there is none
	module     string   // path of the module that it belongs to
	root       string   // directory of that module
	overlay    string   // a file
	temp       string   // a directory that goes when all is done
	notes      []string // what the user should know
}

// with prepares the package in dir.
func (b *Builder) with(ctx context.Context, dir string, realSDK bool, do func(prepared) error) error {
	// The go command reports places below the real path; an overlay by any other name would not be found.
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err == nil {
		err = checkDir(real)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("there is no such directory")
	}
	if err != nil {
		return fmt.Errorf("source %s: %w", dir, err)
	}
	p := prepared{shown: dir, dir: real}
	if p.temp, err = os.MkdirTemp("", "fnctl-build-"); err != nil {
		return fmt.Errorf("make a directory to build in: %w", err)
	}
	defer os.RemoveAll(p.temp) // what is left lies in the system's temporary directory
	env, err := b.env(ctx, real)
	if err != nil {
		return err
	}
	sdk, err := b.sdk()
	if err != nil {
		return err
	}
	p.gomod = env.GOMOD
	if err = b.overlay(ctx, sdk, module{dir: real, gomod: env.GOMOD, temp: p.temp, realSDK: realSDK}, &p); err != nil {
		return err
	}
	return do(p)
}

// checkDir tells the mistakes apart that the go command has no good words for.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("is a file, and neither TypeScript nor JavaScript, nor the directory of a Go package or of a Rust crate; the key for a module of WebAssembly is wasm")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(files) > 0 { // the pattern is only bad when dir has brackets; then Go decides
		return nil
	}
	for _, pattern := range []string{"*.ts", "*.js", "package.json"} {
		if files, _ := filepath.Glob(filepath.Join(dir, pattern)); len(files) > 0 {
			name := filepath.Base(files[0])
			if pattern == "package.json" || strings.HasSuffix(name, ".d.ts") || len(files) > 1 {
				name = "main.ts"
			}
			return errors.New("is a directory with JavaScript or TypeScript; name the file that has the function: source: ./" + name)
		}
	}
	return nil
}

func (b *Builder) build(ctx context.Context, p prepared) ([]byte, error) {
	out := filepath.Join(p.temp, "function.wasm")
	// -buildvcs=false: a commit that does not touch the function must not change its digest.
	text, err := b.run(ctx, p.dir, "build", "-mod=readonly", "-buildvcs=false", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w",
		"-overlay", p.overlay, "-o", out, ".")
	if err != nil {
		return nil, p.failure(ctx, text, err)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("read the built module: %w", err)
	}
	return wasm, nil
}

// Vet runs go vet on the package main in dir, as it is built. What vet finds is *CompileError.
func (b *Builder) Vet(ctx context.Context, dir string) error {
	return b.with(ctx, dir, true, func(p prepared) error {
		if text, err := b.run(ctx, p.dir, "vet", "-mod=readonly", "-overlay", p.overlay, "."); err != nil {
			return p.failure(ctx, text, err)
		}
		return nil
	})
}

// failure is why the go command failed, with what it said.
func (p prepared) failure(ctx context.Context, text []byte, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("build %s: %w", p.shown, context.Cause(ctx))
	}
	output := cmp.Or(string(text), err.Error())
	return &CompileError{Dir: p.shown, Output: output, files: filesOf(output, p.dir, p.gomod)}
}

// run runs the go command and answers what it wrote to stderr, or on success to stdout.
func (b *Builder) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.o.Go, args...)
	cmd.Dir = dir
	cmd.Env = b.o.Env
	// What a user has set for other builds must not change this one. GOFLAGS is not empty, because empty means what `go env -w` says.
	cmd.Env = append(cmd.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWASM=", "GOEXPERIMENT=", "GOFLAGS=-mod=readonly", "GOWORK=off", "GO111MODULE=on")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it end its compilers
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stderr.Bytes(), err
	}
	return stdout.Bytes(), nil
}

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
	"os"
	"os/exec"
	"path/filepath"
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
	// CacheDir is where the SDK is unpacked to. Default os.UserCacheDir()/fnctl.
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
}

func (e *CompileError) Error() string {
	return fmt.Sprintf("the go command cannot build %s:\n%s", e.Dir, strings.TrimRight(e.Output, "\n"))
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
func (b *Builder) Build(ctx context.Context, dir string) (Result, error) {
	// The go command reports places below the real path; an overlay by any other name would not be found.
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err == nil {
		err = checkDir(real)
	}
	if err != nil {
		return Result{}, fmt.Errorf("source %s: %w", dir, err)
	}
	temp, err := os.MkdirTemp("", "fnctl-build-")
	if err != nil {
		return Result{}, fmt.Errorf("make a directory to build in: %w", err)
	}
	defer os.RemoveAll(temp) // what is left lies in the system's temporary directory
	return b.build(ctx, dir, real, temp)
}

// checkDir tells the mistakes apart that the go command has no good words for.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("is a file, not the directory of a Go package")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(files) > 0 { // the pattern is only bad when dir has brackets; then Go decides
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "Cargo.toml")); err == nil {
		return errors.New("is a Rust crate, which fnctl does not build yet; build it for wasm32-wasip1 and name the file with `wasm:`")
	}
	if _, err := os.Stat(filepath.Join(dir, "package.json")); err == nil {
		return errors.New("is a JavaScript package, which fnctl does not build yet")
	}
	return nil
}

func (b *Builder) build(ctx context.Context, shown, dir, temp string) (Result, error) {
	env, err := b.env(ctx, dir)
	if err != nil {
		return Result{}, err
	}
	sdk, err := b.sdk()
	if err != nil {
		return Result{}, err
	}
	overlay, notes, err := b.overlay(ctx, sdk, module{dir: dir, gomod: env.GOMOD, temp: temp})
	if err != nil {
		return Result{}, err
	}
	out := filepath.Join(temp, "function.wasm")
	// -buildvcs=false: a commit that does not touch the function must not change its digest.
	text, err := b.run(ctx, dir, "build", "-mod=readonly", "-buildvcs=false", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w",
		"-overlay", overlay, "-o", out, ".")
	if err != nil {
		if ctx.Err() != nil {
			return Result{}, fmt.Errorf("build %s: %w", shown, context.Cause(ctx))
		}
		return Result{}, &CompileError{Dir: shown, Output: cmp.Or(string(text), err.Error())}
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		return Result{}, fmt.Errorf("read the built module: %w", err)
	}
	return Result{Wasm: wasm, Notes: notes}, nil
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

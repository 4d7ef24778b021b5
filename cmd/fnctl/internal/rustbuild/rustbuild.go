// Package rustbuild builds Rust functions to WebAssembly with the user's own cargo.
//
// The SDK, the crate evoke, comes with fnctl and not from a registry. A crate names it by a path, .fnctl/sdk-rust in the project, so that editors and cargo find
// it, too; Build puts it there. All else is cargo's: what is built where, how it is optimized, and from where other crates come.
package rustbuild

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
	"slices"
	"strings"
	"time"
)

// CargoFile is what makes a directory a crate.
const CargoFile = "Cargo.toml"

// Builder builds Rust functions. Its methods are safe for concurrent use.
type Builder struct {
	// SDK is the crate evoke: Cargo.toml and src.
	SDK fs.FS
	// Cargo and Rustc are the commands. Default "cargo" and "rustc", searched on PATH.
	Cargo, Rustc string
	// Env is the environment of the commands. Default os.Environ().
	Env []string
}

// Result of a Build.
type Result struct {
	Wasm []byte
	// Notes are what the user should know although the build went well.
	Notes []string
	// Inputs are the files that it was made of, absolute, but for those of other crates.
	Inputs []string
}

// CompileError is what cargo says about the user's code.
type CompileError struct {
	Dir string
	// Output is as cargo and rustc wrote it.
	Output string
	files  []string
}

// Files are those that it is about, absolute: the ones that Output names, where the crate begins, and what it is said to be.
func (e *CompileError) Files() []string { return e.files }

func (e *CompileError) Error() string {
	return fmt.Sprintf("cargo cannot build %s:\n%s", e.Dir, strings.TrimRight(e.Output, "\n"))
}

// What cargo says when it cannot, or must not, get crates from elsewhere. A line that begins otherwise may have the words in the name of a crate.
var (
	unreachable = regexp.MustCompile(`(?m)^(?:error: | +)(?:failed to download|failed to fetch|[Uu]nable to update registry|failed to clone|failed to query replaced source|network failure|download of )`)
	keptOffline = regexp.MustCompile(`you're using offline mode|in (?:the )?offline mode|--offline was specified`)
)

// Advice says what to try.
func (e *CompileError) Advice() string {
	switch {
	case place.MatchString(e.Output): // rustc has the last word, and its lines are of the user's code
	case keptOffline.MatchString(e.Output):
		return fmt.Sprintf("once without CARGO_NET_OFFLINE, so that cargo can fetch its crates; or `cargo vendor` in %s where there is a network; or correct [dependencies] of its Cargo.toml", e.Dir)
	case unreachable.MatchString(e.Output):
		return fmt.Sprintf("again, when the network is there; where there is none, CARGO_NET_OFFLINE=true takes the crates that were fetched before, and `cargo vendor` in %s, on a machine that has one, puts them into the project", e.Dir)
	}
	return "correct the code in " + e.Dir
}

// CrateError is a crate of which no function can be made.
type CrateError struct{ text, try, file string }

func (e *CrateError) Error() string { return e.text }

// Advice says what to try.
func (e *CrateError) Advice() string { return e.try }

// Files is the one that it is about, absolute.
func (e *CrateError) Files() []string { return []string{e.file} }

// IsCrate says whether a directory is that of a crate.
func IsCrate(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, CargoFile))
	return err == nil
}

// Build builds the crate in dir. It answers *ToolchainError, *CompileError, *CrateError, or what went wrong around them.
func (b *Builder) Build(ctx context.Context, dir string) (Result, error) {
	real, err := filepath.EvalSymlinks(dir) // cargo reports real paths
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return Result{}, fmt.Errorf("source %s: %w", dir, err)
	}
	r, err := b.build(ctx, dir, real)
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("build %s: %w", dir, context.Cause(ctx))
	}
	return r, err
}

func (b *Builder) build(ctx context.Context, shown, dir string) (Result, error) {
	tools, err := b.Toolchain(ctx, dir)
	if err != nil {
		return Result{}, err
	}
	c, err := b.crate(ctx, shown, dir)
	if err != nil {
		return Result{}, err
	}
	sdk, err := b.placeSDK(c)
	if err != nil {
		return Result{}, err
	}
	selected, err := c.selected()
	if err != nil {
		return Result{}, err
	}
	args := []string{"build", "--release", "--quiet", "--target", tools.Target, "--message-format", "json-render-diagnostics", "--manifest-path", c.ManifestPath,
		"--config", b.remap(tools.Target, c.workspace, sdk)}
	stdout, stderr, err := b.cargo(ctx, dir, append(args, selected.flags...)...)
	if err != nil {
		output := cmp.Or(string(stderr), err.Error())
		return Result{}, &CompileError{Dir: shown, Output: output, files: append(c.files(selected), placesIn(output, c.workspace)...)}
	}
	file, err := artifact(stdout, c.ManifestPath, selected.kind)
	if err != nil {
		return Result{}, fmt.Errorf("build %s: %w", shown, err)
	}
	r := Result{Inputs: c.inputs(file)}
	if r.Wasm, err = os.ReadFile(file); err != nil {
		return Result{}, fmt.Errorf("read the built module: %w", err)
	}
	if warnings := strings.TrimSpace(string(stderr)); warnings != "" {
		r.Notes = append(r.Notes, "cargo says of "+shown+":\n"+warnings)
	}
	r.Notes = append(r.Notes, c.absentNotes(r.Inputs)...)
	return r, nil
}

// remap is the setting by which no path of this machine ends up in the module: a panic names the file that it is in. It adds to the rustflags of the user's own
// .cargo/config.toml.
func (b *Builder) remap(target, workspace, sdk string) string {
	var flags []string
	for _, r := range [][2]string{{workspace, "."}, {sdk, "evoke"}, {b.cargoHome(), "/cargo"}} { // the last one that fits counts
		if r[0] != "" {
			flags = append(flags, fmt.Sprintf("%q", "--remap-path-prefix="+r[0]+"="+r[1]))
		}
	}
	return "target." + target + ".rustflags=[" + strings.Join(flags, ",") + "]"
}

// cargoHome is where cargo keeps the crates that it fetched.
func (b *Builder) cargoHome() string {
	for _, v := range b.environ() {
		if home, ok := strings.CutPrefix(v, "CARGO_HOME="); ok {
			return home
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "" // nothing is there to hide
	}
	return filepath.Join(home, ".cargo")
}

func (b *Builder) environ() []string {
	if b.Env != nil {
		return b.Env
	}
	return os.Environ()
}

// forOthers are settings that a user has made for other builds, which must not change this one.
var forOthers = []string{"RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"}

func (b *Builder) cargo(ctx context.Context, dir string, args ...string) (stdout, stderr []byte, err error) {
	env := []string{"CARGO_TERM_COLOR=never"}
	if b.Rustc != "" {
		env = append(env, "RUSTC="+b.Rustc)
	}
	return b.run(ctx, dir, env, cmp.Or(b.Cargo, "cargo"), args...)
}

func (b *Builder) run(ctx context.Context, dir string, env []string, command string, args ...string) (stdout, stderr []byte, err error) {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(slices.Clone(b.environ()), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(forOthers, name)
	}), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it end its compilers
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.Bytes(), errs.Bytes(), err
}

// missing says whether a command could not be started because it is not there.
func missing(err error) bool {
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
}

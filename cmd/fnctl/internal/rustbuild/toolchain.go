package rustbuild

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// targets that a function can be built for, by preference. The second is what Rust before 1.78 calls the first.
var targets = []string{"wasm32-wasip1", "wasm32-wasi"}

// Toolchain is what builds.
type Toolchain struct {
	// Version is that of the compiler, "rustc 1.90.0 (…)".
	Version string
	// Target is one of Rust's, for which there is a standard library.
	Target string
}

// ToolchainError says what is missing.
type ToolchainError struct {
	// Version of the compiler that has no standard library for a target; empty when there is no compiler or no cargo.
	Version string
	// Rustup says whether there is a rustup to get more with.
	Rustup  bool
	missing string // the command
}

func (e *ToolchainError) Error() string {
	if e.Version == "" {
		return fmt.Sprintf("no %s command on PATH; building a Rust function needs cargo, rustc 1.63 or newer, and the target %s", e.missing, targets[0])
	}
	return fmt.Sprintf("%s has no standard library for the target %s", e.Version, targets[0])
}

// Advice says how to get it.
func (e *ToolchainError) Advice() string {
	const packages = "Debian libstd-rust-dev-wasm32 and lld, Fedora rust-std-static-wasm32-wasip1"
	switch {
	case e.Version == "" && e.Rustup:
		return "rustup toolchain install stable --target " + targets[0]
	case e.Version == "":
		return "install Rust from https://rustup.rs, then: rustup target add " + targets[0]
	case e.Rustup:
		return "rustup target add " + targets[0] + "; a rustc that is not from rustup gets it from the packages of your system (" + packages + ")"
	}
	return "install the package of your system that has it (" + packages + "), or Rust from https://rustup.rs, then: rustup target add " + targets[0]
}

// Toolchain finds what builds crates in dir, or answers *ToolchainError. Dir counts: rustup has a toolchain for each, by rust-toolchain.toml.
func (b *Builder) Toolchain(ctx context.Context, dir string) (Toolchain, error) {
	_, err := exec.LookPath("rustup")
	rustup := err == nil
	rustc := cmp.Or(b.Rustc, "rustc")
	if _, stderr, err := b.cargo(ctx, dir, "--version"); err != nil {
		return Toolchain{}, toolError(err, stderr, rustup, "cargo")
	}
	version, stderr, err := b.run(ctx, dir, nil, rustc, "--version")
	if err != nil {
		return Toolchain{}, toolError(err, stderr, rustup, "rustc")
	}
	t := Toolchain{Version: strings.TrimSpace(string(version))}
	for _, target := range targets {
		// A compiler that does not know the target at all fails. One that does says where its library would be.
		lib, _, err := b.run(ctx, dir, nil, rustc, "--print", "target-libdir", "--target", target)
		if err != nil {
			continue
		}
		if std, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(lib)), "libstd-*")); err == nil && len(std) > 0 {
			t.Target = target
			return t, nil
		}
	}
	return Toolchain{}, &ToolchainError{Version: t.Version, Rustup: rustup}
}

func toolError(err error, stderr []byte, rustup bool, command string) error {
	if missing(err) {
		return &ToolchainError{Rustup: rustup, missing: command}
	}
	return fmt.Errorf("ask %s for its version: %w: %s", command, err, strings.TrimSpace(string(stderr)))
}

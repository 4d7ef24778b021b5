package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sources is the root of this repository, wherever below it the benchmark is started.
func sources(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("find the sources: go env: %w", err)
	}
	raw, err := os.ReadFile(mod)
	if err != nil || !bytes.HasPrefix(raw, []byte("module github.com/evoke-run/evoke\n")) {
		return "", errors.New("what is measured is built from its sources first: start the benchmark inside its repository")
	}
	return filepath.Dir(mod), nil
}

// buildProgram builds runtime or fnctl as it is released.
func buildProgram(ctx context.Context, root, name, out string) error {
	return build(ctx, root, nil, "-trimpath", "-ldflags=-s -w", "-o", out, "./cmd/"+name)
}

// buildGuest builds the function in a directory as fnctl does.
func buildGuest(ctx context.Context, dir, out string) error {
	return build(ctx, dir, []string{"GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS="}, "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
}

// buildPeer builds a yardstick that is a module of its own, with requirements that Evoke does not have.
func buildPeer(ctx context.Context, root, name, out string) error {
	return build(ctx, filepath.Join(root, "bench", "peers"), []string{"GOWORK=off", "GOFLAGS="}, "-trimpath", "-o", out, "./"+name)
}

// buildOptionalPeer answers "" where the yardstick cannot be built, as without Go's module proxy, and says what the report lacks then: everything else is
// measured all the same.
func (s *session) buildOptionalPeer(ctx context.Context, root, folder, lacks string) string {
	out := filepath.Join(s.dir, folder)
	if err := buildPeer(ctx, root, folder, out); err != nil {
		s.say("without %s, which cannot be built here: %v", lacks, err)
		return ""
	}
	return out
}

func build(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", dir, err, text)
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/rustbuild"
	"github.com/evoke-run/evoke/manifest"
)

// check is a tool that looks at the sources of a function.
type check struct {
	tool string // "tsc", "go vet" or "cargo check"; "" = there is none for it
	path string // of the program; "" = as the builder finds it
	dir  string // or the file, that it looks at
}

func (k check) String() string { return k.tool + " " + k.dir }

// checkAll runs the tools of the projects that functions are of, each once, and reports all that they find.
func (c *cli) checkAll(ctx context.Context, dir string, functions []manifest.Function) error {
	var errs []error
	done := map[check]bool{}
	for _, f := range functions {
		check, note, err := findCheck(dir, f)
		if err != nil {
			errs = append(errs, fmt.Errorf("function %s: %w", f.Name, err))
		}
		if note != "" {
			c.say("note: function %s: %s", f.Name, note)
		}
		if check.tool == "" || done[check] {
			continue
		}
		done[check] = true
		c.say("checking %s: %s", f.Name, check)
		if err := c.runCheck(ctx, check); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// findCheck finds the tool for a function, or says in a note why there is none.
func findCheck(dir string, f manifest.Function) (k check, note string, err error) {
	if f.Wasm != "" {
		return check{}, "", nil // nobody knows its sources
	}
	source := under(dir, f.Source)
	if f.Script() {
		return findTypes(source)
	}
	if !rustbuild.IsCrate(source) {
		return check{tool: "go vet", dir: source}, "", nil
	}
	path, err := exec.LookPath("cargo")
	if err != nil {
		return check{}, "it was not checked: there is no cargo on PATH; https://rustup.rs says how to get it", nil
	}
	return check{tool: "cargo check", path: path, dir: source}, "", nil
}

func findTypes(source string) (k check, note string, err error) {
	project := above(filepath.Dir(source), jsProjects...)
	if project == "" {
		if typed(source) {
			note = "its types were not checked: there is no tsconfig.json; fnctl new -l ts makes one to begin with"
		}
		return check{}, note, nil
	}
	if err := prepareTypes(project); err != nil {
		return check{}, "", err
	}
	tsc := above(filepath.Dir(project), filepath.Join("node_modules", ".bin", "tsc"))
	if tsc == "" {
		return check{}, "its types were not checked: the project has no TypeScript compiler; npm install --save-dev typescript", nil
	}
	return check{tool: "tsc", path: tsc, dir: project}, "", nil
}

// checkError is what a tool found.
type checkError struct {
	check  check
	output string
}

func (e *checkError) Error() string { return fmt.Sprintf("%s:\n%s", e.check, e.output) }

func (c *cli) runCheck(ctx context.Context, k check) error {
	switch k.tool {
	case "go vet":
		return c.builders().golang.Vet(ctx, k.dir)
	case "cargo check":
		return runTool(ctx, k, "check", "--quiet", "--manifest-path", filepath.Join(k.dir, rustbuild.CargoFile))
	}
	return runTool(ctx, k, "--noEmit", "--pretty", "false", "--project", k.dir)
}

// runTool runs a program and answers what it says as the error, when it finds something.
func runTool(ctx context.Context, k check, args ...string) error {
	cmd := exec.CommandContext(ctx, k.path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text := strings.TrimSpace(out.String())
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", k, context.Cause(ctx))
	case k.tool == "tsc" && (errors.Is(err, fs.ErrNotExist) || strings.Contains(text, "node: ") || strings.Contains(text, "'node'")):
		return &adviceError{fmt.Errorf("%s cannot run: %s", k.path, text), "install Node, in which the TypeScript compiler runs; fnctl itself needs none"}
	case text == "":
		return fmt.Errorf("%s: %w", k, err)
	}
	return &checkError{k, text}
}

// jsProjects are the files of a project that tsc reads.
var jsProjects = []string{"tsconfig.json", "jsconfig.json"}

// prepareTypes lays the SDK where a project looks for it, as after a clone.
func prepareTypes(project string) error {
	text, err := os.ReadFile(project)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), jsbuild.EditorDir) {
		return nil
	}
	return jsbuild.WriteSDK(filepath.Join(filepath.Dir(project), filepath.FromSlash(jsbuild.EditorDir)))
}

// above finds one of the names in a directory or above it; "" = none is there.
func above(dir string, names ...string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		for _, name := range names {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
				return filepath.Join(dir, name)
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}

// typed says whether a script has types that can be checked: JavaScript has them when a project says so.
func typed(source string) bool {
	return slices.Contains([]string{".ts", ".mts", ".tsx"}, filepath.Ext(source))
}

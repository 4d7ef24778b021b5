package gobuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// virtualSDK is where the SDK seems to lie, below the root of the user's module. A path relative to go.mod keeps the cache directory's name, which differs
// from machine to machine, out of the module's build information.
const virtualSDK = ".fnctl-sdk"

// module is the user's Go module.
type module struct {
	dir string // of the package to build
	// gomod is its go.mod, os.DevNull or "" when there is none.
	gomod string
	temp  string // for the files of the overlay
	// realSDK takes the SDK from where it lies: the go command can build what lies nowhere, but vet changes to its directory.
	realSDK bool
}

type goEnv struct{ GOVERSION, GOMOD string }

// Toolchain answers the version of the go command, "go1.26.0", or *ToolchainError.
func (b *Builder) Toolchain(ctx context.Context) (string, error) {
	env, err := b.env(ctx, os.TempDir()) // where no go.mod asks for another one
	return env.GOVERSION, err
}

// env asks the go command who it is and which module dir belongs to.
func (b *Builder) env(ctx context.Context, dir string) (goEnv, error) {
	var env goEnv
	out, err := b.run(ctx, dir, "env", "-json", "GOVERSION", "GOMOD")
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return env, &ToolchainError{Err: err}
	case ctx.Err() != nil:
		return env, fmt.Errorf("ask the go command for its version: %w", context.Cause(ctx))
	case err != nil:
		return env, fmt.Errorf("ask the go command for its version: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := json.Unmarshal(out, &env); err != nil {
		return env, fmt.Errorf("read the go command's environment: %w", err)
	}
	// Development versions of Go have no comparable name; they are new enough.
	if v, _, _ := strings.Cut(env.GOVERSION, " "); version.IsValid(v) && version.Compare(v, "go"+MinGo) < 0 {
		return env, &ToolchainError{Found: v}
	}
	return env, nil
}

// goMod is what this package needs of `go mod edit -json`.
type goMod struct {
	Module  struct{ Path string }
	Go      string
	Replace []struct {
		Old struct{ Path, Version string }
	}
}

// overlay writes the file for -overlay, and puts it and what it has found out about the module into p.
func (b *Builder) overlay(ctx context.Context, sdk *sdk, m module, p *prepared) error {
	replace := make(map[string]string)
	root := filepath.Dir(m.gomod)
	if m.gomod == "" || m.gomod == os.DevNull {
		root = m.dir
		m.gomod = filepath.Join(m.temp, "fresh.mod")
		fresh := fmt.Sprintf("module %s\n\ngo %s\n", moduleName(m.dir), sdk.goVersion)
		if err := os.WriteFile(m.gomod, []byte(fresh), 0o600); err != nil {
			return fmt.Errorf("write go.mod: %w", err)
		}
	}
	edited, err := b.editMod(ctx, sdk, m, p)
	if err != nil {
		return err
	}
	if edited != "" {
		replace[filepath.Join(root, "go.mod")] = edited
		for _, name := range sdk.files { // nobody looks there with realSDK
			replace[filepath.Join(root, virtualSDK, filepath.FromSlash(name))] = filepath.Join(sdk.dir, filepath.FromSlash(name))
		}
	}
	body, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return fmt.Errorf("encode overlay: %w", err)
	}
	p.root, p.overlay = root, filepath.Join(m.temp, "overlay.json")
	if err := os.WriteFile(p.overlay, body, 0o600); err != nil {
		return fmt.Errorf("write overlay: %w", err)
	}
	return nil
}

// editMod writes a copy of the user's go.mod that takes the SDK from where it is to be found, or answers "" for the SDK's own module, which needs none.
func (b *Builder) editMod(ctx context.Context, sdk *sdk, m module, p *prepared) (file string, err error) {
	out, err := b.modEdit(ctx, m, "-json")
	if err != nil {
		return "", err
	}
	var mod goMod
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", fmt.Errorf("read %s: %w", m.gomod, err)
	}
	p.module = mod.Module.Path
	if mod.Module.Path == SDKPath {
		return "", nil
	}
	args := []string{"-require=" + SDKPath + "@v0.0.0"}
	for _, r := range mod.Replace {
		if r.Old.Path == SDKPath && r.Old.Version != "" {
			args = append(args, "-dropreplace="+SDKPath+"@"+r.Old.Version)
		}
	}
	at := "./" + virtualSDK
	if m.realSDK {
		at = sdk.dir
	}
	args = append(args, "-replace="+SDKPath+"="+at)
	if mod.Go == "" || version.Compare("go"+mod.Go, "go"+sdk.goVersion) < 0 {
		args = append(args, "-go="+sdk.goVersion)
		p.notes = append(p.notes, fmt.Sprintf("%s says go %s, the SDK needs go %s, so it was built as that; `go mod edit -go=%s` makes it so everywhere",
			m.gomod, mod.Go, sdk.goVersion, sdk.goVersion))
	}
	out, err = b.modEdit(ctx, m, append(args, "-print")...)
	if err != nil {
		return "", err
	}
	file = filepath.Join(m.temp, "go.mod")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		return "", fmt.Errorf("write go.mod: %w", err)
	}
	return file, nil
}

// modEdit runs `go mod edit` in a form that prints and changes nothing.
func (b *Builder) modEdit(ctx context.Context, m module, args ...string) ([]byte, error) {
	out, err := b.run(ctx, m.dir, append(append([]string{"mod", "edit"}, args...), m.gomod)...)
	if err != nil && ctx.Err() == nil {
		return nil, &CompileError{Dir: m.gomod, Output: string(out), files: filesOf(string(out), m.dir, m.gomod)}
	}
	return out, err
}

// moduleName makes a module path of a directory's name.
func moduleName(dir string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '-'
	}, filepath.Base(dir))
	// A module path may not begin with some of these, and "go", "std" and others are taken.
	return "function-" + name
}

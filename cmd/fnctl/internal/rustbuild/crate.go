package rustbuild

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// SDKDir is where the SDK lies in a project, below its root.
const SDKDir = ".fnctl/sdk-rust"

// sdkName is the crate.
const sdkName = "evoke"

// crate is what this package needs of `cargo metadata`.
type crate struct {
	Name         string
	ManifestPath string `json:"manifest_path"`
	DefaultRun   string `json:"default_run"`
	Dependencies []dependency
	Targets      []target

	shown, workspace string
}

type dependency struct {
	Name   string
	Path   string // of one that is a directory
	Source string // where others come from, "registry+…"
}

type target struct {
	Name    string
	Kind    []string // "lib", "cdylib", "bin", …
	SrcPath string   `json:"src_path"` // where it begins
}

// crate reads the Cargo.toml of dir.
func (b *Builder) crate(ctx context.Context, shown, dir string) (*crate, error) {
	manifest := filepath.Join(dir, CargoFile)
	stdout, stderr, err := b.cargo(ctx, dir, "metadata", "--no-deps", "--format-version", "1", "--manifest-path", manifest)
	if err != nil {
		return nil, &CompileError{Dir: shown, Output: string(stderr), files: manifests(dir)}
	}
	var all struct {
		Packages      []*crate
		WorkspaceRoot string `json:"workspace_root"`
	}
	if err := json.Unmarshal(stdout, &all); err != nil {
		return nil, fmt.Errorf("read what cargo says of %s: %w", manifest, err)
	}
	var members []string
	for _, c := range all.Packages {
		if c.ManifestPath == manifest {
			c.shown, c.workspace = shown, all.WorkspaceRoot
			return c, nil
		}
		members = append(members, filepath.Dir(c.ManifestPath))
	}
	return nil, &CrateError{file: manifest, text: fmt.Sprintf("source %s is a workspace, not a crate", shown), try: "name one of its crates as source: " + strings.Join(members, ", ")}
}

// placeSDK puts the SDK where the crate looks for it, and answers where that is: "" when the crate does without, or has it from elsewhere.
func (b *Builder) placeSDK(c *crate) (string, error) {
	i := slices.IndexFunc(c.Dependencies, func(d dependency) bool { return d.Name == sdkName })
	if i < 0 {
		return "", nil
	}
	d := c.Dependencies[i]
	if strings.HasPrefix(d.Source, "registry+") {
		return "", &CrateError{
			file: c.ManifestPath,
			text: fmt.Sprintf("%s takes the crate %s from a registry; the SDK is not there, it comes with fnctl", filepath.Join(c.shown, CargoFile), sdkName),
			try:  fmt.Sprintf("%s = { path = %q } in its [dependencies], with the path to the .fnctl of the project; fnctl writes it", sdkName, SDKDir),
		}
	}
	if strings.HasSuffix(filepath.ToSlash(d.Path), "/"+SDKDir) {
		if err := WriteSDK(b.SDK, d.Path); err != nil {
			return "", err
		}
	}
	return d.Path, nil
}

// WriteSDK writes what is not there yet, or differs. Several processes may do so at once.
func WriteSDK(sdk fs.FS, dir string) error {
	err := fs.WalkDir(sdk, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		want, err := fs.ReadFile(sdk, name)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if got, err := os.ReadFile(file); err == nil && bytes.Equal(got, want) {
			return nil // a new time would have cargo build it again
		}
		return replaceFile(file, want)
	})
	if err != nil {
		return fmt.Errorf("write the SDK to %s: %w", dir, err)
	}
	return nil
}

// replaceFile writes beside the file and renames, so that nobody ever sees half of it.
func replaceFile(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// selection is the one target of a crate that becomes the function.
type selection struct {
	kind  string
	flags []string
	begin string // its first file
}

// selected is the library that is a cdylib, which exports a handler; else the program, which is a WASI command.
func (c *crate) selected() (selection, error) {
	const cdylib, bin = "cdylib", "bin"
	var programs []string
	begins := map[string]string{} // of programs
	library := false
	for _, t := range c.Targets {
		switch {
		case slices.Contains(t.Kind, cdylib):
			return selection{kind: cdylib, flags: []string{"--lib"}, begin: t.SrcPath}, nil
		case slices.Contains(t.Kind, bin):
			programs = append(programs, t.Name)
			begins[t.Name] = t.SrcPath
		case slices.Contains(t.Kind, "lib"):
			library = true
		}
	}
	if c.DefaultRun != "" {
		programs = []string{c.DefaultRun}
	}
	switch {
	case len(programs) == 1:
		return selection{kind: bin, flags: []string{"--bin", programs[0]}, begin: begins[programs[0]]}, nil
	case len(programs) > 1:
		return selection{}, &CrateError{file: c.ManifestPath, text: fmt.Sprintf("source %s has several programs: %s", c.shown, strings.Join(programs, ", ")), try: "default-run = \"" + programs[0] + "\" in [package] of its Cargo.toml"}
	case library:
		return selection{}, &CrateError{file: c.ManifestPath, text: fmt.Sprintf("source %s is a library for other crates", c.shown), try: "crate-type = [\"cdylib\"] in [lib] of its Cargo.toml"}
	}
	return selection{}, &CrateError{file: c.ManifestPath, text: fmt.Sprintf("source %s has neither a library nor a program", c.shown), try: "src/lib.rs with evoke::handler!, and crate-type = [\"cdylib\"] in [lib] of its Cargo.toml"}
}

// manifests are the Cargo.toml of dir and those above it, one of which may be its workspace's.
func manifests(dir string) []string {
	var out []string
	for {
		out = append(out, filepath.Join(dir, CargoFile))
		above := filepath.Dir(dir)
		if above == dir {
			return out
		}
		dir = above
	}
}

// files are those that any fault of a crate may be about.
func (c *crate) files(s selection) []string {
	files := append(manifests(filepath.Dir(c.ManifestPath)), filepath.Join(c.workspace, "Cargo.lock"))
	if s.begin != "" {
		files = append(files, s.begin)
	}
	return files
}

var place = regexp.MustCompile(`(?m)^ *(?:-->|:::) (.+):\d+:\d+$`)

// placesIn are the files that rustc points to. Those of the workspace are as seen from its root, others absolute.
func placesIn(output, workspace string) []string {
	var files []string
	for _, m := range place.FindAllStringSubmatch(output, -1) {
		file := filepath.FromSlash(m[1])
		if !filepath.IsAbs(file) {
			file = filepath.Join(workspace, file)
		}
		files = append(files, file)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// artifact finds the module in what cargo said that it made.
func artifact(messages []byte, manifest, kind string) (string, error) {
	lines := bufio.NewScanner(bytes.NewReader(messages))
	lines.Buffer(nil, len(messages)+1)
	for lines.Scan() {
		var m struct {
			Reason       string
			ManifestPath string `json:"manifest_path"`
			Target       target
			Filenames    []string
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.Reason != "compiler-artifact" || m.ManifestPath != manifest || !slices.Contains(m.Target.Kind, kind) {
			continue
		}
		if i := slices.IndexFunc(m.Filenames, func(f string) bool { return filepath.Ext(f) == ".wasm" }); i >= 0 {
			return m.Filenames[i], nil
		}
	}
	return "", errors.New("cargo made no module")
}

// inputs are the files that a module was made of, as cargo wrote down beside it.
func (c *crate) inputs(module string) []string {
	files := []string{c.ManifestPath, filepath.Join(c.workspace, "Cargo.lock")}
	made, err := os.ReadFile(strings.TrimSuffix(module, ".wasm") + ".d")
	if err != nil {
		return nil // anything may be one
	}
	_, list, _ := strings.Cut(string(made), ": ")
	return append(files, splitEscaped(strings.TrimSpace(list))...)
}

// splitEscaped splits at spaces that have no backslash before them.
func splitEscaped(list string) []string {
	const space = "\x00" // no path has it
	var out []string
	for _, word := range strings.Fields(strings.ReplaceAll(list, `\ `, space)) {
		out = append(out, strings.ReplaceAll(word, space, " "))
	}
	return out
}

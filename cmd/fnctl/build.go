package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/wasminfo"
	"github.com/evoke-run/evoke/manifest"
)

// distDir is where built functions go, beside the manifest.
const distDir = "dist"

func (c *cli) buildCommand() *cobra.Command {
	var file, out string
	var check bool
	cmd := &cobra.Command{
		Use:   "build [DIR | -f fn.yaml] [FUNCTION…]",
		Short: "Build the functions of a fn.yaml into files",
		Long: `Build the functions of a fn.yaml into dist/ beside it, without a server, and show what they are: their kind, their size, and what they import, which is packages of
npm for TypeScript and JavaScript and functions of the runtime for WebAssembly. A file there can be deployed as it is, with wasm: ./dist/NAME.wasm or ./dist/NAME.js.

--check also runs the project's own tools: tsc --noEmit of its node_modules for TypeScript, go vet for Go, cargo check for Rust. A tool that is not there is named, with how to get it,
and fails nothing; what a tool finds ends the command with exit code 1.`,
		Example: `  fnctl build                        # all functions of ./fn.yaml
  fnctl build ./shop checkout -o json
  fnctl build --check                # in a pipeline, before anything is deployed`,
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the manifest (default fn.yaml in DIR)")
	cmd.Flags().StringVar(&out, "out", "", "the directory for the files (default dist beside the manifest)")
	cmd.Flags().BoolVar(&check, "check", false, "also run the project's own tsc, go vet and cargo check")
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, names := manifestFile(file, args)
		m, err := readManifest(file)
		if err != nil {
			return err
		}
		partly := *m
		if partly.Functions, err = selectFunctions(m, file, names); err != nil {
			return err
		}
		dir := filepath.Dir(file)
		modules, err := c.buildAll(cmd.Context(), &partly, dir)
		if err != nil {
			return err
		}
		files, err := writeModules(cmp.Or(out, filepath.Join(dir, distDir)), partly.Functions, modules)
		if err != nil {
			return err
		}
		for _, b := range files {
			if fault := b.unfit(); fault != "" {
				c.say("warning: function %s: %s", b.Function, fault)
			}
		}
		if err := c.showBuilt(files); err != nil || !check {
			return err
		}
		return c.checkAll(cmd.Context(), dir, partly.Functions)
	}
	return cmd
}

// builtFile is one function as a file.
type builtFile struct {
	Function string `json:"function"`
	Kind     string `json:"kind"`
	Bytes    int    `json:"bytes"`
	File     string `json:"file"`
	// Packages are those of npm in a script, the largest first.
	Packages []builtPackage `json:"packages,omitempty"`
	// Imports are what a module of WebAssembly imports.
	Imports []string `json:"imports,omitempty"`
}

type builtPackage struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

func writeModules(dir string, functions []manifest.Function, modules []built) ([]builtFile, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make the directory of built functions: %w", err)
	}
	var out []builtFile
	for i, f := range functions {
		b, end := describeModule(modules[i])
		b.Function, b.File = f.Name, filepath.Join(dir, f.Name+end)
		if err := os.WriteFile(b.File, modules[i].module, 0o666); err != nil {
			return nil, fmt.Errorf("write function %s: %w", f.Name, err)
		}
		out = append(out, b)
	}
	return out, nil
}

// describeModule says what a module is, and how its file's name ends.
func describeModule(b built) (out builtFile, end string) {
	out.Bytes = len(b.module)
	info, err := wasminfo.Read(b.module)
	if err == nil {
		out.Kind, out.Imports = info.Kind, info.Imports
		return out, ".wasm"
	}
	if strings.HasPrefix(string(b.module), "\x00asm") {
		out.Kind = "broken: " + err.Error()
		return out, ".wasm"
	}
	out.Kind = "javascript"
	for _, p := range b.parts {
		if p.Name != "" {
			out.Packages = append(out.Packages, builtPackage{p.Name, p.Bytes})
		}
	}
	return out, ".js"
}

// unfit says why no runtime takes a module, as far as that is plain to see.
func (b builtFile) unfit() string {
	switch b.Kind {
	case "component":
		return "it is a component, which the runtime does not run; build a core module for WASI preview 1, in Rust for wasm32-wasip1"
	case "module":
		return "it exports neither evoke_handle nor _start, so the runtime does not run it; docs/guests.md has what a function is"
	}
	return ""
}

// imported is one line of what a function imports.
func (b builtFile) imported() string {
	var out []string
	for _, p := range b.Packages {
		out = append(out, fmt.Sprintf("%s (%s)", p.Name, size(int64(p.Bytes))))
	}
	counts := map[string]int{}
	for _, name := range b.Imports {
		module, _, _ := strings.Cut(name, ".")
		if counts[module]++; counts[module] == 1 {
			out = append(out, module)
		}
	}
	for i, module := range out {
		if n := counts[module]; n > 0 {
			out[i] = fmt.Sprintf("%s (%d)", module, n)
		}
	}
	return strings.Join(out, ", ")
}

func (c *cli) showBuilt(files []builtFile) error {
	return list[builtFile]{
		name: func(b builtFile) string { return b.Function },
		none: "there are no functions",
		columns: []column[builtFile]{
			{title: "FUNCTION", text: func(b builtFile) string { return b.Function }},
			{title: "KIND", text: func(b builtFile) string { return b.Kind }},
			{title: "SIZE", text: func(b builtFile) string { return size(int64(b.Bytes)) }},
			{title: "FILE", text: func(b builtFile) string { return b.File }},
			{title: "IMPORTS", text: builtFile.imported},
		},
	}.show(c, files)
}

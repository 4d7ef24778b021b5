package jsbuild

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	const noNet = `"net" is a part of Node, which functions do not have; fetch is the only way out`
	for _, c := range []struct {
		name, source string
		files        map[string]string
		want         []string // one text of each fault
		try          string
		about        []string // files; nil = a.ts
	}{
		{name: "syntax", source: "export default () => {\n  const a: number = ;\n}", want: []string{"a.ts:2:20:"}},
		{name: "package that is not there", source: "import { x } from 'lodash/fp';\nimport '@scope/b/c'\nexport default () => x", want: []string{"a.ts:1:18:", "a.ts:2:7:"}, try: "npm install @scope/b lodash beside the source, or correct the name"},
		{name: "package that has no such file", source: "import 'pkg/none'; export default () => 1", files: map[string]string{"node_modules/pkg/package.json": `{"name":"pkg","exports":{".":"./index.js"}}`, "node_modules/pkg/index.js": ""},
			want: []string{`The path "./none" is not exported by package "pkg"`}, about: []string{"a.ts", "node_modules/pkg/package.json"}},
		{name: "file that is not there", source: "import { x } from './x';\nexport default () => x", want: []string{"A path begins at the file that imports it"}},
		{name: "built-in", source: "import fs from 'fs';\nexport default () => fs", want: []string{`"fs" is a part of Node, which functions do not have; import a file as data when it is built, or keep what changes in context.state`}},
		{name: "built-in with its prefix", source: "import net from 'node:net';\nexport default () => net", want: []string{noNet}},
		{name: "built-in nobody replaces", source: "import os from 'node:os';\nexport default () => os", want: []string{`"os" is a part of Node, which functions do not have; use a package that does without, or write the function in Go`}},
		{name: "built-in of a later Node", source: "import test from 'node:sqlite';\nexport default () => test", want: []string{`"sqlite" is a part of Node`}},
		{name: "part of a built-in", source: "import { readFile } from 'fs/promises';\nexport default () => readFile", want: []string{`"fs/promises" is a part of Node`}},
		{name: "built-ins through packages", source: "import { outer } from 'outer';\nexport default () => outer", files: map[string]string{
			"node_modules/outer/index.js": "export { inner as outer } from '@x/inner'", "node_modules/@x/inner/index.js": "import net from 'net'; import n2 from 'net'; import tls from 'node:tls'; export const inner = [net, n2, tls]"},
			want: []string{noNet + "; the package @x/inner wants it, which outer imports", `"tls" is a part of Node, which functions do not have; fetch is the only way out; the package @x/inner wants it, which outer imports`}, about: []string{"node_modules/@x/inner/index.js"}},
		{name: "address", source: "import x from 'https://example.com/x.js';\nexport default () => x", want: []string{`"https://example.com/x.js" is an address; packages are bundled from node_modules`}},
		{name: "unknown kind of file", source: "import x from './x.wasm';\nexport default () => x", files: map[string]string{"x.wasm": "\x00asm"}, want: []string{"WebAssembly cannot be imported by scripts"}},
		{name: "export that is not there", source: "import { b } from './b';\nexport default () => b", want: []string{`No matching export in "b.ts" for import "b"`}, about: []string{"a.ts", "b.ts"}},
		{name: "fault of another file", source: "import './c'; export default () => 1", files: map[string]string{"c.ts": "const c = ;"}, want: []string{"c.ts:1:10:"}, about: []string{"c.ts"}},
		{name: "no default export", source: "export const handler = () => 1, other = 2", want: []string{"a.ts has no default export, so nothing says what handles events; it exports handler, other"}, try: "export default function (event, context) { … }, or an object with fetch(request, env, context)"},
		{name: "no export", source: "console.log(1)", want: []string{"a.ts has no default export, so nothing says what handles events"}, try: "export default function (event, context) { … }, or an object with fetch(request, env, context)"},
		{name: "no UTF-8", source: "import './c'; export default () => 'gr\xfc\xdf'", want: []string{"a.ts is not UTF-8 text: byte 38 begins no character"}, try: "save it as UTF-8", about: []string{"a.ts", "c.ts"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"a.ts": c.source, "b.ts": "export const a = 1", "c.ts": ""}
			for name, text := range c.files {
				files[name] = text
			}
			dir := write(t, files)
			_, err := Build(filepath.Join(dir, "a.ts"))
			var e *Error
			if !errors.As(err, &e) || len(e.Faults) != len(c.want) || e.Try != c.try || strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "external") {
				t.Fatalf("%v\ntry %q, want %q", err, e.Try, c.try)
			}
			var about []string
			for _, name := range strings.Fields(cmp.Or(strings.Join(c.about, " "), "a.ts")) {
				about = append(about, filepath.Join(dir, name))
			}
			if got := e.Files(); !slices.Equal(got, about) {
				t.Errorf("it is about %q, want %q", got, about)
			}
			for i, want := range c.want {
				if !strings.Contains(e.Faults[i], want) {
					t.Errorf("%s\nwant %s", e.Faults[i], want)
				}
			}
		})
	}
	if _, err := Build(filepath.Join(t.TempDir(), "none.ts")); err == nil || !strings.Contains(err.Error(), "none.ts") {
		t.Error(err)
	}
}

func TestManyFaultsAreCut(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for n := range maxFaults + 3 {
		fmt.Fprintf(&source, "import './x%d';\n", n)
	}
	_, err := Build(filepath.Join(write(t, map[string]string{"a.js": source.String()}), "a.js"))
	var e *Error
	if !errors.As(err, &e) || len(e.Faults) != maxFaults+1 || e.Faults[maxFaults] != "and 3 more" {
		t.Error(err)
	}
}

// A module that is too large says what is in it, and one that is too large by its source map alone does without.
func TestLargeModules(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return "export const text = '" + strings.Repeat("x", n) + "'" }
	build := func(files map[string]string, largest int) (Result, error) {
		p, err := Open(filepath.Join(write(t, files), "a.js"))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if p.largest != 8<<20 {
			t.Errorf("a module may have %d bytes", p.largest)
		}
		p.largest = largest
		return p.Build()
	}
	_, err := build(map[string]string{
		"a.js":                                "import { text as a } from 'big'; import { text as b } from '@x/bigger'; import { text as c } from './own'; export default () => a + b + c",
		"own.js":                              text(10),
		"node_modules/big/index.js":           text(300 << 10),
		"node_modules/@x/bigger/package.json": `{"main":"lib/main.js"}`, "node_modules/@x/bigger/lib/main.js": text(600 << 10),
	}, 512<<10)
	var e *Error
	if want := "the module has 0.9 MiB, and a script may have 0.5 MiB; the most of it is @x/bigger (0.6 MiB), big (0.3 MiB), your own files (0.0 MiB)"; !errors.As(err, &e) || err.Error() != want || e.Try == "" {
		t.Errorf("%v, want %s", err, want)
	}
	const largest = 20 << 10
	lines := strings.Repeat("a.push(1);\n", largest/15) // their source map is as long as they are
	r, err := build(map[string]string{"a.js": "const a = [];\n" + lines + "export default () => a.length"}, largest)
	if err != nil || len(r.Script) > largest || len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "with its source map") || !strings.HasSuffix(string(r.Script), "\n//# sourceURL=a.js\n") {
		t.Errorf("%v, %d bytes, %q", err, len(r.Script), r.Notes)
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"node_modules/a/b.js": {"a", "a/b.js"}, "../node_modules/@a/b/c.js": {"@a/b", "@a/b/c.js"}, "node_modules/a/node_modules/b/c/d.js": {"b", "b/c/d.js"}, "src/a.ts": {"", "src"},
	} {
		if got := packageOf(name); got != want[0] {
			t.Errorf("%s is of %q, want %q", name, got, want[0])
		}
	}
	for name, want := range map[string]string{"": "", "a": "a", "a/b": "a", "@a": "@a", "@a/b": "@a/b", "@a/b/c": "@a/b"} {
		if got := topOf(name); got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
}

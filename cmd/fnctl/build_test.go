package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBuildIntoFiles(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"fn.yaml":                      "version: 1\napp: shop\nfunctions: { order: { source: ./order.ts }, raw: { wasm: ./raw.wasm } }\n",
		"order.ts":                     "import { sum } from '@x/sum'\nimport { handle } from '@evoke/sdk'\nexport default handle<number[]>(event => sum(event.data))\n",
		"node_modules/@x/sum/index.js": "export const sum = list => list.reduce((a, b) => a + b, 0)\n",
		"raw.wasm":                     "\x00asm\x01\x00\x00\x00\x02\x12\x01\x08evoke_v1\x05reply\x00\x00\x07\x0a\x01\x06_start\x00\x00",
	})
	r := execute(t.Context(), t, "", nil, "build", dir, "-o", "json")
	var files []builtFile
	if err := json.Unmarshal([]byte(r.out), &files); err != nil || r.code != exitOK || len(files) != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	order, raw := files[0], files[1]
	script, err := os.ReadFile(filepath.Join(dir, "dist", "order.js"))
	if err != nil || !strings.Contains(string(script), "reduce") || order.Bytes != len(script) || order.File != filepath.Join(dir, "dist", "order.js") || order.Kind != "javascript" {
		t.Errorf("%+v %v", order, err)
	}
	if len(order.Packages) != 1 || order.Packages[0].Name != "@x/sum" || order.Packages[0].Bytes < 10 {
		t.Errorf("%+v", order.Packages)
	}
	if raw.Kind != "wasi-command" || fmt.Sprint(raw.Imports) != "[evoke_v1.reply]" || raw.File != filepath.Join(dir, "dist", "raw.wasm") {
		t.Errorf("%+v", raw)
	}
	out := filepath.Join(t.TempDir(), "made", "here")
	r = execute(t.Context(), t, "", nil, "build", dir, "raw", "--out", out)
	if want := []string{"FUNCTION", "KIND", "SIZE", "FILE", "IMPORTS", "raw", "wasi-command", "40", "B", filepath.Join(out, "raw.wasm"), "evoke_v1", "(1)"}; !slices.Equal(strings.Fields(r.out), want) || r.code != exitOK {
		t.Errorf("%s%s\nwant\n%s", r.out, r.stderr, want)
	}
}

func TestBuildOfWhatDoesNotRun(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"fn.yaml": "version: 1\napp: shop\nfunctions: { a: { wasm: a.wasm }, b: { wasm: b.wasm } }\n", "a.wasm": "\x00asm\x0d\x00\x01\x00", "b.wasm": "\x00asm\x01\x00\x00\x00"})
	r := execute(t.Context(), t, "", nil, "build", dir)
	for _, want := range []string{"warning: function a: it is a component, which the runtime does not run; build", "warning: function b: it exports neither evoke_handle nor _start"} {
		if r.code != exitOK || !strings.Contains(r.stderr, want) {
			t.Errorf("%+v\nwant %s", r, want)
		}
	}
}

func TestBuildThatFails(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"fn.yaml": "version: 1\napp: shop\nfunctions: { a: { source: a.ts }, b: { source: b.ts } }\n", "a.ts": "import 'zod'; export default () => 1", "b.ts": "export default () => 2"})
	r := execute(t.Context(), t, "", nil, "build", dir)
	if want := "Try: npm install zod beside the source, or correct the name\n"; r.code != exitFailed || !strings.Contains(r.stderr, "function a: ") || !strings.Contains(r.stderr, "a.ts:1:7:") || !strings.HasSuffix(r.stderr, want) {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(dir, "dist")); err == nil {
		t.Error("it wrote something")
	}
}

// The compiler is a script here: what it is asked is its answer.
func TestBuildChecks(t *testing.T) {
	t.Parallel()
	manifest := "version: 1\napp: shop\nfunctions: { a: { source: f/a.ts }, b: { source: f/b.ts }, c: { source: c.js } }\n"
	sources := map[string]string{"fn.yaml": manifest, "f/a.ts": "export default () => 1", "f/b.ts": "export default () => 2", "c.js": "export default () => 3"}
	with := func(files map[string]string) string {
		all := map[string]string{}
		for _, some := range []map[string]string{sources, files} {
			for name, text := range some {
				all[name] = text
			}
		}
		dir := writeFiles(t, all)
		if tsc := filepath.Join(dir, "node_modules", ".bin", "tsc"); files["node_modules/.bin/tsc"] != "" {
			if err := os.Chmod(tsc, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	tsconfig := `{"compilerOptions": {"paths": {"@evoke/sdk": ["./.fnctl/js"]}}}`
	for _, c := range []struct {
		name  string
		files map[string]string
		code  int
		want  string
	}{
		{"no project", nil, exitOK, "note: function b: its types were not checked: there is no tsconfig.json; fnctl new -l ts makes one to begin with\n"},
		{"no compiler", map[string]string{"tsconfig.json": tsconfig}, exitOK, "note: function c: its types were not checked: the project has no TypeScript compiler; npm install --save-dev typescript\n"},
		{"nothing found", map[string]string{"tsconfig.json": tsconfig, "node_modules/.bin/tsc": "#!/bin/sh\necho $* && cat DIR/.fnctl/js/package.json"}, exitOK, "checking a: tsc DIR/tsconfig.json\n"},
		{"something found", map[string]string{"tsconfig.json": tsconfig, "node_modules/.bin/tsc": "#!/bin/sh\necho \"f/a.ts(1,1): error $*\"\nexit 2"}, exitFailed,
			"error: tsc DIR/tsconfig.json:\nf/a.ts(1,1): error --noEmit --pretty false --project DIR/tsconfig.json\nTry: correct the places named above\n"},
		{"no node", map[string]string{"tsconfig.json": tsconfig, "node_modules/.bin/tsc": "#!/bin/sh\necho \"env: 'node': No such file\"\nexit 127"}, exitFailed,
			"error: DIR/node_modules/.bin/tsc cannot run: env: 'node': No such file\nTry: install Node, in which the TypeScript compiler runs; fnctl itself needs none\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := with(c.files)
			if file := filepath.Join(dir, "node_modules", ".bin", "tsc"); c.files["node_modules/.bin/tsc"] != "" {
				if err := os.WriteFile(file, []byte(strings.ReplaceAll(c.files["node_modules/.bin/tsc"], "DIR", dir)), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			r := execute(t.Context(), t, "", nil, "build", dir, "--check")
			said := strings.ReplaceAll(r.stderr, dir, "DIR")
			if r.code != c.code || !strings.Contains(said, c.want) || strings.Count(said, "checking") > 1 {
				t.Errorf("%d %s\nwant %d %s", r.code, said, c.code, c.want)
			}
			if strings.Count(r.out, "\n") != 4 {
				t.Errorf("stdout %s", r.out)
			}
		})
	}
}

// go vet sees that functions of the SDK take formats as Printf does.
func TestBuildChecksFormatsOfTheLog(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"fn.yaml": "version: 1\napp: shop\nfunctions: { a: { source: ./a } }\n",
		"a/main.go": "package main\n\nimport (\n\t\"context\"\n\n\tevoke \"github.com/evoke-run/evoke/sdk/go\"\n)\n\nfunc init() { evoke.Handle(a) }\n\nfunc main() {}\n\n" +
			"func a(context.Context, *evoke.Event) (evoke.Reply, error) {\n\tevoke.Infof(\"%d\", \"x\")\n\treturn evoke.Reply{}, evoke.Rejectf(\"%d\", \"x\")\n}\n",
	})
	r := execute(t.Context(), t, "", nil, "build", dir, "--check")
	for _, want := range []string{"main.go:14:15: ", "Infof format %d has arg \"x\" of wrong type string", "main.go:15:39: ", "Rejectf format %d"} {
		if r.code != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("code %d, %s\nwant %s", r.code, r.stderr, want)
		}
	}
}

package jsbuild

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuild(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"my order.ts":                        "import { total, type Order } from './lib';\nimport { round } from 'rounding';\nimport rates from './rates.json';\nimport { EventEmitter } from 'events';\nexport default (event: { data: Order }): number => round(total(event.data) * rates.EUR) + new EventEmitter().n;\n",
		"lib.ts":                             "export interface Order { items: number[] }\nexport const total = (o: Order): number => o.items.reduce((a, b) => a + b, 0);\n",
		"rates.json":                         `{"EUR":1.17}`,
		"node_modules/rounding/package.json": `{"name":"rounding","module":"esm.js","main":"cjs.js"}`,
		"node_modules/rounding/esm.js":       "export const round = process.env.NODE_ENV === 'production' ? Math.round : null;\n",
		"node_modules/rounding/cjs.js":       "throw new Error('the wrong one')\n",
		"node_modules/events/index.js":       "exports.EventEmitter = class { n = 0 };\n",
	})
	r, err := Build(filepath.Join(dir, "my order.ts"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(r.Script)
	for _, want := range []string{"1.17", "Math.round", "as default", "\n//# sourceURL=my_order.ts\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "wrong one") || strings.Contains(text, "Order }") || strings.Contains(text, dir) {
		t.Errorf("in the module:\n%s", text)
	}
	_, encoded, _ := strings.Cut(text, "\n//# sourceMappingURL=data:application/json;base64,")
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Sources        []string
		SourcesContent []string
	}
	if err := json.Unmarshal(decoded, &m); err != nil || !slices.Contains(m.Sources, "my order.ts") || !slices.Contains(m.Sources, "lib.ts") || m.SourcesContent != nil {
		t.Errorf("%v %+v", err, m)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 4 {
		t.Errorf("the build left something behind: %v %v", entries, err)
	}
}

// What is only tried, and what a package has for browsers, needs no Node.
func TestBuildWithoutNode(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"a.js":   "import 'node:events'; import { r } from 'web'; import text from './a.html'; import bytes from './a.bin';\nlet os; try { os = require('os') } catch {}\nexport default async () => [os, r, text, bytes, global.x, await import('node:fs')]",
		"a.html": "<p>hi</p>", "a.bin": "\xff", "node_modules/events/index.js": "globalThis.used = 'events'",
		"node_modules/web/package.json": `{"name":"web","exports":{"browser":"./web.js","default":"./node.js"},"browser":{"crypto":false}}`,
		"node_modules/web/web.js":       "export { default as r } from 'crypto'", "node_modules/web/node.js": "import 'net'",
	})
	r, err := Build(filepath.Join(dir, "a.js"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(r.Script); !strings.Contains(text, "used = ") || !strings.Contains(text, "<p>hi</p>") || !strings.Contains(text, "globalThis.x") {
		t.Error(text)
	}
	want := `a.js loads "node:fs" while it runs, which fails: "fs" is a part of Node, which functions do not have; import a file as data when it is built, or keep what changes in context.state`
	if len(r.Notes) != 1 || r.Notes[0] != want {
		t.Errorf("%q, want %s", r.Notes, want)
	}
	if len(r.Parts) == 0 || r.Parts[0].Name != "" || !slices.ContainsFunc(r.Parts, func(p Part) bool { return p.Name == "events" }) {
		t.Errorf("%+v", r.Parts)
	}
}

// The SDK needs no installation, one that is installed is used, and the one for editors is not.
func TestSDK(t *testing.T) {
	t.Parallel()
	const source, installed = "import { handle, reject } from '@evoke/sdk'\nexport default handle(() => { throw reject('no') })", "export const handle = f => f, reject = 'the installed one'"
	paths := `{"compilerOptions":{"paths":{"@evoke/sdk":["./node_modules/@evoke/sdk","./.fnctl/js"]}}}`
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":   {nil, "reject: true"},
		"editors":   {map[string]string{"tsconfig.json": paths, ".fnctl/js/index.js": "export const handle = 1, reject = 'an old one'"}, "reject: true"},
		"clone":     {map[string]string{"tsconfig.json": paths}, "reject: true"},
		"installed": {map[string]string{"tsconfig.json": paths, ".fnctl/js/index.js": "", "node_modules/@evoke/sdk/index.js": installed}, "the installed one"},
	} {
		files := map[string]string{"f/a.ts": source}
		for name, text := range c.files {
			files[name] = text
		}
		r, err := Build(filepath.Join(write(t, files), "f", "a.ts"))
		if err != nil || !strings.Contains(string(r.Script), c.want) {
			t.Errorf("%s: %v\n%s\nwant %s", name, err, r.Script, c.want)
		}
	}
}

// A project is built again without what has not changed, says what it was made of, and a fault does not end it.
func TestProjectIsBuiltAgain(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"app/main.ts":           "import { two } from '../lib/two';\nimport { three } from 'three';\nexport default () => two + three;\n",
		"lib/two.ts":            "export const two = 2;\n",
		"node_modules/three.js": "export const three = 3;\n",
	})
	p, err := Open(filepath.Join(dir, "app", "main.ts"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	first, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "app/main.ts"), filepath.Join(dir, "lib/two.ts"), filepath.Join(dir, "node_modules/three.js")}
	if !slices.Equal(first.Inputs, want) {
		t.Errorf("inputs %q, want %q", first.Inputs, want)
	}
	save := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "lib/two.ts"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	save("export const two = ;\n")
	var fault *Error
	if _, err := p.Build(); !errors.As(err, &fault) || !strings.Contains(err.Error(), "lib/two.ts:1:19") || !strings.Contains(err.Error(), "^") {
		t.Errorf("the fault is told as %v", err)
	}
	save("export const two = 22;\n")
	second, err := p.Build()
	if err != nil || !strings.Contains(string(second.Script), "22") {
		t.Errorf("built again: %s, %v", second.Script, err)
	}
	save("export const two = 2;\n")
	if third, err := p.Build(); err != nil || string(third.Script) != string(first.Script) {
		t.Errorf("the same sources give other bytes: %v\n%s", err, third.Script)
	}
}

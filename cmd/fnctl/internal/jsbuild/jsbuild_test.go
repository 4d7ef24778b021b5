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

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, source, want string }{
		{"syntax", "export default () => {\n  const a: number = ;\n}", "a.ts:2:20:"},
		{"not there", "import { x } from 'lodash';\nexport default () => x", `Could not resolve "lodash"`},
		{"file that is not there", "import { x } from './x';\nexport default () => x", `Could not resolve "./x"`},
		{"fs", "import fs from 'fs';\nexport default () => fs", `"fs" is a part of Node, which functions do not have; import a file as data when it is built, or keep what changes in context.state`},
		{"node:net", "import net from 'node:net';\nexport default () => net", `"net" is a part of Node, which functions do not have; use a package that does without, or write the function in Go`},
		{"fs/promises", "import { readFile } from 'fs/promises';\nexport default () => readFile", `"fs/promises" is a part of Node`},
		{"export that is not there", "import { b } from './b';\nexport default () => b", `No matching export in "b.ts" for import "b"`},
	} {
		dir := write(t, map[string]string{"a.ts": c.source, "b.ts": "export const a = 1"})
		_, err := Build(filepath.Join(dir, "a.ts"))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), dir) || len(e.Faults) != 1 {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if _, err := Build(filepath.Join(t.TempDir(), "none.ts")); err == nil || !strings.Contains(err.Error(), "none.ts") {
		t.Error(err)
	}
}

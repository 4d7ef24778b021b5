package main

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
)

func TestDeployOfScripts(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"fn.yaml": "version: 1\napp: shop\nfunctions: { hello: { source: ./hello.ts } }\n", "hello.ts": "import { hi } from './lib'\nexport default (): string => hi\n", "lib.ts": "export const hi: string = 'hi'\n",
	})
	built, err := jsbuild.Build(filepath.Join(dir, "hello.ts"))
	if err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(built.Script))
	f := newFake(t, map[string]any{
		"HEAD /modules/" + digest: stub{404, ""}, "PUT /modules/" + digest: stub{204, ""},
		"PUT /ns/default/apps/shop": api.Deployed{App: "shop", Functions: []api.DeployedFunction{{Name: "hello", Revision: 1, Change: "created"}}},
	})
	n := size(int64(len(built.Script)))
	f.fnctl("deploy", dir, "-o", "name").want(t, exitOK, "hello\n", fmt.Sprintf("built hello (%s)\nuploaded hello (%s)\n", n, n))
}

func TestScriptsThatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	dir := writeFiles(t, map[string]string{"fn.yaml": "version: 1\napp: shop\nfunctions: { a: { source: a.ts }, b: { source: ./b.js }, c: { source: c.js } }\n", "a.ts": "export default () => {\n  const a: number = ;\n}\n", "c.js": "import 'fs'"})
	got := f.fnctl("deploy", dir)
	for _, want := range []string{"function a: ", "a.ts:2:20:", "function b: there is no file " + filepath.Join(dir, "b.js"), `"fs" is a part of Node`} {
		if got.code != exitFailed || !strings.Contains(got.stderr, want) {
			t.Errorf("%d %s\nwant %s", got.code, got.stderr, want)
		}
	}
}

package main

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestDeployOfScripts(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"export default () => 1":                             "export default () => 1\n//# sourceURL=hello_world.js\n",
		"\xef\xbb\xbfexport default () => 1\n\n":             "export default () => 1\n//# sourceURL=hello_world.js\n",
		"export default () => 1\n//# sourceURL=src/hello.ts": "export default () => 1\n//# sourceURL=src/hello.ts",
	} {
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(want)))
		dir := writeFiles(t, map[string]string{"fn.yaml": "version: 1\napp: shop\nfunctions: { hello: { source: './hello world.js' } }\n", "hello world.js": content})
		f := newFake(t, map[string]any{
			"HEAD /modules/" + digest: stub{404, ""}, "PUT /modules/" + digest: stub{204, ""},
			"PUT /ns/default/apps/shop": api.Deployed{App: "shop", Functions: []api.DeployedFunction{{Name: "hello", Revision: 1, Change: "created"}}},
		})
		f.fnctl("deploy", dir, "-o", "name").want(t, exitOK, "hello\n", fmt.Sprintf("uploaded hello (%d B)\n", len(want)))
		if got := f.requests(); !strings.Contains(got, digest) {
			t.Errorf("asked\n%s", got)
		}
	}
}

func TestScriptsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	dir := writeFiles(t, map[string]string{"fn.yaml": "version: 1\napp: shop\nfunctions: { a: { source: a.js }, b: { source: ./b.js } }\n", "a.js": "// caf\xe9\nexport default () => 1\n"})
	got := f.fnctl("deploy", dir)
	if got.code != exitFailed || !strings.Contains(got.stderr, "function a: "+dir+"/a.js is not text in UTF-8") || !strings.Contains(got.stderr, "function b: read its script: open "+dir+"/b.js: ") {
		t.Errorf("%d %s", got.code, got.stderr)
	}
}

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
	"github.com/evoke-run/evoke/event"
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

// The event of a warm-up is read as those of tests are, and is part of what is deployed.
func TestDeployReadsWarmUps(t *testing.T) {
	t.Parallel()
	const app = "version: 1\napp: shop\nfunctions: { hello: { source: ./hello.js, warm: ./events/warm.json } }\n"
	files := map[string]string{"fn.yaml": app, "hello.js": "export default () => 1", "events/warm.json": `{ "evokehttp": { "path": "/orders/7" }, "data": { "n": 1 } }`}
	got := newFake(t, nil).fnctl("deploy", writeFiles(t, files), "--dry-run", "-o", "json")
	var shown api.App
	if err := json.Unmarshal([]byte(got.out), &shown); err != nil || got.code != exitOK {
		t.Fatalf("%d %s\n%s: %v", got.code, got.out, got.stderr, err)
	}
	w := shown.Functions["hello"].Warm
	if w == nil {
		t.Fatalf("no warm-up in %s", got.out)
	}
	e, err := event.FromParts(w.Event, w.Request)
	if err != nil || e.ID != "warm" || e.Type != event.HTTPRequestType || compactJSON(t, e.Data) != `{"n":1}` || !strings.Contains(compactJSON(t, e.Request), `"method":"POST","path":"/orders/7"`) {
		t.Errorf("%+v %s %s: %v", e, w.Event, w.Request, err)
	}
	for text, want := range map[string]string{
		"":               "function hello: warm: read event: ",
		"[]":             "warm.json: an event is a JSON object, and it is of type array",
		`{ "data": 1 }`:  "function hello: warm: ",
		`{ "type": "" }`: "function hello: warm: ",
	} {
		if files["events/warm.json"] = text; text == "" {
			delete(files, "events/warm.json")
		}
		got := newFake(t, nil).fnctl("deploy", writeFiles(t, files), "--dry-run")
		if got.code != exitFailed || !strings.Contains(got.stderr, want) {
			t.Errorf("%q: %d %s, want %s", text, got.code, got.stderr, want)
		}
	}
}

func compactJSON(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestNotesOfABuildNameTheFunction(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"fn.yaml": "version: 1\napp: shop\nfunctions: { hello: { source: ./hello.js } }\n", "hello.js": "export default () => eval('1')\n"})
	got := newFake(t, nil).fnctl("build", dir)
	if want := "note: function hello: ▲ [WARNING] Using direct eval"; got.code != exitOK || !strings.Contains(got.stderr, want) {
		t.Errorf("%d %s\nwant %s", got.code, got.stderr, want)
	}
}

func TestAdviceOnAGoModuleThatIsMissing(t *testing.T) {
	t.Parallel()
	err := error(&gobuild.CompileError{Dir: "./f", Output: "main.go:6:2: cannot find module providing package github.com/a/b: import lookup disabled by -mod=readonly\n"})
	const want = "go get github.com/a/b in ./f (go mod init first, when there is no go.mod), or correct the import"
	c := &cli{getenv: func(string) string { return "" }}
	if got := c.advice(&cobra.Command{Use: "build"}, err); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (&devSession{c: c}).try(err); got != want {
		t.Errorf("fnctl dev: %q", got)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/sdkzip"
)

// digestOf is the digest of the module "one".
const digestOf = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"

const twoFunctions = `version: 1
app: shop
functions:
  one: { wasm: one.wasm, on: { http: {} } }
  two: { wasm: ./sub/two.wasm }
`

func twoModules(t *testing.T) string {
	return writeFiles(t, map[string]string{"fn.yaml": twoFunctions, "one.wasm": "one", "sub/two.wasm": "one"})
}

var deployed = api.Deployed{
	App: "shop",
	Functions: []api.DeployedFunction{
		{Name: "one", Revision: 1, Change: "created", Triggers: []string{"one:http"}, URLs: []string{"/fn/one"}},
		{Name: "two", Revision: 3, Change: "unchanged"},
	},
	Orphans: []string{"old"},
}

func TestDeployUploadsWhatIsMissing(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"HEAD /modules/" + digestOf: stub{404, ""}, "PUT /modules/" + digestOf: stub{204, ""}, "PUT /ns/default/apps/shop": deployed,
	})
	f.fnctl("deploy", twoModules(t)).want(t, exitOK, `FUNCTION   REVISION   CHANGE      TRIGGERS   URLS
one        1          created     one:http   /fn/one
two        3          unchanged   -          -
`, "uploaded one (3 B)\nnote: function old is of app shop but not in its manifest any more; it stays as it is. To remove it: fnctl deploy --prune, or fnctl rm function old\n")
	want := "HEAD /modules/" + digestOf + "\nPUT /modules/" + digestOf + "\n" +
		`PUT /ns/default/apps/shop {"functions":{"one":{"module":"` + digestOf + `","allow":{},"on":[{"http":{}}]},"two":{"module":"` + digestOf + `","allow":{}}}}`
	if got := f.requests(); got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
}

func TestDeployOfSomeFunctions(t *testing.T) {
	t.Parallel()
	partly := api.Deployed{App: "shop", Functions: deployed.Functions[1:], Orphans: []string{"one"}}
	f := newFake(t, map[string]any{"HEAD /modules/" + digestOf: stub{200, ""}, "PUT /ns/default/apps/shop": partly})
	dir := twoModules(t)
	// "one" is in the manifest and was only not asked for, so it is no orphan.
	f.fnctl("deploy", "-f", filepath.Join(dir, "fn.yaml"), "two", "-o", "name").want(t, exitOK, "two\n", "nothing changed: app shop runs as "+filepath.Join(dir, "fn.yaml")+" says\n")
	if got := f.requests(); !strings.HasSuffix(got, `{"functions":{"two":{"module":"`+digestOf+`","allow":{}}}}`) || strings.Contains(got, "PUT /modules") {
		t.Errorf("asked\n%s", got)
	}
	f.fnctl("deploy", dir, "three").want(t, exitUsage, "", "error: "+filepath.Join(dir, "fn.yaml")+" has no function \"three\"\nTry: one of one, two\n")
}

func TestDryRunForMachinesAsksNobody(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	f.fnctl("deploy", twoModules(t), "two", "--dry-run", "-o", "yaml").want(t, exitOK, "functions:\n  two:\n    module: "+digestOf+"\n    allow: {}\n",
		"dry run: this is what would be deployed as app shop to namespace default; nothing was changed\n")
	if got := f.fnctl("deploy", twoModules(t), "--dry-run", "-o", "json"); !json.Valid([]byte(got.out)) {
		t.Errorf("got %s", got.out)
	}
	if got := f.requests(); got != "" {
		t.Errorf("asked\n%s", got)
	}
}

func TestDeployErrors(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"HEAD /modules/" + digestOf: stub{200, ""},
		"PUT /ns/default/apps/shop": api.Problem{Status: 422, Title: "invalid", Detail: "function one: not a wasm module", Next: "build it first"},
		"PUT /ns/acme/apps/shop": api.Problem{Status: 400, Detail: `functions.one.secrets: there is no secret "a"; functions.one.secrets: there is no secret "b"`, Next: "set the secret",
			Faults: []api.Fault{{Field: "functions.one.secrets", Problem: `there is no secret "a"`, Secret: "a"}, {Field: "functions.one.secrets", Problem: `there is no secret "b"`, Secret: "b"}}},
	})
	f.fnctl("deploy", twoModules(t)).want(t, exitFailed, "", "error: deploy app shop: function one: not a wasm module\nTry: build it first\n")
	f.fnctl("deploy", twoModules(t), "-n", "acme").want(t, exitFailed, "", "error: deploy app shop: functions.one.secrets: there is no secret \"a\"; functions.one.secrets: there is no secret \"b\"\n"+
		"Try: fnctl secret set a -n acme, fnctl secret set b -n acme, and deploy again\n")

	dir := writeFiles(t, map[string]string{"fn.yaml": strings.ReplaceAll(twoFunctions, "http", "htp")})
	file := filepath.Join(dir, "fn.yaml")
	f.fnctl("deploy", dir).want(t, exitFailed, "", "error: "+file+":4:32: functions.one.on.htp is not a known key; did you mean http?\n"+
		"Try: correct the places named above; nothing was changed on the server\n")

	dir = writeFiles(t, map[string]string{"fn.yaml": twoFunctions, "one.wasm": "one"})
	got := f.fnctl("deploy", dir)
	if got.code != exitFailed || !strings.HasPrefix(got.stderr, "error: function two: read its module: open "+filepath.Join(dir, "sub", "two.wasm")+": no such file") {
		t.Errorf("got %+v", got)
	}
}

func TestManifestFile(t *testing.T) {
	t.Parallel()
	dir := twoModules(t)
	for _, tc := range []struct {
		flag  string
		args  []string
		file  string
		names int
	}{
		{"", nil, "fn.yaml", 0},
		{"", []string{"charge"}, "fn.yaml", 1},
		{"", []string{"internal"}, "fn.yaml", 1}, // a directory here, but without a manifest
		{"", []string{dir, "one"}, filepath.Join(dir, "fn.yaml"), 1},
		{"", []string{"./x"}, "x/fn.yaml", 0},
		{"prod.yaml", []string{"a", "b"}, "prod.yaml", 2},
	} {
		if file, names := manifestFile(tc.flag, tc.args); file != tc.file || len(names) != tc.names {
			t.Errorf("%q %v: got %s, %v", tc.flag, tc.args, file, names)
		}
	}
}

const goFunctions = `version: 1
app: shop
functions:
  hello: { source: ./hello }
  broken: { source: ./broken }
`

const helloGo = `package main

import (
	"context"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() {
	evoke.Handle(func(ctx context.Context, e *evoke.Event) (evoke.Reply, error) { return evoke.Reply{}, nil })
}

func main() {}
`

// The archive that is checked in builds a function; what does not compile is shown as the compiler wrote it.
func TestDeployBuildsGoFunctionsWithTheRealSDK(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	dir := writeFiles(t, map[string]string{
		"fn.yaml": goFunctions, "hello/main.go": helloGo, "broken/main.go": "package main\n\nfunc main() { missing() }\n",
	})
	got := f.fnctl("deploy", dir, "hello", "--dry-run", "-o", "yaml")
	if got.code != 0 || !regexp.MustCompile(`module: sha256:[0-9a-f]{64}\n`).MatchString(got.out) || !strings.HasPrefix(got.stderr, "built hello (") {
		t.Fatalf("got %+v", got)
	}
	if again := f.fnctl("deploy", dir, "hello", "--dry-run", "-o", "yaml"); again.out != got.out {
		t.Errorf("the same sources gave\n%s\nthen\n%s", got.out, again.out)
	}
	got = f.fnctl("deploy", dir)
	want := "error: function broken: the go command cannot build " + filepath.Join(dir, "broken") + ":\n# function-broken\n./main.go:3:15: undefined: missing\n" +
		"Try: correct the code in " + filepath.Join(dir, "broken") + "; nothing was changed on the server\n"
	if got.code != exitFailed || !strings.HasSuffix(got.stderr, want) {
		t.Errorf("exit code %d, stderr\n%s\nwant\n%s", got.code, got.stderr, want)
	}
}

func TestArchiveIsOfTheSDKInThisRepository(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if err := sdkzip.Write(&want, os.DirFS("../../sdk/go")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sdkArchive, want.Bytes()) {
		t.Error("sdk.zip is not what sdk/go would give; run go generate ./cmd/fnctl")
	}
}

// fnctl is small because it leaves the server's libraries out. It has the filters, for fnctl filter and the filters of fn.yaml, and with them the CloudEvents SDK; the rules of a deploy, and with them those of schedules; and esbuild, which builds TypeScript.
func TestLinksNoServer(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", ".")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := regexp.MustCompile(`^github\.com/(evoke-run/evoke/(api|archive|cron|event|filter|manifest|ordered|rules|sdk/abi|sdk/js|sdk/rust|wire|cmd/fnctl.*)|spf13/(cobra|pflag)|goccy/go-yaml|inconshreveable/mousetrap|` +
		`cloudevents/sdk-go|antlr/antlr4|evanw/esbuild|fsnotify/fsnotify|google/uuid|json-iterator/go|netresearch/go-cron|modern-go)(/|$)|^go\.uber\.org/(zap|multierr)(/|$)|^golang\.org/x/sys/unix$`)
	for _, pkg := range strings.Fields(string(out)) {
		if strings.Contains(strings.Split(pkg, "/")[0], ".") && !allowed.MatchString(pkg) {
			t.Errorf("fnctl links %s", pkg)
		}
	}
}

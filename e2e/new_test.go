package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A new project, whatever it handles and in whatever language, passes its own test and can be deployed, with nothing but the two programs and Go.
func TestNewProjects(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	projects := a.dir
	for _, lang := range []string{"ts", "js", "go"} {
		for _, trigger := range []string{"http", "topic", "cron", "webhook"} {
			a.dir = projects
			name := lang + "-" + trigger
			a.must(t, "new", name, "-l", lang, "-t", trigger)
			a.dir = filepath.Join(projects, name)
			if trigger == "topic" { // a clone has no SDK for editors
				if err := os.RemoveAll(filepath.Join(a.dir, ".fnctl")); err != nil {
					t.Fatal(err)
				}
			}
			newProject(t, a, name, trigger)
		}
		if out := a.must(t, "invoke", lang+"-http", "-d", `{"name": "Ada"}`); strings.TrimSpace(out) != `{"text":"hello Ada"}` {
			t.Errorf("the new function replied %s", out)
		}
	}
}

// newProject tests and deploys the project that a is in.
func newProject(t *testing.T, a *app, name, trigger string) {
	t.Helper()
	before := readTree(t, a.dir)
	// With --update whatever is not as expected would be written: the files are compared below.
	if out := a.must(t, "test", "--update"); strings.Count(out, "ok ") == 0 || strings.Contains(out, "wrote") {
		t.Errorf("%s: fnctl test --update printed\n%s", name, out)
	}
	if after := readTree(t, a.dir); after != before {
		t.Errorf("%s: fnctl test --update changed a new project:\n%s\nbefore:\n%s", name, after, before)
	}
	if trigger == "webhook" {
		set := a.command("secret", "set", strings.ReplaceAll(name, "-", "_"))
		set.Stdin = strings.NewReader("a long and random text")
		if out, err := set.CombinedOutput(); err != nil {
			t.Fatalf("set the secret: %v\n%s", err, out)
		}
	}
	if out := a.must(t, "deploy"); !strings.Contains(out, name) {
		t.Errorf("%s: fnctl deploy printed\n%s", name, out)
	}
}

// The types of a new project are right, alone and beside those of browsers, with a compiler that npm installs.
func TestTypesOfNewProjects(t *testing.T) {
	t.Parallel()
	npm := installNpm(t, "typescript@5.9.3")
	a := sharedApp(t)
	projects := a.dir
	for lang, config := range map[string]string{"ts": "tsconfig.json", "js": "jsconfig.json"} {
		for _, trigger := range []string{"http", "topic", "cron", "webhook"} {
			a.dir = projects
			name := lang + "-" + trigger
			a.must(t, "new", name, "-l", lang, "-t", trigger)
			a.dir = filepath.Join(projects, name)
			if err := os.Symlink(filepath.Join(npm, "node_modules"), filepath.Join(a.dir, "node_modules")); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(a.dir, ".fnctl")); err != nil { // as in a clone
				t.Fatal(err)
			}
			if r := a.fnctl(t, "build", "--check"); r.code != 0 || !strings.Contains(r.stderr, "checking "+name+": tsc ") {
				t.Errorf("%s: %s", name, r)
			}
			if trigger != "http" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(a.dir, config))
			if err != nil {
				t.Fatal(err)
			}
			strict := strings.NewReplacer(`"skipLibCheck": true`, `"skipLibCheck": false`, `["ES2023"]`, `["ES2023", "DOM", "DOM.Iterable"]`).Replace(string(text))
			a.write(t, config, []byte(strict))
			if r := a.fnctl(t, "build", "--check"); r.code != 0 {
				t.Errorf("%s beside the types of browsers: %s", name, r)
			}
		}
	}
	a.write(t, "main.js", []byte("import { handle } from '@evoke/sdk';\nexport default handle((event, context) => context.emitt('a', {}));\n"))
	a.write(t, "main.ts", []byte("import { handle } from '@evoke/sdk';\nexport default handle((event, context) => context.emitt('a', {}));\n"))
	if r := a.fnctl(t, "build", "--check"); r.code != 1 || !strings.Contains(r.stderr, "(2,51): error TS2551: Property 'emitt' does not exist on type 'Context'. Did you mean 'emit'?") || !strings.Contains(r.stderr, "Try: correct the places named above") {
		t.Errorf("a wrong name: %s", r)
	}
}

// readTree is the names and texts of all files of a project but for the SDK.
func readTree(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	for _, pattern := range []string{"*", "events/*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil {
				out.WriteString(file + "\n" + string(text))
			}
		}
	}
	return out.String()
}

// A function that ends badly is a result, too, and it is told what its log said.
func TestTestOfWhatEndsBadly(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	for name, text := range map[string]string{
		"fn.yaml": "version: 1\napp: bad\nfunctions:\n  bad: { source: ., timeout: 3s, on: { http: {} } }\n",
		"main.go": `package main

import (
	"context"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(bad) }

func main() {}

func bad(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	evoke.Infof("asked to %s", e.Type)
	switch e.Type {
	case "panic":
		panic("on purpose")
	case "loop":
		for {
		}
	}
	return evoke.NoReply(), evoke.Rejectf("no such thing: %s", e.Type)
}
`,
		"events/panic.json": `{"type": "panic"}`, "events/loop.json": `{"type": "loop"}`, "events/reject.json": `{"type": "other"}`,
		"events/broken.json": `{"type": "other"}`, "events/broken.golden.json": `{`, "events/renamed/a.json": `{"type": "other"}`, "events/gone.golden.json": `{}`,
		"events/reject.golden.json": `{"verdict": "rejected", "reason": "no such thing: other"}`,
	} {
		a.write(t, name, []byte(text))
	}
	r := a.fnctl(t, "test")
	for _, want := range []string{
		"FAIL  events/broken.json\n      events/broken.golden.json: it is no JSON: unexpected EOF\n      log info: asked to other\n",
		"FAIL  events/loop.json\n      there is no events/loop.golden.json, so nothing is expected; this came:\n", `"class": "deadline"`, "log info: asked to loop",
		"FAIL  events/panic.json\n", "on purpose", "ok    events/reject.json\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is not in what was printed", want)
		}
	}
	for _, want := range []string{"warning: events/renamed is not tested: there is no function renamed\n", "warning: events/gone.golden.json is of no use: there is no gone.json beside it\n"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("%s\nwant %s", r.stderr, want)
		}
	}
	if want := "error: 3 of 4 events did not come to what is expected\nTry: fnctl test --update, when what comes is right\n"; r.code != 1 || !strings.HasSuffix(r.stderr, want) || t.Failed() {
		t.Errorf("%s\nwant %s", r, want)
	}
}

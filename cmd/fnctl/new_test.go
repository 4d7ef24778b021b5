package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/manifest"
)

// newIn runs fnctl new where dir is.
func newIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	c, out, stderr := newCLI(t, "", nil)
	c.dir = dir
	code := c.execute(t.Context(), append([]string{"new"}, args...))
	return result{code, out.String(), stderr.String()}
}

func TestNewSaysWhatItMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newIn(t, dir, "hello").want(t, exitOK, "", `made hello: a function in TypeScript for http
  hello/.gitignore
  hello/events/hello.golden.json
  hello/events/hello.json
  hello/events/nobody.golden.json
  hello/events/nobody.json
  hello/fn.schema.json
  hello/fn.yaml
  hello/main.ts
  hello/tsconfig.json
next: cd hello && fnctl test && fnctl dev
`)
	newIn(t, dir, "greet", "-l", "Go", "-t", "webhook").want(t, exitOK, "", `made greet: a function in Go for webhook
  greet/.gitignore
  greet/events/ping.golden.json
  greet/events/ping.json
  greet/events/push.golden.json
  greet/events/push.json
  greet/fn.schema.json
  greet/fn.yaml
  greet/go.mod
  greet/main.go
next: cd greet && fnctl test && fnctl secret set greet && fnctl deploy
`)
	for _, file := range []string{"hello/.fnctl/js/index.d.ts", "greet/.fnctl/sdk/go.mod"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Errorf("the SDK for editors: %v", err)
		}
	}
}

// Whatever the trigger, the manifest of a new project is valid, its events are JSON, each has its golden file, and no mark of a template is left.
func TestNewProjectsAreWhole(t *testing.T) {
	t.Parallel()
	for _, l := range languages {
		for _, trigger := range l.triggers() {
			t.Run(l.name+" "+trigger, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if r := newIn(t, dir, "my-app", "-l", l.name, "-t", trigger); r.code != exitOK {
					t.Fatalf("%+v", r)
				}
				root := filepath.Join(dir, "my-app")
				text, err := os.ReadFile(filepath.Join(root, "fn.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				m, err := manifest.Parse("fn.yaml", text)
				if err != nil {
					t.Fatal(err)
				}
				if m.App != "my-app" || len(m.Functions) != 1 || m.Functions[0].Name != "my-app" || len(m.Functions[0].Spec.Triggers) != 1 {
					t.Errorf("the manifest came to %+v", m)
				}
				events, err := filepath.Glob(filepath.Join(root, "events", "*.json"))
				if err != nil || len(events) < 2 {
					t.Errorf("events: %v, %v", events, err)
				}
				for _, file := range events {
					text, err := os.ReadFile(file)
					if err != nil || !json.Valid(text) || bytes.Contains(text, []byte("{{.")) {
						t.Errorf("%s: %v\n%s", file, err, text)
					}
					golden := strings.TrimSuffix(strings.TrimSuffix(file, ".json"), ".golden") + ".golden.json"
					if _, err := os.Stat(golden); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 64)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "error: fnctl new needs the NAME of the project\nTry: fnctl new --help\n"},
		{[]string{"taken"}, "error: DIR/taken exists; nothing was written\nTry: another NAME, or move DIR/taken away\n"},
		{[]string{"Bad Name"}, "error: \"Bad Name\" is not a name for a project: it is 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit\nTry: fnctl new bad-name\n"},
		{[]string{long}, "error: \"" + long + "\" is not a name for a project: it is 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit\nTry: fnctl new " + long[:63] + "\n"},
		{[]string{"."}, "error: \".\" is not a name for a project: it is 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit\nTry: fnctl new hello\n"},
		{[]string{"../up"}, "error: NAME is a name, not a path: \"../up\"\nTry: cd to where the project shall be, then fnctl new up\n"},
		{[]string{"x", "-l", "cobol"}, "error: there is no template for the language \"cobol\"; there is ts, js, go, rust\nTry: -l ts, js, go, rust\n"},
		{[]string{"x", "-t", "mqtt"}, "error: --trigger is \"mqtt\"; it must be one of cron, http, topic, webhook\nTry: fnctl new --help\n"},
	} {
		r := newIn(t, dir, tc.args...)
		r.stderr = strings.ReplaceAll(r.stderr, dir, "DIR")
		r.want(t, exitUsage, "", tc.want)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSDKForEditors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no mark":    {nil, []string{".fnctl/js/index.d.ts", ".fnctl/js/package.json", ".fnctl/sdk/go.mod"}},
		"Go":         {map[string]string{"go.mod": "", ".fnctl/sdk/go.mod": "an older one"}, []string{".fnctl/sdk/go.mod"}},
		"TypeScript": {map[string]string{"tsconfig.json": "", ".fnctl/js/index.d.ts": "an older one"}, []string{".fnctl/js/index.d.ts", ".fnctl/js/package.json"}},
		"both":       {map[string]string{"jsconfig.json": "", "go.mod": ""}, []string{".fnctl/js/index.d.ts", ".fnctl/js/package.json", ".fnctl/sdk/go.mod"}},
	} {
		files := map[string]string{"fn.yaml": ""}
		for name, text := range c.files {
			files[name] = text
		}
		dir := writeFiles(t, files)
		execute(t.Context(), t, "", nil, "sdk", dir).want(t, exitOK, "", "")
		var got []string
		for _, file := range []string{".fnctl/js/index.d.ts", ".fnctl/js/package.json", ".fnctl/sdk/go.mod"} {
			if text, err := os.ReadFile(filepath.Join(dir, file)); err == nil && string(text) != "an older one" {
				got = append(got, file)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: wrote %q, want %q", name, got, c.want)
		}
	}
	crate := writeFiles(t, map[string]string{"fn.yaml": "", "Cargo.toml": "", ".fnctl/sdk-rust/Cargo.toml": "an older one"})
	execute(t.Context(), t, "", nil, "sdk", crate).want(t, exitOK, "", "")
	if text, err := os.ReadFile(filepath.Join(crate, ".fnctl/sdk-rust/Cargo.toml")); err != nil || !strings.Contains(string(text), `name = "evoke"`) {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(crate, ".fnctl/sdk")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a project in Rust got the SDK for Go: %v", err)
	}
	empty := t.TempDir()
	execute(t.Context(), t, "", nil, "sdk", empty).want(t, exitUsage, "",
		"error: there is no "+filepath.Join(empty, "fn.yaml")+"\nTry: fnctl sdk DIR, with a directory that has a fn.yaml\n")
}

func TestSchemaCommand(t *testing.T) {
	t.Parallel()
	execute(t.Context(), t, "", nil, "schema").want(t, exitOK, string(manifest.JSONSchema()), "")
}

// A name that is proposed instead of a wrong one is one.
func FuzzClosestName(f *testing.F) {
	for _, s := range []string{"", "A b", "--", "ä", strings.Repeat("x-", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := closestName(s); !manifest.IsName(got) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

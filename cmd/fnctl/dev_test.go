package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/watch"
	"github.com/evoke-run/evoke/manifest"
)

// fakeRuntime is a program in place of the runtime.
func fakeRuntime(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runtime")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// said collects what a runtime tells.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *said) runtime(path string) *devRuntime {
	return &devRuntime{
		path: path, dataDir: "data", listen: "127.0.0.1:0", admin: "127.0.0.1:0", kill: make(chan struct{}),
		ready: func(gateway, admin string) { s.add("ready " + gateway + " " + admin) }, down: func(note string) { s.add("down: " + note) }, warn: func(text string) { s.add("warn: " + text) },
	}
}

const isReady = `echo '{"level":"INFO","msg":"ready","gateway":"127.0.0.1:1","admin":"127.0.0.1:2"}' >&2
`

func TestRuntimeThatCrashesIsStartedAgainAFewTimes(t *testing.T) {
	t.Parallel()
	var s said
	path := fakeRuntime(t, `echo "$@" >> "$0.args"
`+isReady+`echo '{"level":"WARN","msg":"the disk is nearly full","free":"1%"}' >&2
echo "runtime: there is no space left" >&2
exit 1
`)
	err := s.runtime(path).Run(t.Context())
	want := "the runtime has ended by itself (exit status 1): there is no space left; that was the 6. time in a minute, and it is not started again"
	var advice *adviceError
	if err == nil || err.Error() != want || !errors.As(err, &advice) || !strings.Contains(advice.try, "fnctl dev --temp") {
		t.Errorf("%v, want %s", err, want)
	}
	one := []string{"ready 127.0.0.1:1 127.0.0.1:2", "warn: the disk is nearly full free=1%"}
	all := slices.Clone(one)
	for range mostCrashes {
		all = append(append(all, "down: the runtime has ended by itself (exit status 1): there is no space left"), one...)
	}
	if !slices.Equal(s.lines, all) {
		t.Errorf("it told\n%s", strings.Join(s.lines, "\n"))
	}
	args, err := os.ReadFile(path + ".args")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(args)), "\n")
	if len(lines) != mostCrashes+1 || !strings.Contains(lines[0], "--listen 127.0.0.1:0 --admin 127.0.0.1:0") || !strings.Contains(lines[1], "--listen 127.0.0.1:1 --admin 127.0.0.1:2") {
		t.Errorf("it was started with\n%s", args)
	}
}

func TestRuntimeThatDoesNotStart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ script, want, try string }{
		{`echo "runtime: listen for the gateway: listen tcp 127.0.0.1:8080: bind: address already in use; choose another --listen" >&2; exit 4`,
			"the runtime does not start: listen for the gateway: listen tcp 127.0.0.1:8080: bind: address already in use; choose another --listen", "fnctl dev --listen 127.0.0.1:0 --admin 127.0.0.1:0 takes free ones"},
		{`echo "runtime: data directory x is in use by the process with id 7; stop it or choose another --data-dir" >&2; exit 5`,
			"the runtime does not start: data directory x is in use by the process with id 7; stop it or choose another --data-dir", "the fnctl dev that runs for this project already"},
		{`echo "panic: oh" >&2; echo "goroutine 1" >&2; exit 2`, "the runtime does not start: panic: oh\ngoroutine 1", ""},
		{`echo '{"level":"ERROR","msg":"cannot go on","err":"no"}' >&2; exit 1`, "the runtime does not start: cannot go on err=no", ""},
		{`exit 0`, "the runtime does not start", ""},
		{`echo "runtime: read x: address already in use is in use by" >&2; exit 1`, "the runtime does not start: read x: address already in use is in use by", ""},
	} {
		var s said
		err := s.runtime(fakeRuntime(t, tc.script)).Run(t.Context())
		var advice *adviceError
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s:\n%v\nwant %s", tc.script, err, tc.want)
		}
		if errors.As(err, &advice) != (tc.try != "") || advice != nil && !strings.Contains(advice.try, tc.try) {
			t.Errorf("%s: advice %v, want %s", tc.script, advice, tc.try)
		}
	}
	var s said
	if err := s.runtime(filepath.Join(t.TempDir(), "none")).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "start ") {
		t.Errorf("no program: %v", err)
	}
}

// An end closes stdin, and waits; who does not heed that is killed when it shall not be waited for.
func TestRuntimeEnds(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{"with its stdin": isReady + "cat > /dev/null\n", "killed": isReady + "exec sleep 1000\n"} {
		var s said
		ctx, end := context.WithCancel(t.Context())
		r := s.runtime(fakeRuntime(t, script))
		r.ready = func(string, string) {
			end()
			if name == "killed" {
				close(r.kill)
			}
		}
		if err := r.Run(ctx); err != nil || len(s.lines) > 0 {
			t.Errorf("%s: %v, %q", name, err, s.lines)
		}
	}
}

func TestDevUsage(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"fn.yaml": twoFunctions, "taken/.evoke": "a file", "taken/fn.yaml": twoFunctions})
	runtime := fakeRuntime(t, "exit 1")
	for _, tc := range []struct {
		args []string
		env  string
		code int
		want string
	}{
		{[]string{"dev", filepath.Join(dir, "nowhere")}, runtime, exitUsage, "error: there is no manifest " + filepath.Join(dir, "nowhere", "fn.yaml") + "\nTry: the same with a DIR that has a fn.yaml; fnctl new makes one\n"},
		{[]string{"dev", dir, "one"}, runtime, exitUsage, "error: \"one\" is no directory with a fn.yaml, and fnctl dev runs whole apps\nTry: fnctl dev DIR, with a directory that has a fn.yaml\n"},
		{[]string{"dev", "--server", "http://x"}, runtime, exitUsage, "error: fnctl dev runs a server of its own, and takes no --server\nTry: fnctl deploy --server …, for a server that runs\n"},
		{[]string{"dev", dir, "--temp", "--data-dir", "x"}, runtime, exitUsage, "error: --temp has a directory of its own, and --data-dir names another\nTry: only one of them\n"},
		{[]string{"dev", dir, "--temp"}, runtime, exitFailed, "error: the runtime does not start\n"},
		{[]string{"dev", dir, "--temp"}, "/nowhere/runtime", exitFailed, "error: start /nowhere/runtime: fork/exec /nowhere/runtime: no such file or directory\nTry: FNCTL_RUNTIME=/path/to/runtime\n"},
		{[]string{"dev", filepath.Join(dir, "taken")}, runtime, exitFailed, "error: make the directory of the runtime: mkdir " + filepath.Join(dir, "taken", ".evoke") + ": not a directory\nTry: fnctl dev --data-dir DIR, or fnctl dev --temp\n"},
	} {
		got := execute(t.Context(), t, "", map[string]string{"FNCTL_RUNTIME": tc.env}, tc.args...)
		// Whether the build or the runtime is first, nobody knows.
		if got.code != tc.code || !strings.HasSuffix(got.stderr, tc.want) {
			t.Errorf("%q: %d\n%s\nwant %d\n%s", tc.args, got.code, got.stderr, tc.code, tc.want)
		}
	}
}

func TestWhichChangesConcernAFunction(t *testing.T) {
	t.Parallel()
	dir := real(writeFiles(t, map[string]string{
		"a.ts": "import { b } from './lib/b'\nexport default () => b\n", "lib/b.ts": "export const b = 1\n", "one.wasm": "one", "broken.ts": "import './missing'\nexport default () => 1\n", "README.md": "",
	}))
	s := newSources(dir, (&cli{cacheDir: t.TempDir()}).builders())
	defer s.close()
	m, err := manifest.Parse("fn.yaml", []byte("version: 1\napp: shop\nfunctions:\n  a: { source: ./a.ts }\n  one: { wasm: one.wasm }\n  broken: { source: broken.ts }\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.use(m)
	if built := s.build(t.Context()); len(built) != 3 || s.units["a"].err != nil || s.units["broken"].err == nil {
		t.Fatalf("built %d, %v, %v", len(built), s.units["a"].err, s.units["broken"].err)
	}
	s.touch([]string{filepath.Join(dir, "README.md")})
	if names := builtNames(s.build(t.Context())); names != "broken" { // any file may be the one that was missing
		t.Errorf("README.md built %s", names)
	}
	app, modules := s.app()
	if len(app.Functions) != 2 || len(modules) != 2 || app.Prune {
		t.Errorf("with a broken function: %+v", app)
	}
	if err := os.WriteFile(filepath.Join(dir, "missing.ts"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.touch([]string{filepath.Join(dir, "missing.ts")})
	if names := builtNames(s.build(t.Context())); names != "broken" || s.units["broken"].err != nil {
		t.Fatalf("missing.ts built %s, %v", names, s.units["broken"].err)
	}
	for file, want := range map[string]string{"missing.ts": "broken", "lib/b.ts": "a", "one.wasm": "one", "tsconfig.json": "a broken", "one.wasm~": "", anyFile: "a broken one"} {
		if file != anyFile {
			file = filepath.Join(dir, filepath.FromSlash(file))
		}
		s.touch([]string{file})
		if got := builtNames(s.build(t.Context())); got != want {
			t.Errorf("%s built %q, want %q", file, got, want)
		}
	}
	if app, _ := s.app(); len(app.Functions) != 3 || !app.Prune {
		t.Errorf("with all of them: %+v", app)
	}
}

func TestAdviceOfDevOnADeploy(t *testing.T) {
	t.Parallel()
	d := &devSession{c: &cli{getenv: func(string) string { return "" }}, screen: devScreen{command: " --server http://127.0.0.1:9"}}
	for name, tc := range map[string]struct {
		problem api.Problem
		want    string
	}{
		"a secret": {api.Problem{Faults: []api.Fault{{Field: "functions.a.on[0].webhook.secret", Problem: "there is none", Secret: "a_b"}}, Next: "set it"}, "fnctl secret set a_b --server http://127.0.0.1:9, and save a file again"},
		"several":  {api.Problem{Faults: []api.Fault{{Secret: "a"}, {Secret: "b"}, {Secret: "a"}}}, "fnctl secret set a --server http://127.0.0.1:9, fnctl secret set b --server http://127.0.0.1:9, and save a file again"},
		"a value":  {api.Problem{Faults: []api.Fault{{Field: "functions.a.timeout", Problem: "it is 0s"}}, Next: "correct it in fn.yaml and deploy again"}, "correct it in fn.yaml"},
		"another":  {api.Problem{Detail: "say fnctl secret set x", Next: "repeat later, and deploy again"}, "repeat later, and deploy again"},
	} {
		if got := d.try(fmt.Errorf("deploy app shop: %w", &tc.problem)); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// A file that has nothing to do with a fault, such as a log, is no reason to tell it again, whatever its name is; one that the fault is about is.
func TestFaultsAreToldOnce(t *testing.T) {
	t.Parallel()
	dir := real(writeFiles(t, map[string]string{
		"a.ts": "export default () => {\n", "b.ts": "import './missing'\nexport default () => 1\n", "g/main.go": "package main\n\nimport \"example.com/g/lib\"\n\nfunc main() { lib.F() }\n",
		"g/go.mod": "module example.com/g\n\ngo 1.24\n", "g/lib/lib.go": "package lib\n\nfunc F() { undefined() }\n", "w.wasm": "w", "event.json": "{",
	}))
	c := &cli{cacheDir: t.TempDir(), getenv: func(string) string { return "" }, now: func() time.Time { return now }}
	s := newSources(dir, c.builders())
	defer s.close()
	m, err := manifest.Parse("fn.yaml", []byte("version: 1\napp: shop\nfunctions:\n  a: { source: ./a.ts }\n  b: { source: ./b.ts }\n  g: { source: ./g }\n  w: { wasm: w.wasm, warm: event.json }\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.use(m)
	var out strings.Builder
	c.out, c.err = &out, &out
	d := &devSession{c: c, dir: dir, sources: s, screen: devScreen{c: c}}
	const unended, missing, undefined, noEvent = "function a: ✘ [ERROR] Unexpected end of file", `function b: ✘ [ERROR] Could not resolve "./missing"`, "function g: the go command cannot build ", "function w: warm: "
	for _, step := range []struct {
		file, text string
		want       []string
	}{
		{"", "", []string{unended, missing, undefined, noEvent}},
		{"dev.log", "", nil},
		{"a.ts", "export default () => {\n", []string{unended}},
		{"a.ts", "export default () => (\n", []string{unended}},
		{"dev.log", "", nil},
		{"other/a.ts", "", nil}, // only its name is in the fault
		{"ERROR", "", nil},
		{"g/lib/lib.go", "package lib\n\nfunc F() { undefined() }\n", []string{undefined}},
		{"g/go.mod", "module example.com/g\n\ngo 1.24\n", []string{undefined}},
		{"lib/lib.go", "package lib\n", nil},
		{"event.json", "{", []string{noEvent}},
		{"w.wasm", "w", []string{noEvent}},
		{"other/event.json", "{", nil},
		{"a.ts", "export default () => 1\n", nil},
		{"a.ts", "export default () => (\n", []string{unended}},
	} {
		file := filepath.Join(dir, filepath.FromSlash(step.file))
		if step.file != "" {
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(step.text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if out.Reset(); step.file != "" {
			s.touch([]string{file})
		}
		for _, u := range s.build(t.Context()) {
			d.tellBuild(u)
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			if said, ok := strings.CutPrefix(line, "error: "); ok {
				got = append(got, strings.TrimRight(said, "\n"))
			}
		}
		if !slices.EqualFunc(got, step.want, func(got, want string) bool { return strings.HasPrefix(got, want) }) {
			t.Errorf("after %s was saved: %q, want %q\n%s", step.file, got, step.want, out.String())
		}
	}
}

// A changed app: is deployed although nothing else has changed, and takes what runs along; so it does when the first deploy of it is refused.
func TestAppThatIsRenamed(t *testing.T) {
	t.Parallel()
	dir := real(writeFiles(t, map[string]string{"w.wasm": "w"}))
	file := filepath.Join(dir, "fn.yaml")
	deployed := api.Deployed{Functions: []api.DeployedFunction{{Name: "w", Revision: 1, Change: changeUnchanged}}}
	digest := moduleDigest([]byte("w"))
	f := newFake(t, map[string]any{
		"HEAD /modules/" + digest: stub{200, ""}, "PUT /ns/default/apps/shop": deployed, "PUT /ns/default/apps/market": deployed,
		"PUT /ns/default/apps/taken": api.Problem{Status: http.StatusConflict, Title: "conflict", Detail: "no"},
	})
	c, _, stderr := newCLI(t, "", nil)
	c.server, c.namespace = f.url, "default"
	w, err := watch.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d := &devSession{c: c, dir: dir, file: file, manifest: []string{file}, sources: newSources(dir, c.builders()), screen: devScreen{c: c}, watcher: w, ready: make(chan struct{})}
	defer d.sources.close()
	close(d.ready)
	for _, app := range []string{"shop", "shop", "taken", "market", "market"} {
		if err := os.WriteFile(file, []byte("version: 1\napp: "+app+"\nfunctions:\n  w: { wasm: w.wasm }\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		d.take(t.Context(), watch.Change{Files: []string{file}})
	}
	if want := "app shop is called market now; its functions go on, with what waits for them\n"; !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("it says\n%s\nwant %s", stderr, want)
	}
	var got []string
	for line := range strings.Lines(f.requests()) {
		method, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		path, body, _ := strings.Cut(rest, " ")
		var app api.App
		if method == http.MethodPut {
			if err := json.Unmarshal([]byte(body), &app); err != nil {
				t.Fatal(err)
			}
			got = append(got, path+" "+app.Formerly)
		}
	}
	if want := []string{"/ns/default/apps/shop ", "/ns/default/apps/taken shop", "/ns/default/apps/market shop"}; !slices.Equal(got, want) {
		t.Errorf("it deployed %q, want %q", got, want)
	}
}

func builtNames(units []*unit) string {
	var names []string
	for _, u := range units {
		names = append(names, u.function.Name)
	}
	return strings.Join(names, " ")
}

func TestNewFilesOfAGoPackageConcernIt(t *testing.T) {
	t.Parallel()
	u := &unit{root: "/app/f", function: manifest.Function{Source: "./f"}}
	for file, want := range map[string]bool{"/app/f/main.go": true, "/app/f/sub/x.txt": true, "/app/g/main.go": false, "/app/f/main_test.go": false, "/app/f/.main.go.swp": false, "/app/f/main.go~": false} {
		if got := u.concerns(file); got != want {
			t.Errorf("before it is known what it is made of, %s: %v", file, got)
		}
	}
	u.setInputs([]string{"/app/f/main.go", "/app/lib/lib.go", "/app/go.mod"})
	for file, want := range map[string]bool{"/app/f/main.go": true, "/app/f/new.go": true, "/app/lib/new.go": true, "/app/f/sub/x.txt": false, "/app/go.mod": true, "/app/f/main_test.go": false} {
		if got := u.concerns(file); got != want {
			t.Errorf("%s: %v", file, got)
		}
	}
}

func TestPathOfATestRequest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		trigger api.HTTPTrigger
		ns      string
		r       requestOfTest
		want    string
	}{
		{api.HTTPTrigger{}, "default", requestOfTest{Path: "/"}, "/fn/f"},
		{api.HTTPTrigger{}, "default", requestOfTest{Path: "/a/b"}, "/fn/f/a/b"},
		{api.HTTPTrigger{}, "shop", requestOfTest{Path: "/"}, "/@shop/fn/f"},
		{api.HTTPTrigger{Path: "/orders/{id}"}, "default", requestOfTest{Path: "/", Params: map[string]string{"id": "42"}}, "/orders/42"},
		{api.HTTPTrigger{Path: "/files/{rest...}"}, "default", requestOfTest{Path: "/", Params: map[string]string{"rest": "a/b"}}, "/files/a/b"},
		{api.HTTPTrigger{Path: "/orders/{id}"}, "default", requestOfTest{Path: "/orders/7"}, "/orders/7"},
	} {
		if got := routePath(&tc.trigger, "f", tc.ns, tc.r); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc, got, tc.want)
		}
	}
	orders, any := &api.HTTPTrigger{Path: "/orders", Methods: []string{"POST"}}, &api.HTTPTrigger{Path: "/all"}
	f := manifest.Function{Spec: api.FunctionSpec{Triggers: []api.TriggerSpec{{HTTP: orders}, {HTTP: any}}}}
	for want, r := range map[*api.HTTPTrigger]requestOfTest{orders: {Method: "POST"}, any: {Method: "GET"}} {
		if got := httpTrigger(f, r); got != want {
			t.Errorf("%+v goes to %+v", r, got)
		}
	}
	if got := httpTrigger(f, requestOfTest{Method: "POST", Route: "/all"}); got != any {
		t.Errorf("a route that is named: %+v", got)
	}
}

// A test event is new each time, and its numbers stay as they are.
func TestEventsAreSentAsNewOnes(t *testing.T) {
	t.Parallel()
	got, err := anew([]byte(`{"id":"1","time":"2026-01-31T12:00:00Z","type":"a","data":{"n":12345678901234567890,"x":1.10}}`), now.Add(time.Hour))
	if err != nil || !strings.Contains(string(got), `"data":{"n":12345678901234567890,"x":1.10}`) || strings.Contains(string(got), `"id":"1"`) || !strings.Contains(string(got), "2026-01-31T13:00:00Z") {
		t.Errorf("%s, %v", got, err)
	}
}

func TestColoursOfFunctions(t *testing.T) {
	t.Parallel()
	var a, b devScreen
	names := []string{"checkout", "charge", "nightly", "x1", "x2", "x3", "x4", "x5"}
	seen := map[string]string{}
	for _, name := range names {
		if other, taken := seen[a.colour(name)]; taken {
			t.Errorf("%s and %s have the same colour", name, other)
		}
		seen[a.colour(name)] = name
	}
	if a.colour("checkout") != b.colour("checkout") || a.colour("one more") == "" {
		t.Error("the colour of a function does not follow from its name")
	}
}

func TestWhatDevSays(t *testing.T) {
	t.Parallel()
	c, out, stderr := newCLI(t, "", nil)
	s := &devScreen{c: c}
	s.tell(devLine{Kind: devDeployed, Functions: []api.DeployedFunction{{Name: "one", Revision: 1, Change: "created", URLs: []string{"http://h/fn/one"}, Warnings: []string{"slow"}}, {Name: "two", Revision: 3, Change: "unchanged", Triggers: []string{"two:orders"}}}})
	s.tell(devLine{Kind: devDeployed, Saved: now, BuildMS: 8.2, DeployMS: 1061, VisibleMS: 85, Functions: []api.DeployedFunction{{Name: "one", Revision: 2, Change: "updated"}, {Name: "two", Revision: 3, Change: "unchanged"}}, Removed: []string{"old"}})
	s.tell(devLine{Kind: devLog, Log: &api.LogEntry{Time: now, Function: "one", Level: "warn", Message: "hm\nhm\x1b"}})
	s.tell(devLine{Kind: devLog, Log: &api.LogEntry{Time: now, Function: "one", Level: "error", Attempt: &api.Attempt{Attempt: 8, Verdict: "failed", Class: "error", Error: "no", Duration: api.Duration(time.Millisecond)}, Next: "dead-letter"}})
	s.tell(devLine{Kind: devLetter, Text: "fnctl dlq peek 1-2-3"})
	s.tell(devLine{Kind: devFault, Error: "function one: x.ts:1:2", Try: "y"})
	s.tell(devLine{Kind: devSame, Built: []string{"one"}, BuildMS: 3})
	at := now.Local().Format("15:04:05.000")
	wantOut := "one r1  http://h/fn/one\nwarning: one: slow\ntwo r3  two:orders\none r2, old removed visible 85 ms after the save (build 8 ms, deploy 1.06 s)\n" +
		at + " one warn hm\n    hm\\x1b\n" + at + " one attempt 8 failed in 1ms (error): no, given up: see fnctl dlq ls\ndead letter: fnctl dlq peek 1-2-3\n"
	wantErr := "error: function one: x.ts:1:2\nTry: y\none: nothing has changed (3 ms)\n"
	if out.String() != wantOut || stderr.String() != wantErr {
		t.Errorf("stdout\n%s\nwant\n%s\nstderr\n%s\nwant\n%s", out, wantOut, stderr, wantErr)
	}
	c.format = jsonLines
	out.Reset()
	s.tell(devLine{Kind: devDeployed, Saved: now, VisibleMS: 85.5})
	if want := `{"time":"2026-01-31T12:00:00Z","kind":"deployed","saved":"2026-01-31T12:00:00Z","visibleMs":85.5}` + "\n"; out.String() != want {
		t.Errorf("as JSON: %s", out)
	}
}

func TestCommandsForOtherTerminals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		env       map[string]string
		admin, ns string
		want      string
	}{
		{nil, "http://127.0.0.1:8081", "default", ""},
		{nil, "http://127.0.0.1:4711", "default", " --server http://127.0.0.1:4711"},
		{map[string]string{"FNCTL_SERVER": "http://127.0.0.1:4711"}, "http://127.0.0.1:4711", "default", ""},
		{map[string]string{"FNCTL_SERVER": "https://prod.example"}, "http://127.0.0.1:8081", "default", " --server http://127.0.0.1:8081"},
		{map[string]string{"FNCTL_NAMESPACE": "shop"}, "http://127.0.0.1:8081", "other", " -n other"},
	} {
		c, _, _ := newCLI(t, "", tc.env)
		c.namespace = tc.ns
		if got := c.otherCommands(tc.admin); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}

func TestEventsOfSeveralFunctions(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"events/one/a.json": "{}", "events/one/a.golden.json": "{}", "events/one/b.json": "{}", "events/two/a.json": "{}"})
	one, two := manifest.Function{Name: "one"}, manifest.Function{Name: "two"}
	events, err := testEvents(dir, []manifest.Function{one, two})
	var names []string
	for _, e := range events {
		names = append(names, e.String())
	}
	if want := []string{"one a", "one b", "two a"}; err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := testEvents(t.TempDir(), []manifest.Function{one}); err == nil || !strings.Contains(err.Error(), "there are no events to send in ") {
		t.Errorf("without events: %v", err)
	}
	dir = writeFiles(t, map[string]string{"events/a.json": "{}"})
	if _, err := testEvents(dir, []manifest.Function{one, two}); err == nil || !strings.Contains(err.Error(), "nothing says which one the event is for") {
		t.Errorf("an event for nobody: %v", err)
	}
}

func TestGoFaultsShowTheirLine(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"main.go": "package main\n\nfunc main() {\n\tx := 1 + undefined\n}\n"})
	got := withSource(dir, "the go command cannot build f:\n# function-f\n./main.go:4:11: undefined: undefined\nmain.go:99:1: beyond\nnone.go:1:1: nowhere\n./main.go:4:2: declared and not used: x")
	want := "the go command cannot build f:\n# function-f\n./main.go:4:11: undefined: undefined\n    \tx := 1 + undefined\n    \t         ^\nmain.go:99:1: beyond\nnone.go:1:1: nowhere\n" +
		"./main.go:4:2: declared and not used: x\n    \tx := 1 + undefined\n    \t^"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func FuzzGoFaults(f *testing.F) {
	f.Add("./main.go:4:11: x\n", "package main\n")
	f.Add("main.go:1:99999999999999999999: x", "\u00fc\t")
	f.Fuzz(func(t *testing.T, text, source string) {
		dir := writeFiles(t, map[string]string{"main.go": source})
		if got := withSource(dir, text); !strings.HasPrefix(got+"\n", strings.TrimRight(text, "\n")[:min(len(strings.TrimRight(text, "\n")), strings.IndexByte(text+"\n", '\n'))]) {
			t.Errorf("%q has lost its first line: %q", text, got)
		}
	})
}

// A panic ends the process; the terminal has been given back before.
func TestTerminalIsGivenBackBeforeAPanic(t *testing.T) {
	t.Parallel()
	given := 0
	d := &devSession{terminal: keyTerminal{undo: func() { given++ }}}
	defer func() {
		if p := recover(); p != "on purpose" || given != 1 || d.terminal.on() {
			t.Errorf("the panic is %v, and the terminal was given back %d times", p, given)
		}
	}()
	defer d.restoreOnPanic()
	panic("on purpose")
}

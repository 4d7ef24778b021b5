package main

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/manifest"
)

func TestEventsOfTestsAreFilledIn(t *testing.T) {
	t.Parallel()
	ev, request, err := readTestEvent("order", []byte(`{"type": "a", "data": {"n": 1}}`))
	if err != nil || request != nil {
		t.Fatal(string(request), err)
	}
	if want := `{"data":{"n":1},"datacontenttype":"application/json","id":"order","source":"/fnctl/test","specversion":"1.0","time":"2026-01-31T12:00:00Z","type":"a"}`; string(ev) != want {
		t.Errorf("got %s\nwant %s", ev, want)
	}
	whole := `{"data":"x","datacontenttype":"text/plain","id":"7","source":"/s","specversion":"1.0","subject":"ada","time":"2020-01-01T00:00:00Z","type":"a"}`
	if ev, _, err = readTestEvent("order", []byte(whole)); err != nil || string(ev) != whole {
		t.Errorf("got %s, %v\nwant %s", ev, err, whole)
	}
	ev, request, err = readTestEvent("hello", []byte(`{"evokehttp": {"headers": [["X-B", "2"], ["Content-Type", "text/plain"], ["x-b", "1"]]}, "data": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"data":"x","datacontenttype":"text/plain","id":"hello","source":"/fnctl/test","specversion":"1.0","time":"2026-01-31T12:00:00Z","type":"dev.evoke.http.request"}`; string(ev) != want {
		t.Errorf("got %s\nwant %s", ev, want)
	}
	if want := `{"method":"POST","path":"/","rawPath":"/","route":"","params":{},"query":[],"headers":[["content-type","text/plain"],["x-b","2"],["x-b","1"]]}`; string(request) != want {
		t.Errorf("got %s\nwant %s", request, want)
	}
}

func FuzzTestEvent(f *testing.F) {
	f.Add([]byte(`{"type":"a"}`))
	f.Add([]byte(`{"evokehttp":{"path":"/x"},"data":null}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		ev, _, err := readTestEvent("x", text)
		if err != nil {
			return
		}
		var e event.Event
		if err := e.UnmarshalJSON(ev); err != nil {
			t.Errorf("%q became %s: %v", text, ev, err)
		}
	})
}

func FuzzStubs(f *testing.F) {
	f.Add([]byte(`{"state":{"n":1},"http":[{"url":"https://a/*","status":503}],"invoke":{"p":{"verdict":"failed"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := readStubs(text); err == nil && len(s.HTTP) > 0 && s.HTTP[0].URL == "" {
			t.Errorf("%q", text)
		}
	})
}

const batchFunction = "version: 1\napp: shop\nfunctions:\n  one: { wasm: one.wasm, on: [ { topic: { name: a, batch: 3 } } ] }\n"

const oneFunction = "version: 1\napp: shop\nfunctions:\n  one: { wasm: one.wasm }\n"

func TestTestRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, manifest, file, text string
		code                       int
		want                       string
	}{
		{"no events", oneFunction, "", "", exitUsage, "there are no events to test with in DIR/events\nTry: echo '{\"type\": \"com.example.thing\", \"data\": {}}' > DIR/events/first.json"},
		{"only stubs", oneFunction, "events/stubs.json", "{}", exitUsage, "there are no events to test with"},
		{"several functions", twoFunctions, "events/a.json", "{}", exitUsage, "DIR/events/a.json: the app has several functions, and nothing says which one the event is for\nTry: mkdir DIR/events/FUNCTION, and move it there"},
		{"no JSON", oneFunction, "events/a.json", "{", exitFailed, "DIR/events/a.json: it is no JSON: unexpected end of JSON input"},
		{"a list", oneFunction, "events/a.json", "[]", exitFailed, "DIR/events/a.json: it is a list, so a batch, and function one has no trigger with a batch"},
		{"a short batch", batchFunction, "events/a.json", `[{"type": "a"}]`, exitFailed, "DIR/events/a.json: it has 1 event, and a batch of function one has 2 to 3"},
		{"a long batch", batchFunction, "events/a.json", `[{}, {}, {}, {}]`, exitFailed, "DIR/events/a.json: it has 4 events, and a batch of function one has 2 to 3"},
		{"a batch of what is none", batchFunction, "events/a.json", `[{"type": "a"}, 7]`, exitFailed, "DIR/events/a.json: event 2 of the batch: an event is a JSON object, and it is of type number"},
		{"a batch of requests", batchFunction, "events/a.json", `[{"evokehttp": {}}, {"type": "a"}]`, exitFailed, "event 1 of the batch: requests of HTTP do not come in batches; leave out evokehttp"},
		{"nothing", oneFunction, "events/a.json", "null", exitFailed, "DIR/events/a.json: an event is a JSON object, and it is null"},
		{"no type", oneFunction, "events/one/a.json", "{}", exitFailed, "DIR/events/one/a.json: "},
		{"no such member of a request", oneFunction, "events/a.json", `{"evokehttp": {"metod": "GET"}}`, exitFailed, `DIR/events/a.json: evokehttp: unknown field "metod"`},
		{"no such stub", oneFunction, "events/a.stubs.json", `{"stat": {}}`, exitFailed, `DIR/events/a.stubs.json: unknown field "stat"; stubs are { "state": {…}, "secrets"`},
		{"a stub without a URL", oneFunction, "events/stubs.json", `{"http": [{}]}`, exitFailed, "DIR/events/stubs.json: http[0] has no url"},
		{"a stub with a wrong status", oneFunction, "events/stubs.json", `{"http": [{"url": "http://a/", "status": 999}]}`, exitFailed, "DIR/events/stubs.json: http[0]: 999 is no status of HTTP"},
		{"a stub with a wrong verdict", oneFunction, "events/stubs.json", `{"invoke": {"p": {"verdict": "fine"}}}`, exitUsage, `DIR/events/stubs.json: invoke.p.verdict is "fine"; it must be one of done, failed, rejected`},
		{"more behind", oneFunction, "events/stubs.json", `{} {}`, exitFailed, "there is something behind the end of the JSON value"},
		{"no runtime", oneFunction, "events/a.json", `{"type": "a"}`, exitFailed, "/nowhere/runtime test: "},
	} {
		files := map[string]string{"fn.yaml": tc.manifest, "one.wasm": "one", "sub/two.wasm": "two"}
		if tc.file != "" {
			files[tc.file] = tc.text
		}
		if strings.Contains(tc.file, "stubs") && tc.name != "only stubs" {
			files["events/a.json"] = `{"type": "a"}`
		}
		dir := writeFiles(t, files)
		r := execute(t.Context(), t, "", map[string]string{"FNCTL_RUNTIME": "/nowhere/runtime"}, "test", dir)
		if said := strings.ReplaceAll(r.stderr, dir, "DIR"); r.code != tc.code || r.out != "" || !strings.Contains(said, tc.want) {
			t.Errorf("%s: code %d\n%s\nwant code %d, %s", tc.name, r.code, said, tc.code, tc.want)
		}
	}
}

func TestTestTellsAFaultOfCommonStubsOnce(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"fn.yaml": oneFunction, "one.wasm": "one", "events/a.json": `{"type": "a"}`, "events/b.json": `{"type": "b"}`, "events/stubs.json": "{", "events/c.json": "{"})
	r := execute(t.Context(), t, "", nil, "test", dir)
	if r.code != exitFailed || strings.Count(r.stderr, "stubs.json: ") != 1 || !strings.Contains(r.stderr, "c.json: it is no JSON") {
		t.Errorf("code %d, %s", r.code, r.stderr)
	}
}

func TestStrayTests(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"events/a/x.json": "{}", "events/a/x.golden.json": "{}", "events/a/x.stubs.json": "{}", "events/a/stubs.json": "{}", "events/a/y.golden.json": "{}", "events/a/z.stubs.json": "{}", "events/old/x.json": "{}", "events/data/notes.txt": "", "events/stubs.json": "{}",
	})
	want := []string{"DIR/events/old is not tested: there is no function old", "DIR/events/a/y.golden.json is of no use: there is no y.json beside it", "DIR/events/a/z.stubs.json is of no use: there is no z.json beside it"}
	got := strings.Split(strings.ReplaceAll(strings.Join(strays(dir, []manifest.Function{{Name: "a"}, {Name: "b"}}), "\n"), dir, "DIR"), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if got := strays(t.TempDir(), nil); len(got) != 0 {
		t.Error(got)
	}
}

// What a program that is no runtime, or one that is too old, complains about is shown.
func TestTestShowsWhatTheRuntimeComplainsAbout(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	dir := writeFiles(t, map[string]string{"fn.yaml": oneFunction, "one.wasm": "one", "events/a.json": `{"type": "a"}`})
	r := execute(t.Context(), t, "", map[string]string{"FNCTL_RUNTIME": shell}, "test", dir) // it looks for a script called test
	if !regexp.MustCompile(`^error: `+shell+` test: exit status \d+: .*test`).MatchString(r.stderr) || r.code != exitFailed {
		t.Errorf("code %d, %s", r.code, r.stderr)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"right.golden.json": `{"verdict": "done"}`, "wrong.golden.json": `{"verdict": "failed"}`, "broken.golden.json": `{`})
	done := api.TrialResult{Verdict: "done"}
	for _, tc := range []struct {
		name    string
		result  api.TrialResult
		update  bool
		fault   string
		updated bool
	}{
		{name: "right", result: done},
		{name: "right", result: done, update: true},
		{name: "wrong", result: done, fault: "this is not what DIR/wrong.golden.json has (- expected, + came):\n  {\n-   \"verdict\": \"failed\"\n+   \"verdict\": \"done\"\n  }"},
		{name: "none", result: done, fault: "there is no DIR/none.golden.json, so nothing is expected; this came:\n{\n  \"verdict\": \"done\"\n}\n"},
		{name: "right", result: api.TrialResult{Verdict: "done", Missing: []string{"http: GET https://a/"}}, fault: "it asked for what no stub has: http: GET https://a/; add it to DIR/right.stubs.json"},
		{name: "none", result: api.TrialResult{Verdict: "done", Missing: []string{"x"}}, update: true, fault: "it asked for what no stub has: x; add it to DIR/none.stubs.json"},
		{name: "right", result: api.TrialResult{Error: "the event: no"}, fault: "the event: no"},
		{name: "none", result: done, update: true, updated: true},
		{name: "none", result: done},
		{name: "wrong", result: done, update: true, updated: true},
		{name: "wrong", result: done},
		{name: "broken", result: done, update: true, updated: true},
		{name: "broken", result: done},
	} {
		one := &testCase{name: tc.name, golden: filepath.Join(dir, tc.name+".golden.json")}
		if err := one.judge(tc.result, tc.update); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(strings.Join(one.faults, "|"), dir, "DIR"); got != tc.fault || one.updated != tc.updated {
			t.Errorf("%s: %q, updated %v\nwant %q", tc.name, got, one.updated, tc.fault)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.golden.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := (&testCase{golden: filepath.Join(dir, "broken.golden.json")}).judge(done, false)
	if want := "broken.golden.json: it is no JSON: unexpected EOF"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.xml")
	suites := []suite{{function: manifest.Function{Name: "one"}, cases: []*testCase{
		{name: "a", file: "events/a.json", result: api.TrialResult{Duration: 1_500_000, Log: []api.TrialLine{{Level: "info", Message: "<hi> \x00"}}}},
		{name: "b", file: "events/b.json", faults: []string{"it is\n- not & right"}, result: api.TrialResult{Duration: 2_000_000_000}},
	}}}
	if err := writeJUnit(file, suites); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="one" tests="2" failures="1" time="2.002">
    <testcase classname="one" name="a" file="events/a.json" time="0.002">
      <system-out>info: &lt;hi&gt; ` + "\uFFFD" + `&#xA;</system-out>
    </testcase>
    <testcase classname="one" name="b" file="events/b.json" time="2.000">
      <failure message="it is">it is&#xA;- not &amp; right</failure>
    </testcase>
  </testsuite>
</testsuites>
`
	if string(text) != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
	if err := xml.Unmarshal(text, new(junitReport)); err != nil {
		t.Error(err)
	}
	if err := writeJUnit(filepath.Join(t.TempDir(), "no", "report.xml"), suites); err == nil || !strings.HasPrefix(err.Error(), "write the JUnit report: open ") {
		t.Error(err)
	}
}

func TestTestShowsLogs(t *testing.T) {
	t.Parallel()
	logged := api.TrialResult{Log: []api.TrialLine{{Level: "error", Message: "boom\n    at f (a.ts:1:2)"}}}
	for _, tc := range []struct {
		faults  []string
		verbose bool
		want    string
	}{
		{nil, false, "ok    events/a.json\n"},
		{nil, true, "ok    events/a.json\n      log error: boom\n            at f (a.ts:1:2)\n"},
		{[]string{"wrong"}, false, "FAIL  events/a.json\n      wrong\n      log error: boom\n            at f (a.ts:1:2)\n"},
	} {
		var out strings.Builder
		c := &cli{out: &out, getenv: func(string) string { return "" }}
		if err := c.showCase(&testCase{file: "events/a.json", faults: tc.faults, result: logged}, tc.verbose); err != nil || out.String() != tc.want {
			t.Errorf("%q, %v\nwant %q", out.String(), err, tc.want)
		}
	}
}

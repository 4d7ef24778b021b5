package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// shopManifest is compared with what shopFunctions and shopTopics say that runs.
const shopManifest = `version: 1
app: shop
functions:
  charge:
    wasm: one.wasm
    timeout: 1m
    env: { RATE: "3", CURRENCY: EUR }
    on:
      - topic: { name: orders, filter: "type = 'b'" }
      - http: {}
      - topic: { name: refunds }
    allow: { emit: [receipts, "audit.>"] }
  same: { wasm: one.wasm }
  web: { wasm: one.wasm, on: { http: {} } }
topics:
  orders: { ingress: true }
  receipts: {}
`

func shopFunctions(module string) []api.Function {
	charge := api.FunctionSpec{
		Module: module, Timeout: api.Duration(30e9), Env: map[string]string{"RATE": "2", "OLD": "x"}, Retry: &api.Retry{Attempts: 3},
		Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}, {Topic: &api.TopicTrigger{Name: "orders", Filter: "type = 'a'"}}},
		Allow:    api.Allow{Emit: []string{"receipts"}},
	}
	return []api.Function{
		{Name: "charge", App: "shop", Revision: 4, Spec: charge},
		{Name: "gone", App: "shop", Revision: 1},
		{Name: "pay", App: "bank", Revision: 1},
		{Name: "same", App: "shop", Revision: 1, Spec: api.FunctionSpec{Module: digestOf}},
	}
}

var shopTopics = []api.Topic{{Name: "orders"}, {Name: "receipts"}, {Name: "other"}}

func shopDir(t *testing.T) string {
	return writeFiles(t, map[string]string{"fn.yaml": shopManifest, "one.wasm": "one"})
}

const shopDiff = `KIND       NAME      CHANGE      SETTING                 OLD                   NEW
function   charge    updated     allow.emit              ["receipts"]          ["receipts","audit.>"]
function   charge    updated     env.CURRENCY            -                     EUR
function   charge    updated     env.OLD                 x                     -
function   charge    updated     env.RATE                2                     3
function   charge    updated     module                  sha256:000000000000   sha256:7692c3ad3540
function   charge    updated     on.topic(orders).filter   type = 'a'            type = 'b'
function   charge    updated     on.topic(refunds)       -                     {"name":"refunds"}
function   charge    updated     retry                   {"attempts":3}        -
function   charge    updated     timeout                 30s                   1m0s
function   same      unchanged   -                       -                     -
function   web       created     -                       -                     -
function   gone      left        -                       -                     -
topic      orders    updated     ingress                 -                     true
topic      refunds   created     -                       -                     -
`

// fold makes one space of many: how wide a column is depends on what is in it.
func fold(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

func TestDiffShowsEachSettingThatChanges(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{"GET /ns/default/functions": shopFunctions("sha256:" + strings.Repeat("0", 64)), "GET /ns/default/topics": shopTopics})
	const left = "note: what is left is not in the manifest any more; fnctl deploy --prune removes it\n"
	const said = "app shop in namespace default would have: 2 created, 2 updated, 1 unchanged, 1 left; nothing was changed\n" + left
	dir := shopDir(t)
	for flag, code := range map[string]int{"--dry-run": exitOK, "--diff": exitWouldChange} {
		got := f.fnctl("deploy", dir, flag)
		if got.code != code || got.stderr != said || fold(got.out) != fold(shopDiff) {
			t.Errorf("%s: exit code %d\n%s\n%s", flag, got.code, got.out, got.stderr)
		}
	}
	got := f.fnctl("deploy", dir, "--diff", "--prune", "-o", "jsonl")
	for _, want := range []string{
		`{"kind":"function","name":"charge","change":"updated","setting":"module","old":"sha256:` + strings.Repeat("0", 64) + `","new":"` + digestOf + `"}`,
		`{"kind":"function","name":"charge","change":"updated","setting":"timeout","old":"30s","new":"1m0s"}`,
		`{"kind":"function","name":"gone","change":"removed"}`,
	} {
		if !strings.Contains(got.out, want+"\n") {
			t.Errorf("no %s in\n%s", want, got.out)
		}
	}
	if got.code != exitWouldChange || !strings.Contains(got.stderr, "1 removed") || strings.Contains(got.stderr, "note:") {
		t.Errorf("%+v", got)
	}
	// Only what was asked for is compared, and nothing is missing.
	if got := f.fnctl("deploy", dir, "same", "--diff"); strings.Contains(got.out, "charge") || strings.Contains(got.out, "gone") {
		t.Errorf("%+v", got)
	}
	if got := f.requests(); strings.Contains(got, "PUT") || strings.Contains(got, "modules") {
		t.Errorf("asked\n%s", got)
	}
}

func TestDiffOfWhatRunsAlready(t *testing.T) {
	t.Parallel()
	there := []api.Function{
		{Name: "one", App: "shop", Spec: api.FunctionSpec{Module: digestOf, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}}}},
		{Name: "two", App: "shop", Spec: api.FunctionSpec{Module: digestOf}},
	}
	f := newFake(t, map[string]any{"GET /ns/default/functions": there, "GET /ns/default/topics": []api.Topic{}})
	f.fnctl("deploy", twoModules(t), "--diff").want(t, exitOK, `KIND       NAME   CHANGE      SETTING   OLD   NEW
function   one    unchanged   -         -     -
function   two    unchanged   -         -     -
`, "app shop in namespace default would have: 2 unchanged; nothing was changed\n")
	f.fnctl("deploy", twoModules(t), "--diff", "-o", "json").want(t, exitOK, `[
  {
    "kind": "function",
    "name": "one",
    "change": "unchanged"
  },
  {
    "kind": "function",
    "name": "two",
    "change": "unchanged"
  }
]
`, "app shop in namespace default would have: 2 unchanged; nothing was changed\n")
}

func TestDiffThatCannotBe(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{"GET /ns/default/functions": []api.Function{{Name: "one", App: "bank"}}, "GET /ns/default/topics": []api.Topic{}})
	f.fnctl("deploy", twoModules(t), "--diff").want(t, exitConflict, "", "error: function one belongs to app bank\nTry: choose another name, or remove it there first; if that is what the app was called before, fnctl deploy --formerly bank\n")
	f.fnctl("deploy", twoModules(t), "--formerly", "the bank").want(t, exitUsage, "",
		"error: --formerly: \"the bank\" is not a name: it is 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit\nTry: the name before the app was called shop\n")
	closed := newFake(t, map[string]any{"GET /ns/default/functions": api.Problem{Status: 401, Title: "A token is needed", Detail: "there is no token"}})
	closed.fnctl("deploy", twoModules(t), "--dry-run").want(t, exitUnauthorised, "",
		"error: there is no token\nTry: the server's token with --token or FNCTL_TOKEN (EVOKE_ADMIN_TOKEN of the runtime)\n")
	f.fnctl("deploy", twoModules(t), "one", "--prune").want(t, exitUsage, "",
		"error: --prune removes what the manifest does not have, so it is for the whole app\nTry: fnctl deploy --prune, without one\n")
}

// An app that gets another name takes the functions of the old one along, those that fn.yaml does not have, too.
func TestAnAppThatWasCalledOtherwise(t *testing.T) {
	t.Parallel()
	there := []api.Function{
		{Name: "one", App: "bank", Spec: api.FunctionSpec{Module: digestOf, Timeout: api.Duration(time.Second), Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}}}},
		{Name: "two", App: "shop", Spec: api.FunctionSpec{Module: digestOf}}, {Name: "three", App: "bank"}, {Name: "four", App: "shop"}, {Name: "five", App: "other"},
	}
	f := newFake(t, map[string]any{
		"GET /ns/default/functions": there, "GET /ns/default/topics": []api.Topic{}, "HEAD /modules/" + digestOf: stub{200, ""},
		"PUT /ns/default/apps/shop": api.Deployed{App: "shop", Functions: []api.DeployedFunction{{Name: "one", Revision: 1, Change: changeUnchanged}}},
	})
	dir := twoModules(t)
	for _, tc := range []struct{ args, want string }{
		{"", "one updated app bank shop, one updated timeout 1s -, two unchanged - - -, four left - - -, three updated app bank shop"},
		{"--prune", "one updated app bank shop, one updated timeout 1s -, two unchanged - - -, four removed - - -, three removed - - -"},
		{"one", "one updated app bank shop, one updated timeout 1s -, three updated app bank shop"},
	} {
		got := f.fnctl(append([]string{"deploy", dir, "--diff", "--formerly", "bank"}, strings.Fields(tc.args)...)...)
		var lines []string
		for line := range strings.Lines(fold(got.out)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "function "); ok {
				lines = append(lines, name)
			}
		}
		slices.Sort(lines)
		want := strings.Split(tc.want, ", ")
		slices.Sort(want)
		if !slices.Equal(lines, want) || got.code != exitWouldChange {
			t.Errorf("%s: exit code %d, %q, want %q\n%s", tc.args, got.code, lines, want, got.stderr)
		}
	}
	got := f.fnctl("deploy", dir, "--formerly", "bank")
	if got.code != exitOK || strings.Contains(got.stderr, "nothing changed") || !strings.Contains(f.requests(), `"formerly":"bank"`) {
		t.Errorf("%+v\n%s", got, f.requests())
	}
}

func TestDeployPrunes(t *testing.T) {
	t.Parallel()
	same := api.Deployed{App: "shop", Functions: []api.DeployedFunction{{Name: "one", Revision: 1, Change: "unchanged"}, {Name: "two", Revision: 1, Change: "unchanged"}}}
	pruned := same
	pruned.Removed = []string{"old"}
	f := newFake(t, map[string]any{"HEAD /modules/" + digestOf: stub{200, ""}, "PUT /ns/default/apps/shop": pruned})
	dir := twoModules(t)
	const table = "FUNCTION   REVISION   CHANGE      TRIGGERS   URLS\none        1          unchanged   -          -\ntwo        1          unchanged   -          -\n"
	f.fnctl("deploy", dir, "--prune").want(t, exitOK, table, "removed function old of app shop with its triggers: the manifest does not have it any more\n")
	if got := f.requests(); !strings.HasSuffix(got, `,"prune":true}`) {
		t.Errorf("asked\n%s", got)
	}
	// A second time there is nothing to do, and nothing is sent but the question.
	again := newFake(t, map[string]any{"HEAD /modules/" + digestOf: stub{200, ""}, "PUT /ns/default/apps/shop": same})
	again.fnctl("deploy", dir, "--prune").want(t, exitOK, table, "nothing changed: app shop runs as "+filepath.Join(dir, "fn.yaml")+" says\n")
	if got := again.requests(); strings.Contains(got, "PUT /modules") {
		t.Errorf("asked\n%s", got)
	}
}

// A terminal sees how far an upload is; a pipeline sees a line when it is done.
func TestUploadShowsHowFarItIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{w: &out, terminal: true}
	sent := p.upload("charge", 2048)
	for _, n := range []int{0, 5, 1024, 1025, 2048} {
		sent(n)
	}
	p.end()
	want := "\r\x1b[Kuploading charge (2 KiB)…\r\x1b[Kuploading charge (2 KiB): 50 %…\r\x1b[Kuploading charge (2 KiB): 100 %…\r\x1b[K"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	if (&progress{w: &out}).upload("charge", 2048) != nil {
		t.Error("progress is shown to a pipeline")
	}
}

func FuzzDifferences(f *testing.F) {
	f.Add(`{"timeout":"30s","on":[{"http":{}},{"topic":{"name":"a"}}]}`, `{"on":[{"topic":{"name":"a"}}],"env":{"A":"1"}}`)
	f.Add(`{"on":[{"http":{}},{"http":{}}]}`, `{"on":[{"http":{"path":"/a"}}]}`)
	f.Fuzz(func(t *testing.T, before, after string) {
		var x, y api.FunctionSpec
		if json.Unmarshal([]byte(before), &x) != nil || json.Unmarshal([]byte(after), &y) != nil {
			return
		}
		a, err := json.Marshal(x)
		b, err2 := json.Marshal(y)
		if err != nil || err2 != nil {
			return
		}
		list := differencesOf(functionKind, "f", x, y)
		if changesSomething(list) == bytes.Equal(a, b) {
			t.Errorf("%s and %s: %+v", a, b, list)
		}
	})
}

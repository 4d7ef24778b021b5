package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

const openAndClosed = `version: 1
app: doors
functions:
  hidden: { wasm: ./echo.wasm, on: { topic: { name: closed } } }
  shown: { wasm: ./echo.wasm, on: { http: {} } }
topics:
  open: { ingress: true }
`

func doors(t *testing.T) *app {
	t.Helper()
	a := sharedApp(t)
	a.write(t, "echo.wasm", wasmtest.Echo())
	a.deploy(t, openAndClosed)
	return a
}

var structured = http.Header{"Content-Type": {api.EventJSON}}

func TestEventsThatAreRefused(t *testing.T) {
	t.Parallel()
	a := doors(t)
	batch := http.Header{"Content-Type": {api.EventBatchJSON}}
	const good = `{"specversion":"1.0","id":"1","source":"/e2e","type":"t"}`
	const noID = `{"specversion":"1.0","source":"/e2e","type":"t"}`
	for name, tc := range map[string]struct {
		path   string
		header http.Header
		body   string
		status int
		slug   string
		want   []string // in detail and next step
	}{
		"no id": {"/topics/open", structured, noID, 400, "invalid-event", []string{
			`required attribute "id" is missing or empty`, "correct the event; nothing of this request was stored",
		}},
		"no id, binary": {"/topics/open", http.Header{"Ce-Specversion": {"1.0"}, "Ce-Source": {"/e2e"}, "Ce-Type": {"t"}}, "", 400, "invalid-event", []string{
			`required attribute "id" is missing or empty (header Ce-Id)`,
		}},
		"no id, second of a batch": {"/topics/open", batch, "[" + good + "," + noID + "]", 400, "invalid-event", []string{
			`event 2 of the batch: required attribute "id" is missing or empty`, "nothing of this request was stored",
		}},
		"no CloudEvent": {"/topics/open", http.Header{"Content-Type": {"application/json"}}, `{"a":1}`, 415, "not-a-cloudevent", []string{
			`no Ce-Specversion header, and its content type is "application/json"`, "send Ce-Id, Ce-Source, Ce-Type",
		}},
		"no JSON": {"/topics/open", structured, `{"id":`, 400, "invalid-event", []string{"JSON"}},
		"key over 64 KiB": {"/topics/open", structured, `{"specversion":"1.0","id":"1","source":"/e2e","type":"t","subject":"` + strings.Repeat("k", 64<<10+1) + `"}`, 400, "invalid-event", []string{
			`attribute "subject" has 65537 bytes, the limit is 65536`, "correct the event; nothing of this request was stored",
		}},
		"partitionkey over 64 KiB": {"/topics/open", structured, `{"specversion":"1.0","id":"1","source":"/e2e","type":"t","partitionkey":"` + strings.Repeat("k", 64<<10+1) + `"}`, 400, "invalid-event", []string{
			`attribute "partitionkey" has 65537 bytes, the limit is 65536`,
		}},
		"unknown topic": {"/topics/nowhere", structured, good, 404, "unknown-topic", []string{
			`no topic "nowhere" is open for events from outside`, "nowhere: { ingress: true }", "fnctl deploy",
		}},
		"topic without ingress": {"/topics/closed", structured, good, 404, "unknown-topic", []string{
			`no topic "closed" is open for events from outside`, "closed: { ingress: true }",
		}},
		"unknown function": {"/fn/nobody", structured, good, 404, "unknown-function", []string{
			`no function "nobody" is served over HTTP`, "on: [ { http: {} } ]",
		}},
		"function without http": {"/fn/hidden", structured, good, 404, "unknown-function", []string{`no function "hidden" is served over HTTP`}},
		"batch to a function":   {"/fn/shown", batch, "[" + good + "]", 415, "not-a-cloudevent", []string{"a function takes one event at a time"}},
		"unknown path":          {"/nothing", structured, good, 404, "unknown-path", []string{"nothing is served at this path"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := a.send(t, "POST", tc.path, tc.header, []byte(tc.body))
			if r.status != tc.status || r.problem.Type != "https://evoke.run/problems/"+tc.slug || r.problem.Status != tc.status {
				t.Errorf("%d %s, want %d and the problem %s", r.status, r.body, tc.status, tc.slug)
			}
			contains(t, r.problem.Detail+"\n"+r.problem.Next, tc.want...)
		})
	}
	t.Cleanup(func() { // after the cases, which run in parallel
		if out := a.must(t, "topic", "tail", "open"); out != "" {
			t.Errorf("the topic has %s", out)
		}
	})
}

func TestBodiesOverTheLimit(t *testing.T) {
	t.Parallel()
	a := doors(t)
	long := bytes.Repeat([]byte{' '}, 32<<20+1)
	for _, path := range []string{"/topics/open", "/fn/shown"} {
		r := a.send(t, "POST", path, structured, long)
		if r.status != 413 {
			t.Errorf("POST %s: %d %s", path, r.status, r.body)
		}
		contains(t, r.body, "too-large", "the body is longer than 32 MiB", "send a reference")
	}
	big := `{"specversion":"1.0","id":"1","source":"/e2e","type":"t","data":"` + strings.Repeat("x", 1<<20) + `"}`
	r := a.send(t, "POST", "/topics/open", structured, []byte(big))
	if r.status != 413 {
		t.Errorf("an event over 1 MiB: %d %s", r.status, r.body)
	}
	contains(t, r.body, "the limit is 1048576", "dataref")
	if out := a.must(t, "topic", "tail", "open"); out != "" {
		t.Errorf("the topic has %s", out)
	}
}

// What fnctl says about names that are not there: the words of the server, its own exit code.
func TestNamesThatAreNotThere(t *testing.T) {
	t.Parallel()
	a := doors(t)
	for _, tc := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"invoke", "nobody"}, 3, []string{`no function "nobody" in namespace "` + a.ns + `"`, "Try: ", "fnctl ls functions"}},
		{[]string{"emit", "nowhere", "--type", "t"}, 3, []string{`no topic "nowhere"`, "fnctl topic ls"}},
		{[]string{"topic", "tail", "nowhere"}, 3, []string{`no topic "nowhere"`}},
		{[]string{"describe", "function", "nobody"}, 3, []string{`"nobody"`}},
		{[]string{"rm", "function", "nobody"}, 3, []string{`"nobody"`}},
		{[]string{"dlq", "peek", "1-2-3"}, 3, []string{"1-2-3", "fnctl dlq ls"}},
		{[]string{"dlq", "peek", "nonsense"}, 1, []string{`"nonsense" is not an id such as 3-1042-17`}},
		{[]string{"emit", "open"}, 2, []string{"an event needs a type", "--type"}},
		{[]string{"logs", "--level", "loud"}, 2, []string{`--level is "loud"`, "debug, info, warn, error"}},
	} {
		r := a.fnctl(t, tc.args...)
		if r.code != tc.code {
			t.Errorf("fnctl %q: %s; want exit code %d", tc.args, r, tc.code)
		}
		contains(t, r.stderr, append(tc.want, "error: ")...)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	a := &app{rt: &process{admin: "http://127.0.0.1:1"}, ns: "default", dir: t.TempDir()}
	r := a.fnctl(t, "ls", "functions")
	if r.code != 6 {
		t.Errorf("fnctl ls: %s; want exit code 6", r)
	}
	contains(t, r.stderr, "reach the server at http://127.0.0.1:1", "connection refused", "start one with `runtime`")
}

package trial

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const anEvent = `{"specversion":"1.0","id":"1","source":"/s","type":"a","subject":"ada","datacontenttype":"application/json","data":{"n":1}}`

// talk gives Run values and answers what it wrote.
func talk(t *testing.T, values ...any) (report api.TrialReport, results []api.TrialResult) {
	t.Helper()
	var in, out bytes.Buffer
	for _, v := range values {
		if err := json.NewEncoder(&in).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := Run(t.Context(), &in, &out); err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(&out)
	if err := answers.Decode(&report); err != nil {
		t.Fatal(err)
	}
	for {
		var r api.TrialResult
		switch err := answers.Decode(&r); err {
		case nil:
			r.Duration = 0
			results = append(results, r)
		case io.EOF:
			return report, results
		default:
			t.Fatal(err)
		}
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	one := api.TrialCase{Event: json.RawMessage(anEvent)}
	emits := wasmtest.Emits("orders.done", `{"specversion":"1.0","type":"done","subject":"ada","datacontenttype":"application/json","data":{"b":1}}`)
	for _, tc := range []struct {
		name  string
		trial api.Trial
		want  string
	}{
		{"echo", api.Trial{Module: wasmtest.Echo()}, `{"verdict":"done","data":"eyJuIjoxfQ==","duration":"0s"}`},
		{
			"emits", api.Trial{Module: emits, Spec: api.FunctionSpec{Allow: api.Allow{Emit: []string{"orders.*"}}}},
			`{"verdict":"done","data":"AAAAAA==","emitted":[{"topic":"orders.done","attributes":{"datacontenttype":"application/json","subject":"ada","type":"done"},"data":"eyJiIjoxfQ=="}],` +
				`"log":[{"level":"info","message":"orders.done"}],"duration":"0s"}`,
		},
		{
			"may not emit", api.Trial{Module: emits},
			`{"verdict":"done","data":"/f///w==","log":[{"level":"warn","message":"emit: the function may not emit to topic \"orders.done\"; add it to allow.emit"},` +
				`{"level":"info","message":"orders.done"}],"duration":"0s"}`,
		},
		{"fails", api.Trial{Module: wasmtest.Says(abi.Failed, 2000, "not now")}, `{"verdict":"failed","class":"error","reason":"not now","retryAfter":"2s","duration":"0s"}`},
		{"rejects", api.Trial{Module: wasmtest.Says(abi.Rejected, -1, "never")}, `{"verdict":"rejected","class":"rejected","reason":"never","duration":"0s"}`},
		{"loops", api.Trial{Module: wasmtest.Loops(), Spec: api.FunctionSpec{Timeout: api.Duration(20 * time.Millisecond)}}, `"class":"deadline"`},
		{"traps", api.Trial{Module: wasmtest.Traps()}, `"verdict":"failed","class":"trap","reason":"`},
	} {
		report, results := talk(t, tc.trial, one, one)
		if report.Error != "" || len(results) != 2 {
			t.Errorf("%s: %+v, %d results", tc.name, report, len(results))
			continue
		}
		for _, r := range results { // the second one, too, finds a fresh sandbox
			got, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), tc.want) {
				t.Errorf("%s: got %s\nwant %s", tc.name, got, tc.want)
			}
		}
	}
}

func TestWhatCannotBeTried(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		trial api.Trial
		want  string
	}{
		{api.Trial{Module: []byte("no module")}, "module refused: "},
		{api.Trial{Module: wasmtest.Echo(), Spec: api.FunctionSpec{Allow: api.Allow{Emit: []string{"a b"}}}}, "allow.emit: topic pattern"},
		{api.Trial{Module: wasmtest.Echo(), Spec: api.FunctionSpec{Allow: api.Allow{HTTP: []string{"ftp://x"}}}}, "allow.http: "},
	} {
		if report, results := talk(t, tc.trial, api.TrialCase{}); !strings.HasPrefix(report.Error, tc.want) || len(results) > 0 {
			t.Errorf("%+v, %v\nwant %s", report, results, tc.want)
		}
	}
	_, results := talk(t, api.Trial{Module: wasmtest.Echo()}, api.TrialCase{Event: json.RawMessage(`{"id":"1"}`)}, api.TrialCase{Event: json.RawMessage(anEvent)})
	if len(results) != 2 || !strings.HasPrefix(results[0].Error, "the event: ") || results[1].Verdict != "done" {
		t.Errorf("an event that is none: %+v", results)
	}
}

func TestWhatIsNoConversation(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                             "read the function: EOF",
		"hello":                        "read the function: invalid character",
		`{"module":"` + "AGFzbQ==":     "read the function: unexpected EOF",
		mustJSON(t, trialOfEcho):       "",
		mustJSON(t, trialOfEcho) + "x": "read an event: invalid character",
	} {
		err := Run(t.Context(), strings.NewReader(in), io.Discard)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", in, err, want)
		}
	}
}

var trialOfEcho = api.Trial{Module: wasmtest.Echo()}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pair is the form of requests that have two parts: the length of the first, and both.
func pair(first, second string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(first)))) + first + second
}

func hostFor(t testing.TB, spec api.FunctionSpec, key, stubs string) *host {
	t.Helper()
	f := &function{name: "f", spec: spec}
	for _, text := range spec.Allow.HTTP {
		target, err := api.ParseHTTPTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		f.http = append(f.http, target)
	}
	var s api.TrialStubs
	if err := json.Unmarshal([]byte(stubs), &s); err != nil {
		t.Fatal(err)
	}
	return newHost(f, &event.Event{Subject: key}, s)
}

const someStubs = `{
	"state": {"n": 1, "text": "plain", "list": [1, 2]},
	"secrets": {"key": "s3cret"},
	"http": [
		{"method": "POST", "url": "https://a.example/x", "status": 201, "headers": {"X-B": "2"}, "data": "made"},
		{"url": "https://a.example/*", "data": {"n": 1}},
		{"url": "http://b.example:81/", "error": "nobody there"}
	],
	"invoke": {
		"price": {"attributes": {"type": "p"}, "data": {"eur": 2}},
		"never": {"verdict": "rejected", "reason": "no such article"},
		"now": {"verdict": "failed", "reason": "try later"}
	}
}`

func TestCapabilitiesComeFromStubs(t *testing.T) {
	t.Parallel()
	all := api.FunctionSpec{
		Secrets: []string{"key", "other"},
		Allow:   api.Allow{State: true, HTTP: []string{"a.example", "http://b.example:81"}, Invoke: []string{"price", "never", "now", "gone"}},
	}
	const anyEvent = `{"specversion":"1.0","type":"ask"}`
	h := hostFor(t, all, "ada", someStubs)
	for _, tc := range []struct {
		op, request string
		status      int32
		answer      string
	}{
		{abi.OpStateGet, "n", 200, "1"},
		{abi.OpStateGet, "text", 200, "plain"},
		{abi.OpStateGet, "list", 200, "[1, 2]"},
		{abi.OpStateGet, "none", 404, ""},
		{abi.OpStateGet, "", 400, "the name of a state entry has 1 to 512 bytes, not 0"},
		{abi.OpStateSet, pair("new", "value"), 204, ""},
		{abi.OpStateGet, "new", 200, "value"},
		{abi.OpStateSet, "x", 400, "a state.set request is"},
		{abi.OpStateSet, pair("big", strings.Repeat("x", abi.MaxStateValue+1)), 413, "the value has 262145 bytes"},
		{abi.OpStateDelete, "text", 204, ""},
		{abi.OpStateGet, "text", 404, ""},
		{abi.OpStateList, pair("", ""), 200, pair("list", "") + pair("n", "") + pair("new", "")},
		{abi.OpStateList, pair("n", "n"), 200, pair("new", "")},
		{abi.OpStateList, "", 400, "a state.list request is"},
		{abi.OpSecretGet, "key", 200, "s3cret"},
		{abi.OpSecretGet, "other", 404, `the secret "other" is not set`},
		{abi.OpSecretGet, "third", 403, `the secret "third" is not listed`},
		{abi.OpHTTPFetch, pair(`{"url":"https://a.example/x","method":"POST"}`, "body"), 200, pair(`{"status":201,"url":"https://a.example/x","headers":[["x-b","2"]]}`, "made")},
		{abi.OpHTTPFetch, pair(`{"url":"https://a.example/x"}`, ""), 200, pair(`{"status":200,"url":"https://a.example/x","headers":[["content-type","application/json"]]}`, `{"n": 1}`)},
		{abi.OpHTTPFetch, pair(`{"url":"https://a.example/x","maxBytes":2}`, ""), 413, "the response has 8 bytes, maxBytes is 2"},
		{abi.OpHTTPFetch, pair(`{"url":"http://b.example:81/"}`, ""), 502, "nobody there"},
		{abi.OpHTTPFetch, pair(`{"url":"http://b.example:81/y"}`, ""), 502, "no stub answers http: GET http://b.example:81/y"},
		{abi.OpHTTPFetch, pair(`{"url":"https://c.example/"}`, ""), 403, "the function may not send requests to https://c.example:443; add it to allow"},
		{abi.OpHTTPFetch, pair(`{"url":"c"}`, ""), 400, ""},
		{abi.OpInvoke, pair("price", anyEvent), 200, pair(`{"type": "p"}`, `{"eur": 2}`)},
		{abi.OpInvoke, pair("never", anyEvent), 422, "no such article"},
		{abi.OpInvoke, pair("now", anyEvent), 500, "try later"},
		{abi.OpInvoke, pair("gone", anyEvent), 404, "there is no function gone"},
		{abi.OpInvoke, pair("alien", anyEvent), 403, `f may not invoke "alien"`},
		{abi.OpInvoke, pair("price", "no"), 400, "the event for price: "},
		{abi.OpInvoke, "", 400, "an invoke request is"},
		{"time.travel", "", 404, `no capability "time.travel"`},
	} {
		status, answer := h.Call(t.Context(), tc.op, []byte(tc.request))
		if status != tc.status || !strings.HasPrefix(string(answer), tc.answer) {
			t.Errorf("%s %.60q: %d %q, want %d %q", tc.op, tc.request, status, answer, tc.status, tc.answer)
		}
	}
	if got, want := strings.Join(h.missing, "; "), `secrets: "other"; http: GET http://b.example:81/y; invoke: "gone"`; got != want {
		t.Errorf("missing %s, want %s", got, want)
	}
	if len(h.writes) != 2 || h.writes["text"] != nil || string(h.writes["new"]) != "value" {
		t.Errorf("writes %q", h.writes)
	}
}

func TestStateNeedsToBeAllowedAndAKey(t *testing.T) {
	t.Parallel()
	if status, answer := hostFor(t, api.FunctionSpec{}, "ada", "{}").Call(t.Context(), abi.OpStateGet, []byte("n")); status != 403 || !strings.Contains(string(answer), "state is not allowed") {
		t.Errorf("%d %s", status, answer)
	}
	spec := api.FunctionSpec{Allow: api.Allow{State: true}}
	if status, answer := hostFor(t, spec, "", "{}").Call(t.Context(), abi.OpStateGet, []byte("n")); status != 412 || !strings.Contains(string(answer), "the event has no key") {
		t.Errorf("%d %s", status, answer)
	}
}

// Nothing that a guest asks ends the process.
func FuzzCall(f *testing.F) {
	for _, op := range []string{abi.OpStateGet, abi.OpStateSet, abi.OpStateList, abi.OpStateDelete, abi.OpSecretGet, abi.OpHTTPFetch, abi.OpInvoke} {
		f.Add(op, []byte(pair("n", "x")))
		f.Add(op, []byte(pair(`{"url":"https://a.example/x"}`, "")))
		f.Add(op, []byte{})
	}
	f.Fuzz(func(t *testing.T, op string, request []byte) {
		h := hostFor(t, api.FunctionSpec{Secrets: []string{"key"}, Allow: api.Allow{State: true, HTTP: []string{"a.example"}, Invoke: []string{"price"}}}, "ada", someStubs)
		if status, _ := h.Call(t.Context(), op, request); status < 200 || status > 599 {
			t.Errorf("%q %q: %d", op, request, status)
		}
	})
}

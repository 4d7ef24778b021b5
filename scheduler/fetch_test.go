package scheduler

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/fetch"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// serveHTTP is something that functions send requests to, and what they have to allow for it.
func serveHTTP(t *testing.T, h http.HandlerFunc) (at string, allow api.Allow) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL, api.Allow{HTTP: []string{s.URL}}
}

// asks is an http.fetch as a guest sends it.
func asks(head, body string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(head)))) + head + body
}

// fetchesThen makes requests one after the other; the last character of the last response, a digit, is its verdict.
func fetchesThen(requests ...string) []byte {
	m, i := w.NewGuest()
	const op, answer, at = 0x40, 0x80, 0x1000
	m.Memory(1)
	m.Data(op, []byte(abi.OpHTTPFetch))
	var code [][]byte
	to := int32(at)
	for _, r := range requests {
		m.Data(uint32(to), []byte(r))
		code = append(code, w.Call(i.Call, op, int32(len(abi.OpHTTPFetch)), to, int32(len(r))), w.LocalSet(0), w.LocalGet(0), w.I64Const(-1), w.Call(i.CallWait), w.Drop())
		to += int32(len(r))
	}
	code = append(code,
		w.LocalGet(0), w.LocalGet(0), w.Call(i.CallLen), w.I32Const(1), w.Sub(), w.I32Const(answer), w.I32Const(1), w.Call(i.CallRead), w.Drop(),
		w.I32Const(answer), w.Load(), w.I32Const('0'), w.Sub())
	return m.Handle(code...).Bytes()
}

func TestFetchOfAFunction(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := setup(t, func(o *Options) { o.Registerer = reg })
	at, allow := serveHTTP(t, func(out http.ResponseWriter, r *http.Request) { fmt.Fprint(out, "hello ", r.URL.Path) })
	if _, warnings, err := b.scheduler.CheckModule(t.Context(), "f", w.Echo(), api.FunctionSpec{Allow: api.Allow{HTTP: []string{at, "10.0.0.1"}}}); err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0], "allow.http has 10.0.0.1, to which nothing can be sent: ") {
		t.Errorf("%q, %v", warnings, err)
	}
	get := asks(`{"url":"`+at+`/world"}`, "")
	b.deploy("may", w.Calls(abi.OpHTTPFetch, get), api.FunctionSpec{Allow: allow})
	b.deploy("elsewhere", w.Calls(abi.OpHTTPFetch, get), api.FunctionSpec{Allow: api.Allow{HTTP: []string{"api.example"}}})
	b.deploy("nowhere", w.Calls(abi.OpHTTPFetch, get), api.FunctionSpec{})
	b.deploy("wrong", w.Calls(abi.OpHTTPFetch, asks(`{"url":"file:///etc/passwd"}`, "")), api.FunctionSpec{Allow: allow})
	b.deploy("placeless", w.Calls(abi.OpHTTPFetch, asks(`{"url":"`+at+`","event":1}`, "")), api.FunctionSpec{Allow: allow})

	wantAnswer(t, b.call("may", newEvent("1", "")), abi.StatusOK, "hello /world")
	wantAnswer(t, b.call("elsewhere", newEvent("1", "")), abi.StatusDenied, `the function may not send requests to `+at+`; add it to allow: { http: ["`+at+`"] } in fn.yaml`)
	wantAnswer(t, b.call("nowhere", newEvent("1", "")), abi.StatusDenied, `add it to allow: { http: ["`+at+`"] } in fn.yaml`)
	wantAnswer(t, b.call("wrong", newEvent("1", "")), abi.StatusInvalid, "is neither of http nor of https")
	wantAnswer(t, b.call("placeless", newEvent("1", "")), abi.StatusInvalid, "event 1 is not among the 1 of the delivery; the first one is 0")
	if got := fetchOutcomes(t, reg); got != "elsewhere denied 1, may 2xx 1, nowhere denied 1, placeless invalid 1, wrong invalid 1" {
		t.Error(got)
	}
}

func fetchOutcomes(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		if f.GetName() != "evoke_fetches_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			out = append(out, fmt.Sprint(labels["function"], " ", labels["outcome"], " ", m.GetCounter().GetValue()))
		}
	}
	return strings.Join(out, ", ")
}

// What an attempt asks for has a key that the next attempt repeats: nothing happens twice where it is heeded.
func TestRetriesRepeatTheirIdempotencyKeys(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var keys, traces []string
	b := setup(t, nil)
	at, allow := serveHTTP(t, func(out http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		keys = append(keys, r.Method+" "+string(body)+" "+r.Header.Get("Idempotency-Key"))
		traces = append(traces, r.Header.Get("Traceparent")+" "+r.Header.Get("Tracestate"))
		verdict := abi.Done
		if len(keys) <= 8 {
			verdict = abi.Failed
		}
		fmt.Fprint(out, int(verdict))
	})
	post := asks(`{"method":"POST","url":"`+at+`"}`, "a")
	b.deploy("f", fetchesThen(post, post, asks(`{"method":"POST","url":"`+at+`"}`, "b"), asks(`{"url":"`+at+`"}`, "")), api.FunctionSpec{
		Allow: allow, Triggers: onTopic("in"), Retry: &api.Retry{Initial: api.Duration(time.Millisecond)},
	})
	first := newEvent("1", "")
	first.SetExtension(event.Extension{Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	first.SetExtension(event.Extension{Name: "tracestate", Value: "a=b"})
	b.publish("in", first)
	b.eventually("the third attempt", func() bool { return b.stats("f:in").Pending == 0 })
	if len(keys) != 12 || !slices.Equal(keys[:4], keys[4:8]) || !slices.Equal(keys[:4], keys[8:]) {
		t.Fatalf("%q", keys)
	}
	seen := map[string]bool{}
	for _, k := range keys[:3] {
		f := strings.Fields(k)
		if len(f) != 3 || len(f[2]) != 32 || seen[f[2]] {
			t.Errorf("%q", keys[:4])
		}
		seen[f[2]] = true
	}
	if keys[3] != "GET  " {
		t.Errorf("%q", keys[3])
	}
	for i, trace := range traces {
		if !strings.HasPrefix(trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-") || !strings.HasSuffix(trace, "-01 a=b") || strings.Contains(trace, "00f067aa0ba902b7") || trace != traces[i/4*4] || i >= 4 && trace == traces[i-4] {
			t.Errorf("each attempt is a span of its own: %q", traces)
		}
	}
	b.publish("in", newEvent("2", ""))
	b.eventually("another event", func() bool { return b.stats("f:in").Pending == 0 })
	if len(keys) != 16 || seen[strings.Fields(keys[12])[2]] || traces[12] != " " {
		t.Errorf("%q, %q", keys[12:], traces[12:])
	}
}

// asking is a host that makes keys.
func asking(inv invocation) *host {
	return &host{function: &function{spec: &api.Function{Namespace: "default", Name: "f"}}, invocation: inv, fetches: &fetches{}}
}

func TestWhatAnIdempotencyKeyIsMadeOf(t *testing.T) {
	t.Parallel()
	target, err := url.Parse("http://a.example/b")
	if err != nil {
		t.Fatal(err)
	}
	request := func(event int) *fetch.Request {
		return &fetch.Request{Method: "POST", URL: target, Body: []byte("x"), Event: event}
	}
	one, two, edited := newEvent("1", "k"), newEvent("2", "k"), newEvent("1", "k")
	edited.Data = []byte("edited")
	inv := invocation{id: "0-1-1", trigger: "f:in", event: &one}
	key := func(inv invocation, event int) string { return asking(inv).idempotencyKey(request(event)) }
	want := key(inv, -1)
	traced := one
	traced.Extensions = []event.Extension{{Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	inTrace := inv
	inTrace.event = &traced
	again := inv
	again.id, again.number = "3-77-1", 5 // a replay elsewhere
	batch := inv
	batch.batch, batch.more = "0-1-1", []invocation{{event: &two}}
	for name, same := range map[string]string{"a replay": key(again, -1), "another trace": key(inTrace, -1), "its place": key(inv, 0), "its place in a batch": key(batch, 0)} {
		if same != want {
			t.Errorf("%s has another key", name)
		}
	}
	ofEdited, ofOther, ofTrigger, smaller := inv, inv, inv, batch
	ofEdited.event, ofOther.event, ofTrigger.trigger = &edited, &two, "f:http"
	smaller.more = []invocation{{event: &edited}}
	once := invocation{trigger: "f:http", event: &one, once: &partition.Once{Key: "c-1"}}
	keys := map[string]string{
		"event": want, "edited": key(ofEdited, -1), "other": key(ofOther, -1), "trigger": key(ofTrigger, -1), "batch": key(batch, -1), "another batch": key(smaller, -1), "once": key(once, -1),
	}
	h := asking(inv)
	if h.idempotencyKey(request(-1)) != want {
		t.Error("the first request has another key")
	}
	keys["second"] = h.idempotencyKey(request(-1))
	for name, body := range map[string]string{"body": "y", "empty": ""} {
		r := request(-1)
		r.Body = []byte(body)
		keys[name] = h.idempotencyKey(r)
	}
	r := request(-1)
	r.Method = "PUT"
	keys["method"] = h.idempotencyKey(r)
	seen := map[string]string{}
	for name, k := range keys {
		if seen[k] != "" {
			t.Errorf("%s and %s have the same key", name, seen[k])
		}
		seen[k] = name
	}
	repeated := once
	later := newEvent("another", "k") // the client sends the same again, which is another event
	repeated.event = &later
	if key(repeated, -1) != keys["once"] {
		t.Error("a call that is repeated has another key")
	}
}

// Who is asked to come later comes later, and so do the other events of the trigger.
func TestRetryAfterOfAResponse(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var asked atomic.Int32
	at, allow := serveHTTP(t, func(out http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		out.Header().Set("Retry-After", "600")
		out.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(out, 1)
	})
	b.deploy("f", fetchesThen(asks(`{"url":"`+at+`"}`, "")), api.FunctionSpec{Allow: allow, Triggers: append(onTopic("in"), api.TriggerSpec{HTTP: &api.HTTPTrigger{}}), Scale: api.Scale{Max: 1}})
	b.publish("in", manyEvents(50)...)
	waitUntil(t, func() bool { return b.waiting("f")[string(heldByRetryAfter)] > 0 && b.stats("f:in").Running == 0 })
	if s := b.stats("f:in"); s.Pending != 50 || int32(s.Retrying) != asked.Load() {
		t.Errorf("%+v, the host was asked %d times", s, asked.Load())
	}
	list, err := b.table.Invocations(partition.InvocationQuery{Function: "f", State: partition.Waiting, Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if _, until := b.scheduler.WaitsFor(&list[0]); time.Until(until) < 5*time.Minute || time.Until(until) > 10*time.Minute {
		t.Errorf("waits until %s", until)
	}
	if r := b.call("f", newEvent("call", "")); r.Verdict != abi.Failed || r.RetryAfter != 10*time.Minute {
		t.Errorf("the caller hears %+v", r)
	}
}

func TestTheLastWordOfAHostCounts(t *testing.T) {
	t.Parallel()
	answer := func(status int, wait time.Duration) *fetch.Answer {
		return &fetch.Answer{HTTP: status, RetryAfter: wait, Overloaded: status == 429 || status == 503}
	}
	failed := func() sandbox.Result {
		return sandbox.Result{Verdict: abi.Failed, RetryAfter: -1, More: []sandbox.Result{{Verdict: abi.Done, RetryAfter: -1}, {Verdict: abi.Failed, RetryAfter: time.Second}, {Verdict: abi.Failed, RetryAfter: -1}}}
	}
	var f fetches
	check := func(what string, pushed bool, want ...time.Duration) {
		t.Helper()
		r := failed()
		if f.heed(&r) != pushed || r.RetryAfter != want[0] || r.More[0].RetryAfter != -1 || r.More[1].RetryAfter != time.Second || r.More[2].RetryAfter != want[0] {
			t.Errorf("%s: %t, %+v", what, !pushed, r)
		}
	}
	check("nothing was asked", false, -1)
	f.heard("a", answer(200, 9*time.Second))
	check("done", false, -1)
	f.heard("a", answer(429, -1))
	check("without a time", true, -1)
	f.heard("b", answer(503, 5*time.Second))
	check("one of two has a time", true, 5*time.Second)
	f.heard("a", answer(429, 7*time.Second))
	check("the longest", true, 7*time.Second)
	f.heard("a", answer(0, -1))
	check("no answer says nothing", true, 7*time.Second)
	f.heard("a", answer(201, -1))
	check("one is well again", true, 5*time.Second)
	f.heard("b", answer(404, -1))
	check("both are", false, -1)
	if (*fetches)(nil).heed(&sandbox.Result{}) {
		t.Error("who asks nobody is pushed back")
	}
}

// What a function may reach is asked of every hop, whoever leads there.
func TestRedirectsDoNotLeadInside(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	at, allow := serveHTTP(t, func(out http.ResponseWriter, r *http.Request) {
		http.Redirect(out, r, "http://"+strings.TrimPrefix(r.URL.Path, "/"), http.StatusTemporaryRedirect)
	})
	allow.HTTP = append(allow.HTTP, "http://10.0.0.1", "http://169.254.169.254", "http://[::ffff:a9fe:a9fe]", "http://[64:ff9b::a00:1]", "http://[::1]:*", "http://*:*")
	i := 0
	for to, want := range map[string]string{
		"10.0.0.1/":              "the address 10.0.0.1 is private; only addresses of the internet may be reached",
		"169.254.169.254/latest": "the address 169.254.169.254 is the metadata of the machine",
		"[::ffff:a9fe:a9fe]/":    "the address 169.254.169.254, which is the metadata of the machine",
		"[64:ff9b::a00:1]/":      "the address 64:ff9b::a00:1 is private",
		"[::1]:8081/metrics":     "the address ::1 is this machine",
		"0x7f000001/":            "ends in a number and is no address of IPv4",
		"192.168.0.1/":           "redirected: the function may not send requests to http://192.168.0.1:80",
	} {
		i++
		name := fmt.Sprint("f", i)
		b.deploy(name, w.Calls(abi.OpHTTPFetch, asks(`{"method":"POST","url":"`+at+"/"+to+`"}`, "x")), api.FunctionSpec{Allow: allow})
		wantAnswer(t, b.call(name, newEvent("1", "")), abi.StatusDenied, want)
	}
}

func TestInvocationsKeepConnections(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	at, allow := serveHTTP(t, func(out http.ResponseWriter, r *http.Request) { fmt.Fprint(out, "from ", r.RemoteAddr) })
	get := w.Calls(abi.OpHTTPFetch, asks(`{"url":"`+at+`"}`, ""))
	b.deploy("f", get, api.FunctionSpec{Allow: allow})
	first := b.call("f", newEvent("1", "")).Data
	b.deploy("f", get, api.FunctionSpec{Allow: allow, Timeout: api.Duration(time.Second)}) // another revision
	for id := range 5 {
		_, from, _ := strings.Cut(string(first), "from ")
		wantAnswer(t, b.call("f", newEvent(fmt.Sprint(id), "")), abi.StatusOK, "from "+from)
	}
}

// A guest that waits for an answer leaves its processor to others: here one without which the answer does not come.
func TestAWaitingGuestKeepsNobodyBusy(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 1 })
	at, allow := serveHTTP(t, func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(out, string(b.call("echo", event.Event{ID: "2", Source: "/test", Type: "t", Data: []byte("from the other")}).Data))
	})
	b.deploy("echo", w.Echo(), api.FunctionSpec{})
	b.deploy("asks", w.Calls(abi.OpHTTPFetch, asks(`{"url":"`+at+`"}`, "")), api.FunctionSpec{Allow: allow})
	wantAnswer(t, b.call("asks", newEvent("1", "")), abi.StatusOK, "from the other")
}

// hanging is a host that never answers. It says when it was asked and when the one who asked has gone.
func hanging(t *testing.T) (at string, allow api.Allow, asked, gone <-chan struct{}) {
	came, went := make(chan struct{}, 100), make(chan struct{}, 100)
	at, allow = serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-r.Context().Done()
		went <- struct{}{}
	})
	return at, allow, came, went
}

func TestDeadlineEndsFetches(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	at, allow, asked, gone := hanging(t)
	b.deploy("f", w.Calls(abi.OpHTTPFetch, asks(`{"url":"`+at+`"}`, "")), api.FunctionSpec{Allow: allow, Timeout: api.Duration(200 * time.Millisecond)})
	for range 3 { // by the same instance
		if r := b.call("f", newEvent("1", "")); r.Class != sandbox.ClassDeadline {
			t.Errorf("%s: %s", r.Class, r.Error)
		}
	}
	for len(asked) > 0 { // all, unless the machine is so busy that a deadline came before
		<-asked
		<-gone
	}
}

// A stop of the runtime, and a cancel of the invocation, end what waits for others.
func TestStopEndsFetches(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Drain = time.Millisecond })
	at, allow, asked, gone := hanging(t)
	b.deploy("f", w.Calls(abi.OpHTTPFetch, asks(`{"url":"`+at+`"}`, "")), api.FunctionSpec{Allow: allow, Triggers: onTopic("in")})
	b.publish("in", newEvent("1", ""))
	<-asked
	b.stop()
	<-gone
	if s := b.stats("f:in"); s.Pending != 1 || s.Retrying != 0 {
		t.Errorf("%+v", s)
	}
}

// leaves starts a request, replies with how many events it has seen, and ends without a look at the answer: by its verdict, or by a trap.
func leaves(request string, end []byte) []byte {
	m, i := w.NewGuest()
	m.Memory(1)
	const seen = 0x20
	m.Data(0x40, []byte(abi.OpHTTPFetch))
	m.Data(0x100, []byte(request))
	return m.Handle(
		w.Call(i.Call, 0x40, int32(len(abi.OpHTTPFetch)), 0x100, int32(len(request))), w.Drop(),
		w.I32Const(seen), w.I32Const(seen), w.Load(), w.I32Const(1), w.Add(), w.Store(), w.Call(i.Reply, abi.ReplyData, seen, 4), w.Drop(), end,
	).Bytes()
}

// What a guest has begun and not waited for ends with its event, and the next one finds nothing of it.
func TestFetchesEndWithTheirEvent(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	at, allow, _, _ := hanging(t)
	request := asks(`{"url":"`+at+`"}`, "")
	b.deploy("done", leaves(request, w.I32Const(0)), api.FunctionSpec{Allow: allow})
	b.deploy("trapped", leaves(request, w.Unreachable()), api.FunctionSpec{Allow: allow})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if r := b.call("done", newEvent("1", "")); r.Verdict != abi.Done || string(r.Data) != "\x01\x00\x00\x00" {
					t.Errorf("%s: %s, % x events were seen", r.Class, r.Error, r.Data)
				}
				if r := b.call("trapped", newEvent("1", "")); r.Class != sandbox.ClassTrap {
					t.Errorf("%s: %s", r.Class, r.Error)
				}
			}
		})
	}
	wg.Wait()
}

// The limit of open requests is the function's, not its revision's or its instance's.
func TestRevisionsShareTheirPlaces(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	at, allow, asked, _ := hanging(t)
	m, i := w.NewGuest()
	m.Memory(1)
	request := asks(`{"url":"`+at+`"}`, "")
	m.Data(0x40, []byte(abi.OpHTTPFetch))
	m.Data(0x100, []byte(request))
	start := w.Call(i.Call, 0x40, int32(len(abi.OpHTTPFetch)), 0x100, int32(len(request)))
	fills := m.Handle(w.While(start, w.LocalSet(0), w.LocalGet(0), w.I32Const(abi.MaxCalls), w.LessU()), w.I32Const(-1), w.I64Const(-1), w.Call(i.CallWait), w.WrapI64()).Bytes()
	b.deploy("f", fills, api.FunctionSpec{Allow: allow})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = b.scheduler.Call(ctx, Call{Namespace: "default", Function: "f", Event: newEvent("1", "")}) // it is cut
	}()
	for range fetch.MaxPerFunction {
		<-asked
	}
	b.deploy("f", w.Calls(abi.OpHTTPFetch, asks(`{"url":"`+at+`","timeoutMs":20}`, "")), api.FunctionSpec{Allow: allow})
	wantAnswer(t, b.call("f", newEvent("2", "")), abi.StatusBusy, "busy: 64 requests of the function are open, the limit")
	cancel()
	<-ended
}

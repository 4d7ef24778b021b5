package scheduler

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

const anEvent = `{"type":"ask"}`

func invokes(function string) capability { return capability{"invoke", pair(function, anEvent)} }

// may is what a function of these tests may: keep state, emit to out, and invoke others.
func may(invoke ...string) api.FunctionSpec {
	return api.FunctionSpec{Allow: api.Allow{State: true, Emit: []string{"out"}, Invoke: invoke}}
}

func (b *bundle) state(function, key, name string) string {
	b.t.Helper()
	value, version, err := b.table.State("default", function, key, name)
	if err != nil {
		b.t.Fatal(err)
	}
	if version == 0 {
		return "absent"
	}
	return fmt.Sprintf("%q", value)
}

// replied is the answer of invoke when the function replied without JSON.
func replied(data string) string { return "200 \x00\x00\x00\x00" + data }

func number(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }

func TestInvokedFunctionsJoinTheirCaller(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("callee", counts("out"), may())
	b.deploy("caller", scripted(0, invokes("callee"), capability{"state.set", pair("mine", "1")}, invokes("callee")), may("callee"))
	r := b.call("caller", newEvent("1", "k"))
	if got := answers(t, r); got != replied(number(1))+"\n204\n"+replied(number(2)) {
		t.Errorf("got %q", got)
	}
	if got := b.state("callee", "k", "n"); got != fmt.Sprintf("%q", number(2)) {
		t.Errorf("the callee's state is %s", got)
	}
	if b.state("caller", "k", "n") != "absent" || b.state("caller", "k", "mine") != `"1"` {
		t.Error("state is with the wrong function")
	}
	b.eventually("both events", func() bool { return len(b.stored("out")) == 2 })
	stored := b.stored("out")
	e := stored[slices.IndexFunc(stored, func(s partition.TopicRecord) bool { return s.Event.ID == r.Invocation+".i1.0" })].Event
	x := extensions(&e)
	if e.ID != r.Invocation+".i1.0" || e.Source != "/ns/default/functions/callee" || x["causationid"] != r.Invocation+".i1" || x["correlationid"] != "1" || x["evokehops"] != "2" {
		t.Errorf("emitted %+v %v", e, x)
	}
	var seen []string
	for _, entry := range b.entries() {
		if entry.Attempt != nil {
			seen = append(seen, entry.Function+" "+entry.Invocation+" "+entry.Trigger+" "+entry.Attempt.Verdict)
		}
	}
	id := r.Invocation
	want := []string{"callee " + id + ".i1 caller:invoke done", "callee " + id + ".i2 caller:invoke done", "caller " + id + "  done"}
	if strings.Join(seen, "\n") != strings.Join(want, "\n") {
		t.Errorf("the history has\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
}

// What a caller that fails has invoked leaves nothing; neither does an invoked function that fails in a caller that is done.
func TestInvokedFunctionsLeaveNothingWhenItFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ caller, callee int32 }{"the caller": {1, 0}, "the callee": {0, 1}, "the callee rejects": {0, 2}, "both": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.deploy("inner", counts("out"), may())
			b.deploy("callee", scripted(tc.callee, capability{"state.set", pair("n", "v")}, invokes("inner")), may("inner"))
			b.deploy("caller", scripted(tc.caller, invokes("callee"), capability{"state.set", pair("n", "v")}), may("callee"))
			r := b.call("caller", newEvent("1", "k"))
			if (r.Verdict == 0) != (tc.caller == 0) {
				t.Errorf("got %+v", r)
			}
			if got := b.state("callee", "k", "n") + b.state("inner", "k", "n"); got != "absentabsent" || len(b.stored("out")) != 0 {
				t.Errorf("state %s, %d events", got, len(b.stored("out")))
			}
		})
	}
}

// A second run of a function within a delivery goes on from what the first one did, however deep it was, and not from what one did that failed.
func TestInvokedFunctionsSeeEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("count", counts(""), may())
	b.deploy("good", scripted(0, invokes("count"), invokes("count")), may("count"))
	b.deploy("bad", scripted(1, invokes("count"), invokes("count")), may("count"))
	b.deploy("caller", scripted(0, invokes("good"), invokes("bad"), invokes("count"), invokes("good")), may("good", "bad", "count"))
	got := strings.Split(answers(t, b.call("caller", newEvent("1", "k"))), "\n")
	if len(got) != 4 || !strings.HasPrefix(got[1], "500 ") || got[2] != replied(number(3)) || b.state("count", "k", "n") != fmt.Sprintf("%q", number(5)) {
		t.Errorf("got %q, state %s", got, b.state("count", "k", "n"))
	}
}

func TestInvocationsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		request string
		want    string
	}{
		"no length":         {"ab", "400 an invoke request is the length of the function's name as u32, the name, and the event in JSON"},
		"no name":           {pair("", anEvent), "400 an invoke request is"},
		"length beyond":     {"\xff\xff\xff\xffecho", "400 an invoke request is"},
		"not allowed":       {pair("other", anEvent), `403 f may not invoke "other"; add it to allow: { invoke: [...] } in fn.yaml`},
		"nobody":            {pair("nobody", anEvent), "404 there is no function nobody"},
		"no event":          {pair("echo", ""), "400 the event for echo: event is not a JSON object"},
		"no type":           {pair("echo", `{"id":"1"}`), `400 the event for echo: required attribute "type" is missing or empty`},
		"bad source":        {pair("echo", `{"type":"t","source":"a b"}`), `400 the event for echo: attribute "source" is "a b", not a URI reference`},
		"it traps":          {pair("traps", anEvent), "502 "},
		"it rejects":        {pair("rejects", anEvent), "422 no such order"},
		"it fails":          {pair("fails", anEvent), "500 try again"},
		"it takes too long": {pair("slow", anEvent), "504 "},
		"it is done":        {pair("echo", `{"type":"t","datacontenttype":"text/plain","data":"hello"}`), replied("hello")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.deploy("echo", wasmtest.Echo(), may())
			b.deploy("traps", wasmtest.Traps(), may())
			b.deploy("rejects", wasmtest.Says(2, -1, "no such order"), may())
			b.deploy("fails", wasmtest.Says(1, -1, "try again"), may())
			b.deploy("slow", wasmtest.Loops(), api.FunctionSpec{Timeout: api.Duration(50 * time.Millisecond)})
			b.deploy("f", scripted(0, capability{"invoke", tc.request}), may("nobody", "echo", "traps", "rejects", "fails", "slow"))
			if got := answers(t, b.call("f", newEvent("1", "k"))); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCyclesOfInvocationsAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("a", scripted(0, invokes("b")), may("b"))
	b.deploy("b", scripted(0, invokes("c")), may("c"))
	b.deploy("c", scripted(0, invokes("a")), may("a"))
	if got := answers(t, b.call("a", newEvent("1", "k"))); !strings.Contains(got, "a function cannot be invoked while it waits for what it invoked: a → b → c → a") {
		t.Errorf("got %q", got)
	}
	for i := range 9 {
		next := fmt.Sprint("deep", i+1)
		b.deploy(fmt.Sprint("deep", i), scripted(0, invokes(next)), may(next))
	}
	want := "at most 8 functions may be under way because of one event: deep0 → deep1 → deep2 → deep3 → deep4 → deep5 → deep6 → deep7 → deep8"
	if got := answers(t, b.call("deep0", newEvent("1", "k"))); !strings.Contains(got, want) {
		t.Errorf("got %q", got)
	}
	far := withExtension(newEvent("1", "k"), "evokehops", "63")
	b.deploy("end", wasmtest.Echo(), may())
	b.deploy("far", scripted(0, invokes("end")), may("end"))
	if got := answers(t, b.call("far", far)); !strings.HasPrefix(got, "508 stopped after 64 hops: ") {
		t.Errorf("got %q", got)
	}
}

// Many callers of one key, whose callee counts: none is lost, and no event of a topic counts twice.
func TestInvokedStateLosesNoUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("count", counts("out"), may())
	spec := may("count")
	spec.Triggers = onTopic("in")
	b.deploy("caller", scripted(0, invokes("count")), spec)
	b.deploy("other", scripted(0, invokes("count")), may("count"))
	const n = 15
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { b.publish("in", newEvent(fmt.Sprint("p", i), "k")) })
		wg.Go(func() { b.call("other", newEvent(fmt.Sprint("c", i), "k")) })
		wg.Go(func() { b.call("count", newEvent(fmt.Sprint("d", i), "k")) })
	}
	wg.Wait()
	b.eventually("all have counted", func() bool { return len(b.stored("out")) == 3*n })
	if got := b.state("count", "k", "n"); got != fmt.Sprintf("%q", number(3*n)) {
		t.Errorf("the count is %s", got)
	}
}

// Calls that are started together run one after the other, and what the guest does not wait for ends with it.
func TestInvocationsThatAreStartedTogether(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("count", counts(""), may())
	b.deploy("slow", wasmtest.Loops(), may())
	m, i := wasmtest.NewGuest()
	const op, count, slow = 0x1000, 0x1100, 0x1200
	toCount, toSlow := pair("count", anEvent), pair("slow", anEvent)
	m.Data(op, []byte("invoke"))
	m.Data(count, []byte(toCount))
	m.Data(slow, []byte(toSlow))
	var code [][]byte
	for range 5 {
		code = append(code, wasmtest.Call(i.Call, op, 6, count, int32(len(toCount))), wasmtest.Drop())
	}
	for range 5 {
		code = append(code, wasmtest.I32Const(-1), wasmtest.I64Const(-1), wasmtest.Call(i.CallWait), wasmtest.Drop())
	}
	code = append(code, wasmtest.Call(i.Call, op, 6, slow, int32(len(toSlow))), wasmtest.Drop(), wasmtest.I32Const(0))
	b.deploy("f", m.Handle(code...).Bytes(), may("count", "slow"))
	if r := b.call("f", newEvent("1", "k")); r.Class != "" {
		t.Errorf("got %+v", r)
	}
	if got := b.state("count", "k", "n"); got != fmt.Sprintf("%q", number(5)) || b.seated() != 0 {
		t.Errorf("the count is %s, %d still run", got, b.seated())
	}
}

// A batch has no key, and neither have those that it invokes; what they emit becomes real with it.
func TestBatchesInvoke(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("emit", wasmtest.Emits("out", `{"type":"t"}`), may())
	b.deploy("keep", scripted(0, capability{"state.get", "n"}, capability{"state.list", pair("", "")}), may())
	spec := api.FunctionSpec{
		Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "in", Batch: &api.BatchSpec{Size: 3, Window: api.Duration(50 * time.Millisecond)}}}},
		Allow:    api.Allow{Invoke: []string{"emit", "keep"}},
	}
	b.deploy("f", scripted(0, invokes("emit"), invokes("keep")), spec)
	b.publish("in", newEvent("1", "k"), newEvent("2", "k"), newEvent("3", "k"))
	b.eventually("it has emitted", func() bool { return len(b.stored("out")) > 0 })
	ran := 0
	for _, e := range b.entries() {
		if e.Function != "keep" || e.Attempt == nil {
			continue
		}
		if ran++; e.Attempt.Verdict != "done" {
			t.Errorf("%+v", e.Attempt)
		}
	}
	if ran == 0 {
		t.Error("keep did not run")
	}
}

// Callers that take all the places there are do not wait for one for ever.
func TestAnInvokedFunctionFindsNoPlace(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Begun = 1 })
	b.scheduler.patience = time.Millisecond
	b.deploy("echo", wasmtest.Echo(), may())
	b.deploy("f", scripted(0, invokes("echo")), may("echo"))
	if got := answers(t, b.call("f", newEvent("1", "k"))); !strings.HasPrefix(got, "429 no place for it within") {
		t.Errorf("got %q", got)
	}
}

// The deadline of the caller is that of what it invokes, and who cancels the one cancels the other.
func TestACallerTakesWhatItInvokedWithIt(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("slow", wasmtest.Loops(), may())
	spec := may("slow")
	spec.Timeout = api.Duration(50 * time.Millisecond)
	b.deploy("f", scripted(0, invokes("slow")), spec)
	if r := b.call("f", newEvent("1", "k")); r.Class != "deadline" && !regexp.MustCompile(`^504 did not finish within [1-5]?\dms`).MatchString(answers(t, r)) { // whoever is first, with what the caller has left
		t.Errorf("got %+v", r)
	}
	spec.Timeout, spec.Triggers = 0, onTopic("in")
	b.deploy("g", scripted(0, invokes("slow")), spec)
	b.publish("in", newEvent("1", "k"))
	waitUntil(t, func() bool { return b.seated() == 2 })
	names := b.pending(partition.Running)
	if len(names) != 1 {
		t.Fatalf("running: %q", names)
	}
	b.cancel(names[0])
	waitUntil(t, func() bool { return b.seated() == 0 })
}

// What an invoked function sends to others has the same keys in each attempt of its caller.
func TestRetriesOfACallerRepeatTheKeysOfWhatItInvoked(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var keys []string
	b := setup(t, nil)
	at, allow := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
	})
	b.deploy("pay", wasmtest.Calls("http.fetch", asks(`{"method":"POST","url":"`+at+`"}`, "a")), api.FunctionSpec{Allow: allow})
	spec := may("pay")
	spec.Triggers, spec.Retry = onTopic("in"), &api.Retry{Attempts: 3, Initial: api.Duration(time.Millisecond)}
	b.deploy("f", scripted(1, invokes("pay"), capability{"invoke", pair("pay", `{"type":"other"}`)}, invokes("pay")), spec)
	b.publish("in", newEvent("1", "k"))
	b.eventually("it is given up on", func() bool { return len(b.letters()) == 1 })
	b.publish("in", newEvent("2", "k"))
	b.eventually("so is another one", func() bool { return len(b.letters()) == 2 })
	if len(keys) != 18 || !slices.Equal(keys[:3], keys[3:6]) || !slices.Equal(keys[:3], keys[6:9]) || !slices.Equal(keys[9:12], keys[15:]) {
		t.Fatalf("%q", keys)
	}
	seen := slices.Concat(keys[:3], keys[9:12])
	slices.Sort(seen)
	if len(slices.Compact(seen)) != 6 || slices.Contains(seen, "") {
		t.Errorf("%q", seen)
	}
}

// Whatever a guest sends, it gets an answer: a function that does not exist, or why not.
func FuzzInvokeRequest(f *testing.F) {
	for _, s := range []string{"", "abc", pair("nobody", anEvent), pair("nobody", `{"type":"t","id":"1","data":{"a":[]}}`), pair("f", anEvent), pair("x", ""), "\xff\xff\xff\xff", pair("nobody", `{"type":"t","subject":"\ud800"}`)} {
		f.Add([]byte(s))
	}
	cause := newEvent("1", "k")
	f.Fuzz(func(t *testing.T, request []byte) {
		fn := &function{spec: &api.Function{Namespace: "default", Name: "f", Spec: api.FunctionSpec{Allow: api.Allow{Invoke: []string{"nobody"}}}}}
		h := &host{scheduler: &Scheduler{functions: map[functionName]*function{}}, function: fn, invocation: invocation{id: "1", event: &cause}, key: "k"}
		status, answer := h.beginInvoke(request)(t.Context(), func(int) bool { return true })
		switch status {
		case abi.StatusNotFound, abi.StatusInvalid, abi.StatusDenied, abi.StatusLoop:
			if len(answer) == 0 {
				t.Errorf("%d without a reason for %q", status, request)
			}
		default:
			t.Errorf("%d %s for %q", status, answer, request)
		}
	})
}

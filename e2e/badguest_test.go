package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

// guests has short deadlines only where they are meant to pass: on a busy machine anything may take half a second.
const guests = `version: 1
app: guests
defaults: { retry: { attempts: 2, initial: 1ms } }
functions:
  traps: { wasm: ./traps.wasm, on: [ { http: {} }, { topic: { name: trapped } } ] }
  loops: { wasm: ./loops.wasm, timeout: 500ms, on: [ { http: {} }, { topic: { name: looped } } ] }
  hasty: { source: ./probe, timeout: 2s, on: [ { http: {} }, { topic: { name: hurried } } ] }
  probe: { source: ./probe, on: [ { http: {} }, { topic: { name: probed } } ] }
topics:
  trapped: { ingress: true }
  looped: { ingress: true }
  hurried: { ingress: true }
  probed: { ingress: true }
`

func deployGuests(t *testing.T) *app {
	t.Helper()
	a := sharedApp(t)
	a.write(t, "traps.wasm", wasmtest.Traps())
	a.write(t, "loops.wasm", wasmtest.Loops())
	a.deploy(t, guests)
	return a
}

func TestWhatACallerHearsOfABadFunction(t *testing.T) {
	t.Parallel()
	a := deployGuests(t)
	plain := http.Header{"Content-Type": {"text/plain"}}
	for _, tc := range []struct {
		path   string
		status int
		slug   string
		detail string
		class  string // in the log
		reason string // in the log
	}{
		{"/fn/traps", 502, "function-trapped", `function "traps" trapped`, "trap", "unreachable"},
		{"/fn/loops", 504, "deadline-exceeded", `function "loops" did not end before its deadline`, "deadline", "did not finish within 500ms"},
		{"/fn/hasty/loop", 504, "deadline-exceeded", `function "hasty" did not end before its deadline`, "deadline", "did not finish within 2s"},
		{"/fn/probe/panic", 502, "function-trapped", `function "probe" trapped`, "trap", "panic: told to panic"},
		{"/fn/probe/fail", 500, "function-failed", `function "probe" failed`, "error", "told to fail"},
		{"/fn/probe/reject", 422, "rejected", `function "probe" rejected the event: told to reject`, "rejected", "told to reject"},
	} {
		r := a.send(t, "POST", tc.path, plain, nil)
		if r.status != tc.status || r.problem.Type != "https://evoke.run/problems/"+tc.slug {
			t.Errorf("%s: %d %s; want %d %s", tc.path, r.status, r.body, tc.status, tc.slug)
		}
		contains(t, r.problem.Detail, tc.detail)
		invocation := r.problem.Invocation
		if tc.class != "rejected" {
			contains(t, r.problem.Next, "fnctl logs ", "--invocation "+invocation)
		}
		// The advice is followed: the log says why.
		closing := a.logs(t, "").until(t, "end of invocation "+invocation, func(e api.LogEntry) bool {
			return e.Invocation == invocation && e.Attempt != nil
		})
		if closing.Attempt.Class != tc.class || closing.Level != "error" {
			t.Errorf("%s: the log has %+v, want class %s", tc.path, closing.Attempt, tc.class)
		}
		contains(t, closing.Attempt.Error, tc.reason)
		// The runtime goes on: the next event of the same function works.
		for _, path := range []string{"/fn/probe/echo", "/fn/hasty/echo"} {
			if r := a.send(t, "POST", path, plain, []byte("still here")); r.status != 200 || r.body != "still here" {
				t.Errorf("%s after %s: %d %s", path, tc.path, r.status, r.body)
			}
		}
	}
}

// While a guest loops, others run and the management API answers; and a caller that goes away takes its guest along.
func TestLoopHoldsNothingUp(t *testing.T) {
	t.Parallel()
	a := deployGuests(t)
	ctx, goAway := context.WithCancel(t.Context())
	defer goAway()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.rt.gateway+"/@"+a.ns+"/fn/probe/loop", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(req) //nolint:bodyclose // there is no answer
		gone <- err
	}()
	log := a.logs(t, "probe")
	busy := log.until(t, "start of the loop", func(e api.LogEntry) bool { return strings.HasPrefix(e.Message, "looping on") })
	if r := a.send(t, "POST", "/fn/probe/echo", nil, []byte("meanwhile")); r.status != 200 || r.body != "meanwhile" {
		t.Errorf("call: %d %s", r.status, r.body)
	}
	contains(t, a.must(t, "ls", "functions", "-o", "name"), "probe")
	goAway()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the looping call ended: %v", err)
	}
	end := log.until(t, "end of the loop", func(e api.LogEntry) bool { return e.Invocation == busy.Invocation && e.Attempt != nil })
	if end.Attempt.Class != "canceled" {
		t.Errorf("it ended with %+v", end.Attempt)
	}
}

// A panic leaves its text and the stack in the log.
func TestPanicIsExplainedInTheLog(t *testing.T) {
	t.Parallel()
	a := deployGuests(t)
	a.publish(t, "probed", newEvent("p1", "panic", "", nil))
	var lines []string
	a.logs(t, "probe").until(t, "end of the attempt", func(e api.LogEntry) bool {
		if e.Attempt == nil && e.EventID == "p1" && e.Trigger == "probe:probed" {
			lines = append(lines, e.Message)
		}
		return e.Attempt != nil
	})
	contains(t, strings.Join(lines, "\n"), "panic: told to panic", "main.probe(")
}

// Events that trap or loop are retried as the policy says, become dead letters with the reason, and hold nothing else up.
func TestTrapsAndLoopsBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	a := deployGuests(t)
	a.publish(t, "trapped", newEvent("t1", "x", "", nil))
	a.publish(t, "looped", newEvent("l1", "x", "", nil))
	a.publish(t, "hurried", newEvent("e1", "loop", "", nil))
	a.publish(t, "probed", newEvent("e2", "echo", "", "hi"), newEvent("e3", "fail", "", nil), newEvent("e4", "reject", "", nil))
	log := a.logs(t, "")
	ends := map[string]api.LogEntry{}
	log.until(t, "end of every event", func(e api.LogEntry) bool {
		if e.Attempt != nil && e.Next != "retry" {
			ends[e.EventID] = e
		}
		return len(ends) == 6
	})
	for id, want := range map[string]struct {
		attempts int
		class    string
		next     string
	}{
		"t1": {2, "trap", "dead-letter"}, "l1": {2, "deadline", "dead-letter"}, "e1": {2, "deadline", "dead-letter"},
		"e2": {1, "", ""}, "e3": {2, "error", "dead-letter"}, "e4": {1, "rejected", "dead-letter"},
	} {
		if e := ends[id]; e.Attempt.Attempt != want.attempts || e.Attempt.Class != want.class || e.Next != want.next {
			t.Errorf("%s ended with %+v, next %q; want %+v", id, e.Attempt, e.Next, want)
		}
	}
	table := a.must(t, "dlq", "ls", "-o", "wide")
	contains(t, table, "traps:trapped", "loops:looped", "did not finish within 500ms", "told to fail (all 2 attempts failed)", "told to reject e4")
	if n := len(deadLetters(t, a)); n != 5 {
		t.Errorf("%d dead letters, want 5:\n%s", n, table)
	}
}

func deadLetters(t testing.TB, a *app) []api.DeadLetter {
	t.Helper()
	letters, err := a.client(t).DeadLetters(t.Context(), a.ns, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

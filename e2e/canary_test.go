package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// canaried is counting whose first function parks the key of an event that it gives up on, so that the order of a key holds over a rollback. %d: how often of 200 it fails,
// its version, and how long a retry waits at most, in milliseconds.
const canaried = `version: 1
app: canaried
functions:
  count:
    source: ./probe
    env: { FAIL: %d, VERSION: %d }
    on: [ { http: {} }, { topic: { name: "in.*", order: key, onFailure: park } } ]
    allow: { emit: [out], state: true }
    retry: { attempts: 2, initial: 1ms, max: 20ms }
  pass:
    source: ./probe
    on: [ { topic: { name: out, batch: { size: 20, window: 5ms } } } ]
    allow: { emit: [passed] }
topics:
  in.0: { ingress: true }
  in.1: { ingress: true }
`

// canary deploys what is in the app's directory by canary.
func (a *app) canary(t testing.TB, manifest string, flags ...string) {
	t.Helper()
	a.write(t, "fn.yaml", []byte(manifest))
	if r := a.fnctl(t, append([]string{"deploy", "count"}, flags...)...); r.code != 0 || !strings.Contains(r.stderr, "note: canary of count: revision") {
		t.Fatalf("fnctl deploy: %s", r)
	}
}

func (a *app) rollout(t testing.TB) *api.Rollout {
	t.Helper()
	f, err := a.client(t).Function(t.Context(), a.ns, "count")
	if err != nil || f.Rollout == nil {
		t.Fatalf("%+v, %v", f.Rollout, err)
	}
	return f.Rollout
}

func (a *app) awaitPhase(t testing.TB, phase string) *api.Rollout {
	t.Helper()
	eventually(t, "rollout "+phase, func() error {
		if r := a.rollout(t); r.Phase != phase {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	return a.rollout(t)
}

// callers call the function over HTTP, each until it has a reply: a call that fails did nothing, and its caller repeats it.
type callers struct {
	work sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	done    int // calls
	failed  int // tries of them
	err     error
}

func (c *callers) start(t testing.TB, url string) {
	for caller := range 4 {
		c.work.Go(func() {
			for n := 0; c.call(url, fmt.Sprintf("c%d-%d", caller, n)); n++ {
			}
		})
	}
	t.Cleanup(c.stop)
}

func (c *callers) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.work.Wait()
}

// call is true when there may be another one. Its key is its own, so that its state counts it alone.
func (c *callers) call(url, id string) bool {
	body, err := json.Marshal(newEvent(id, "total", id, nil))
	if err != nil {
		panic(err)
	}
	for {
		status, answer, err := post(url, body)
		c.mu.Lock()
		switch {
		case err != nil || status != http.StatusOK && status != http.StatusInternalServerError:
			c.err = errors.Join(c.err, fmt.Errorf("call %s: %d %s %w", id, status, answer, err))
		case status == http.StatusOK:
			c.done++
		default:
			c.failed++
		}
		again, stop := status != http.StatusOK, c.stopped || c.err != nil
		c.mu.Unlock()
		if !again || stop {
			return !stop
		}
	}
}

// A revision that fails at everything comes by canary, under load of a topic and of calls: the traffic goes back, and every event is done once, in the order of its key.
func TestABadCanaryLosesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, start(t, dataDir(t)))
	a.deploy(t, fmt.Sprintf(canaried, 0, 1))
	l := newLoad(a)
	l.start(t)
	defer l.serve(t, a.rt)()
	l.progress(t, 40)
	calls := &callers{}
	calls.start(t, a.rt.gateway+"/fn/count")
	a.canary(t, fmt.Sprintf(canaried, 200, 2), "--canary", "30%", "--every", "1h", "--guard", "dead<1")
	r := a.awaitPhase(t, api.PhaseRolledBack)
	if r.Candidate != 2 || !strings.HasPrefix(r.Reason, "dead<1 does not hold: ") || len(r.Redrive) != 0 {
		t.Errorf("%+v", r)
	}
	contains(t, a.must(t, "traffic", "count"), "r2         -  ", "r1         100%", "Canary:  r2 rolled-back ", "dead<1 does not hold")
	l.progress(t, 40)
	calls.stop()
	if calls.err != nil || calls.done == 0 {
		t.Errorf("%d calls done: %v", calls.done, calls.err)
	}
	l.finish(t)
	judge(t, l.ledger(t))
	contains(t, a.must(t, "logs", "count", "--level", "error"), "bad luck", "given up: see fnctl dlq ls") // it did do harm
	metrics := send(t, "GET", a.rt.admin+"/metrics", nil, nil).body
	contains(t, metrics, `evoke_rollouts_total{function="count",namespace="default",outcome="rolled-back"} 1`)
}

// A good one gets everything, step by step, under the same load.
func TestAGoodCanaryIsPromotedUnderLoad(t *testing.T) {
	t.Parallel()
	a := newApp(t, start(t, dataDir(t)))
	a.deploy(t, fmt.Sprintf(canaried, 0, 1))
	l := newLoad(a)
	l.start(t)
	defer l.serve(t, a.rt)()
	a.canary(t, fmt.Sprintf(canaried, 0, 2), "--canary", "50%", "--step", "25%", "--every", "1s")
	a.awaitPhase(t, api.PhasePromoted)
	l.progress(t, 20)
	l.finish(t)
	judge(t, l.ledger(t))
	contains(t, a.rt.stderr.String(), `msg="canary gets more traffic"`, "percent=75", `msg="canary has all of the traffic"`)
	contains(t, a.must(t, "describe", "function", "count"), "Canary:", "r2 promoted")
}

// kill -9 in the middle of a rollback: what the bad revision ran when the traffic went back, and what it gave up on, is done after the restart.
func TestARollbackSurvivesKill9(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	// The new one is busy with each event for a while: long enough to die with some of them in its hands. It gives up at once; the old one, under which the runtime
	// dies too, has attempts left.
	const slow = `version: 1
app: slow
functions:
  count:
    source: ./probe
    env: { VERSION: %d, RATE: "%s" }
    on: [ { topic: { name: in } } ]
    allow: { emit: [receipts] }
    retry: { attempts: %d }
    timeout: 3s
topics:
  in: { ingress: true }
`
	a.deploy(t, fmt.Sprintf(slow, 1, "2", 5))
	a.canary(t, fmt.Sprintf(slow, 2, "wait", 1), "--canary", "60%", "--every", "1h", "--guard", "dead<1", "--min", "5")
	const n = 60
	var events []event
	for i := range n {
		events = append(events, newEvent(fmt.Sprint("o", i), "charge", fmt.Sprint("k", i), nil))
	}
	a.publish(t, "in", events...)
	before := a.awaitPhase(t, api.PhaseRollingBack)
	a.rt.kill()
	if len(before.Redrive) != 1 || before.Redrive[0] != 2 {
		t.Errorf("%+v", before)
	}

	a.rt = start(t, dir)
	a.awaitPhase(t, api.PhaseRolledBack)
	eventually(t, "end of all events", func() error {
		tr, err := a.client(t).Trigger(t.Context(), a.ns, "count:in")
		if err == nil && (tr.Stats.Pending > 0 || tr.Stats.DeadLetters > 0) {
			err = fmt.Errorf("%+v", *tr.Stats)
		}
		return err
	})
	receipts := map[string]int{}
	for e, err := range a.client(t).TopicEvents(t.Context(), a.ns, "receipts", api.TailOptions{Limit: 1000}) {
		if err != nil {
			t.Fatal(err)
		}
		var of struct{ Data struct{ Order string } }
		if err := json.Unmarshal(e.Event, &of); err != nil {
			t.Fatal(err)
		}
		receipts[of.Data.Order]++
	}
	for i := range n {
		if id := fmt.Sprint("o", i); receipts[id] != 1 {
			t.Errorf("%d receipts of %s", receipts[id], id)
		}
	}
}

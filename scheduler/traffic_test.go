package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestTrafficIsOfKeys(t *testing.T) {
	t.Parallel()
	key := func(k int) *event.Event {
		e := newEvent(fmt.Sprint(k), fmt.Sprint("key-", k))
		return &e
	}
	split := func(percent int) traffic {
		return traffic{{Revision: 7, Percent: 100 - percent}, {Revision: 8, Percent: percent}}
	}
	const n = 20_000
	onNew := map[int]bool{}
	for _, percent := range []int{1, 5, 20, 50, 99} {
		count := 0
		for k := range n {
			switch split(percent).pick(key(k)) {
			case 8:
				count++
				onNew[k] = true
			case 7:
				if onNew[k] {
					t.Fatalf("key %d left the newer revision when its share grew to %d%%", k, percent)
				}
			}
		}
		if got := 100 * float64(count) / n; got < float64(percent)-1.2 || got > float64(percent)+1.2 {
			t.Errorf("%d%% of traffic became %.1f%% of keys", percent, got)
		}
	}
	if got := (traffic{}).pick(key(1)); got != 0 {
		t.Errorf("without traffic: revision %d", got)
	}
	for _, e := range []event.Event{{ID: "1", Source: "/s"}, {ID: "1", Source: "/s", Type: "other"}} { // a retry of an event without a key stays where it was
		if a, b := split(50).pick(&e), split(50).pick(&event.Event{ID: "1", Source: "/s"}); a != b {
			t.Errorf("event without a key: revisions %d and %d", a, b)
		}
	}
}

func (b *bundle) setTraffic(function string, shares ...api.Share) {
	b.t.Helper()
	revision, err := b.registry.SetTraffic(b.t.Context(), "default", function, shares)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.scheduler.WaitInForce(b.t.Context(), revision); err != nil {
		b.t.Fatal(err)
	}
}

// version is a guest that emits an event whose type is its name.
func version(name string) []byte { return w.Emits("out", `{"type":"`+name+`"}`) }

// A key has one revision, whether its events come one by one, in batches or as calls, and a change of traffic moves only what it must.
func TestEventsGoToTheRevisionsOfTheTraffic(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	spec := func() api.FunctionSpec {
		return api.FunctionSpec{
			Allow:    api.Allow{Emit: []string{"out"}},
			Triggers: append(onTopic("in"), inBatches("many", 10, 20*time.Millisecond)...),
		}
	}
	b.deploy("f", version("v1"), spec())
	b.deploy("f", version("v2"), spec())
	b.setTraffic("f", api.Share{Revision: 1, Percent: 60}, api.Share{Revision: 2, Percent: 40})
	const keys = 40
	half := traffic{{Revision: 1, Percent: 60}, {Revision: 2, Percent: 40}}
	want := map[int]int{}
	for k := range keys {
		e := newEvent(fmt.Sprint("e", k), fmt.Sprint("key-", k))
		revision := half.pick(&e)
		want[revision]++
		b.publish("in", e)
		b.publish("many", e)
		if r := b.call("f", e); r.Revision != revision || r.Verdict != abi.Done {
			t.Errorf("key %d was called at revision %d (%s), want %d", k, r.Revision, r.Error, revision)
		}
	}
	b.eventually("all done", func() bool { return b.stats("f:in").Pending == 0 && b.stats("f:many").Pending == 0 })
	waitUntil(t, func() bool { return len(b.attempts()) == 3*keys })
	revisions := map[string]map[int]bool{}
	for _, e := range b.entries() {
		if a := e.Attempt; a != nil {
			if revisions[e.EventID] == nil {
				revisions[e.EventID] = map[int]bool{}
			}
			revisions[e.EventID][a.Revision] = true
		}
	}
	for id, list := range revisions {
		if len(list) != 1 {
			t.Errorf("event %s ran at revisions %v", id, list)
		}
	}
	if want[1] == 0 || want[2] == 0 {
		t.Fatalf("the keys are not for both revisions: %v", want)
	}
	b.setTraffic("f", api.Share{Revision: 1, Percent: 100})
	if r := b.call("f", newEvent("x", "key-1")); r.Revision != 1 {
		t.Errorf("after a rollback: revision %d", r.Revision)
	}
	b.setTraffic("f")
	if r := b.call("f", newEvent("x", "key-1")); r.Revision != 2 {
		t.Errorf("without traffic: revision %d", r.Revision)
	}
}

// Each attempt goes by the traffic of its time: what fails at a bad revision is done by the good one.
func TestARetryGoesByTheTrafficOfItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	retry := &api.Retry{Initial: api.Duration(50 * time.Millisecond), Max: api.Duration(50 * time.Millisecond), Jitter: "none", Attempts: 100}
	spec := api.FunctionSpec{Triggers: onTopic("in"), Allow: api.Allow{Emit: []string{"out"}}, Retry: retry}
	b.deploy("f", version("good"), spec)
	b.deploy("f", w.Returns(abi.Failed), spec)
	b.publish("in", newEvent("1", "k"))
	b.eventually("a failure", func() bool { return b.stats("f:in").Retrying == 1 })
	b.setTraffic("f", api.Share{Revision: 1, Percent: 100})
	b.eventually("done", func() bool { return b.stats("f:in").Pending == 0 && len(b.stored("out")) == 1 })
}

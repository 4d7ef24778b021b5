package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// tenantEvents are n events of a tenant; each has a key of its own.
func tenantEvents(tenant string, n int) []event.Event {
	var events []event.Event
	for i := range n {
		e := newEvent(fmt.Sprint(tenant, "-", i), fmt.Sprint(tenant, i))
		e.DataContentType, e.Data = "application/json", fmt.Appendf(nil, `{"tenant":%q}`, tenant)
		events = append(events, e)
	}
	return events
}

// open lists the invocations that are not done by what they wait for; "" = they run.
func (b *bundle) waiting(function string) map[string]int {
	b.t.Helper()
	list, err := b.table.Invocations(partition.InvocationQuery{Function: function, Limit: 10_000})
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]int{}
	for i := range list {
		why := list[i].Why
		if list[i].State == partition.Running || why == partition.WaitsForTurn {
			why, _ = b.scheduler.WaitsFor(&list[i])
		}
		out[why]++
	}
	return out
}

// Of each key only so many are in progress, those of other keys pass them, and when one ends the next of its key has its turn.
func TestConcurrencyOfAKey(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 8; o.Drain = time.Millisecond })
	b.deploy("f", wasmtest.Sleeps(), api.FunctionSpec{
		Triggers: onTopic("in"), Timeout: api.Duration(time.Minute), KeyConcurrency: &api.KeyLimit{Limit: 2, Key: "data.tenant"},
	})
	b.publish("in", tenantEvents("a", 300)...)
	waitUntil(t, func() bool { return b.seated() == 2 && b.waiting("f")[string(heldByKey)] == 298 })
	if l := b.load("f"); l.Wanted != 2 || l.InProgress != 2 || l.Limit != string(heldByKey) {
		t.Errorf("load %+v", l)
	}
	b.publish("in", tenantEvents("b", 5)...)
	waitUntil(t, func() bool { return b.seated() == 4 })
	waitUntil(t, func() bool { got := b.waiting("f"); return got[""] == 4 && got[string(heldByKey)] == 301 })
	if _, err := b.scheduler.Call(t.Context(), Call{Namespace: "default", Function: "f", Event: tenantEvents("b", 1)[0]}); !errors.Is(err, ErrBusy) ||
		!strings.Contains(err.Error(), `f runs 2 at once of the key "b", its concurrency`) {
		t.Errorf("a call of a key that is full: %v", err)
	}

	// One that runs is canceled, then one that is aside, then the one that came in its place: there are always two.
	cancel := func(name string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := b.scheduler.Cancel(ctx, "default", name, "not needed"); err != nil {
			t.Fatalf("cancel %s: %v", name, err)
		}
	}
	for range 6 {
		list, err := b.table.Invocations(partition.InvocationQuery{Function: "f", Limit: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		runs := slices.IndexFunc(list, func(i partition.Invocation) bool {
			why, _ := b.scheduler.WaitsFor(&i)
			return i.State == partition.Running && why == "" && strings.HasPrefix(i.Event.ID, "a")
		})
		aside := slices.IndexFunc(list, func(i partition.Invocation) bool {
			return i.Why == string(heldByKey) && strings.HasPrefix(i.Event.ID, "a")
		})
		cancel(list[aside].Name())
		cancel(list[runs].Name())
		waitUntil(t, func() bool { return b.seated() == 4 })
	}
	b.eventually("the canceled ones have gone", func() bool { return b.stats("f:in").Pending == 305-12 })
}

func TestWhatIsAsideFollowsADeployAndAPause(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 8; o.Drain = time.Millisecond })
	spec := api.FunctionSpec{Triggers: onTopic("in"), Timeout: api.Duration(time.Minute), KeyConcurrency: &api.KeyLimit{Limit: 1, Key: "data.tenant"}}
	b.deploy("f", wasmtest.Sleeps(), spec)
	b.publish("in", tenantEvents("a", 20)...)
	waitUntil(t, func() bool { return b.seated() == 1 && b.waiting("f")[string(heldByKey)] == 19 })
	spec.KeyConcurrency = &api.KeyLimit{Limit: 3, Key: "data.tenant"}
	b.deploy("f", wasmtest.Sleeps(), spec)
	waitUntil(t, func() bool { return b.seated() == 3 && b.waiting("f")[string(heldByKey)] == 17 })
	pause := func(paused bool) {
		t.Helper()
		_, revision, err := b.registry.SetPaused(t.Context(), "default", "f", "", paused)
		if err == nil {
			err = b.scheduler.WaitInForce(t.Context(), revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	if got := b.waiting("f"); got[partition.WaitsPaused] != 17 || got[""] != 3 {
		t.Errorf("paused: %v", got)
	}
	pause(false)
	waitUntil(t, func() bool { return b.waiting("f")[string(heldByKey)] == 17 })
	spec.KeyConcurrency = nil
	b.deploy("f", wasmtest.Sleeps(), spec)
	waitUntil(t, func() bool { return b.seated() == 20 })
}

// A throttle spaces beginnings, lets a burst through after a pause, and says when the others may begin. What it has let through survives a restart.
func TestThrottle(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("f", wasmtest.Returns(abi.Done), api.FunctionSpec{
		Triggers: onTopic("in"), Throttle: &api.Rate{Limit: 100, Period: api.Duration(time.Second), Burst: 5, Key: "data.tenant"},
	})
	start := time.Now()
	b.publish("in", append(tenantEvents("a", 40), tenantEvents("b", 3)...)...)
	b.eventually("all of them", func() bool { return b.stats("f:in").Pending == 0 })
	if took := time.Since(start); took < 340*time.Millisecond { // 5 at once, then one every 10 ms
		t.Errorf("40 events began in %s", took)
	}

	slow := api.FunctionSpec{Triggers: onTopic("slow"), Throttle: &api.Rate{Limit: 1, Period: api.Duration(time.Hour), Burst: 1}}
	b.deploy("slow", wasmtest.Returns(abi.Done), slow)
	b.publish("slow", manyEvents(3)...)
	b.eventually("the first", func() bool { return b.stats("slow:slow").Pending == 2 })
	waitUntil(t, func() bool { return b.waiting("slow")[string(heldByThrottle)] == 2 })
	list, err := b.table.Invocations(partition.InvocationQuery{Function: "slow", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b partition.Invocation) int { return a.Due.Compare(b.Due) })
	for i, one := range list {
		if wait := time.Until(one.Due); wait < time.Duration(i)*time.Hour || wait > time.Duration(i+1)*time.Hour {
			t.Errorf("%d is due in %s", i, wait)
		}
	}
	var early *ThrottledError
	if _, err := b.scheduler.Call(t.Context(), Call{Namespace: "default", Function: "slow", Event: newEvent("c", "")}); !errors.As(err, &early) ||
		time.Until(early.Until) < 59*time.Minute || err.Error() != "slow has as many calls and events as its throttle allows" {
		t.Errorf("a call that is too early: %v", err)
	}
}

// What is more than rateLimit allows is settled without running, is counted, and stands in the history. What was let in once stays let in: retries and redrives are not counted.
func TestRateLimitDrops(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("f", wasmtest.Returns(abi.Failed), api.FunctionSpec{
		Triggers: onTopic("in"), RateLimit: &api.Rate{Limit: 2, Period: api.Duration(time.Hour), Key: "data.tenant"},
		Retry: &api.Retry{Attempts: 2, Initial: api.Duration(time.Millisecond)},
	})
	b.publish("in", append(tenantEvents("a", 10), tenantEvents("b", 1)...)...)
	b.eventually("dead letters of those that came in", func() bool { return b.stats("f:in").Pending == 0 && len(b.letters()) == 3 })
	for _, d := range b.letters() {
		if len(d.Attempts) != 2 {
			t.Errorf("dead letter %s has attempts %+v", d.Event.ID, d.Attempts)
		}
	}
	waitUntil(t, func() bool { return len(b.attempts()) == 8+3*2 })
	dropped := 0
	for _, e := range b.entries() {
		if e.Next == nextDropped && e.Attempt != nil && e.Attempt.Class == ClassRateLimited && e.Attempt.Error == dropReason {
			dropped++
		}
	}
	if dropped != 8 {
		t.Errorf("%d events were dropped, want 8", dropped)
	}
	var early *ThrottledError
	if _, err := b.scheduler.Call(t.Context(), Call{Namespace: "default", Function: "f", Event: tenantEvents("a", 1)[0]}); !errors.As(err, &early) || early.Rule != "rateLimit" {
		t.Errorf("a call: %v", err)
	}
}

// One key has a backlog of guests that do not end, another has a few events behind them: fair lets these begin.
func TestFairSharesAFunctionBetweenItsKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 1; o.Drain = time.Millisecond })
	b.deploy("f", forwards(""), api.FunctionSpec{Triggers: onTopic("in"), Timeout: api.Duration(time.Minute), Fair: "subject"})
	var events []event.Event
	for i := range 500 {
		e := newEvent(fmt.Sprint("a", i), "a")
		e.Data = []byte("l")
		events = append(events, e)
	}
	b.publish("in", events...)
	waitUntil(t, func() bool { return b.waiting("f")[string(heldByFair)] >= 500-ahead/2 })
	quick := newEvent("b", "b")
	quick.Data = []byte("x")
	b.publish("in", quick)
	b.eventually("the event of the other key", func() bool { return b.stats("f:in").Pending == 500 })
}

// When many that are aside have ended meanwhile, each makes room for the next. If each were searched for in the queue that it has left, it would take minutes.
func TestManyThatWereAsideHaveEnded(t *testing.T) {
	t.Parallel()
	const events = maxAside * 4
	r := &rule{why: heldByKey, limit: 1, groups: map[string]*group{}}
	f := &flow{aside: map[partition.ID]*group{}, fresh: map[partition.ID]struct{}{}}
	g := r.group("k")
	for offset := uint64(1); offset <= events; offset++ {
		id := partition.ID{Trigger: 1, Offset: offset}
		g.queue, f.aside[id] = append(g.queue, id), g
	}
	count := 0
	for ids := g.pop(1); len(ids) > 0; count++ {
		ids = f.inPlaceOf(ids[0])
	}
	if count != events || len(f.aside) != 0 || len(r.groups) != 0 {
		t.Errorf("%d, %d are aside, %d groups", count, len(f.aside), len(r.groups))
	}
}

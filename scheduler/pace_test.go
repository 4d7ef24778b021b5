package scheduler

import (
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// downstream is something behind a function, in a time of the test's own: rounds of attempts that begin together and end a second later.
type downstream struct {
	pacing
	now time.Time
}

func newDownstream() *downstream { return &downstream{now: time.UnixMilli(1_700_000_000_000)} }

// round runs n attempts of which the first bad ones meet an overload, and are asked to wait for retryAfter.
func (d *downstream) round(n, bad int, retryAfter time.Duration) {
	began := d.now
	d.now = d.now.Add(time.Second)
	for i := range n {
		m := met{began: began, ended: d.now, inFlight: n - i, retryAfter: -1}
		if i < bad {
			m.overload, m.retryAfter = true, retryAfter
		}
		d.pacing = d.after(m)
		d.now = d.now.Add(time.Microsecond)
	}
}

func (d *downstream) expect(t *testing.T, what string, limit float64, held time.Duration) {
	t.Helper()
	wait := max(0, d.until.Sub(d.now)).Round(time.Second)
	if d.limit != limit || wait != held {
		t.Errorf("%s: limit %g, held for %s; want %g, %s", what, d.limit, wait, limit, held)
	}
}

func TestPacing(t *testing.T) {
	t.Parallel()
	d := newDownstream()
	for range 50 {
		d.round(40, 0, -1)
	}
	d.expect(t, "without overload there is no limit", 0, 0)
	d.round(40, 1, -1)
	d.expect(t, "one of sixteen is too little", 0, 0)
	d.round(40, 8, -1)
	d.expect(t, "half of those in flight when the look was taken", 12.5, 0)
	d.round(13, 13, -1)
	d.expect(t, "half again", 6.25, 0)
	d.round(7, 0, -1)
	d.expect(t, "one more for a good round", 7.25, 0)
	d.round(8, 8, 30*time.Second)
	d.expect(t, "all were asked to wait", 1, 30*time.Second)
	d.now = d.until
	d.round(1, 1, 10*time.Second)
	d.expect(t, "the one that looks is asked as well", 1, 10*time.Second)
	d.now = d.until
	d.round(1, 0, -1)
	d.expect(t, "it is over: one more", 2, 0)
	d.round(2, 0, -1)
	d.expect(t, "and one more", 3, 0)

	fast := newDownstream()
	fast.pacing = pacing{limit: 2, threshold: 40}
	for _, want := range []float64{4, 8, 16, 32, 40, 41} {
		for before := fast.limit; fast.limit == before; {
			fast.round(1, 0, -1)
		}
		fast.expect(t, "fast up to where it was half of too much, then slowly", want, 0)
	}
	for range 40_000 {
		fast.round(1, 0, -1)
	}
	fast.expect(t, "far above what was too much there is no limit any more", 0, 0)
}

func TestPacingLearnsOnceFromARound(t *testing.T) {
	t.Parallel()
	d := newDownstream()
	began := d.now
	d.now = d.now.Add(time.Second)
	for i := range 200 { // all began together, and all were refused
		d.pacing = d.after(met{began: began, ended: d.now, overload: true, retryAfter: -1, inFlight: 200 - i})
	}
	d.expect(t, "one decrease", 92.5, 0)
}

func TestPacingBoundsWhatAFunctionAsksFor(t *testing.T) {
	t.Parallel()
	d := newDownstream()
	d.round(1, 1, 1000*time.Hour)
	d.expect(t, "15 minutes at most", 1, 15*time.Minute)
	if n, why := d.room(0, 5, d.now); n != 0 || why != heldByRetryAfter {
		t.Errorf("held: room for %d, %q", n, why)
	}
	if n, why := d.room(0, 5, d.until); n != 1 || why != heldByOverload {
		t.Errorf("then: room for %d, %q", n, why)
	}
	if n, why := d.room(1, 5, d.until); n != 0 || why != heldByOverload {
		t.Errorf("with one in flight: room for %d, %q", n, why)
	}
}

func TestSignsOfOverload(t *testing.T) {
	t.Parallel()
	failed := func(class string, retryAfter time.Duration) attempt {
		return attempt{duration: time.Second, result: sandbox.Result{Verdict: abi.Failed, Class: class, RetryAfter: retryAfter}}
	}
	done := attempt{duration: time.Second, result: sandbox.Result{Verdict: abi.Done, RetryAfter: -1}}
	slow := &api.FunctionSpec{Adaptive: &api.Adaptive{Latency: api.Duration(500 * time.Millisecond)}}
	for name, tc := range map[string]struct {
		attempt attempt
		spec    *api.FunctionSpec
		want    bool
	}{
		"done":                    {done, &api.FunctionSpec{}, false},
		"done, and too slow":      {done, slow, true},
		"failed":                  {failed(sandbox.ClassError, -1), &api.FunctionSpec{}, false},
		"asked to come later":     {failed(sandbox.ClassError, 0), &api.FunctionSpec{}, true},
		"out of time":             {failed(sandbox.ClassDeadline, -1), &api.FunctionSpec{}, true},
		"trapped":                 {failed(sandbox.ClassTrap, -1), &api.FunctionSpec{}, false},
		"trapped, and not slower": {failed(sandbox.ClassTrap, -1), &api.FunctionSpec{Adaptive: &api.Adaptive{Latency: api.Duration(time.Minute)}}, false},
	} {
		if got := tc.attempt.overload(tc.spec); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A function that is asked to come again in an hour is not run for all the events that wait; another trigger of it goes on.
func TestRetryAfterHoldsItsTrigger(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 2 })
	b.deploy("f", wasmtest.Says(abi.Failed, time.Hour.Milliseconds(), "overloaded"), api.FunctionSpec{
		Triggers: append(onTopic("in"), onTopic("other")...), Retry: &api.Retry{Attempts: 9},
	})
	b.publish("in", manyEvents(200)...)
	waiting := func() int { return b.waiting("f")[string(heldByRetryAfter)] }
	waitUntil(t, func() bool { return waiting() > 0 && b.stats("f:in").Running == 0 })
	s := b.stats("f:in")
	if s.Retrying > 3*ahead || s.Pending != 200 || waiting() != 200-s.Retrying {
		t.Errorf("%+v, %d are held", s, waiting())
	}
	list, err := b.table.Invocations(partition.InvocationQuery{Function: "f", State: partition.Waiting, Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if why, until := b.scheduler.WaitsFor(&list[0]); why != string(heldByRetryAfter) || time.Until(until) < 10*time.Minute || time.Until(until) > maxRetryAfter {
		t.Errorf("waits for %s until %s", why, until)
	}
	b.publish("other", manyEvents(1)...)
	b.eventually("the other trigger", func() bool { return b.stats("f:other").Retrying == 1 })

	off := setup(t, nil)
	off.deploy("f", wasmtest.Says(abi.Failed, time.Hour.Milliseconds(), "overloaded"), api.FunctionSpec{
		Triggers: onTopic("in"), Retry: &api.Retry{Attempts: 9}, Adaptive: &api.Adaptive{Off: true},
	})
	off.publish("in", manyEvents(200)...)
	off.eventually("all of them, when it is off", func() bool { return off.stats("f:in").Retrying == 200 })
}

package scheduler

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Events of many keys pass rules of every kind while deploys change them, pauses come and go, and people cancel what waits: all of them are done or canceled in the end, and
// nothing is left aside, in a group or in progress.
func TestFlowUnderPressure(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 4 })
	spec := func(n int) api.FunctionSpec {
		s := api.FunctionSpec{Triggers: onTopic("in"), Concurrency: 20}
		s.KeyConcurrency = &api.KeyLimit{Limit: 1 + n%3, Key: "data.tenant"}
		if n%2 == 0 {
			s.Fair = "data.tenant"
		}
		if n%3 > 0 {
			s.Throttle = &api.Rate{Limit: 500, Period: api.Duration(time.Second), Burst: 5, Key: []string{"", "data.tenant"}[n%2]}
		}
		return s
	}
	b.deploy("f", wasmtest.Returns(abi.Done), spec(0))
	var working sync.WaitGroup
	look := make(chan struct{}, 8*5) // a token for each publication, closed after the last
	working.Go(func() {              // cancels some of what waits
		for range look {
			list, err := b.table.Invocations(partition.InvocationQuery{Function: "f", State: partition.Waiting, Limit: 50})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range list {
				if rand.IntN(4) == 0 {
					_ = b.scheduler.Cancel(t.Context(), "default", list[i].Name(), "not needed") // it may have gone on
				}
			}
		}
	})
	published := 0
	for n := range 8 {
		for k := range 5 {
			events := tenantEvents(fmt.Sprint("tenant", k), 40)
			for i := range events {
				events[i].ID = fmt.Sprint(n, "-", events[i].ID)
			}
			b.publish("in", events...)
			look <- struct{}{}
			published += len(events)
		}
		if n%3 == 2 {
			for _, paused := range []bool{true, false} {
				_, revision, err := b.registry.SetPaused(t.Context(), "default", "f", "", paused)
				if err == nil {
					err = b.scheduler.WaitInForce(t.Context(), revision)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		b.deploy("f", wasmtest.Returns(abi.Done), spec(n+1))
	}
	close(look)
	working.Wait()
	b.eventually("the end of all events", func() bool { return b.stats("f:in").Pending == 0 })
	waitUntil(t, func() bool { return b.scheduler.processors.inProgress() == 0 })
	f := b.scheduler.acquire(functionName{"default", "f"})
	defer b.scheduler.release(f)
	waitUntil(t, func() bool {
		f.flow.mu.Lock()
		defer f.flow.mu.Unlock()
		groups := 0
		for _, r := range *f.flow.rules.Load() {
			groups += len(r.groups)
		}
		return len(f.flow.aside)+len(f.flow.fresh)+groups == 0
	})
	if published != 1600 {
		t.Errorf("%d events were published", published)
	}
}

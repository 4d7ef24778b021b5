package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func manyEvents(n int) []event.Event {
	var events []event.Event
	for i := range n {
		events = append(events, newEvent(fmt.Sprint(i), fmt.Sprint(i)))
	}
	return events
}

func (b *bundle) load(function string) api.Load {
	b.t.Helper()
	f, ok := b.registry.Snapshot().Function("default", function)
	if !ok {
		b.t.Fatalf("no function %s", function)
	}
	return b.scheduler.Load(f)
}

// Guests that never end hold all processors, and more of them wait: another function gets its turn all the same, for events and for calls.
func TestAFloodDoesNotHoldUpOtherFunctions(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 2; o.Drain = time.Millisecond })
	b.deploy("flood", wasmtest.Loops(), api.FunctionSpec{Triggers: onTopic("in"), Timeout: api.Duration(time.Minute)})
	b.deploy("quick", wasmtest.Returns(abi.Done), api.FunctionSpec{Triggers: onTopic("quick")})
	b.publish("in", manyEvents(100)...)
	waitUntil(t, func() bool { return b.seated() == 2 })
	b.publish("quick", manyEvents(40)...)
	b.eventually("the events of the other function", func() bool { return b.stats("quick:quick").Pending == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := b.scheduler.Call(ctx, Call{Namespace: "default", Function: "quick", Event: newEvent("1", "")}); err != nil {
		t.Errorf("a call: %v", err)
	}
	if n := b.stats("flood:in").Pending; n != 100 {
		t.Errorf("%d of 100 events of the flood wait or run", n)
	}
	if l := b.load("flood"); l.Wanted != 100 || l.InProgress != ahead || l.Limit != string(heldByProcessors) {
		t.Errorf("load %+v", l)
	}
}

// What sleeps needs no processor: more guests begin, and others run.
func TestGuestsThatSleepHoldNoProcessor(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 1; o.Drain = time.Millisecond })
	b.deploy("sleeps", wasmtest.Sleeps(), api.FunctionSpec{Triggers: onTopic("in"), Timeout: api.Duration(time.Minute)})
	b.deploy("quick", wasmtest.Returns(abi.Done), api.FunctionSpec{Triggers: onTopic("quick")})
	b.publish("in", manyEvents(60)...)
	waitUntil(t, func() bool { l := b.load("sleeps"); return l.Away == 60 })
	b.publish("quick", manyEvents(5)...)
	b.eventually("another function", func() bool { return b.stats("quick:quick").Pending == 0 })
	if l := b.load("sleeps"); l.Away != 60 || l.Running != 0 || l.Wanted != 60 || l.Limit != "" {
		t.Errorf("load %+v", l)
	}
}

func TestScaleMaxBoundsInstancesInUse(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 8; o.Drain = time.Millisecond })
	b.deploy("sleeps", wasmtest.Sleeps(), api.FunctionSpec{Triggers: onTopic("in"), Scale: api.Scale{Max: 3}, Timeout: api.Duration(time.Minute)})
	b.publish("in", manyEvents(10)...)
	waitUntil(t, func() bool { return b.seated() == 3 })
	calling, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := b.scheduler.Call(calling, Call{Namespace: "default", Function: "sleeps", Event: newEvent("1", "")})
		ended <- err
	}()
	waitUntil(t, func() bool { return b.load("sleeps").Waiting == 1 })
	if l := b.load("sleeps"); l.Away != 3 || l.Limit != string(heldByMax) || l.Held != string(heldByMax) {
		t.Errorf("load %+v", l)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("the call that waited: %v", err)
	}
	waitUntil(t, func() bool { return b.load("sleeps").Waiting == 0 })
}

func TestTheMemoryBudgetBoundsInstancesInUse(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 8; o.Memory = 100 << 20; o.Drain = time.Millisecond })
	b.deploy("large", wasmtest.Sleeps(), api.FunctionSpec{Triggers: onTopic("in"), Memory: 40 << 20, Timeout: api.Duration(time.Minute)})
	b.deploy("small", wasmtest.Returns(abi.Done), api.FunctionSpec{Triggers: onTopic("small"), Memory: 1 << 20})
	b.publish("in", manyEvents(10)...)
	waitUntil(t, func() bool { return b.seated() == 2 })
	b.publish("small", manyEvents(10)...)
	b.eventually("what is small enough", func() bool { return b.stats("small:small").Pending == 0 })
	if l := b.load("large"); l.Away != 2 || l.Limit != string(heldByMemory) {
		t.Errorf("load %+v", l)
	}
}

func TestMoreReadyInstancesThanMemoryAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Memory = 1 << 30 })
	b.deploy("other", wasmtest.Echo(), api.FunctionSpec{Scale: api.Scale{Min: 4}})
	for name, tc := range map[string]struct {
		spec api.FunctionSpec
		want string
	}{
		"fits":           {api.FunctionSpec{Scale: api.Scale{Min: 12}}, ""},
		"alone too much": {api.FunctionSpec{Scale: api.Scale{Min: 5}, Memory: 256 << 20}, "scale.min: 5 instances of 256 MiB may take 1280 MiB, and this node gives functions 1024 MiB"},
		"with others":    {api.FunctionSpec{Scale: api.Scale{Min: 13}}, "of which 256 MiB are for the instances that other functions keep ready. Try: lower scale.min or memory, or raise --memory"},
	} {
		_, _, err := b.scheduler.CheckModule(t.Context(), "f", wasmtest.Echo(), tc.spec)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
}

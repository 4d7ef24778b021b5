package scheduler

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// pending names the invocations of a state.
func (b *bundle) pending(state partition.InvocationState) (names []string) {
	b.t.Helper()
	list, err := b.table.Invocations(partition.InvocationQuery{State: state, Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, i := range list {
		names = append(names, i.Name())
	}
	return names
}

func (b *bundle) cancel(id string) {
	b.t.Helper()
	if err := b.scheduler.Cancel(b.t.Context(), "default", id, "not needed"); err != nil {
		b.t.Errorf("cancel %s: %v", id, err)
	}
}

// closing waits for the line that ends an invocation.
func (b *bundle) closing(id string) api.LogEntry {
	b.t.Helper()
	var found api.LogEntry
	waitUntil(b.t, func() bool {
		for _, e := range b.entries() {
			if e.Invocation == id && e.Attempt != nil && e.Next != "retry" {
				found = e
			}
		}
		return found.Attempt != nil
	})
	return found
}

func TestCancelOfWhatRunsAndWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 1; o.Drain = time.Millisecond })
	b.deploy("loops", wasmtest.Loops(), api.FunctionSpec{Triggers: onTopic("in")})
	b.deploy("later", wasmtest.Says(abi.Failed, time.Hour.Milliseconds(), "later"), api.FunctionSpec{Triggers: onTopic("later")})
	b.publish("later", newEvent("r", "k"))
	b.eventually("a failure", func() bool { return b.stats("later:later").Retrying == 1 })
	b.publish("in", newEvent("1", "a"), newEvent("2", "b"), newEvent("3", "c"))
	waitUntil(t, func() bool { return len(b.pending(partition.Running)) == 3 && b.seated() == 1 }) // one sits, two were taken

	retrying := b.pending(partition.Retrying)[0]
	b.cancel(retrying)
	if e := b.closing(retrying); e.Next != "canceled" || e.Attempt.Attempt != 2 || e.Attempt.Class != "canceled" || e.Attempt.Error != "not needed" || e.Function != "later" {
		t.Errorf("%+v %+v", e, e.Attempt)
	}
	for _, id := range b.pending(partition.Running) {
		b.cancel(id)
		if e := b.closing(id); e.Next != "canceled" || e.Attempt.Attempt != 1 || e.Attempt.Class != "canceled" || e.Attempt.Error != "not needed" {
			t.Errorf("%+v %+v", e, e.Attempt)
		}
	}
	b.eventually("nothing pending", func() bool { return len(b.pending("")) == 0 })
	waitUntil(t, func() bool { return b.seated() == 0 })
	if n := len(b.letters()); n > 0 {
		t.Errorf("%d dead letters", n)
	}
	if err := b.scheduler.Cancel(t.Context(), "default", retrying, "again"); !errors.Is(err, ErrNotOpen) {
		t.Errorf("a second time: %v", err)
	}
}

func TestCancelOfACall(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("loops", wasmtest.Loops(), api.FunctionSpec{})
	ended := make(chan error, 1)
	go func() {
		_, err := b.scheduler.Call(context.Background(), Call{Namespace: "default", Function: "loops", Event: newEvent("1", "k")})
		ended <- err
	}()
	waitUntil(t, func() bool { return len(b.scheduler.RunningCalls("default")) == 1 })
	r := b.scheduler.RunningCalls("default")[0]
	if r.Function != "loops" || r.EventID != "1" || r.Key != "k" || r.Revision != 1 || r.Start.IsZero() {
		t.Errorf("%+v", r)
	}
	if n := len(b.scheduler.RunningCalls("acme")); n > 0 {
		t.Errorf("another namespace sees %d", n)
	}
	if err := b.scheduler.Cancel(t.Context(), "acme", r.Invocation, "not theirs"); !errors.Is(err, ErrNotOpen) {
		t.Errorf("from another namespace: %v", err)
	}
	b.cancel(r.Invocation)
	if err := <-ended; !errors.Is(err, ErrCanceled) || fmt.Sprint(err) != "the invocation was canceled: not needed" {
		t.Errorf("the call ends with %v", err)
	}
}

func TestCancelOfNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("rejects", wasmtest.Says(abi.Rejected, -1, "no"), api.FunctionSpec{Triggers: onTopic("in")})
	b.publish("in", newEvent("1", "k"))
	b.eventually("a dead letter", func() bool { return len(b.letters()) == 1 })
	dead := b.letters()[0].ID
	for _, id := range []string{"", "what", "0123456789abcdef01234567", "0-1-77", "99-1-1", dead.String(), dead.String() + "-g1"} {
		if err := b.scheduler.Cancel(t.Context(), "default", id, "x"); !errors.Is(err, ErrNotOpen) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestUnwanted(t *testing.T) {
	t.Parallel()
	var u unwanted
	if _, ok := u.remove("a"); ok {
		t.Error("an empty one has a")
	}
	u.add("a", "why")
	if _, ok := u.remove("b"); ok {
		t.Error("it has b")
	}
	if reason, ok := u.remove("a"); !ok || reason != "why" {
		t.Errorf("a is there: %t, %q", ok, reason)
	}
	if _, ok := u.remove("a"); ok || u.count.Load() != 0 {
		t.Error("it still has a")
	}
}

package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestADeadlineStandsStillWhileItIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := withDeadline(t.Context(), time.Second)
		first, _ := d.Deadline()
		child, cancel := context.WithCancel(d)
		defer cancel()
		time.Sleep(900 * time.Millisecond)
		d.hold()
		time.Sleep(time.Hour)
		if d.Err() != nil {
			t.Fatalf("it ended while it was held: %v", d.Err())
		}
		d.resume()
		if at, ok := d.Deadline(); !ok || at.Sub(first) != time.Hour {
			t.Errorf("it moved on by %s", at.Sub(first))
		}
		time.Sleep(99 * time.Millisecond)
		if d.Err() != nil {
			t.Errorf("it ended early: %v", d.Err())
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if !errors.Is(d.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(child), context.DeadlineExceeded) {
			t.Errorf("at its end: %v, what came from it: %v", d.Err(), context.Cause(child))
		}
		if held := d.stop(); held != time.Hour {
			t.Errorf("held for %s", held)
		}

		cut := withDeadline(t.Context(), time.Second)
		cut.cancel(context.Canceled)
		if err := cut.Err(); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("canceled: %v", err)
		}
		cut.stop()

		parent, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		sooner := withDeadline(parent, time.Second)
		if at, _ := sooner.Deadline(); time.Until(at) > time.Millisecond {
			t.Errorf("its parent ends in %s", time.Until(at))
		}
		sooner.stop()
	})
}

// A function whose events take most of their time runs beside one that floods the only processor: none of its events is blamed for what the others did.
func TestAFloodFailsNoEventOfOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 1; o.Drain = time.Millisecond })
	b.deploy("flood", wasmtest.Loops(), api.FunctionSpec{Triggers: onTopic("in"), Timeout: api.Duration(time.Minute), Weight: 3})
	b.deploy("slow", wasmtest.Loops(), api.FunctionSpec{Triggers: onTopic("slow"), Timeout: api.Duration(300 * time.Millisecond), Retry: &api.Retry{Attempts: 1}})
	b.publish("in", manyEvents(20)...)
	waitUntil(t, func() bool { return b.seated() == 1 })
	start := time.Now()
	b.publish("slow", manyEvents(1)...)
	b.eventually("the end of the slow event, which never ends by itself", func() bool { return len(b.letters()) == 1 })
	d := b.letters()[0].Attempts[0]
	if d.Verdict != int32(abi.Failed) || d.Error == "" || d.Class != "deadline" {
		t.Errorf("it ended as %+v", d)
	}
	if took := time.Since(start); took < 600*time.Millisecond { // 300 ms of its own, and the turns of the others
		t.Errorf("its deadline came after %s, though it was parked most of the time", took)
	}
}

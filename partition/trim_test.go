package partition

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Power is cut in the moment after the log was trimmed, and nothing that was not synced is left. The state must need nothing that is gone, although its commits
// do not wait for the disk.
func TestPowerCutAfterTrimLosesNothing(t *testing.T) {
	t.Parallel()
	r := &machineRoom{t: t, disk: vfs.NewCrashableMem(), calm: true}
	r.start()
	for i := range 300 {
		ev := newEvent(fmt.Sprint("p", i), fmt.Sprint("k", i%5))
		if _, err := r.table.Publish(t.Context(), "default", "in", []event.Event{ev}); err != nil {
			t.Fatal(err)
		}
	}
	r.handleFirst(200, 0)
	r.handleFirst(50, 10)
	r.awaitOutputs(245)
	before := r.logged()
	r.table.retainer.now = func() time.Time { return time.Now().Add(8 * day) }
	if err := r.table.retainer.round(&Retention{}); err != nil {
		t.Fatal(err)
	}
	// The log's next fsync makes the trim durable, too. The state has none.
	if _, err := r.table.Publish(t.Context(), "default", "other", []event.Event{newEvent("after", "k0")}); err != nil {
		t.Fatal(err)
	}
	want := r.observe()
	left := r.logged()
	after := r.disk.CrashClone(vfs.CrashCloneCfg{})
	r.stop()
	r.disk = after
	r.start()
	if left >= before {
		t.Fatalf("nothing was trimmed: %d records, %d before", left, before)
	}
	if got := r.observe(); !maps.Equal(got, want) {
		t.Errorf("after the cut there is\n%v\nbefore there was\n%v", got, want)
	}
	r.handleFirst(50, 0)
	for k := range 5 {
		value, _, err := r.table.State("default", "f1", fmt.Sprint("k", k), "n")
		if err != nil || string(value) == "" {
			t.Errorf("counter of key %d is %q, %v", k, value, err)
		}
	}
	r.stop()
}

// awaitOutputs waits until events that were emitted have arrived in their partitions.
func (r *machineRoom) awaitOutputs(n int) {
	r.t.Helper()
	for {
		changed := r.table.Changed()
		have := len(r.read("out"))
		if have == n {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			r.t.Fatalf("%d outputs have arrived of %d", have, n)
		}
	}
}

// handleFirst settles n events: each that every divides becomes a dead letter, the others are done.
func (r *machineRoom) handleFirst(n, every int) {
	r.t.Helper()
	for done := 0; done < n; {
		list, err := r.table.Take(1, min(8, n-done))
		if err != nil || len(list) == 0 {
			r.t.Fatalf("took %d events after %d, %v", len(list), done, err)
		}
		for _, d := range list {
			if done++; every == 0 || done%every > 0 {
				r.settle(r.t.Context(), d)
			} else if _, err := r.table.Settle(r.t.Context(), &d, attemptOf(d, abi.Failed, "no"), Next{DeadLetter: true}, Effects{}); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func (r *machineRoom) logged() (n int) {
	r.t.Helper()
	for i := range r.table.parts {
		floor := r.table.parts[i].floor()
		if err := r.log.Read(i, floor, func(eventlog.Record) bool { n++; return true }); err != nil && floor > 0 {
			r.t.Fatal(err)
		}
	}
	return n
}

// observe is all that a person can see: counts, dead letters and pending events with their bytes, and keyed state.
func (r *machineRoom) observe() map[string]string {
	r.t.Helper()
	seen := map[string]string{"stats": fmt.Sprint(r.table.Stats(1))}
	err := r.table.DeadLetters("default", 1, func(d DeadLetter) error {
		seen["letter "+d.ID.String()] = d.Event.ID + string(d.Event.Data)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	list, err := r.table.Take(1, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, d := range list {
		seen["pending "+d.ID.String()] = d.Event.ID + string(d.Event.Data)
		r.table.Release(&d)
	}
	for k := range 5 {
		value, version, err := r.table.State("default", "f1", fmt.Sprint("k", k), "n")
		if err != nil {
			r.t.Fatal(err)
		}
		seen[fmt.Sprint("state ", k)] = fmt.Sprint(string(value), " at ", version)
	}
	return seen
}

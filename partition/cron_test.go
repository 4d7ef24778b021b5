package partition

import (
	"errors"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
)

func cronTrigger(id uint64) Trigger {
	return Trigger{ID: id, Namespace: "default", Name: "f:cron", Function: "f", Topic: "_cron.f"}
}

var firstDue = time.Date(2026, 1, 31, 2, 0, 0, 0, time.UTC)

func firing(id uint64, due time.Time) Firing {
	e := event.Event{ID: due.String(), Source: "/t", Type: "dev.evoke.cron", Subject: "f:cron"}
	return Firing{Trigger: id, Namespace: "default", Name: "f:cron", Topic: "_cron.f", Due: due, Event: &e}
}

func (tt *testTable) fire(list ...Firing) []Fired {
	tt.t.Helper()
	out, err := tt.Fire(tt.t.Context(), list)
	if err != nil {
		tt.t.Fatal(err)
	}
	return out
}

func wantOutcomes(t *testing.T, got []Fired, want ...Outcome) {
	t.Helper()
	for i, f := range got {
		if f.Outcome != want[i] || f.Outcome != Applied && f.ID != (ID{}) {
			t.Errorf("firing %d: outcome %d of %s, want %d", i, f.Outcome, f.ID, want[i])
		}
	}
}

// A due time fires once, also behind a restart, and however the clock of whoever asks has moved.
func TestADueTimeFiresOnce(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, cronTrigger(7))
	got := tt.fire(firing(7, firstDue), firing(7, firstDue), firing(7, firstDue.Add(-time.Hour)), firing(7, firstDue.Add(time.Second)))
	wantOutcomes(t, got, Applied, Stale, Stale, Applied)
	tt.reopen()
	if last := tt.LastDue(7); !last.Equal(firstDue.Add(time.Second)) {
		t.Errorf("last due at %s", last)
	}
	wantOutcomes(t, tt.fire(firing(7, firstDue.Add(time.Second)), firing(7, firstDue.Add(2*time.Second))), Stale, Applied)
	first := tt.takeN(7, 3)[0]
	if first.ID != got[0].ID || first.Event.Type != "dev.evoke.cron" || first.Topic != "_cron.f" {
		t.Errorf("took %+v, want %v", first, got[0].ID)
	}
	if p := tt.place("default", "f:cron", "", ""); first.ID.Partition != p.index {
		t.Errorf("it is in partition %d, and the state of its key in %d", first.ID.Partition, p.index)
	}
}

// Whether an earlier firing is pending is decided where the record stands, and the due time has passed in any case.
func TestAFiringThatWantsToBeAloneOverlaps(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, cronTrigger(7))
	alone := func(n int) Firing {
		f := firing(7, firstDue.Add(time.Duration(n)*time.Second))
		f.Alone = true
		return f
	}
	wantOutcomes(t, tt.fire(alone(1), alone(2)), Applied, Overlaps)
	byHand := firing(7, time.Time{})
	byHand.Alone = true
	wantOutcomes(t, tt.fire(byHand), Overlaps)
	tt.done(tt.takeN(7, 1)[0], Effects{})
	wantOutcomes(t, tt.fire(alone(2), byHand), Stale, Applied)
	if last := tt.LastDue(7); !last.Equal(firstDue.Add(2 * time.Second)) {
		t.Errorf("last due at %s", last)
	}
}

func TestADueTimePassesWithoutAnEvent(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, cronTrigger(7))
	pass := firing(7, firstDue)
	pass.Event = nil
	wantOutcomes(t, tt.fire(pass, firing(7, firstDue)), Applied, Stale)
	if n := tt.Stats(7).Pending; n != 0 {
		t.Errorf("%d pending", n)
	}
}

func TestWhatIsOutOfForceDoesNotFire(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	wantOutcomes(t, tt.fire(firing(7, firstDue)), Stale)
	tt.triggers(1, cronTrigger(7))
	tt.fire(firing(7, firstDue))
	tt.triggers(2)
	wantOutcomes(t, tt.fire(firing(7, firstDue.Add(time.Second))), Stale)
	if last := tt.LastDue(7); !last.IsZero() {
		t.Errorf("last due at %s after it was removed", last)
	}
}

func TestAFullDiskRefusesToFire(t *testing.T) {
	t.Parallel()
	tt := openTable(t, func(o *Options) { o.Admit = func() error { return ErrDiskLow } })
	tt.triggers(1, cronTrigger(7))
	if _, err := tt.Fire(t.Context(), []Firing{firing(7, firstDue)}); !errors.Is(err, ErrDiskLow) {
		t.Errorf("fire: %v", err)
	}
	if last := tt.LastDue(7); !last.IsZero() {
		t.Errorf("last due at %s", last)
	}
}

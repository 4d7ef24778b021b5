package partition

import (
	"testing"
	"time"
)

// oneWaits is what is ready of one trigger that has one event, offset 5, whose time comes at due, in unix milliseconds.
func oneWaits(t Trigger, due int64, rank int8) (*ready, *feed) {
	tr := &trigger{Trigger: &t, progress: map[uint64]progress{5: {next: due}}}
	tr.pending.add(5)
	if rank != 0 {
		tr.ranks = map[uint64]int8{5: rank}
	}
	r := newReady(&machine{triggers: map[uint64]*trigger{t.ID: tr}})
	return r, r.feeds[t.ID]
}

// Who picks may have read the time before the timers fired and come after them, and clocks are set back. Wherever the event is then, it has its turn when its time
// comes again.
func TestAnEventThatIsDueByAClockAheadIsNotLost(t *testing.T) {
	t.Parallel()
	const due = 1000
	plain, ordered := Trigger{ID: 1}, Trigger{ID: 1, Order: "key"}
	cases := map[string]struct {
		trigger Trigger
		rank    int8
		before  func(r *ready, f *feed)
	}{
		"not looked at":              {trigger: plain},
		"not looked at, in order":    {trigger: ordered},
		"looked at":                  {trigger: plain, before: func(_ *ready, f *feed) { f.pick(due - 2) }},
		"looked at, in order":        {trigger: ordered, before: func(_ *ready, f *feed) { f.pick(due - 2) }},
		"ranked first":               {trigger: plain, rank: 1},
		"ranked last":                {trigger: plain, rank: -1},
		"pending anew":               {trigger: plain, before: func(_ *ready, f *feed) { f.scan, f.passed = 6, 1; f.addAgain(5) }},
		"pending anew, in order":     {trigger: ordered, before: func(_ *ready, f *feed) { f.scan, f.passed = 6, 1; f.addAgain(5) }},
		"set aside and resumed":      {trigger: plain, before: func(_ *ready, f *feed) { f.pick(due - 2); f.due = []uint64{5} }},
		"due twice, by two timers":   {trigger: plain, before: func(r *ready, f *feed) { f.pick(due - 2); r.schedule(timer{due, 1, 5}) }},
		"due, and then not any more": {trigger: plain, before: func(r *ready, f *feed) { f.pick(due - 2); r.fire(due + 3600_000); f.pick(due - 3) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, f := oneWaits(c.trigger, due, c.rank)
			if c.before != nil {
				c.before(r, f)
			}
			r.fire(due)
			for {
				offset, waiting, ok := f.pick(due - 1)
				if ok && !waiting {
					t.Fatalf("offset %d came before its time", offset)
				}
				if !ok {
					break
				}
			}
			if next := r.fire(due - 1); next != due {
				t.Errorf("the next timer is at %d, want %d", next, due)
			}
			r.fire(due)
			if offset, waiting, ok := f.pick(due); offset != 5 || waiting || !ok {
				t.Errorf("when its time had come there was offset %d, waiting %t, %t", offset, waiting, ok)
			}
			if offset, _, ok := f.pick(due); ok {
				t.Errorf("offset %d came twice", offset)
			}
		})
	}
}

// A batch that has waited long enough goes, though the clock is set back before it is taken.
func TestABatchThatIsDueByAClockAheadGoes(t *testing.T) {
	t.Parallel()
	r, f := oneWaits(Trigger{ID: 1, Batch: &Batch{Size: 10, Window: time.Hour.Milliseconds()}}, 0, 0)
	if _, _, ok := f.pick(time.Now().UnixMilli()); ok {
		t.Fatal("it did not wait to fill")
	}
	r.fire(time.Now().Add(time.Hour + time.Minute).UnixMilli())
	r.note(f) // as when another event comes
	if offset, _, ok := f.pick(time.Now().UnixMilli()); !ok || offset != 5 {
		t.Errorf("it still waits, %+v", f.gather)
	}
}

// Delayed events of one key queue when they are seen, and ask again when their time has come, all at once. If each were looked for among the others, it would take minutes.
func TestManyOfAKeyComeDue(t *testing.T) {
	t.Parallel()
	const events = 300_000
	tr := &trigger{Trigger: &Trigger{ID: 1, Order: "key"}}
	tr.pending.add(1)
	f := newReady(&machine{triggers: map[uint64]*trigger{1: tr}}).feeds[1]
	for range 2 {
		for offset := uint64(1); offset <= events; offset++ {
			tr.pending.add(offset)
			if f.claim(offset, "k") != (offset == 1) {
				t.Fatalf("%d", offset)
			}
		}
	}
	l := f.lanes[laneOf("k")]
	if len(l.queue) != events-1 {
		t.Fatalf("%d are queued", len(l.queue))
	}
	for offset := uint64(1); offset < events; offset++ {
		tr.pending.remove(offset)
		if f.release(offset); l.owner != offset+1 {
			t.Fatalf("%d owns the lane behind %d", l.owner, offset)
		}
	}
	if len(l.queue) != 0 || len(l.members) != 0 {
		t.Errorf("%d are queued, %d known", len(l.queue), len(l.members))
	}
}

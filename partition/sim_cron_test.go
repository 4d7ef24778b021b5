package partition

import (
	"fmt"
	"time"
)

// This file is what the model and the clients of the simulation know of firings.

func (s *simState) fire(offset uint64, rec *simRecord) {
	about := fmt.Sprintf("due %d of trigger %d", rec.due, rec.trigger)
	if len(rec.events) > 0 {
		about = rec.events[0].data
	}
	t := s.triggers[rec.trigger]
	if t == nil || t.gone || rec.due != 0 && s.holds("due once") && rec.due <= t.due {
		s.say(about, "stale")
		return
	}
	if rec.due != 0 && s.holds("last due") {
		t.due = rec.due
	}
	if rec.alone && len(t.pending) > 0 && s.holds("alone") {
		if s.broken == "due of what overlaps" {
			t.due = 0
		}
		s.say(about, "overlaps")
		return
	}
	if len(rec.events) == 0 {
		s.say(about, "passed")
		return
	}
	s.say(about, fmt.Sprint("stored ", offset))
	s.store(offset, rec.events, -1)
}

// stepFire says that a trigger is due at one of a few times, some of which have been, or that somebody wants it to run.
func (w *simWorld) stepFire() {
	n := w.someNode()
	if n == nil {
		return
	}
	t := simDefinition(w.someID())
	f := Firing{Trigger: t.ID, Namespace: "default", Name: t.Name, Topic: t.Topic, Alone: w.rng.IntN(2) == 0}
	if w.rng.IntN(6) > 0 {
		f.Due = time.Now().Truncate(10 * time.Second).Add(time.Duration(w.rng.IntN(4)-1) * 10 * time.Second)
	}
	about := fmt.Sprintf("due %d of trigger %d", f.record().due, t.ID)
	id := ""
	if t.Topic != "out.*" && (w.rng.IntN(4) > 0 || f.Due.IsZero()) { // what is in there was emitted
		ev, nonce := w.event("")
		ev.ID, ev.Subject = "fired-"+nonce, t.Name
		f.Event, about, id = &ev, nonce, ev.ID
	}
	w.logf("epoch %d: fire trigger %d at %s, alone %t: %s", n.epoch, t.ID, f.Due.Format("15:04:05"), f.Alone, about)
	table, partition := n.table, n.table.place("default", t.Name, "", "").index
	w.call(func() func() {
		fired, err := table.Fire(n.ctx, []Firing{f})
		return func() {
			switch {
			case w.gone(n, "fire", err):
			case fired[0].Outcome == Applied && f.Event != nil:
				w.acknowledged(n, Stored{Partition: partition, Offset: fired[0].ID.Offset}, about, f.Topic+" "+id)
			default:
				got := map[Outcome]string{Applied: "passed", Stale: "stale", Overlaps: "overlaps"}[fired[0].Outcome]
				w.agree(n, partition, about, got)
			}
		}
	})
}

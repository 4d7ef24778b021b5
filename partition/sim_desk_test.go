package partition

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// This file is what people do with dead letters.

// stepLetters redrives or discards up to three dead letters of one partition.
func (w *simWorld) stepLetters() {
	n := w.someNode()
	if n == nil {
		return
	}
	partition, discards := w.somePartition(), w.rng.IntN(3) == 0
	var ids []ID
	var found [][3]uint64
	for _, d := range w.someLetters(n, partition) {
		if d.TriggerGone && !discards { // refused without a record
			continue
		}
		ids, found = append(ids, d.ID), append(found, [3]uint64{d.ID.Trigger, d.ID.Offset, uint64(d.Generation)})
	}
	if len(ids) == 0 {
		return
	}
	what, change := "redrive", n.table.Redrive
	if discards {
		what, change = "discard", func(ctx context.Context, ids []ID) (int, error) { return n.table.Discard(ctx, ids, "reason") }
	}
	w.logf("epoch %d: %s %v", n.epoch, what, found)
	w.call(func() func() {
		count, err := change(n.ctx, ids)
		return func() {
			if !w.gone(n, what, err) {
				w.agree(n, partition, fmt.Sprint(what, " ", found), fmt.Sprint(count))
			}
		}
	})
}

// someLetters are up to three dead letters of a partition. All that are listed are compared.
func (w *simWorld) someLetters(n *simNode, partition int) (some []DeadLetter) {
	want := map[ID]bool{}
	for p, m := range n.models {
		for id, t := range m.triggers {
			for offset := range t.dead {
				want[ID{p, offset, id}] = true
			}
		}
	}
	err := n.table.DeadLetters("default", 0, func(d DeadLetter) error {
		delete(want, d.ID)
		w.checkLetter(n, &d)
		if d.ID.Partition == partition && len(some) < 3 && w.rng.IntN(2) == 0 {
			some = append(some, d)
		}
		return nil
	})
	if w.gone(n, "list dead letters", err) {
		return nil
	}
	for id := range want {
		w.found("dead letter %s is not listed", id)
	}
	return some
}

// checkLetter: a dead letter is shown with the event that its trigger would get, and with the key that it holds.
func (w *simWorld) checkLetter(n *simNode, d *DeadLetter) {
	m := n.models[d.ID.Partition]
	t := m.triggers[d.ID.Trigger]
	if t == nil {
		w.found("dead letter %s of no trigger", d.ID)
		return
	}
	letter, e := t.dead[d.ID.Offset], m.eventOf(t, d.ID.Offset)
	holds := slices.ContainsFunc(slices.Collect(maps.Values(t.lanes)), func(l simLane) bool { return l.head == d.ID.Offset })
	got := fmt.Sprint(d.Generation, d.Time.UnixMilli(), d.Topic, d.Event.ID, string(d.Event.Data), d.Parked, d.TriggerGone, d.EditedAt)
	want := fmt.Sprint(letter.generation, letter.time, e.topic, e.id, e.data, holds, t.gone, t.special[d.ID.Offset].generation)
	if got != want {
		w.found("dead letter %s is shown as %s, want %s", d.ID, got, want)
	}
}

// stepDesk redrives up to three dead letters of one partition to a revision of choice, or edited; sometimes with a key that is not theirs.
func (w *simWorld) stepDesk() {
	n := w.someNode()
	if n == nil {
		return
	}
	partition := w.somePartition()
	var list []Redriving
	var want []LetterOutcome
	var letters [][3]uint64
	for _, d := range w.someLetters(n, partition) {
		r, outcome := Redriving{Letter: LetterID{d.ID, d.Generation}, Revision: max(0, w.rng.IntN(6)-2)}, LetterChanged
		if w.rng.IntN(2) == 0 {
			ev, _ := w.event("edited-" + d.Event.ID)
			if ev.Subject = d.Event.Subject; w.rng.IntN(8) == 0 {
				ev.Subject += "other"
				outcome = LetterKeyChanged
			}
			r.Edited = &ev
		}
		if d.TriggerGone {
			outcome = LetterOrphaned
		}
		if list, want = append(list, r), append(want, outcome); outcome == LetterChanged {
			letters = append(letters, [3]uint64{d.ID.Trigger, d.ID.Offset, uint64(d.Generation)})
		}
	}
	if len(list) == 0 {
		return
	}
	about := fmt.Sprint("redrive ", letters)
	w.logf("epoch %d: %s", n.epoch, about)
	table := n.table
	w.call(func() func() {
		got, err := table.RedriveAs(n.ctx, list)
		return func() {
			if !w.gone(n, "redrive as", err) {
				w.checkOutcomes(n, partition, about, got, want)
			}
		}
	})
}

func (w *simWorld) checkOutcomes(n *simNode, partition int, about string, got, want []LetterOutcome) {
	changed := 0
	for i := range want {
		if got[i] == LetterChanged {
			changed++
		}
		if got[i] != want[i] && (want[i] != LetterChanged || got[i] != LetterGone) { // somebody else may have been faster
			w.found("%s at epoch %d: outcomes are %v, want %v", about, n.epoch, got, want)
		}
	}
	if len(want) > 0 && slices.Contains(want, LetterChanged) {
		w.agree(n, partition, about, fmt.Sprint(changed))
	}
}

// freeKeys redrives whatever holds a key.
func (w *simWorld) freeKeys(n *simNode) {
	for p, m := range n.models {
		var ids []ID
		for id, t := range m.triggers {
			for _, l := range t.lanes {
				if _, dead := t.dead[l.head]; dead {
					ids = append(ids, ID{p, l.head, id})
				}
			}
		}
		slices.SortFunc(ids, ID.compare)
		w.call(func() func() {
			_, err := n.table.Redrive(n.ctx, ids)
			return func() { w.gone(n, "redrive", err) }
		})
	}
	w.settleDown()
}

func (w *simWorld) sleepFor(d time.Duration) {
	w.logf("sleep %s", d)
	time.Sleep(d)
}

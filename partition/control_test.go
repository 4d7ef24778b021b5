package partition

import (
	"testing"
	"time"

	"github.com/evoke-run/evoke/eventlog"
)

// applyGroup applies what a script has from a record on, as one group.
func applyGroup(t *testing.T, m *machine, records []eventlog.Record) workList {
	t.Helper()
	for _, r := range records {
		if _, _, err := m.apply(r); err != nil {
			t.Fatal(err)
		}
	}
	work, err := m.flush(records[0].Offset)
	if err != nil {
		t.Fatal(err)
	}
	return work
}

const keyTriggerJSON = `{"id":1,"namespace":"default","order":"key"}`

// takenOut is a machine whose trigger was taken out of force, and perhaps put in again, in the group of records in which its only event left.
func takenOut(t *testing.T, leave next, again bool) *machine {
	t.Helper()
	m, s := openMachine(t), &script{}
	s.lead(1)
	s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(keyTriggerJSON)}})
	s.add(&publishRecord{stored: []storedEvent{stored("a", 1)}})
	applyGroup(t, m, s.records)
	from := len(s.records)
	s.add(&settleRecord{trigger: 1, offset: s.records[2].Offset, attempt: Attempt{Number: 1}, next: leave})
	s.add(&controlRecord{generation: 2, remove: []uint64{1}})
	if again {
		s.add(&controlRecord{generation: 3, put: [][]byte{[]byte(keyTriggerJSON)}})
	}
	applyGroup(t, m, s.records[from:])
	return m
}

func TestTriggerTakenOutWithItsLastEventLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		leave next
		again bool
	}{
		"settled": {nextSettled, false}, "settled, in force again": {nextSettled, true},
		"dead letter": {nextDeadLetter, false}, "dead letter, in force again": {nextDeadLetter, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := takenOut(t, test.leave, test.again)
			loaded := newMachine(newStore(m.store.db, 0), 4, newDedup(time.Minute, 8))
			if err := loaded.load(); err != nil {
				t.Fatalf("the state cannot be loaded: %v", err)
			}
			for id, trigger := range loaded.triggers {
				if trigger.pending.count != 0 {
					t.Errorf("after a restart trigger %d has %d pending events again", id, trigger.pending.count)
				}
			}
		})
	}
}

// Its dead letter keeps the trigger known while it is out of force; the event that ran then must not keep its key busy for ever.
func TestTriggerTakenOutAndPutInForceAgainBeginsAnew(t *testing.T) {
	t.Parallel()
	m, s := openMachine(t), &script{}
	s.lead(1)
	s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(keyTriggerJSON)}})
	s.add(&publishRecord{stored: []storedEvent{stored("a", 1), stored("b", 1)}})
	first := s.records[2].Offset
	s.add(&settleRecord{trigger: 1, offset: first, attempt: Attempt{Number: 1}, next: nextDeadLetter})
	r := newReady(m)
	r.absorb(applyGroup(t, m, s.records).changes)
	if got, _, ok := r.feeds[1].pick(0); !ok || got != first+1 || !r.feeds[1].claim(got, "k") {
		t.Fatalf("picked %d, %t", got, ok)
	}
	from := len(s.records)
	s.add(&controlRecord{generation: 2, remove: []uint64{1}})
	s.add(&controlRecord{generation: 3, put: [][]byte{[]byte(keyTriggerJSON)}})
	s.add(&publishRecord{stored: []storedEvent{stored("c", 1)}})
	r.absorb(applyGroup(t, m, s.records[from:]).changes)
	if r.work[1] == nil {
		t.Error("the trigger is not ready")
	}
	want := s.records[len(s.records)-1].Offset
	if got, _, ok := r.feeds[1].pick(0); !ok || got != want || !r.feeds[1].claim(got, "k") {
		t.Errorf("picked %d, %t, or its key is busy; want %d", got, ok, want)
	}
	if dead := m.triggers[1].dead; dead != 1 {
		t.Errorf("%d dead letters, want 1", dead)
	}
}

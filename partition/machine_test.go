package partition

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/eventlog"
)

func openMachine(t *testing.T) *machine {
	t.Helper()
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem(), Logger: pebbleLogger{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return newMachine(newStore(db, 0), 4, newDedup(time.Minute, 8))
}

// script builds records as a leader would, one after the other.
type script struct {
	records []eventlog.Record
	next    uint64
	epoch   uint64
	seq     uint64
	time    int64
}

func (s *script) add(b body) {
	s.seq++
	s.put(header{epoch: s.epoch, seq: s.seq, time: s.time}, b)
}

func (s *script) put(h header, b body) {
	s.next = max(s.next, 1)
	s.records = append(s.records, eventlog.Record{Offset: s.next, Span: span(b), Data: encodeRecord(h, b)})
	s.next += uint64(span(b))
}

func (s *script) lead(epoch uint64) {
	s.epoch, s.seq = epoch, 0
	s.add(&leadRecord{partitions: 4})
}

func stored(id string, triggers ...uint64) storedEvent {
	ev := newEvent(id, "k")
	return storedEvent{namespace: "default", topic: "a", triggers: triggers, event: ev.AppendBinary(nil)}
}

// run applies records in groups and returns the results and everything in the state.
func run(t *testing.T, m *machine, records []eventlog.Record, group func() int) (results []result, state map[string]string) {
	t.Helper()
	for len(records) > 0 {
		n := min(group(), len(records))
		for _, r := range records[:n] {
			_, res, err := m.apply(r)
			if err != nil {
				t.Fatal(err)
			}
			results = append(results, res)
		}
		if _, err := m.flush(records[0].Offset); err != nil {
			t.Fatal(err)
		}
		records = records[n:]
	}
	state = map[string]string{}
	if err := scan(m.store.db, []byte{0, 0}, func(k, v []byte) error { state[string(k)] = string(v); return nil }); err != nil {
		t.Fatal(err)
	}
	return results, state
}

func one() int { return 1 }

// busyScript has every kind of record, duplicates and stale settles, with keys and times from rnd.
func busyScript(rnd *rand.Rand) *script {
	s := &script{}
	s.lead(1)
	for _, id := range []string{"1", "2"} {
		s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(`{"id":` + id + `,"namespace":"default","order":"key","onFailure":"park"}`)}})
	}
	for i := range 400 {
		s.time += rnd.Int64N(4000)
		offset := 1 + rnd.Uint64N(s.next)
		attempt := Attempt{Number: 1 + rnd.IntN(2), Start: time.UnixMilli(s.time)}
		trigger := 1 + rnd.Uint64N(2)
		switch rnd.IntN(15) {
		case 14:
			s.time += rnd.Int64N(3) * replyAge.Milliseconds() / 8
			s.add(&callRecord{once: Once{Key: fmt.Sprint(rnd.IntN(4))}, reply: []byte(fmt.Sprint(i)), effects: effects{
				function: "f", own: []storedEvent{stored("c", 1)}, writes: []StateWrite{{Name: fmt.Sprint(rnd.IntN(3)), Value: []byte("call")}},
			}})
		case 13:
			s.add(&batchRecord{trigger: trigger, attempt: attempt, settled: []batchEntry{{offset, 0, 1}, {offset + 1 + rnd.Uint64N(3), 0, 1}}, effects: effects{
				function: "f", own: []storedEvent{stored("b", 1)}, foreign: []foreignEvent{{to: 1}},
			}})
		case 0, 1, 2:
			s.add(&publishRecord{stored: []storedEvent{stored(fmt.Sprint("e", rnd.IntN(40)), 1, 2), stored(fmt.Sprint("f", i), 2)}})
		case 3:
			s.add(&settleRecord{trigger: trigger, offset: offset, attempt: attempt, next: nextRetry, retryAt: s.time + 100})
		case 4:
			s.add(&settleRecord{trigger: trigger, offset: offset, attempt: attempt, next: nextDeadLetter})
		case 5:
			s.add(&settleRecord{trigger: trigger, offset: offset, attempt: attempt, effects: effects{
				function: "f", writes: []StateWrite{{Name: fmt.Sprint(rnd.IntN(3)), Value: []byte(fmt.Sprint(i))}},
				own: []storedEvent{stored("o", 1)}, foreign: []foreignEvent{{to: 2}},
			}})
		case 6:
			s.add(&redriveRecord{letters: []letter{{trigger, offset, 0}, {trigger, offset, 1}}})
			s.add(&publishRecord{origin: originOutbox, from: 3, seq: rnd.Uint64N(20), stored: []storedEvent{stored("in", 1)}})
		case 7:
			s.add(&discardRecord{letters: []letter{{trigger, offset, 0}}})
			s.add(&deliveredRecord{to: 2, seq: rnd.Uint64N(10)})
		case 8, 9:
			s.add(&gaveUpRecord{trigger: trigger, offset: offset, attempt: attempt, parks: rnd.IntN(4) > 0, lane: rnd.Uint64N(5), effects: effects{own: []storedEvent{stored("copy", 2)}}})
		case 10:
			s.add(&redriveAsRecord{
				letters: []letterAs{{letter: letter{trigger, offset, 0}, revision: rnd.Uint64N(3), edited: true}, {letter: letter{trigger, offset + 1, 1}}},
				edited:  []storedEvent{stored("edited")}, above: rnd.IntN(2) == 0,
			})
			if rnd.IntN(20) == 0 { // parks no more, and then again
				s.add(&controlRecord{generation: 2, put: [][]byte{[]byte(`{"id":1,"namespace":"default","order":"key"}`)}})
				s.add(&controlRecord{generation: 3, put: [][]byte{[]byte(`{"id":1,"namespace":"default","order":"key","onFailure":"park"}`)}})
			}
		case 11:
			s.add(&lapseRecord{reason: "old", letters: []letter{{trigger, offset, 0}, {trigger, offset, 1}, {9, offset, 0}}})
		case 12:
			s.add(&expireRecord{topics: []expiredTopic{{"default", "a", rnd.Uint64N(1 + offset)}, {"default", "none", 1}}})
			s.add(&trimRecord{before: rnd.Uint64N(1 + offset/2)})
		}
	}
	return s
}

// The same records make the same state and the same results, however the log cut them into groups and wherever a restart fell between them.
func TestApplyDoesNotDependOnGroupsOrRestarts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := busyScript(rnd)
		wantResults, want := run(t, openMachine(t), s.records, one)
		gotResults, got := run(t, openMachine(t), s.records, func() int { return 1 + rnd.IntN(9) })
		compare(t, fmt.Sprintf("seed %d, groups", seed), wantResults, gotResults, want, got)

		cut := rnd.IntN(len(s.records))
		m := openMachine(t)
		first, _ := run(t, m, s.records[:cut], one)
		again := newMachine(newStore(m.store.db, 0), 4, newDedup(time.Minute, 8))
		if err := again.load(); err != nil {
			t.Fatal(err)
		}
		second, got := run(t, again, s.records[cut:], one)
		compare(t, fmt.Sprintf("seed %d, restart at %d", seed, cut), wantResults, append(first, second...), want, got)
	}
}

func compare(t *testing.T, when string, wantResults, gotResults []result, want, got map[string]string) {
	t.Helper()
	if !slices.EqualFunc(wantResults, gotResults, func(a, b result) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("%s: results differ", when)
	}
	journal := func(k, _ string) bool { return k[0] == keyDedup } // its pages are the groups; what they hold shows in the results
	maps.DeleteFunc(want, journal)
	maps.DeleteFunc(got, journal)
	if !maps.Equal(want, got) {
		t.Errorf("%s: states differ: %d and %d entries", when, len(want), len(got))
	}
}

func TestRecordStoredTwiceHappensOnce(t *testing.T) {
	t.Parallel()
	s := busyScript(rand.New(rand.NewPCG(7, 7)))
	_, want := run(t, openMachine(t), s.records, one)
	twice := &script{}
	for _, r := range s.records {
		h, b, err := decodeRecord(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		twice.next = r.Offset
		twice.put(h, b)
	}
	// The copies come later, at offsets of their own.
	for _, r := range s.records[:200] {
		h, b, _ := decodeRecord(r.Data)
		twice.next = max(twice.next, s.next)
		twice.put(h, b)
	}
	results, got := run(t, openMachine(t), twice.records, one)
	for i, r := range results[len(s.records):] {
		if !r.ignored {
			if _, ok := mustDecode(t, twice.records[len(s.records)+i]).(*leadRecord); !ok {
				t.Fatalf("copy %d was not ignored", i)
			}
		}
	}
	delete(want, string(rune(keyMeta)))
	delete(got, string(rune(keyMeta))) // the applied offset went on
	if !maps.Equal(want, got) {
		t.Error("copies changed the state")
	}
}

func mustDecode(t *testing.T, r eventlog.Record) body {
	t.Helper()
	_, b, err := decodeRecord(r.Data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordsOfADeposedLeaderAreIgnored(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(5)
	s.add(&controlRecord{put: [][]byte{[]byte(`{"id":1}`)}})
	s.lead(9)
	zombie := header{epoch: 5, seq: 3}
	s.put(zombie, &publishRecord{stored: []storedEvent{stored("z", 1)}})
	s.put(header{epoch: 5, seq: 1}, &leadRecord{partitions: 4})
	s.put(header{epoch: 7, seq: 1}, &leadRecord{partitions: 4})
	s.add(&publishRecord{stored: []storedEvent{stored("x", 1)}})
	m := openMachine(t)
	results, _ := run(t, m, s.records, one)
	for i, want := range []bool{false, false, false, true, true, true, false} {
		if results[i].ignored != want {
			t.Errorf("record %d: ignored is %t, want %t", i, results[i].ignored, want)
		}
	}
	if m.epoch != 9 || m.triggers[1].pending.count != 1 {
		t.Errorf("epoch %d, %d pending", m.epoch, m.triggers[1].pending.count)
	}
}

func TestDeduplicationEndsWithItsWindowAndItsLimit(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	publish := func(at int64, ids ...string) {
		s.time = at
		for _, id := range ids {
			s.add(&publishRecord{stored: []storedEvent{stored(id)}})
		}
	}
	publish(0, "a")
	publish(59_999, "a")  // inside the minute
	publish(60_000, "a")  // its end: the first is forgotten, this one counts anew
	publish(119_999, "a") // known from 60,000
	publish(120_000, "b", "c", "d", "e", "f", "g", "h", "i", "j", "b")
	m := openMachine(t)
	results, _ := run(t, m, s.records, one)
	var duplicates []int
	for i, r := range results {
		if len(r.stored) > 0 && r.stored[0].Duplicate {
			duplicates = append(duplicates, i)
		}
	}
	if want := []int{2, 4}; !slices.Equal(duplicates, want) { // the second "b" came when eight others had pushed the first out
		t.Errorf("duplicates at %v, want %v", duplicates, want)
	}
	if m.dedup.takeEarly() == 0 {
		t.Error("early evictions are not counted")
	}
}

func TestPendingSetEqualsAPlainOne(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	p, model := pending{}, map[uint64]bool{}
	for range 20_000 {
		offset := rnd.Uint64N(5000)
		if rnd.IntN(3) > 0 {
			p.remove(offset)
			delete(model, offset)
		} else {
			p.add(offset)
			model[offset] = true
		}
		from := rnd.Uint64N(5000)
		want, found := uint64(0), false
		for o := range model {
			if o >= from && (!found || o < want) {
				want, found = o, true
			}
		}
		if got, ok := p.next(from); ok != found || got != want {
			t.Fatalf("next from %d: got %d %t, want %d %t", from, got, ok, want, found)
		}
		if p.count != len(model) || p.has(offset) != model[offset] {
			t.Fatalf("%d members, want %d", p.count, len(model))
		}
	}
}

package partition

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// pastScript is a life of two triggers with replays, pauses and other filters, whose leader looks through the past in steps of random length, some of them twice
// or too late.
func pastScript(t *testing.T, rnd *rand.Rand) *script {
	t.Helper()
	s, m := &script{}, openMachine(t)
	shown := 0
	look := func() { // applies what is new, so that steps fit
		for ; shown < len(s.records); shown++ {
			if _, _, err := m.apply(s.records[shown]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := m.flush(1); err != nil {
			t.Fatal(err)
		}
	}
	s.lead(1)
	for i := range 40 {
		s.add(&publishRecord{stored: []storedEvent{stored(fmt.Sprint("old", i))}})
	}
	replays := uint64(0)
	for i := range 300 {
		s.time += rnd.Int64N(4000)
		trigger, offset := 1+rnd.Uint64N(2), 1+rnd.Uint64N(s.next)
		attempt := Attempt{Number: 1 + rnd.IntN(2), Start: time.UnixMilli(s.time)}
		generation := uint32(rnd.IntN(4))
		switch rnd.IntN(9) {
		case 0:
			replays += uint64(rnd.IntN(2))
			text := fmt.Sprintf(`{"id":%d,"namespace":"default","paused":%t,"start":{},"replay":{"id":%d,"from":[%d]}}`, trigger, rnd.IntN(2) == 0, replays, rnd.IntN(30))
			s.add(&controlRecord{generation: uint64(i), put: [][]byte{[]byte(text)}})
		case 1:
			s.add(&publishRecord{stored: []storedEvent{stored(fmt.Sprint("e", i), 1, 2)}})
		case 2:
			s.add(&settleRecord{trigger: trigger, offset: offset, generation: generation, attempt: attempt, next: nextRetry, retryAt: s.time + 100})
		case 3:
			s.add(&settleRecord{trigger: trigger, offset: offset, generation: generation, attempt: attempt, next: nextDeadLetter})
		case 4:
			s.add(&settleRecord{trigger: trigger, offset: offset, generation: generation, attempt: attempt})
		case 5:
			s.add(&redriveRecord{letters: []letter{{trigger, offset, generation}}})
		case 6:
			if rnd.IntN(8) == 0 {
				s.add(&controlRecord{generation: uint64(i), remove: []uint64{trigger}})
			}
		default:
			look()
			if b := randomStep(m, trigger, rnd); b != nil {
				for range 1 + rnd.IntN(2) {
					s.add(b)
				}
			}
		}
	}
	return s
}

func randomStep(m *machine, trigger uint64, rnd *rand.Rand) body {
	tr := m.triggers[trigger]
	if tr == nil || len(tr.position.runs) == 0 {
		return nil
	}
	r := tr.position.runs[0]
	b := &matchedRecord{trigger: trigger, generation: r.generation, definition: tr.position.definition, from: r.next, upTo: r.next + 1 + rnd.Uint64N(r.end-r.next)}
	for offset := b.from; offset < b.upTo; offset++ {
		if rnd.IntN(2) == 0 {
			b.offsets = append(b.offsets, offset)
		}
	}
	return b
}

func TestThePastDoesNotDependOnGroupsOrRestarts(t *testing.T) {
	t.Parallel()
	steps := 0
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		s := pastScript(t, rnd)
		wantResults, want := run(t, openMachine(t), s.records, one)
		for _, r := range wantResults {
			steps += r.count
		}
		gotResults, got := run(t, openMachine(t), s.records, func() int { return 1 + rnd.IntN(9) })
		compare(t, fmt.Sprintf("seed %d, groups", seed), wantResults, gotResults, want, got)
		for range 2 {
			cut := rnd.IntN(len(s.records))
			m := openMachine(t)
			first, _ := run(t, m, s.records[:cut], func() int { return 1 + rnd.IntN(9) })
			again := newMachine(newStore(m.store.db, 0), 4, newDedup(time.Minute, 8))
			if err := again.load(); err != nil {
				t.Fatalf("seed %d, restart at %d: %v", seed, cut, err)
			}
			second, got := run(t, again, s.records[cut:], one)
			compare(t, fmt.Sprintf("seed %d, restart at %d", seed, cut), wantResults, append(first, second...), maps.Clone(want), got)
		}
	}
	if steps < 200 {
		t.Errorf("only %d events came from the past: the script has changed its nature", steps)
	}
}

// A chunk whose last event is settled in the group of records that also takes the trigger out of force leaves nothing behind.
func TestATriggerTakenOutLeavesNothing(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	s.add(&controlRecord{put: [][]byte{[]byte(`{"id":1}`)}})
	s.add(&publishRecord{stored: []storedEvent{stored("a", 1)}})
	s.add(&settleRecord{trigger: 1, offset: 3, attempt: Attempt{Number: 1}})
	s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(`{"id":1,"replay":{"id":1}}`)}})
	settle := len(s.records)
	s.add(&matchedRecord{trigger: 1, generation: 1, definition: 5, from: 1, upTo: 5, offsets: []uint64{3}})
	s.add(&settleRecord{trigger: 1, offset: 3, generation: 1, attempt: Attempt{Number: 1}})
	s.add(&controlRecord{generation: 2, remove: []uint64{1}})
	for cut := 1; cut < settle+3; cut++ {
		m := openMachine(t)
		run(t, m, s.records[:cut], one)
		results, state := run(t, m, s.records[cut:], func() int { return len(s.records) })
		for i, r := range results {
			if r.ignored || r.outcome != Applied {
				t.Fatalf("record %d: %+v", cut+i, r)
			}
		}
		for key := range state {
			if slices.Contains([]byte{keyTrigger, keyPending, keyPosition, keyAgain, keyProgress}, key[0]) {
				t.Errorf("cut at %d: key %q is left", cut, key)
			}
		}
		if err := newMachine(newStore(m.store.db, 0), 4, newDedup(time.Minute, 8)).load(); err != nil {
			t.Errorf("cut at %d: restart: %v", cut, err)
		}
	}
}

func TestStepsThatDoNotFitChangeNothing(t *testing.T) {
	t.Parallel()
	begin := func() *script {
		s := &script{}
		s.lead(1)
		for range 8 {
			s.add(&publishRecord{stored: []storedEvent{stored("x" + fmt.Sprint(s.seq))}})
		}
		s.add(&controlRecord{put: [][]byte{[]byte(`{"id":1,"start":{}}`)}})
		return s
	}
	good := matchedRecord{trigger: 1, definition: 10, from: 1, upTo: 10, offsets: []uint64{2, 3}}
	for name, change := range map[string]func(*matchedRecord){
		"another trigger":    func(b *matchedRecord) { b.trigger = 2 },
		"another generation": func(b *matchedRecord) { b.generation = 1 },
		"an older filter":    func(b *matchedRecord) { b.definition = 9 },
		"not the next":       func(b *matchedRecord) { b.from = 2 },
	} {
		s, b := begin(), good
		change(&b)
		s.add(&b)
		m := openMachine(t)
		results, _ := run(t, m, s.records, one)
		if r := results[len(results)-1]; r.outcome != Stale || m.triggers[1].pending.count != 0 || m.triggers[1].position.runs[0].next != 1 {
			t.Errorf("%s: %+v, %d pending", name, r, m.triggers[1].pending.count)
		}
	}
	for want, change := range map[string]func(*matchedRecord){
		"a step from 1 to 11 of a run that ends at 10": func(b *matchedRecord) { b.upTo = 11 },
		"a step from 1 to 1 of a run":                  func(b *matchedRecord) { b.upTo = 1 },
		"offset 10 in a step from 1 to 10":             func(b *matchedRecord) { b.offsets = []uint64{10} },
	} {
		s, b := begin(), good
		change(&b)
		s.add(&b)
		m := openMachine(t)
		run(t, m, s.records[:len(s.records)-1], one)
		if _, _, err := m.apply(s.records[len(s.records)-1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A replay leaves alone what is pending and what is a dead letter, and its generation is above all others.
func TestReplayHandsOutWhatIsSettled(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	s.add(&controlRecord{put: [][]byte{[]byte(`{"id":1}`)}})
	for i := range 4 {
		s.add(&publishRecord{stored: []storedEvent{stored(fmt.Sprint("e", i), 1)}}) // offsets 3 to 6
	}
	settle := func(offset uint64, generation uint32, n next) {
		s.add(&settleRecord{trigger: 1, offset: offset, generation: generation, attempt: Attempt{Number: 1}, next: n})
	}
	settle(3, 0, nextSettled)
	settle(4, 0, nextDeadLetter)
	settle(5, 0, nextDeadLetter)
	s.add(&redriveRecord{letters: []letter{{1, 5, 0}}})
	settle(5, 1, nextSettled)
	s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(`{"id":1,"replay":{"id":1}}`)}})
	control := s.next - 1
	s.add(&matchedRecord{trigger: 1, generation: 2, definition: control, from: 1, upTo: control, offsets: []uint64{3, 4, 5, 6}})
	m := openMachine(t)
	results, _ := run(t, m, s.records, one)
	tr := m.triggers[1]
	if got := results[len(results)-1]; got.count != 2 || got.outcome != Applied {
		t.Fatalf("replayed %+v, want the 2 settled ones", got)
	}
	for offset, want := range map[uint64]uint32{3: 2, 5: 2, 6: 0} {
		if got := tr.at(offset).generation; !tr.pending.has(offset) || got != want {
			t.Errorf("offset %d: pending %t in generation %d, want %d", offset, tr.pending.has(offset), got, want)
		}
	}
	if tr.dead != 1 || tr.pending.has(4) {
		t.Errorf("%d dead letters, 4 pending: %t", tr.dead, tr.pending.has(4))
	}
	more := &script{next: s.next, epoch: 1, seq: s.seq}
	for _, late := range []struct {
		offset     uint64
		generation uint32
		want       Outcome
	}{{3, 0, Stale}, {5, 1, Stale}, {3, 2, Applied}, {3, 2, Stale}, {6, 2, Stale}, {6, 0, Applied}, {5, 2, Applied}} {
		more.add(&settleRecord{trigger: 1, offset: late.offset, generation: late.generation, attempt: Attempt{Number: 1}})
		results, _ := run(t, m, more.records[len(more.records)-1:], one)
		if results[0].outcome != late.want {
			t.Errorf("settle of offset %d in generation %d: %d, want %d", late.offset, late.generation, results[0].outcome, late.want)
		}
	}
	if tr.pending.count != 0 || tr.again.of(3) != 0 {
		t.Errorf("%d left pending", tr.pending.count)
	}
}

func TestWhatARunHoldsFromRetention(t *testing.T) {
	t.Parallel()
	p := position{}
	if p.heldFrom() != math.MaxUint64 || p.limit() != math.MaxUint64 {
		t.Error("a trigger without runs holds something")
	}
	p.begin(pastRun{next: 7, end: 9})
	p.begin(pastRun{generation: 1, next: 2, end: 9})
	p.begin(pastRun{generation: 2, next: 9, end: 9})
	if p.heldFrom() != 2 || p.limit() != 7 || len(p.runs) != 2 {
		t.Errorf("held from %d, limit %d, %d runs", p.heldFrom(), p.limit(), len(p.runs))
	}
	m := openMachine(t)
	if m.heldFrom() != math.MaxUint64 {
		t.Error("a machine without triggers holds something")
	}
	m.triggers[1], m.triggers[2] = &trigger{Trigger: &Trigger{ID: 1}}, &trigger{Trigger: &Trigger{ID: 2}, position: p}
	if m.heldFrom() != 2 {
		t.Errorf("the machine holds from %d", m.heldFrom())
	}
	p.advance(9, 3)
	if p.replayed != 0 || p.limit() != math.MaxUint64 {
		t.Errorf("after the start: %+v", p)
	}
	p.advance(4, 3)
	p.advance(9, 1)
	if p.replayed != 4 || len(p.runs) != 0 {
		t.Errorf("after the replay: %+v", p)
	}
}

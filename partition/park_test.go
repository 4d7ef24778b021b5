package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/sdk/abi"
)

func parking(id uint64, topic string) Trigger {
	t := onTopic(id, topic)
	t.Order, t.OnFailure = "key", "park"
	return t
}

func (tt *testTable) wantStats(trigger uint64, pending, dead, parked int) {
	tt.t.Helper()
	if s := tt.Stats(trigger); s.Pending != pending || s.DeadLetters != dead || s.Parked != parked {
		tt.t.Errorf("stats %+v, want %d pending, %d dead letters, %d parked keys", s, pending, dead, parked)
	}
}

func (tt *testTable) letterID(id ID) LetterID {
	tt.t.Helper()
	l, err := tt.current(id)
	if err != nil {
		tt.t.Fatal(err)
	}
	return l
}

func (tt *testTable) redriveAs(w Redriving, want LetterOutcome) {
	tt.t.Helper()
	out, err := tt.RedriveAs(tt.t.Context(), []Redriving{w})
	if err != nil || out[0] != want {
		tt.t.Fatalf("redrive of %s: %v %v, want %d", w.Letter.ID, out, err, want)
	}
}

// The key of an event that is given up on stands still, over restarts and failed redrives, until that event is done; other keys do not notice.
func TestParkedKeyWaitsForItsHead(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			t.Parallel()
			tt := openTable(t, nil)
			between := func() {
				if restart {
					tt.reopen()
				}
			}
			tt.triggers(1, parking(1, "a"))
			tt.publish("a", newEvent("p1", "poison"), newEvent("p2", "poison"), newEvent("g1", "good"), newEvent("p3", "poison"), newEvent("g2", "good"))
			first := tt.takeN(1, 2)
			if got := ids(first); !slices.Equal(got, []string{"g1", "p1"}) {
				t.Fatalf("the heads of two keys are %v", got)
			}
			slices.SortFunc(first, func(a, b Delivery) int { return strings.Compare(a.Event.ID, b.Event.ID) })
			bad := first[1]
			tt.Release(&first[0])
			tt.giveUp(bad, "no")
			between()
			for range 2 {
				d := tt.takeN(1, 1)[0]
				if d.Event.Key() != "good" {
					t.Fatalf("took %s", d.Event.ID)
				}
				tt.done(d, Effects{})
			}
			tt.takeNone(1)
			tt.wantStats(1, 2, 1, 1)
			d, err := tt.DeadLetter(bad.ID)
			if err != nil || !d.Parked || d.Behind != 2 {
				t.Errorf("dead letter %+v %v", d, err)
			}

			tt.redriveAs(Redriving{Letter: tt.letterID(bad.ID)}, LetterChanged)
			between()
			again := tt.takeN(1, 1)[0]
			if again.Event.ID != "p1" || again.Generation != 1 {
				t.Fatalf("took %s generation %d", again.Event.ID, again.Generation)
			}
			tt.takeNone(1)
			tt.wantStats(1, 3, 0, 0)
			tt.giveUp(again, "still no")
			between()
			tt.takeNone(1)
			tt.wantStats(1, 2, 1, 1)

			tt.redriveAs(Redriving{Letter: tt.letterID(bad.ID)}, LetterChanged)
			for _, want := range []string{"p1", "p2", "p3"} {
				between()
				d := tt.takeN(1, 1)[0]
				if d.Event.ID != want {
					t.Fatalf("took %s, want %s", d.Event.ID, want)
				}
				tt.takeNone(1)
				tt.done(d, Effects{})
			}
			tt.wantStats(1, 0, 0, 0)
		})
	}
}

func TestWhatLetsAParkedKeyGoOn(t *testing.T) {
	t.Parallel()
	skips := parking(1, "a")
	skips.OnFailure = ""
	unordered := onTopic(1, "a")
	for name, tc := range map[string]struct {
		act  func(tt *testTable, id ID)
		dead int
	}{
		"discard": {func(tt *testTable, id ID) {
			if n, err := tt.Discard(tt.t.Context(), []ID{id}, "test"); n != 1 || err != nil {
				tt.t.Errorf("discard: %d %v", n, err)
			}
		}, 0},
		"onFailure: skip": {func(tt *testTable, _ ID) { tt.triggers(2, skips) }, 1},
		"order: none":     {func(tt *testTable, _ ID) { tt.triggers(2, unordered) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt := openTable(t, nil)
			tt.triggers(1, parking(1, "a"))
			tt.publish("a", newEvent("1", "k"), newEvent("2", "k"))
			bad := tt.takeN(1, 1)[0]
			tt.giveUp(bad, "no")
			tt.takeNone(1)
			tc.act(tt, bad.ID)
			if d := tt.takeN(1, 1)[0]; d.Event.ID != "2" {
				t.Errorf("took %s", d.Event.ID)
			}
			tt.wantStats(1, 1, tc.dead, 0)
			tt.reopen()
			tt.wantStats(1, 1, tc.dead, 0)
			if d := tt.takeN(1, 1)[0]; d.Event.ID != "2" {
				t.Errorf("took %s after a restart", d.Event.ID)
			}
		})
	}
}

// An event that a trigger stops to park for while it runs again keeps its place in the order of its key.
func TestRedrivenHeadKeepsItsTurnWhenParkingEnds(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, parking(1, "a"))
	tt.publish("a", newEvent("1", "k"), newEvent("2", "k"))
	bad := tt.takeN(1, 1)[0]
	tt.giveUp(bad, "no")
	tt.redriveAs(Redriving{Letter: tt.letterID(bad.ID)}, LetterChanged)
	again := tt.takeN(1, 1)[0]
	skips := parking(1, "a")
	skips.OnFailure = ""
	tt.triggers(2, skips)
	tt.takeNone(1)
	tt.giveUp(again, "no")
	if d := tt.takeN(1, 1)[0]; d.Event.ID != "2" {
		t.Errorf("took %s", d.Event.ID)
	}
	tt.wantStats(1, 1, 1, 0)
}

func TestEventsWithoutAKeyAndOfOtherTriggersDoNotPark(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	skips := onTopic(2, "a")
	skips.Order = "key"
	tt.triggers(1, parking(1, "a"), skips)
	tt.publish("a", newEvent("1", ""), newEvent("2", ""), newEvent("3", "k"), newEvent("4", "k"))
	for _, d := range tt.takeN(1, 3) {
		if d.Event.Key() == "" {
			tt.giveUp(d, "no")
		}
	}
	tt.wantStats(1, 2, 2, 0)
	for range 4 {
		tt.giveUp(tt.takeN(2, 1)[0], "no")
	}
	tt.wantStats(2, 0, 4, 0)
}

func TestRemovedTriggerParksNothing(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, parking(1, "a"))
	tt.publish("a", newEvent("1", "k"), newEvent("2", "k"))
	bad := tt.takeN(1, 1)[0]
	tt.giveUp(bad, "no")
	tt.triggers(2)
	tt.reopen()
	tt.wantStats(1, 0, 1, 0)
	tt.redriveAs(Redriving{Letter: tt.letterID(bad.ID)}, LetterOrphaned)
	if n, err := tt.Discard(t.Context(), []ID{bad.ID}, "test"); n != 1 || err != nil {
		t.Errorf("discard: %d %v", n, err)
	}
}

// A lane that two events of a key stand for, because they ran before the trigger was ordered, has one head; the other is an ordinary dead letter.
func TestOneHeadForEachLane(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	tt.publish("a", newEvent("1", "k"), newEvent("2", "k"), newEvent("3", "k"))
	both := tt.takeN(1, 3)
	tt.triggers(2, parking(1, "a"))
	for i := range both {
		both[i].Trigger = parking(1, "a")
	}
	tt.giveUp(both[0], "no")
	tt.giveUp(both[1], "no")
	tt.wantStats(1, 1, 2, 1)
	tt.Release(&both[2])
	tt.takeNone(1)
	if n, err := tt.Discard(t.Context(), []ID{both[0].ID}, "test"); n != 1 || err != nil {
		t.Fatalf("discard: %d %v", n, err)
	}
	if d := tt.takeN(1, 1)[0]; d.Event.ID != "3" {
		t.Errorf("took %s", d.Event.ID)
	}
}

// A key stands still until its head is done or discarded. That the head waited too long for another try is neither.
func TestKeyStaysParkedWhenItsRedrivenHeadLapses(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.wanted.Topics = map[TopicName]TopicRetention{{"default", "work"}: {Keep: time.Hour, DeadLetter: true}}
	a.triggers(1, parking(1, "work"))
	a.publish("work", newEvent("1", "k"))
	head := a.takeN(1, 1)[0]
	a.giveUp(head, "no")
	a.redriveAs(Redriving{Letter: a.letterID(head.ID)}, LetterChanged)
	a.later(2 * time.Hour)
	a.wantStats(1, 0, 1, 1)
	a.publish("work", newEvent("2", "k"))
	a.takeNone(1)
	a.reopen()
	a.takeNone(1)
	a.redriveAs(Redriving{Letter: a.letterID(head.ID)}, LetterChanged)
	for _, want := range []string{"1", "2"} {
		d := a.takeN(1, 1)[0]
		if d.Event.ID != want {
			t.Fatalf("took %s, want %s", d.Event.ID, want)
		}
		a.done(d, Effects{})
	}
}

// An event that waits for another attempt makes way for a head of its key, which may be one that ran before the trigger was ordered. It comes behind the head.
func TestHeadGoesBeforeWhatWaitsForItsTime(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{false, true} { // when the head is given up
		t.Run(fmt.Sprint("running ", running), func(t *testing.T) {
			t.Parallel()
			tt := openTable(t, nil)
			tt.triggers(1, parking(1, "a"))
			tt.publish("a", newEvent("1", "k"))
			head := tt.publish("a", newEvent("2", "k"))[0]
			first := tt.takeN(1, 1)[0]
			fails := func(when bool) {
				if when {
					tt.settle(first, attemptOf(first, abi.Failed, "no"), Next{RetryAt: time.Now().Add(100 * time.Millisecond)}, Effects{})
				}
			}
			fails(!running)
			id := ID{head.Partition, head.Offset, 1}
			gaveUp := &gaveUpRecord{trigger: 1, offset: id.Offset, attempt: Attempt{Number: 1, Start: time.Now()}, parks: true, lane: laneOf("k")}
			if res, err := tt.parts[id.Partition].do(t.Context(), gaveUp); err != nil || res.outcome != Applied {
				t.Fatal(res, err)
			}
			fails(running)
			tt.redriveAs(Redriving{Letter: tt.letterID(id)}, LetterChanged)
			for _, want := range []string{"2", "1"} {
				d := tt.takeN(1, 1)[0]
				if d.Event.ID != want {
					t.Fatalf("took %s, want %s", d.Event.ID, want)
				}
				tt.takeNone(1)
				tt.done(d, Effects{})
			}
		})
	}
}

// The state that records parked says what is parked: a replay from the log alone holds the lanes too.
func TestParkedLanesComeBackFromTheLogAlone(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(`{"id":1,"order":"key","onFailure":"park"}`)}})
	s.add(&publishRecord{stored: []storedEvent{stored("1", 1), stored("2", 1)}})
	first := s.records[len(s.records)-1].Offset
	s.add(&gaveUpRecord{trigger: 1, offset: first, attempt: Attempt{Number: 1}, parks: true, lane: laneOf("k")})
	m := openMachine(t)
	r := newReady(m)
	replay(t, m, r, s.records)
	f := r.feeds[1]
	offset, _, ok := f.pick(0)
	if !ok || offset != first+1 || f.claim(offset, "k") {
		t.Errorf("offset %d (%t) may run though its key is parked", offset, ok)
	}
	again := newReady(m)
	if offset, _, _ := again.feeds[1].pick(0); again.feeds[1].claim(offset, "k") {
		t.Error("after a restart it may")
	}
}

// A lane can get a head that the feed has not come by yet, if a leader gives up on what it had not handed out. It is handed out once.
func TestHeadThatNobodyHasLookedAtIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(`{"id":1,"order":"key","onFailure":"park"}`)}})
	s.add(&publishRecord{stored: []storedEvent{stored("1", 1), stored("2", 1)}})
	first := s.records[len(s.records)-1].Offset
	m := openMachine(t)
	r := newReady(m)
	replay(t, m, r, s.records)
	f := r.feeds[1]
	if offset, _, ok := f.pick(0); !ok || offset != first || !f.claim(offset, "k") {
		t.Fatalf("offset %d, %t", offset, ok)
	}
	before := len(s.records)
	s.add(&settleRecord{trigger: 1, offset: first, attempt: Attempt{Number: 1}})
	s.add(&gaveUpRecord{trigger: 1, offset: first + 1, attempt: Attempt{Number: 1}, parks: true, lane: laneOf("k")})
	s.add(&redriveRecord{letters: []letter{{1, first + 1, 0}}})
	replay(t, m, r, s.records[before:])
	if offset, _, ok := f.pick(0); !ok || offset != first+1 || !f.claim(offset, "k") {
		t.Errorf("offset %d, %t", offset, ok)
	}
	if offset, _, ok := f.pick(0); ok {
		t.Errorf("offset %d is handed out again", offset)
	}
}

func replay(t *testing.T, m *machine, r *ready, records []eventlog.Record) {
	t.Helper()
	for _, rec := range records {
		if _, _, err := m.apply(rec); err != nil {
			t.Fatal(err)
		}
	}
	work, err := m.flush(records[0].Offset)
	if err != nil {
		t.Fatal(err)
	}
	r.absorb(work.changes)
}

// Many workers take, fail, park, redrive and discard at once. Whatever they do, one event of a key runs at a time, in the order of its key, and every event ends.
func TestLanesHammer(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, parking(1, "a"))
	const keys, each = 6, 30
	tt.publish("a", manyEvents(keys*each, func(i int) string { return fmt.Sprint("k", i%keys) })...)
	order := &keyOrder{running: map[string]bool{}, last: map[string]uint64{}}
	var workers sync.WaitGroup
	for w := range uint64(4) {
		workers.Go(func() {
			rnd := rand.New(rand.NewPCG(w, 3))
			for deadline := time.Now().Add(30 * time.Second); tt.Stats(1).Pending > 0 || tt.Stats(1).DeadLetters > 0; {
				if time.Now().After(deadline) {
					t.Errorf("still %+v", tt.Stats(1))
					return
				}
				hammerOnce(tt, rnd, order)
			}
		})
	}
	workers.Wait()
	if order.done != keys*each {
		t.Errorf("%d of %d events ended", order.done, keys*each)
	}
}

// keyOrder is what the workers see of the order.
type keyOrder struct {
	mu      sync.Mutex
	running map[string]bool
	last    map[string]uint64 // offset that ended last
	done    int
}

func (o *keyOrder) begin(t *testing.T, d *Delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := d.Event.Key()
	if o.running[key] {
		t.Errorf("%s runs beside another of key %s", d.Event.ID, key)
	}
	if d.ID.Offset < o.last[key] {
		t.Errorf("%s runs after offset %d of key %s", d.ID, o.last[key], key)
	}
	o.running[key] = true
}

// end is before the settle: after it the next may begin.
func (o *keyOrder) end(d *Delivery, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running[d.Event.Key()] = false
	if ended {
		o.last[d.Event.Key()] = d.ID.Offset
		o.done++
	}
}

func hammerOnce(tt *testTable, rnd *rand.Rand, order *keyOrder) {
	if rnd.IntN(3) == 0 {
		hammerDesk(tt, rnd, order)
		return
	}
	list, err := tt.Take(1, 1+rnd.IntN(3))
	if err != nil {
		tt.t.Error(err)
	}
	for i := range list {
		d := &list[i]
		order.begin(tt.t, d)
		a, next, ended := attemptOf(*d, abi.Failed, "no"), Next{}, false
		switch rnd.IntN(6) {
		case 0:
			next.DeadLetter = true
		case 1:
			next.RetryAt = time.Now()
		default:
			a, ended = attemptOf(*d, abi.Done, ""), true
		}
		order.end(d, ended)
		if o, err := tt.Settle(tt.t.Context(), d, a, next, Effects{}); o != Applied || err != nil {
			tt.t.Errorf("settle %s: %d %v", d.ID, o, err)
		}
	}
}

// hammerDesk redrives or discards what it finds, which others may have done before it.
func hammerDesk(tt *testTable, rnd *rand.Rand, order *keyOrder) {
	list, _, _, err := tt.Walk(LetterQuery{Namespace: "default", Parked: true}, ID{}, 3)
	if err != nil {
		tt.t.Error(err)
	}
	for _, l := range list {
		if rnd.IntN(4) > 0 {
			if _, err := tt.RedriveAs(tt.t.Context(), []Redriving{{Letter: l}}); err != nil {
				tt.t.Error(err)
			}
			continue
		}
		out, err := tt.DiscardLetters(tt.t.Context(), []LetterID{l}, "test")
		if err != nil {
			tt.t.Error(err)
		}
		if out[0] == LetterChanged {
			order.mu.Lock()
			order.done++
			order.mu.Unlock()
		}
	}
}

package partition

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestEventReachesEveryTriggerItMatchesOnce(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	filtered := onTopic(3, "orders.created")
	filtered.Filter = "subject = 'k1'"
	foreign := onTopic(5, "orders.created")
	foreign.Namespace = "other"
	tt.triggers(1, onTopic(1, "orders.created"), onTopic(2, "orders.*"), filtered, onTopic(4, "orders.paid"), foreign)
	tt.publish("orders.created", newEvent("a", "k1"), newEvent("b", "k2"))
	for trigger, want := range map[uint64][]string{1: {"a", "b"}, 2: {"a", "b"}, 3: {"a"}} {
		got := tt.takeN(trigger, len(want))
		if !slices.Equal(ids(got), want) {
			t.Errorf("trigger %d: got %v, want %v", trigger, ids(got), want)
		}
		for _, d := range got {
			if d.Attempt != 1 || d.Generation != 0 || d.Topic != "orders.created" {
				t.Errorf("delivery %+v", d)
			}
			if o := tt.done(d, Effects{}); o != Applied {
				t.Errorf("settle %s: outcome %d", d.ID, o)
			}
			if o := tt.done(d, Effects{}); o != Stale {
				t.Errorf("second settle of %s: outcome %d, want stale", d.ID, o)
			}
		}
	}
	for trigger := range uint64(6) {
		tt.takeNone(trigger)
		if s := tt.Stats(trigger); !reflect.DeepEqual(s, Stats{}) {
			t.Errorf("trigger %d: %+v is left", trigger, s)
		}
	}
}

func TestDuplicatePublishSucceedsAndStoresNothing(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	first := tt.publish("a", newEvent("x", "k"))[0]
	check := func(when string) {
		t.Helper()
		again := tt.publish("a", newEvent("x", "k"))[0]
		if !again.Duplicate || again.Offset != first.Offset || again.Partition != first.Partition {
			t.Errorf("%s: got %+v, want a duplicate of %+v", when, again, first)
		}
	}
	check("at once")
	if other := tt.publish("b", newEvent("x", "k"))[0]; other.Duplicate {
		t.Error("the same event on another topic is no duplicate")
	}
	tt.reopen()
	check("after a restart")
	if got := tt.tail("a"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("topic has %v", got)
	}
	if got := tt.takeN(1, 1); tt.done(got[0], Effects{}) != Applied {
		t.Error("settle")
	}
	tt.takeNone(1)
}

func TestBatchWithADuplicateInsideStoresItOnce(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	got := tt.publish("a", newEvent("x", "k"), newEvent("y", "k"), newEvent("x", "k"))
	if got[0].Duplicate || got[1].Duplicate || !got[2].Duplicate || got[2].Offset != got[0].Offset {
		t.Errorf("got %+v", got)
	}
}

func TestRetryComesWhenItIsDueAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	tt.publish("a", newEvent("x", "k"))
	d := tt.takeN(1, 1)[0]
	due := time.Now().Add(150 * time.Millisecond)
	if o := tt.settle(d, attemptOf(d, abi.Failed, "no luck"), Next{RetryAt: due}, Effects{}); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	tt.takeNone(1)
	if s := tt.Stats(1); s.Pending != 1 || s.Retrying != 1 {
		t.Errorf("stats %+v", s)
	}
	tt.reopen()
	d2 := tt.takeN(1, 1)[0]
	if now := time.Now(); now.Before(due.Truncate(time.Millisecond)) {
		t.Errorf("came %s before it was due", due.Sub(now))
	}
	if d2.Attempt != 2 || d2.ID != d.ID || d2.First.IsZero() {
		t.Errorf("second delivery %+v", d2)
	}
	if o := tt.done(d, Effects{}); o != Stale {
		t.Errorf("settle of the first attempt again: outcome %d, want stale", o)
	}
	if o := tt.done(d2, Effects{}); o != Applied {
		t.Errorf("outcome %d", o)
	}
}

func TestDeadLetterIsKeptPeekedRedrivenAndDiscarded(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	tt.publish("a", newEvent("x", "k"))
	d := tt.takeN(1, 1)[0]
	tt.settle(d, attemptOf(d, abi.Failed, "first"), Next{RetryAt: time.Now()}, Effects{})
	tt.giveUp(tt.takeN(1, 1)[0], "second")
	tt.reopen()
	tt.takeNone(1)
	letter, err := tt.DeadLetter(d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if letter.Event.ID != "x" || letter.Topic != "a" || letter.Trigger.Name != "f1:a" || letter.Time.IsZero() {
		t.Errorf("dead letter %+v", letter)
	}
	if len(letter.Attempts) != 2 || letter.Attempts[0].Error != "first" || letter.Attempts[1].Error != "second" {
		t.Errorf("attempts %+v", letter.Attempts)
	}
	if n, err := tt.Redrive(t.Context(), []ID{d.ID, {Partition: 3, Offset: 999, Trigger: 1}}); n != 1 || err != nil {
		t.Fatalf("redrive: %d, %v", n, err)
	}
	again := tt.takeN(1, 1)[0]
	if again.Generation != 1 || again.Attempt != 1 || again.ID != d.ID || again.Invocation() != d.ID.String()+"-g1" {
		t.Errorf("redriven %+v", again)
	}
	if n, err := tt.Redrive(t.Context(), []ID{d.ID}); n != 0 || err != nil {
		t.Errorf("redrive of what is gone: %d, %v", n, err)
	}
	tt.giveUp(again, "third")
	var seen []string
	if err := tt.DeadLetters("default", 0, func(d DeadLetter) error { seen = append(seen, d.Event.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{"x"}) {
		t.Errorf("list %v", seen)
	}
	if letter, _ = tt.DeadLetter(d.ID); len(letter.Attempts) != 3 {
		t.Errorf("attempts of both generations: %+v", letter.Attempts)
	}
	if n, err := tt.Discard(t.Context(), []ID{d.ID}, "test"); n != 1 || err != nil {
		t.Fatalf("discard: %d, %v", n, err)
	}
	if _, err := tt.DeadLetter(d.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("after discard: %v", err)
	}
	if s := tt.Stats(1); !reflect.DeepEqual(s, Stats{}) {
		t.Errorf("stats %+v", s)
	}
}

func TestEffectsAreAllOrNothing(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"))
	tt.publish("in", newEvent("x", "k"))
	d := tt.takeN(1, 1)[0]
	effects := Effects{
		Reads:  []StateRead{{Name: "n", Version: 0}},
		Writes: []StateWrite{{Name: "n", Value: []byte("1")}},
		Emits:  []Emit{{Topic: "out", Event: newEvent("x.0", "k")}, {Topic: "out", Event: newEvent("x.1", "elsewhere")}},
	}
	stale := effects
	stale.Reads = []StateRead{{Name: "n", Version: 77}}
	if o := tt.done(d, stale); o != Conflict {
		t.Fatalf("outcome %d, want conflict", o)
	}
	if _, version, _ := tt.State("default", "f1", "k", "n"); version != 0 {
		t.Errorf("a conflict wrote version %d", version)
	}
	if o := tt.done(d, effects); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	value, version, err := tt.State("default", "f1", "k", "n")
	if string(value) != "1" || version == 0 || err != nil {
		t.Errorf("state %q version %d, %v", value, version, err)
	}
	if _, version, _ := tt.State("default", "f1", "other", "n"); version != 0 {
		t.Error("another key sees the state")
	}
	tt.waitTail("out", "x.0", "x.1")
	tt.reopen()
	if value, again, _ := tt.State("default", "f1", "k", "n"); string(value) != "1" || again != version {
		t.Errorf("after a restart: %q version %d, want version %d", value, again, version)
	}
	tt.waitTail("out", "x.0", "x.1")
}

// waitTail waits until a topic has exactly these events.
func (tt *testTable) waitTail(topic string, want ...string) {
	tt.t.Helper()
	slices.Sort(want)
	deadline := time.After(20 * time.Second)
	for {
		changed := tt.Changed()
		got := tt.tail(topic)
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			tt.t.Fatalf("topic %s has %v, want %v", topic, got, want)
		}
	}
}

func TestStateDeletesAndReadsItsVersions(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	perform := func(e Effects) Outcome {
		t.Helper()
		ev := newEvent("c", "k")
		o, err := tt.Perform(t.Context(), Scope{Namespace: "default", Function: "f", Key: "k", Event: &ev}, "inv", e)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := perform(Effects{Writes: []StateWrite{{Name: "n", Value: []byte("v")}}}); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	_, v1, _ := tt.State("default", "f", "k", "n")
	if o := perform(Effects{Reads: []StateRead{{Name: "n", Version: v1}}, Writes: []StateWrite{{Name: "n", Delete: true}}}); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	if _, v, _ := tt.State("default", "f", "k", "n"); v != 0 {
		t.Errorf("deleted entry has version %d", v)
	}
	if o := perform(Effects{Reads: []StateRead{{Name: "n", Version: v1}}, Writes: []StateWrite{{Name: "n", Value: nil}}}); o != Conflict {
		t.Errorf("outcome %d, want conflict with the delete", o)
	}
}

// Every event of many goes through the outbox to a partition that its key hashes to, exactly once, over restarts at bad moments.
func TestEventsForOtherPartitionsArriveOnceOverRestarts(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"))
	const n = 60
	tt.publish("in", manyEvents(n, func(i int) string { return fmt.Sprint("k", i%7) })...)
	var want []string
	for round := 0; round < n; round += 10 {
		for _, d := range tt.takeN(1, 10) {
			var e Effects
			for j := range 3 {
				id := fmt.Sprintf("%s.%d", d.Event.ID, j)
				want = append(want, id)
				e.Emits = append(e.Emits, Emit{Topic: "out", Event: newEvent(id, "to"+id)})
			}
			if o := tt.done(d, e); o != Applied {
				t.Fatalf("outcome %d", o)
			}
		}
		tt.reopen() // the relay has delivered some of them, and the senders may not know
	}
	tt.waitTail("out", want...)
	deadline := time.After(20 * time.Second)
	for left := tt.outbox(); left > 0; left = tt.outbox() {
		changed := tt.Changed()
		if left = tt.outbox(); left == 0 {
			break
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d outbox entries are left", left)
		}
	}
	tt.reopen()
	tt.waitTail("out", want...)
}

func (tt *testTable) outbox() (n int) {
	for _, p := range tt.parts {
		if err := scan(tt.db, p.machine.store.key(keyOutbox), func(_, _ []byte) error { n++; return nil }); err != nil {
			tt.t.Fatal(err)
		}
	}
	return n
}

func TestOrderedTriggerRunsOneEventOfAKeyAtATime(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	ordered := onTopic(1, "a")
	ordered.Order = "key"
	tt.triggers(1, ordered)
	tt.publish("a", newEvent("a1", "a"), newEvent("a2", "a"), newEvent("a3", "a"), newEvent("b1", "b"))
	head := tt.takeN(1, 2)
	if !slices.Equal(ids(head), []string{"a1", "b1"}) {
		t.Fatalf("got %v", ids(head))
	}
	tt.takeNone(1)
	a1 := head[slices.IndexFunc(head, func(d Delivery) bool { return d.Event.ID == "a1" })]
	tt.settle(a1, attemptOf(a1, abi.Failed, "again"), Next{RetryAt: time.Now().Add(50 * time.Millisecond)}, Effects{})
	tt.takeNone(1) // the key waits for its head
	tt.reopen()    // b1 was running and comes again
	rest := tt.takeN(1, 2)
	if !slices.Equal(ids(rest), []string{"a1", "b1"}) {
		t.Fatalf("after the restart: %v", ids(rest))
	}
	tt.giveUp(rest[slices.IndexFunc(rest, func(d Delivery) bool { return d.Event.ID == "a1" })], "poison")
	for _, want := range []string{"a2", "a3"} { // a head that is given up lets its key go on
		d := tt.takeN(1, 1)[0]
		if d.Event.ID != want {
			t.Fatalf("got %s, want %s", d.Event.ID, want)
		}
		tt.takeNone(1)
		tt.done(d, Effects{})
	}
}

func TestReleasedDeliveryComesAgainWithoutAnAttemptCounted(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	tt.publish("a", newEvent("x", "k"))
	d := tt.takeN(1, 1)[0]
	tt.takeNone(1)
	tt.Release(&d)
	if again := tt.takeN(1, 1)[0]; again.Attempt != 1 || again.ID != d.ID {
		t.Errorf("got %+v", again)
	}
}

func TestTriggersChangeAsABarrier(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"), onTopic(2, "a"))
	tt.publish("a", newEvent("x", "k"))
	dead := tt.takeN(2, 1)[0]
	tt.giveUp(dead, "no")
	changed := onTopic(1, "a")
	changed.Filter = "type = 'other'"
	tt.triggers(2, changed)
	tt.publish("a", newEvent("y", "k"))
	if got := tt.takeN(1, 1); got[0].Event.ID != "x" {
		t.Errorf("got %s", got[0].Event.ID)
	}
	tt.takeNone(1)
	if s := tt.Stats(2); s.Pending != 0 || s.DeadLetters != 1 {
		t.Errorf("the trigger taken out has %+v", s)
	}
	if n, err := tt.Redrive(t.Context(), []ID{dead.ID}); n != 0 || err != nil {
		t.Errorf("redrive for a trigger out of force: %d, %v", n, err)
	}
	tt.reopen()
	if n, err := tt.Discard(t.Context(), []ID{dead.ID}, "gone"); n != 1 || err != nil {
		t.Errorf("discard: %d, %v", n, err)
	}
	tt.triggers(3)
	tt.publish("a", newEvent("z", "k"))
	tt.takeNone(1)
	if err := tt.SetTriggers(t.Context(), 4, []Trigger{{ID: 9, Name: "bad", Topic: "a", Filter: "type ="}}); err == nil || !strings.Contains(err.Error(), "trigger bad") {
		t.Errorf("a filter that does not parse: %v", err)
	}
}

func TestTailGivesTheNewestAndGoesOnFromItsCursor(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	for i := range 10 {
		tt.publish("a", newEvent(fmt.Sprint("e", i), fmt.Sprint(i)))
		tt.publish("ab", newEvent(fmt.Sprint("f", i), fmt.Sprint(i)))
	}
	read := func(from Cursor, limit int) ([]string, Cursor) {
		t.Helper()
		var got []string
		next, err := tt.Tail("default", "a", from, time.Time{}, limit, func(r TopicRecord) error {
			got = append(got, r.Event.ID)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got, next
	}
	got, next := read(Cursor{}, 3)
	if len(got) != 3 {
		t.Errorf("got %v", got)
	}
	changed := tt.Changed()
	tt.publish("a", newEvent("new", "n"))
	<-changed
	if got, _ = read(next, 0); !slices.Equal(got, []string{"new"}) {
		t.Errorf("from the cursor: %v", got)
	}
	if got, _ = read(Cursor{}, 0); len(got) != 11 {
		t.Errorf("all: %v", got)
	}
	if _, err := tt.Tail("default", "a", Cursor{}, time.Now().Add(time.Hour), 0, func(TopicRecord) error { return errors.New("came") }); err != nil {
		t.Errorf("since the future: %v", err)
	}
}

// readingLog counts the records that are read, and is trimmed below an offset.
type readingLog struct {
	eventlog.Log
	records *atomic.Int64
	floor   *atomic.Uint64
}

func (l readingLog) Read(partition int, from uint64, yield func(eventlog.Record) bool) error {
	if from < l.floor.Load() {
		return eventlog.ErrTrimmed
	}
	return l.Log.Read(partition, from, func(r eventlog.Record) bool {
		l.records.Add(1)
		return yield(r)
	})
}

// A record of many events is read once for all of them, not once for each, also when retention removes some of them meanwhile.
func TestTailReadsARecordOnce(t *testing.T) {
	t.Parallel()
	var records atomic.Int64
	var floor atomic.Uint64
	tt := openTable(t, func(o *Options) { o.Log = readingLog{o.Log, &records, &floor} })
	first := tt.publish("in", manyEvents(500, func(int) string { return "k" })...)[0]
	tt.publish("in", manyEvents(700, func(int) string { return "k" })[500:]...)
	records.Store(0)
	last, n := Cursor{}, 0
	_, err := tt.Tail("default", "in", Cursor{}, time.Time{}, 0, func(r TopicRecord) error {
		if want := fmt.Sprintf("e%04d", n); r.Event.ID != want || r.Position.at(r.Partition) != r.Offset+1 {
			t.Errorf("event %d is %s with position %v", n, r.Event.ID, r.Position)
		}
		if n++; n == 600 {
			last = r.Position
		}
		return nil
	})
	if err != nil || n != 700 || records.Load() > 4 {
		t.Errorf("%d events, %v; %d records were read for those in two", n, err, records.Load())
	}
	if _, err = tt.Tail("default", "in", last, time.Time{}, 0, func(TopicRecord) error { n--; return nil }); err != nil || n != 600 {
		t.Errorf("from the 600th on there are %d, %v", 700-n, err)
	}
	floor.Store(first.Offset + 10) // removed after the index was read
	n = 0
	if _, err = tt.Tail("default", "in", Cursor{}, time.Time{}, 0, func(TopicRecord) error { n++; return nil }); err != nil || n != 690 {
		t.Errorf("%d events are left, %v", n, err)
	}
}

func TestRefusedPublishStoresNothing(t *testing.T) {
	t.Parallel()
	tt := openTable(t, func(o *Options) {
		o.Admit = func() error { return fmt.Errorf("%w: 1%% free", ErrDiskLow) }
	})
	if _, err := tt.Publish(t.Context(), "default", "a", []event.Event{newEvent("x", "k")}); !errors.Is(err, ErrDiskLow) {
		t.Errorf("got %v", err)
	}
	if got := tt.tail("a"); got != nil {
		t.Errorf("stored %v", got)
	}
}

func TestOldEpochIsRefusedAtOpen(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.close()
	tt.epoch = 0
	defer func() { tt.epoch = 1; tt.open() }()
	log := reopenLog(t, tt)
	defer log.Close() //nolint:errcheck // read only
	_, err := Open(t.Context(), Options{Log: log, Dir: tt.dir + "/state", Partitions: 4, Epoch: 1, Ready: func() {}, Fatal: func(error) {}})
	if err == nil || !strings.Contains(err.Error(), "was led in epoch 1, this start has epoch 1") {
		t.Errorf("got %v", err)
	}
}

func TestKeysAndPlacesCoverTheHashes(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 2, 3, 7, 16, 1024} {
		next := uint64(0)
		for i := range count {
			first, last := hashRange(i, count)
			if first != next || last < first {
				t.Fatalf("%d of %d: %x to %x, want from %x", i, count, first, last, next)
			}
			next = last + 1
		}
		if next != 0 {
			t.Fatalf("%d partitions end at %x", count, next)
		}
	}
}

// A key may be as long as an attribute of an event: 64 KiB. It orders, parks, holds state and places like any other.
func TestKeyAsLongAsItMayBe(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, parking(1, "in"))
	key := strings.Repeat("k", 64<<10)
	first, second := newEvent("1", key), newEvent("2", key)
	for _, ev := range []event.Event{first, second} {
		if err := ev.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	over := newEvent("3", key+"k")
	if err := over.Validate(); err == nil || !strings.Contains(err.Error(), `attribute "subject" has 65537 bytes, the limit is 65536`) {
		t.Errorf("a longer key: %v", err)
	}
	tt.publish("in", first, second, newEvent("other", key[1:]))
	for _, d := range tt.takeN(1, 2) {
		if d.Event.ID == "1" {
			tt.giveUp(d, "no")
		} else {
			tt.done(d, Effects{})
		}
	}
	tt.reopen()
	tt.takeNone(1)
	letter := ID{}
	if err := tt.DeadLetters("default", 1, func(d DeadLetter) error { letter = d.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	tt.redriveAs(Redriving{Letter: tt.letterID(letter)}, LetterChanged)
	for _, want := range []string{"1", "2"} {
		d := tt.takeN(1, 1)[0]
		if d.Event.ID != want || d.Event.Key() != key {
			t.Fatalf("took %s, want %s", d.Event.ID, want)
		}
		_, version, err := tt.State("default", "f1", key, "n")
		if err != nil {
			t.Fatal(err)
		}
		e := Effects{Reads: []StateRead{{"n", version}}, Writes: []StateWrite{{Name: "n", Value: []byte(want)}}}
		if o := tt.done(d, e); o != Applied {
			t.Errorf("settle of %s: %d", want, o)
		}
	}
	tt.reopen()
	if value, _, err := tt.State("default", "f1", key, "n"); string(value) != "2" || err != nil {
		t.Errorf("state is %q, %v", value, err)
	}
}

func TestIDsComeBackFromText(t *testing.T) {
	t.Parallel()
	id := ID{Partition: 3, Offset: 1042, Trigger: 17}
	if got, err := ParseID(id.String()); got != id || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "3", "3-4", "a-b-c", "3-4-5-6", "-1-2-3", "3-1042-17-g1", "99999-1-1"} {
		if _, err := ParseID(bad); err == nil || !strings.Contains(err.Error(), "is not an id such as") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

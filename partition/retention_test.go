package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/sdk/abi"
)

const day = 24 * time.Hour

// agingTable is a table whose retention has a clock of its own. Rounds come when the test says.
type agingTable struct {
	*testTable
	clock  atomic.Int64 // ahead of time, in nanoseconds
	wanted Retention
	log    *bytes.Buffer
}

func openAging(t *testing.T) *agingTable {
	t.Helper()
	a := &agingTable{log: &bytes.Buffer{}}
	a.testTable = openTable(t, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(a.clock.Load())) }
		o.Logger = slog.New(slog.NewTextHandler(a.log, nil))
		o.Registerer = prometheus.NewRegistry()
	})
	return a
}

// later lets time pass and retention do its work.
func (a *agingTable) later(d time.Duration) {
	a.t.Helper()
	a.clock.Add(int64(d))
	if err := a.retainer.round(&a.wanted); err != nil {
		a.t.Fatal(err)
	}
}

// logged are the records that the log still has.
func (a *agingTable) logged() (n int) {
	a.t.Helper()
	for i := range a.parts {
		from := a.firstLogged(i)
		if err := a.testTable.log.Read(i, from, func(eventlog.Record) bool { n++; return true }); err != nil {
			a.t.Fatal(err)
		}
	}
	return n
}

// firstLogged is where the log of a partition begins: below, it says that it was trimmed.
func (a *agingTable) firstLogged(partition int) uint64 {
	for from := uint64(1); ; from++ {
		err := a.testTable.log.Read(partition, from, func(eventlog.Record) bool { return false })
		if !errors.Is(err, eventlog.ErrTrimmed) {
			return from
		}
	}
}

func (a *agingTable) settleAll(trigger uint64, n int) {
	a.t.Helper()
	for _, d := range a.takeN(trigger, n) {
		if o := a.done(d, Effects{}); o != Applied {
			a.t.Fatalf("settle %s: %d", d.ID, o)
		}
	}
}

func someKey(i int) string { return fmt.Sprint("k", i%7) }

func TestRetentionRemovesWhatIsOldAndSettled(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.triggers(1, onTopic(1, "work"))
	a.wanted.Topics = map[TopicName]TopicRetention{{"default", "long"}: {Keep: 30 * day}}
	for i := range 50 {
		a.publish("work", newEvent(fmt.Sprint("v", i), "k"))
		a.publish("work", newEvent(fmt.Sprint("w", i), someKey(i)))
	}
	a.publish("long", newEvent("kept", "other"))
	a.settleAll(1, a.Stats(1).Pending)
	before := a.logged()

	a.later(6 * day)
	if n := len(a.tail("work")); n != 100 || a.logged() < before {
		t.Fatalf("after six days the topic has %d events of 100, the log %d records of %d", n, a.logged(), before)
	}
	a.later(day + time.Minute)
	if n := len(a.tail("work")); n != 0 {
		t.Errorf("after seven days the topic has %d events", n)
	}
	if got := a.tail("long"); len(got) != 1 {
		t.Errorf("a topic with a longer retention has %v", got)
	}
	if n := a.logged(); n >= before/2 {
		t.Errorf("the log has %d records, it had %d before", n, before)
	}
	_, err := a.Tail("default", "work", Cursor{next: []uint64{1, 1, 1, 1}}, time.Time{}, 0, func(TopicRecord) error { return nil })
	if !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "the events of topic work in partition") {
		t.Errorf("a position that is gone: %v", err)
	}
	a.reopen()
	a.publish("work", newEvent("new", "k1"))
	if got := a.tail("work"); len(got) != 1 || got[0] != "new" {
		t.Errorf("after a restart the topic has %v", got)
	}
	if got := a.takeN(1, 1); got[0].Event.ID != "new" {
		t.Errorf("took %s", got[0].Event.ID)
	}
}

func TestUnsettledEventsStayAndPin(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.triggers(1, onTopic(1, "work"), onTopic(2, "*"))
	a.publish("work", newEvent("stuck", "k"))
	for i := range 40 {
		a.publish("work", newEvent(fmt.Sprint("w", i), "k"))
	}
	for _, d := range a.takeN(1, 41) {
		if d.Event.ID != "stuck" {
			a.done(d, Effects{})
		}
	}
	a.settleAll(2, 41)
	a.later(8 * day)
	if got := a.tail("work"); len(got) != 41 || got[0] != "stuck" {
		t.Errorf("the topic has %d events, want all 41", len(got))
	}
	for _, want := range []string{"keeps its topic beyond its retention", "topic=work", "trigger=f1:work"} {
		if n := strings.Count(a.log.String(), want); n != 1 {
			t.Errorf("%q is %d times in the log:\n%s", want, n, a.log)
		}
	}
	if v := gaugeOf(t, a.metrics.pinned.WithLabelValues("default", "work")); v < (day).Seconds() || v > (day+time.Hour).Seconds() {
		t.Errorf("pinned for %g seconds, want about a day", v)
	}
	a.later(time.Minute)
	if n := strings.Count(a.log.String(), "keeps its topic"); n != 1 {
		t.Errorf("the warning came %d times", n)
	}
	a.Release(&Delivery{ID: a.parts[a.place("default", "k", "", "").index].pendingID(1)})
	a.settleAll(1, 1)
	a.later(time.Minute)
	if got := a.tail("work"); len(got) != 0 {
		t.Errorf("settled at last, the topic has %v", got)
	}
}

func (p *partition) pendingID(trigger uint64) ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	offset, _ := p.machine.triggers[trigger].pending.next(0)
	return ID{p.index, offset, trigger}
}

func counterOf(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	got, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return got[0].GetMetric()[0].GetCounter().GetValue()
}

func gaugeOf(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(g)
	got, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return got[0].GetMetric()[0].GetGauge().GetValue()
}

// An event that comes while retention looks was not there when it asked who waits for what: it stays, even when its record was on its way for longer than its topic
// keeps events, or the clock has jumped.
func TestEventThatComesDuringALookStays(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.triggers(1, onTopic(1, "work"))
	a.publish("work", newEvent("before", "k"))
	a.settleAll(1, 1)
	p := a.parts[a.place("default", "k", "", "").index]
	k := &keeper{partition: p, wanted: &Retention{}, now: time.Now().Add(8 * day), pins: pins{}}
	k.interests = k.findInterests()
	during := a.publish("work", newEvent("during", "k"))[0]
	a.triggers(2, onTopic(1, "work"), onTopic(2, "new"))
	a.publish("new", newEvent("first", "k"))
	expired, _, err := k.expiredTopics(t.Context())
	if err != nil || len(expired) != 1 || expired[0].before > during.Offset {
		t.Errorf("removed is %+v, %v; the event at %d is not settled", expired, err, during.Offset)
	}
}

func TestUnsettledEventsBecomeDeadLettersWhenAsked(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.wanted.Topics = map[TopicName]TopicRetention{{"default", "work"}: {Keep: 2 * time.Hour, DeadLetter: true}}
	a.triggers(1, onTopic(1, "work"), onTopic(2, ">"))
	for i := range 30 {
		a.publish("work", newEvent(fmt.Sprint("w", i), someKey(i)))
		a.publish("else", newEvent(fmt.Sprint("x", i), someKey(i)))
	}
	running := a.takeN(1, 1)[0]
	a.later(3 * time.Hour)
	one, two := a.Stats(1), a.Stats(2)
	if one.Pending != 1 || one.DeadLetters != 29 || two.Pending != 30 || two.DeadLetters != 30 {
		t.Fatalf("trigger 1 has %+v, trigger 2 %+v; what runs and what is of other topics must stay", one, two)
	}
	var letter DeadLetter
	if err := a.DeadLetters("default", 1, func(d DeadLetter) error { letter = d; return nil }); err != nil {
		t.Fatal(err)
	}
	last := letter.Attempts[0]
	if last.Class != ClassExpired || last.Number != 1 || last.Verdict != int32(abi.Failed) || last.Error != "not settled within 2h0m0s, the retention of topic work" {
		t.Errorf("dead letter says %+v", last)
	}
	if o := a.done(running, Effects{}); o != Applied {
		t.Errorf("what was running settles as %d", o)
	}
	if n, err := a.Redrive(t.Context(), []ID{letter.ID}); n != 1 || err != nil {
		t.Errorf("redrive: %d, %v", n, err)
	}
	if got := a.takeN(1, 1)[0]; got.ID != letter.ID || got.Attempt != 1 || got.Generation != 1 {
		t.Errorf("redriven: %+v", got)
	}
	if !strings.Contains(a.log.String(), "are dead letters now") {
		t.Errorf("the log does not tell:\n%s", a.log)
	}
}

// What a paused trigger has not settled stays for as long as it is paused, unless its topic wants it to be dead letters; then they are counted.
func TestTriggerPausedForLongerThanRetention(t *testing.T) {
	t.Parallel()
	for _, give := range []bool{false, true} {
		t.Run(fmt.Sprint("deadletter ", give), func(t *testing.T) {
			t.Parallel()
			a := openAging(t)
			a.wanted.Topics = map[TopicName]TopicRetention{{"default", "work"}: {Keep: time.Hour, DeadLetter: give}}
			paused := onTopic(1, "work")
			paused.Paused = true
			a.triggers(1, paused, onTopic(2, "work"))
			a.publish("work", manyEvents(40, someKey)...)
			a.settleAll(2, 40)
			for range 3 {
				a.later(day)
			}
			lapsed := counterOf(t, a.metrics.lapsed)
			a.reopen()
			a.later(time.Minute)
			want := Stats{Pending: 40}
			if give {
				want = Stats{DeadLetters: 40}
			}
			got := a.Stats(1)
			if got.Pending != want.Pending || got.DeadLetters != want.DeadLetters {
				t.Errorf("after three days there are %+v, want %+v", got, want)
			}
			if lapsed != float64(want.DeadLetters) {
				t.Errorf("%g events are counted as lapsed, want %d", lapsed, want.DeadLetters)
			}
			if give {
				var ids []ID
				if err := a.DeadLetters("default", 1, func(d DeadLetter) error { ids = append(ids, d.ID); return nil }); err != nil {
					t.Fatal(err)
				}
				if n, err := a.Redrive(t.Context(), ids); n != 40 || err != nil {
					t.Errorf("redrive: %d, %v", n, err)
				}
			}
			a.triggers(2, onTopic(1, "work"), onTopic(2, "work"))
			a.settleAll(1, 40)
		})
	}
}

func TestDeadLettersGoAfterTheirTime(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.wanted.DeadLetters = map[uint64]time.Duration{2: time.Hour}
	a.triggers(1, onTopic(1, "work"), onTopic(2, "work"))
	a.publish("work", manyEvents(20, someKey)...)
	for trigger := range uint64(2) {
		for _, d := range a.takeN(trigger+1, 20) {
			a.giveUp(d, "no")
		}
	}
	a.later(59 * time.Minute)
	if n := a.Stats(2).DeadLetters; n != 20 {
		t.Fatalf("after 59 minutes %d dead letters are left of 20", n)
	}
	a.later(2 * time.Minute)
	if one, two := a.Stats(1).DeadLetters, a.Stats(2).DeadLetters; one != 20 || two != 0 {
		t.Errorf("after an hour trigger 1 has %d dead letters, trigger 2 %d; want 20 and 0", one, two)
	}
	if !strings.Contains(a.log.String(), `trigger=f2:work`) || !strings.Contains(a.log.String(), "kept=1h0m0s") {
		t.Errorf("the log does not tell of it:\n%s", a.log)
	}
	// The topic has expired long ago; the dead letters keep their events in the log.
	a.later(8 * day)
	seen := 0
	err := a.DeadLetters("default", 1, func(d DeadLetter) error {
		if seen++; !strings.HasPrefix(d.Event.ID, "e") {
			return fmt.Errorf("event %q", d.Event.ID)
		}
		return nil
	})
	if err != nil || seen != 20 || len(a.tail("work")) != 0 {
		t.Errorf("%d dead letters with their events, %v; the topic has %v", seen, err, a.tail("work"))
	}
	a.later(7 * day)
	if n := a.Stats(1).DeadLetters; n != 0 {
		t.Errorf("after 15 days %d dead letters are left", n)
	}
}

func TestRetentionRunsByItself(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.clock.Store(int64(365 * day))
	a.publish("work", newEvent("1", "k"))
	a.SetRetention(Retention{})
	for changed := a.Changed(); len(a.tail("work")) > 0; changed = a.Changed() {
		if len(a.tail("work")) > 0 {
			<-changed
		}
	}
}

func TestRetentionOfInternalTopics(t *testing.T) {
	t.Parallel()
	r := Retention{Topics: map[TopicName]TopicRetention{{"n", "a"}: {Keep: time.Minute}, {"n", "b"}: {DeadLetter: true}}}
	for name, want := range map[TopicName]time.Duration{{"n", "a"}: time.Minute, {"n", "b"}: 7 * day, {"m", "a"}: 7 * day, {"n", "_inbox.f"}: time.Hour} {
		if got := r.topic(name).Keep; got != want {
			t.Errorf("%v is kept for %s, want %s", name, got, want)
		}
	}
	for want, r := range map[time.Duration]Retention{
		time.Minute:      {},
		30 * time.Second: {Topics: map[TopicName]TopicRetention{{"n", "a"}: {Keep: time.Minute}}},
		time.Second:      {DeadLetters: map[uint64]time.Duration{1: time.Millisecond}},
	} {
		if got := r.interval(); got != want {
			t.Errorf("looks every %s, want %s", got, want)
		}
	}
}

// What an export or an older decision left behind must not move the floor back, and no floor is above what is applied.
func TestFloorOnlyRises(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	s.add(&publishRecord{stored: []storedEvent{stored("a"), stored("b"), stored("c")}})
	for _, before := range []uint64{3, 2, 1000} {
		s.add(&trimRecord{before: before})
	}
	m := openMachine(t)
	run(t, m, s.records, one)
	if m.floor != 3 {
		t.Errorf("the floor is %d, want 3", m.floor)
	}
	again := newMachine(newStore(m.store.db, 0), 4, newDedup(time.Minute, 8))
	if err := again.load(); err != nil || again.floor != 3 {
		t.Errorf("after a restart it is %d, %v", again.floor, err)
	}
}

// An export needs the log as it is.
func TestTrimWaitsForAnExport(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.publish("work", manyEvents(60, func(int) string { return "k" })...)
	for i := range 40 {
		a.publish("work", newEvent(fmt.Sprint("w", i), "k"))
	}
	before := a.logged()
	a.retainer.trimming.RLock()
	a.later(8 * day)
	if n := a.logged(); n < before {
		t.Errorf("the log has %d records, had %d", n, before)
	}
	a.retainer.trimming.RUnlock()
	if err := a.retainer.trim(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := a.logged(); n >= before {
		t.Errorf("the log has %d records, had %d", n, before)
	}
}

func TestAStoredEventIsReadWhileItIsKept(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	stored := a.publish("in", newEvent("1", "k"))[0]
	if e, err := a.Event(stored); err != nil || e.ID != "1" {
		t.Errorf("%+v, %v", e, err)
	}
	for i := range 50 {
		a.publish("in", newEvent(fmt.Sprint("v", i), "k"))
	}
	a.later(8 * day)
	if e, err := a.Event(stored); !errors.Is(err, ErrNotFound) {
		t.Errorf("after its retention: %+v, %v", e, err)
	}
}

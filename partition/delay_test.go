package partition

import (
	"fmt"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
)

func delayedEvent(id, key string, at time.Time) event.Event {
	e := newEvent(id, key)
	e.SetExtension(event.Extension{Name: event.DeliverAtExtension, Value: event.FormatTime(at.UTC())})
	return e
}

func (tt *testTable) invocations(q InvocationQuery) []Invocation {
	tt.t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	list, err := tt.Invocations(q)
	if err != nil {
		tt.t.Fatal(err)
	}
	return list
}

// An event is handed out at its time and not before, also when the runtime was restarted in between.
func TestDelayedEventWaitsForItsTime(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"))
	soon, far := time.Now().Add(300*time.Millisecond).Truncate(time.Millisecond), time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC()
	tt.publish("in", delayedEvent("far", "k", far), delayedEvent("soon", "k", soon), newEvent("now", "k"), delayedEvent("past", "k", time.Now().Add(-time.Hour)))
	tt.reopen()
	if got := fmt.Sprint(ids(tt.takeN(1, 3))); got != "[now past soon]" {
		t.Errorf("there came %s", got)
	}
	if early := time.Until(soon); early > 0 {
		t.Errorf("one came %s before its time", early)
	}
	tt.takeNone(1)
	list := tt.invocations(InvocationQuery{State: Delayed})
	if len(list) != 1 || list[0].Event.ID != "far" || !list[0].Due.Equal(far) || list[0].Finished != 0 {
		t.Errorf("delayed are %+v", list)
	}
	if got := fmt.Sprint(tt.tail("in")); got != "[far soon now past]" { // stored is not delayed
		t.Errorf("on the topic are %s", got)
	}
}

func TestDelayedEventHoldsUpItsKeyWhenOrdered(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	ordered := onTopic(1, "in")
	ordered.Order = "key"
	tt.triggers(1, ordered)
	tt.publish("in", delayedEvent("first", "a", time.Now().Add(time.Hour)), newEvent("second", "a"), newEvent("other", "b"))
	if got := fmt.Sprint(ids(tt.takeN(1, 1))); got != "[other]" {
		t.Errorf("at once came %s", got)
	}
	tt.takeNone(1)
	list := tt.invocations(InvocationQuery{State: Waiting})
	if len(list) != 1 || list[0].Event.ID != "second" || list[0].Why != WaitsForKey {
		t.Errorf("waiting are %+v", list)
	}
}

// What a function emits is delayed alike, whether it stays in the partition or goes to another.
func TestEmittedEventsAreDelayed(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"), onTopic(2, "out"))
	tt.publish("in", newEvent("1", "k"))
	d := tt.takeN(1, 1)[0]
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	var e Effects
	const n = 20 // keys enough for all four partitions
	for i := range n {
		e.Emits = append(e.Emits, Emit{Topic: "out", Event: delayedEvent(fmt.Sprint("o", i), fmt.Sprint("k", i), at)})
	}
	if o := tt.done(d, e); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	partitions := map[int]bool{}
	for len(tt.invocations(InvocationQuery{Trigger: 2})) < n {
		<-tt.ready
	}
	for _, i := range tt.invocations(InvocationQuery{Trigger: 2}) {
		partitions[i.ID.Partition] = true
		if i.State != Delayed || !i.Due.Equal(at) {
			t.Errorf("%s is %s, due %s", i.Event.ID, i.State, i.Due)
		}
	}
	if len(partitions) != 4 {
		t.Errorf("they are in partitions %v only", partitions)
	}
	tt.takeNone(2)
}

// A trigger that begins in the past, and one that is replayed, get what is still held back at its time, in order where they work in order, also over a restart.
func TestThePastHoldsBackWhatIsDelayed(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	first, ordered, replayed := onTopic(1, "in"), onTopic(2, "in"), onTopic(3, "in")
	tt.triggers(1, first)
	soon, far := time.Now().Add(400*time.Millisecond).Truncate(time.Millisecond), time.Now().Add(time.Hour)
	tt.publish("in", delayedEvent("far", "a", far), newEvent("behind", "a"), delayedEvent("soon", "b", soon), newEvent("now", "c"), delayedEvent("past", "d", time.Now().Add(-time.Hour)))
	ordered.Order, ordered.Start = "key", &Range{}
	replayed.Replay = &Replay{ID: 1}
	tt.triggers(2, first, ordered, replayed)
	caughtUp := func() {
		for _, id := range []uint64{2, 3} {
			for tt.Stats(id).CatchingUp > 0 {
				<-tt.ready
			}
		}
	}
	caughtUp()
	tt.reopen()
	if got := fmt.Sprint(ids(tt.takeN(2, 3))); got != "[now past soon]" { // "behind" comes after "far", which has its key
		t.Errorf("in order came %s", got)
	}
	if got := fmt.Sprint(ids(tt.takeN(3, 4))); got != "[behind now past soon]" {
		t.Errorf("again came %s", got)
	}
	if early := time.Until(soon); early > 0 {
		t.Errorf("one came %s before its time", early)
	}
	for _, id := range []uint64{2, 3} {
		tt.takeNone(id)
		if list := tt.invocations(InvocationQuery{State: Delayed, Trigger: id}); len(list) != 1 || list[0].Event.ID != "far" || !list[0].Due.Equal(far.Truncate(time.Millisecond)) {
			t.Errorf("trigger %d: delayed are %+v", id, list)
		}
	}
}

// A replay brings an event that is still held back while one of its key runs: it comes before the others of its key that the replay brings.
func TestAReplayKeepsAKeyInOrderBehindWhatIsDelayed(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	ordered := onTopic(2, "in")
	ordered.Order = "key"
	tt.publish("in", delayedEvent("far", "a", time.Now().Add(time.Hour)))
	tt.triggers(1, ordered)
	tt.publish("in", newEvent("one", "a"), newEvent("two", "a"))
	tt.done(tt.takeN(2, 1)[0], Effects{})
	two := tt.takeN(2, 1)[0]
	ordered.Replay = &Replay{ID: 1}
	tt.triggers(2, ordered)
	for tt.Stats(2).CatchingUp > 0 {
		<-tt.ready
	}
	tt.takeNone(2)
	tt.done(two, Effects{})
	tt.takeNone(2)
	if list := tt.invocations(InvocationQuery{State: Waiting, Trigger: 2}); len(list) != 1 || list[0].Event.ID != "one" {
		t.Errorf("behind the one that is held back wait %+v", list)
	}
}

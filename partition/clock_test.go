package partition

import (
	"fmt"
	"testing"
	"time"

	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/sdk/abi"
)

// jumpAhead is what a clock that was ahead leaves behind when it is right again: the times of the records.
func (tt *testTable) jumpAhead(d time.Duration) {
	for _, p := range tt.parts {
		p.appendMu.Lock()
		p.lastTime = max(p.lastTime, time.Now().Add(d).UnixMilli())
		p.appendMu.Unlock()
	}
}

// recordTimes fails when the times of a partition's records go back.
func (tt *testTable) recordTimes() {
	tt.t.Helper()
	for i := range tt.parts {
		last := int64(0)
		err := tt.log.Read(i, 1, func(r eventlog.Record) bool {
			h, _, err := decodeRecord(r.Data)
			if err != nil || h.time < last && h.seq > 1 { // a lead is written before its writer knows what it follows
				tt.t.Errorf("partition %d offset %d: time %d after %d, %v", i, r.Offset, h.time, last, err)
			}
			last = max(last, h.time)
			return true
		})
		if err != nil {
			tt.t.Fatal(err)
		}
	}
}

// The clock was an hour ahead and is right again: times of records do not go back, what came in meanwhile is known as a duplicate, retries come when they are due and
// not an hour later, and nothing is lost, over a restart as well.
func TestClockThatWasAhead(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"))
	tt.publish("in", newEvent("before", "k"))
	tt.jumpAhead(time.Hour)
	tt.publish("in", newEvent("ahead", "k"))
	for _, again := range []bool{false, true} {
		if again {
			tt.reopen()
		}
		if s := tt.publish("in", newEvent("ahead", "k"))[0]; !s.Duplicate {
			t.Error("what came while the clock was ahead is not known any more")
		}
		// For the record of "before" more than the window of ten minutes has gone by.
		if s := tt.publish("in", newEvent("before", "k"))[0]; s.Duplicate == !again {
			t.Errorf("restarted %t: duplicate is %t", again, s.Duplicate)
		}
	}
	list := tt.takeN(1, 3)
	due := time.Now().Add(50 * time.Millisecond)
	for _, d := range list {
		if o := tt.settle(d, attemptOf(d, abi.Failed, "again"), Next{RetryAt: due}, Effects{}); o != Applied {
			t.Errorf("retry of %s: %d", d.ID, o)
		}
	}
	for _, d := range tt.takeN(1, 3) { // gives up after 20 s
		if early := time.Until(due); early > time.Millisecond {
			t.Errorf("%s comes %s before its time", d.ID, early)
		}
		tt.done(d, Effects{})
	}
	tt.recordTimes()
}

// An event for later is handed out early by as much as the clock was ahead when it was stored, and no more: apply compares with the time of the record.
func TestDelayedEventsWhenTheClockWasAhead(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"))
	tt.jumpAhead(time.Hour)
	tt.publish("in", delayedEvent("soon", "k", time.Now().Add(time.Minute)), delayedEvent("late", "k", time.Now().Add(2*time.Hour)))
	if got := fmt.Sprint(ids(tt.takeN(1, 1))); got != "[soon]" {
		t.Errorf("there came %s", got)
	}
	tt.takeNone(1)
	if list := tt.invocations(InvocationQuery{State: Delayed}); len(list) != 1 || list[0].Event.ID != "late" {
		t.Errorf("delayed are %+v", list)
	}
}

// A clock that is set ahead, or a machine that slept, makes nothing come later than a minute after its time.
func TestTimersLookAtTheClockEveryMinute(t *testing.T) {
	t.Parallel()
	for left, want := range map[int64]time.Duration{-5: -5 * time.Millisecond, 1500: 1500 * time.Millisecond, 30 * 24 * 3_600_000: time.Minute} {
		if got := waitFor(1<<40+left, 1<<40); got != want {
			t.Errorf("%d ms before its time: waits for %s, want %s", left, got, want)
		}
	}
}

// The clock goes eight days ahead and back. What had its time by the clock is gone, what is not settled is not, and then retention goes on by the clock as it is.
func TestRetentionWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	a := openAging(t)
	a.wanted.Topics = map[TopicName]TopicRetention{{"default", "short"}: {Keep: time.Minute}}
	a.wanted.DeadLetters = map[uint64]time.Duration{2: time.Minute}
	a.triggers(1, onTopic(1, "work"), onTopic(2, "short"))
	a.publish("work", newEvent("done", "k"))
	a.settleAll(1, 1)
	a.publish("work", newEvent("waits", "k"))
	a.later(8 * day)
	if got := fmt.Sprint(a.tail("work")); got != "[waits]" {
		t.Errorf("eight days ahead the topic has %s", got)
	}
	a.later(-8 * day)
	a.publish("work", newEvent("new", "k"))
	a.publish("short", newEvent("letter", "k"))
	a.giveUp(a.takeN(2, 1)[0], "no")
	a.later(0)
	if got := fmt.Sprint(a.tail("work"), a.tail("short")); got != "[waits new] [letter]" {
		t.Errorf("back in time the topics have %s", got)
	}
	a.later(2 * time.Minute)
	if got := fmt.Sprint(a.tail("work"), a.tail("short")); got != "[waits new] []" || a.Stats(2).DeadLetters != 0 {
		t.Errorf("two minutes later the topics have %s and there are %d dead letters", got, a.Stats(2).DeadLetters)
	}
	a.settleAll(1, 2)
}

// A settle counts once, and only when it is the next one.
func TestSettlesThatComeTwiceOrOutOfOrder(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"))
	tt.publish("in", newEvent("1", "k"))
	d := tt.takeN(1, 1)[0]
	settle := func(attempt int, n Next, want Outcome) {
		t.Helper()
		a := attemptOf(d, abi.Done, "")
		a.Number = attempt
		e := Effects{
			Writes: []StateWrite{{Name: "n", Value: fmt.Append(nil, attempt)}},
			Emits:  []Emit{{Topic: "out", Event: newEvent(fmt.Sprint(attempt), "k")}},
		}
		if n != (Next{}) {
			e = Effects{}
		}
		if got := tt.settle(d, a, n, e); got != want {
			t.Errorf("attempt %d: outcome %d, want %d", attempt, got, want)
		}
	}
	now := time.Now()
	settle(2, Next{}, Stale) // before the first
	settle(0, Next{}, Stale)
	settle(1, Next{RetryAt: now}, Applied)
	settle(1, Next{RetryAt: now}, Stale) // again
	settle(1, Next{}, Stale)
	settle(3, Next{}, Stale)
	settle(2, Next{}, Applied)
	settle(2, Next{}, Stale)
	settle(1, Next{DeadLetter: true}, Stale)
	tt.reopen()
	settle(2, Next{}, Stale)
	value, _, err := tt.State("default", "f1", "k", "n")
	if got := fmt.Sprint(tt.tail("out"), string(value)); got != "[2]2" || err != nil {
		t.Errorf("effects are %s, %v", got, err)
	}
	if s := tt.Stats(1); s.Pending+s.DeadLetters != 0 {
		t.Errorf("there are %+v", s)
	}
}

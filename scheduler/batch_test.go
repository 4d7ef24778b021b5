package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// forwards is a guest that does with each event of its delivery what the first byte of its data says: f fail, r reject, t trap, l loop, else done. Before that it
// emits the event as it is to a topic, unless that is "", and after the last one it replies with the number of events.
func forwards(topic string) []byte {
	m, i := w.NewGuest()
	const name, reason, said, buffer = 0x10, 0x40, 0x80, 0x1000
	m.Memory(2)
	m.Data(name, []byte(topic))
	m.Data(reason, []byte("no luck"))
	is := func(letter byte, code ...[]byte) []byte {
		return slices.Concat(w.I32Const(said), w.Load(), w.I32Const(int32(letter)), w.Equal(), w.If(code...))
	}
	says := func(v abi.Verdict) []byte {
		return slices.Concat(w.LocalGet(0), w.I32Const(int32(v)), w.I64Const(-1), w.I32Const(reason), w.I32Const(7), w.Call(i.Verdict), w.Drop())
	}
	emit := slices.Concat(
		w.LocalGet(0), w.I32Const(int32(abi.PartEvent)), w.I32Const(0), w.I32Const(buffer), w.I32Const(0x8000), w.Call(i.EventRead), w.LocalSet(1),
		w.I32Const(name), w.I32Const(int32(len(topic))), w.I32Const(buffer), w.LocalGet(1), w.Call(i.Emit), w.Drop())
	if topic == "" {
		emit = nil
	}
	return m.Handle(
		w.While(
			emit,
			w.LocalGet(0), w.I32Const(int32(abi.PartData)), w.I32Const(0), w.I32Const(said), w.I32Const(1), w.Call(i.EventRead), w.Drop(),
			is('f', says(abi.Failed)), is('r', says(abi.Rejected)), is('t', w.Unreachable()), is('l', w.Forever()),
			w.LocalGet(0), w.I32Const(1), w.Add(), w.LocalSet(0),
			w.LocalGet(0), w.Call(i.EventCount), w.LessU(),
		),
		w.Call(i.Log, abi.LevelInfo, reason, 7),
		w.I32Const(0),
	).Bytes()
}

// saying are events of one key, named by their place and what the guest does with them: "0d", "1f".
func saying(letters string) (out []event.Event) {
	for i, l := range letters {
		e := newEvent(fmt.Sprintf("%02d%c", i, l), "k")
		e.Data = []byte(string(l))
		out = append(out, e)
	}
	return out
}

func inBatches(topic string, size int, window time.Duration) []api.TriggerSpec {
	return []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: topic, Batch: &api.BatchSpec{Size: size, Window: api.Duration(window)}}}}
}

// want compares the ids of a topic's events, in any order.
func (b *bundle) want(topic string, ids ...string) {
	b.t.Helper()
	var got []string
	for _, r := range b.stored(topic) {
		got = append(got, r.Event.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		b.t.Errorf("topic %s has %q, want %q", topic, got, ids)
	}
}

// attempts are the closing lines of a function's attempts: "00d done", by event and number.
func (b *bundle) attempts() (out []string) {
	for _, e := range b.entries() {
		if a := e.Attempt; a != nil {
			out = append(out, strings.TrimSpace(fmt.Sprint(e.EventID, " ", a.Attempt, " ", a.Verdict, " ", a.Class)))
		}
	}
	slices.Sort(out)
	return out
}

func TestABatchRunsOnceAndItsEffectsBecomeReal(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("sends", forwards("out"), api.FunctionSpec{Triggers: inBatches("in", 5, time.Minute), Allow: api.Allow{Emit: []string{"out"}}})
	b.publish("in", saying("ddddd")...)
	b.eventually("all done", func() bool { return b.stats("sends:in").Pending == 0 && len(b.stored("out")) == 5 })
	b.want("out", "00d", "01d", "02d", "03d", "04d")
	waitUntil(t, func() bool { return len(b.attempts()) == 5 })
	logged, bills := 0, 0
	first := ""
	for _, e := range b.entries() {
		if first == "" {
			first = e.Batch
		}
		if e.Batch == "" || e.Batch != first {
			t.Errorf("a line of batch %q, want %q", e.Batch, first)
		}
		switch {
		case e.Attempt == nil:
			logged++
		case e.Attempt.Bill != api.Bill{}:
			bills++
			if e.Invocation != first {
				t.Errorf("the bill is at %s, want %s", e.Invocation, first)
			}
		}
	}
	if logged != 1 || bills != 1 {
		t.Errorf("%d lines and %d bills, want 1 of each: the function ran once", logged, bills)
	}
}

// Those that are not done go their own way; the rest runs again without them, so that what all of them emitted is there exactly once.
func TestEventsOfABatchHaveTheirOwnVerdicts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		topic, said string
		lines       int // how often the function logged: its runs
	}{
		"with effects":    {"out", "dfdrd", 2 + 2}, // the batch, the rest of it, and two more attempts of the failed one
		"without effects": {"", "dfdrd", 1 + 2},
		"nobody is done":  {"out", "fff", 1 + 3*2},
		"all are done":    {"out", "dddd", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			soon := &api.Retry{Attempts: 3, Initial: api.Duration(time.Millisecond), Jitter: "none"}
			b.deploy("sends", forwards(tc.topic), api.FunctionSpec{Triggers: inBatches("in", len(tc.said), time.Minute), Retry: soon, Allow: api.Allow{Emit: []string{"out"}}})
			b.publish("in", saying(tc.said)...)
			bad := strings.Count(tc.said, "f") + strings.Count(tc.said, "r")
			b.eventually("all settled", func() bool { return b.stats("sends:in").Pending == 0 && b.stats("sends:in").DeadLetters == bad })
			var sent, lines []string
			for i, l := range tc.said {
				id := fmt.Sprintf("%02d%c", i, l)
				switch l {
				case 'd':
					sent = append(sent, id)
					lines = append(lines, id+" 1 done")
				case 'f':
					lines = append(lines, id+" 1 failed error", id+" 2 failed error", id+" 3 failed error")
				case 'r':
					lines = append(lines, id+" 1 rejected rejected")
				}
			}
			if tc.topic != "" {
				b.eventually("all sent", func() bool { return len(b.stored("out")) >= len(sent) })
				b.want("out", sent...)
			}
			waitUntil(t, func() bool { return len(b.attempts()) == len(lines) })
			if got := b.attempts(); !slices.Equal(got, lines) {
				t.Errorf("attempts %q, want %q", got, lines)
			}
			logged := 0
			for _, e := range b.entries() {
				if e.Attempt == nil {
					logged++
				}
			}
			if logged != tc.lines {
				t.Errorf("the function ran %d times, want %d", logged, tc.lines)
			}
		})
	}
}

// An event that kills its sandbox takes one attempt of the others with it, and no second one.
func TestAPoisonEventLeavesItsBatchAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	soon := &api.Retry{Attempts: 3, Initial: api.Duration(time.Millisecond), Jitter: "none"}
	b.deploy("sends", forwards("out"), api.FunctionSpec{Triggers: inBatches("in", 4, time.Minute), Retry: soon, Allow: api.Allow{Emit: []string{"out"}}})
	b.publish("in", saying("ddtd")...)
	b.eventually("all settled", func() bool {
		return b.stats("sends:in").Pending == 0 && b.stats("sends:in").DeadLetters == 1 && len(b.stored("out")) == 3
	})
	b.want("out", "00d", "01d", "03d")
	d := b.letters()[0]
	if d.Event.ID != "02t" || len(d.Attempts) != 3 || d.Attempts[2].Class != sandbox.ClassTrap {
		t.Errorf("dead letter %+v", d)
	}
	want := []string{"00d 1 failed trap", "00d 2 done", "01d 1 failed trap", "01d 2 done", "02t 1 failed trap", "02t 2 failed trap", "02t 3 failed trap", "03d 1 failed trap", "03d 2 done"}
	waitUntil(t, func() bool { return len(b.attempts()) == len(want) })
	if got := b.attempts(); !slices.Equal(got, want) {
		t.Errorf("attempts %q, want %q", got, want)
	}
}

// A batch that shrinks again and again ends: after the third time its events run one by one.
func TestABatchThatKeepsShrinkingEnds(t *testing.T) {
	t.Parallel()
	m, i := w.NewGuest() // emits, and fails the last of several events
	m.Memory(1)
	m.Data(0x10, []byte("out"))
	m.Data(0x40, []byte(`{"type":"t"}`))
	fails := m.Handle(
		w.Call(i.Emit, 0x10, 3, 0x40, 12), w.Drop(),
		w.Call(i.EventCount), w.I32Const(1), w.Sub(),
		w.If(w.Call(i.EventCount), w.I32Const(1), w.Sub(), w.I32Const(int32(abi.Failed)), w.I64Const(-1), w.I32Const(0), w.I32Const(0), w.Call(i.Verdict), w.Drop()),
		w.I32Const(0),
	).Bytes()
	b := setup(t, nil)
	soon := &api.Retry{Initial: api.Duration(time.Millisecond), Jitter: "none"}
	b.deploy("sends", fails, api.FunctionSpec{Triggers: inBatches("in", 20, time.Minute), Retry: soon, Allow: api.Allow{Emit: []string{"out"}}})
	b.publish("in", saying(strings.Repeat("d", 20))...)
	b.eventually("all done", func() bool { return b.stats("sends:in").Pending == 0 && len(b.stored("out")) >= 20 })
	if n := len(b.stored("out")); n != 20 {
		t.Errorf("%d events came out, want one for each that went in", n)
	}
	second := 0
	waitUntil(t, func() bool { return len(b.attempts()) >= 24 })
	for _, a := range b.attempts() {
		if strings.HasSuffix(a, " 2 done") {
			second++
		}
	}
	if want := 1 + maxShrinks; second != want {
		t.Errorf("%d events needed a second attempt, want %d: that many times the batch ran", second, want)
	}
}

func TestCancelOfOneEventOfABatch(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Drain = time.Millisecond })
	b.deploy("sends", forwards("out"), api.FunctionSpec{Triggers: inBatches("in", 3, time.Minute), Allow: api.Allow{Emit: []string{"out"}}})
	b.publish("in", saying("dld")...)
	waitUntil(t, func() bool { return b.seated() == 1 })
	loops := ""
	list, err := b.table.Invocations(partition.InvocationQuery{State: partition.Running, Limit: 9})
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, i := range list {
		if i.Event.ID == "01l" {
			loops = i.Name()
		}
	}
	b.cancel(loops)
	b.eventually("the others are done", func() bool { return b.stats("sends:in").Pending == 0 && len(b.stored("out")) == 2 })
	b.want("out", "00d", "02d")
	if got := b.closing(loops); got.Next != nextCanceled || got.Attempt.Error != "not needed" {
		t.Errorf("it ended with %+v %+v", got, got.Attempt)
	}
}

// What the runtime dies under is tried again alone, so that three more deaths find the one that does it.
func TestABatchThatTheRuntimeDiesUnder(t *testing.T) {
	t.Parallel()
	c := setupCrashing(t)
	soon := &api.Retry{Initial: api.Duration(time.Millisecond), Jitter: "none"}
	c.deploy("sends", forwards("out"), api.FunctionSpec{Triggers: inBatches("in", 3, time.Minute), Retry: soon, Allow: api.Allow{Emit: []string{"out"}}})
	c.publish("in", saying("dld")...)
	waitUntil(t, func() bool { return len(c.notes()) == 3 })
	for range 3 {
		waitUntil(t, func() bool { return slices.Contains(c.noted(), "01l") })
		c.crash()
		c.restart()
	}
	c.eventually("a dead letter", func() bool { return len(c.letters()) == 1 && c.stats("sends:in").Pending == 0 })
	if d := c.letters()[0]; d.Event.ID != "01l" || len(d.Attempts) != 3 {
		t.Errorf("dead letter %+v", d)
	}
	c.want("out", "00d", "02d")
}

// noted are the events of the notes.
func (c *crashing) noted() (ids []string) {
	for _, n := range c.notes() {
		id, _, err := partition.ParseInvocation(n.Invocation)
		if err != nil {
			c.t.Fatal(err)
		}
		if inv, err := c.table.Invocation(id); err == nil {
			ids = append(ids, inv.Event.ID)
		}
	}
	return ids
}

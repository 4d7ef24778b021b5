package partition

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a table on a real log and state in a directory of the test's own, which can be closed and opened again.
type testTable struct {
	*Table
	t     *testing.T
	dir   string
	epoch uint64
	log   *local.Log
	ready chan struct{}
	opts  func(*Options)
}

func openTable(t *testing.T, change func(*Options)) *testTable {
	t.Helper()
	tt := &testTable{t: t, dir: t.TempDir(), opts: change}
	tt.open()
	t.Cleanup(tt.close)
	return tt
}

func (tt *testTable) open() {
	tt.t.Helper()
	tt.epoch++
	tt.ready = make(chan struct{}, 1)
	fatal := func(err error) { tt.t.Errorf("fatal: %v", err) }
	log, err := local.Open(local.Options{Dir: filepath.Join(tt.dir, "log"), Partitions: 4, Fatal: fatal})
	if err != nil {
		tt.t.Fatal(err)
	}
	ready := tt.ready
	o := Options{
		Log: log, Dir: filepath.Join(tt.dir, "state"), Partitions: 4, Epoch: tt.epoch, Node: "test", Fatal: fatal,
		Ready:  func() { wake(ready) },
		Logger: slog.New(slog.DiscardHandler),
	}
	if tt.opts != nil {
		tt.opts(&o)
	}
	tt.log = log
	if tt.Table, err = Open(tt.t.Context(), o); err != nil {
		tt.t.Fatal(err)
	}
}

func (tt *testTable) close() {
	if tt.Table == nil {
		return
	}
	if err := tt.Table.Close(); err != nil {
		tt.t.Error(err)
	}
	if err := tt.log.Close(); err != nil {
		tt.t.Error(err)
	}
	tt.Table = nil
}

func (tt *testTable) reopen() {
	tt.t.Helper()
	tt.close()
	tt.open()
}

func (tt *testTable) triggers(generation uint64, list ...Trigger) {
	tt.t.Helper()
	if err := tt.SetTriggers(tt.t.Context(), generation, list); err != nil {
		tt.t.Fatal(err)
	}
}

func (tt *testTable) publish(topic string, events ...event.Event) []Stored {
	tt.t.Helper()
	stored, err := tt.Publish(tt.t.Context(), "default", topic, events)
	if err != nil {
		tt.t.Fatal(err)
	}
	return stored
}

// takeN waits until n deliveries of a trigger were handed out.
func (tt *testTable) takeN(trigger uint64, n int) []Delivery {
	tt.t.Helper()
	ctx, cancel := context.WithTimeout(tt.t.Context(), 20*time.Second)
	defer cancel()
	var out []Delivery
	for {
		more, err := tt.Take(trigger, n-len(out))
		if err != nil {
			tt.t.Fatal(err)
		}
		if out = append(out, more...); len(out) >= n {
			return out
		}
		select {
		case <-tt.ready:
		case <-ctx.Done():
			tt.t.Fatalf("got %d deliveries of trigger %d, want %d", len(out), trigger, n)
		}
	}
}

// awaitDue waits until n events of a trigger have come due.
func (tt *testTable) awaitDue(trigger uint64, n int) {
	tt.t.Helper()
	ctx, cancel := context.WithTimeout(tt.t.Context(), 20*time.Second)
	defer cancel()
	for {
		due := 0
		for _, p := range tt.parts {
			p.mu.Lock()
			if f := p.ready.feeds[trigger]; f != nil {
				due += len(f.due)
			}
			p.mu.Unlock()
		}
		if due >= n {
			return
		}
		select {
		case <-tt.ready:
		case <-ctx.Done():
			tt.t.Fatalf("%d events are due, want %d", due, n)
		}
	}
}

// takeNone fails when a trigger has anything to hand out now.
func (tt *testTable) takeNone(trigger uint64) {
	tt.t.Helper()
	got, err := tt.Take(trigger, 100)
	if err != nil {
		tt.t.Fatal(err)
	}
	for _, d := range got {
		tt.t.Errorf("trigger %d hands out %s (%s)", trigger, d.ID, d.Event.ID)
	}
}

func (tt *testTable) settle(d Delivery, a Attempt, n Next, e Effects) Outcome {
	tt.t.Helper()
	o, err := tt.Settle(tt.t.Context(), &d, a, n, e)
	if err != nil {
		tt.t.Fatal(err)
	}
	return o
}

func (tt *testTable) done(d Delivery, e Effects) Outcome {
	tt.t.Helper()
	return tt.settle(d, attemptOf(d, abi.Done, ""), Next{}, e)
}

func (tt *testTable) giveUp(d Delivery, text string) {
	tt.t.Helper()
	if o := tt.settle(d, attemptOf(d, abi.Failed, text), Next{DeadLetter: true}, Effects{}); o != Applied {
		tt.t.Fatalf("dead letter of %s: outcome %d", d.ID, o)
	}
}

func (tt *testTable) tail(topic string) []string {
	tt.t.Helper()
	var ids []string
	_, err := tt.Tail("default", topic, Cursor{}, time.Time{}, 0, func(r TopicRecord) error {
		ids = append(ids, r.Event.ID)
		return nil
	})
	if err != nil {
		tt.t.Fatal(err)
	}
	return ids
}

func attemptOf(d Delivery, v abi.Verdict, text string) Attempt {
	a := Attempt{Number: d.Attempt, Revision: 1, Start: time.Now(), Duration: time.Millisecond, Verdict: int32(v)}
	if v != abi.Done {
		a.Class, a.Error = "error", text
	}
	return a
}

func newEvent(id, key string) event.Event {
	return event.Event{ID: id, Source: "/test", Type: "t", Subject: key, Data: []byte(`{"n":"` + id + `"}`)}
}

func manyEvents(n int, key func(int) string) []event.Event {
	out := make([]event.Event, n)
	for i := range out {
		out[i] = newEvent(fmt.Sprintf("e%04d", i), key(i))
	}
	return out
}

func onTopic(id uint64, topic string) Trigger {
	return Trigger{ID: id, Namespace: "default", Name: fmt.Sprintf("f%d:%s", id, topic), Function: fmt.Sprintf("f%d", id), Topic: topic}
}

func ids(list []Delivery) []string {
	var out []string
	for _, d := range list {
		out = append(out, d.Event.ID)
	}
	slices.Sort(out)
	return out
}

func reopenLog(t *testing.T, tt *testTable) *local.Log {
	t.Helper()
	log, err := local.Open(local.Options{Dir: filepath.Join(tt.dir, "log"), Partitions: 4, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

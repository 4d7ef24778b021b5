package scheduler

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

const aTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func withExtension(e event.Event, pairs ...string) event.Event {
	for i := 0; i < len(pairs); i += 2 {
		e.SetExtension(event.Extension{Name: pairs[i], Value: pairs[i+1]})
	}
	return e
}

// emitsTo deploys a function that emits one event to a topic for each that it gets.
func (b *bundle) emitsTo(name, from, to, ev string) {
	b.t.Helper()
	b.deploy(name, wasmtest.Emits(to, ev), api.FunctionSpec{Triggers: onTopic(from), Allow: api.Allow{Emit: []string{to}}})
}

// What a function emits says what it came of, and is in the trace of it.
func TestEmittedEventsTellTheirOrigin(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.emitsTo("f", "in", "out", `{"type":"t"}`)
	b.emitsTo("own", "own", "out", `{"type":"t","correlationid":"mine","causationid":"too","traceparent":"00-11111111111111111111111111111111-2222222222222222-00","tracestate":"x=y","evokehops":7,"evoketrail":"z"}`)
	trace := func(e *event.Event) string { parent, _ := e.Extension("traceparent"); return parent }
	plain := newEvent("plain", "k")
	begun := plain.OwnTrace()
	for _, tt := range []struct {
		name, topic               string
		cause                     event.Event
		correlation, causation    string
		trace, state, flags, hops string
	}{
		{"in no trace", "in", plain, "plain", "plain", hex.EncodeToString(begun.Trace[:]), "", "01", "1"},
		{"in a trace", "in", withExtension(newEvent("traced", "k"), "traceparent", aTrace, "tracestate", "a=1,b=2"), "traced", "traced", aTrace[3:35], "a=1,b=2", "01", "1"},
		{"in what is none", "in", withExtension(newEvent("broken", "k"), "traceparent", "no trace", "tracestate", "a=1"), "broken", "broken", "", "", "01", "1"},
		{"of others", "in", withExtension(newEvent("later", "k"), "correlationid", "first", "causationid", "second", "evokehops", "5"), "first", "later", "", "", "01", "6"},
		{"what it says itself stays", "own", withExtension(newEvent("said", "k"), "traceparent", aTrace), "mine", "too", strings.Repeat("1", 32), "x=y", "00", "1"},
	} {
		before := len(b.stored("out"))
		b.publish(tt.topic, tt.cause)
		b.eventually(tt.name, func() bool { return len(b.stored("out")) > before })
		all := b.stored("out")
		var got *event.Event
		for i := range all { // of several partitions: the order is not that of time
			if x := extensions(&all[i].Event); x["causationid"] == tt.causation {
				got = &all[i].Event
			}
		}
		if got == nil {
			t.Fatalf("%s: nothing of %v came of %s", tt.name, all, tt.causation)
		}
		x := extensions(got)
		if x["correlationid"] != tt.correlation || x["tracestate"] != tt.state || x["evokehops"] != tt.hops || x["evoketrail"] != "" {
			t.Errorf("%s: got %v", tt.name, x)
		}
		parent, ok := event.ParseTraceParent(trace(got))
		if !ok || tt.trace != "" && hex.EncodeToString(parent.Trace[:]) != tt.trace || !strings.HasSuffix(trace(got), "-"+tt.flags) || trace(got) == trace(&tt.cause) {
			t.Errorf("%s: trace %q of %q", tt.name, trace(got), trace(&tt.cause))
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Every attempt is a span of its own in the trace of its event, and what it emitted is below it.
func TestHistoryHasTheTraceOfAnAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.emitsTo("emits", "in", "out", `{"type":"t"}`)
	b.deploy("fails", wasmtest.Says(abi.Failed, 0, "no"), api.FunctionSpec{Triggers: onTopic("in"), Retry: &api.Retry{Attempts: 2}})
	b.publish("in", withExtension(newEvent("1", "k"), "traceparent", aTrace))
	b.eventually("the event", func() bool { return len(b.stored("out")) == 1 })
	waitUntil(t, func() bool { return len(b.attempts()) == 3 })
	spans := map[string]bool{}
	emitted, _ := b.stored("out")[0].Event.TraceParent()
	for _, e := range b.entries() {
		if e.Attempt == nil {
			continue
		}
		if e.Attempt.Trace != aTrace[3:35] || len(e.Attempt.Span) != 16 || e.Attempt.Span == aTrace[36:52] {
			t.Errorf("%s: trace %q, span %q", e.Function, e.Attempt.Trace, e.Attempt.Span)
		}
		spans[e.Attempt.Span] = true
		if e.Function == "emits" && e.Attempt.Span != hex.EncodeToString(emitted.Span[:]) {
			t.Errorf("what it emitted is below %x, it is %s", emitted.Span, e.Attempt.Span)
		}
	}
	if len(spans) != 3 {
		t.Errorf("%d spans of three attempts", len(spans))
	}
	b.deploy("quiet", wasmtest.Returns(abi.Done), api.FunctionSpec{})
	b.call("quiet", newEvent("2", ""))
	for _, e := range b.entries() {
		if e.Function == "quiet" && e.Attempt.Trace+e.Attempt.Span != "" {
			t.Errorf("an attempt outside of any trace has %+v", e.Attempt)
		}
	}
}

func TestALoopIsStoppedAndNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.emitsTo("a", "ping", "pong", `{"type":"t","subject":"k"}`)
	b.emitsTo("b", "pong", "ping", `{"type":"t","subject":"k"}`)
	b.publish("ping", newEvent("1", "k"))
	b.eventually("a dead letter", func() bool { return len(b.letters()) == 1 })
	letter := b.letters()[0]
	last := letter.Attempts[len(letter.Attempts)-1]
	want := "stopped after 64 hops: " + strings.Repeat("b → a → ", 9)
	if last.Class != ClassLoop || !strings.HasPrefix(want, last.Error[:60]) || !strings.HasSuffix(last.Error, "a → b") || letter.Event.Hops() != 64 {
		t.Errorf("got %+v of an event with %d hops", last, letter.Event.Hops())
	}
	if n := len(b.stored("ping")) + len(b.stored("pong")); n != 65 {
		t.Errorf("%d events came of one, want 65", n)
	}
	// Redriven it runs once, and what comes of that is stopped again.
	if _, err := b.table.RedriveAs(t.Context(), []partition.Redriving{{Letter: partition.LetterID{ID: letter.ID, Generation: letter.Generation}}}); err != nil {
		t.Fatal(err)
	}
	b.eventually("the next dead letter", func() bool {
		l := b.letters()
		return len(l) == 1 && l[0].ID != letter.ID && strings.HasPrefix(l[0].Attempts[0].Error, "stopped after 65 hops: ")
	})
}

// An event that is of no use any more does not run; its key goes on, also where keys park. Whoever redrives it wants it.
func TestExpiredEventsDoNotRun(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := setup(t, func(o *Options) { o.Registerer = reg })
	parks := []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "in", Order: "key", OnFailure: "park"}}}
	b.deploy("f", counts("out"), api.FunctionSpec{Triggers: parks, Allow: api.Allow{Emit: []string{"out"}, State: true}})
	past := event.FormatTime(time.Now().Add(-time.Minute).UTC())
	b.publish("in", withExtension(newEvent("old", "k"), "expirytime", past), newEvent("new", "k"),
		withExtension(newEvent("in time", "k"), "expirytime", event.FormatTime(time.Now().Add(time.Hour).UTC())))
	b.eventually("two have run", func() bool { return len(b.stored("out")) == 2 && len(b.letters()) == 1 })
	letter := b.letters()[0]
	if a := letter.Attempts[0]; letter.Parked || a.Class != ClassExpired || a.Error != "not run: its expirytime was "+past {
		t.Errorf("got %+v", letter)
	}
	if _, err := b.table.RedriveAs(t.Context(), []partition.Redriving{{Letter: partition.LetterID{ID: letter.ID, Generation: letter.Generation}}}); err != nil {
		t.Fatal(err)
	}
	b.eventually("the third has run", func() bool { return len(b.stored("out")) == 3 && len(b.letters()) == 0 })
	b.eventually("it is counted", func() bool {
		n, _ := gathered(t, reg, "evoke_unfit_events_total", "f")
		return n == 1
	})
}

func TestExpiredEventsLeaveTheirBatch(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	batch := []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "in", Batch: &api.BatchSpec{Size: 3, Window: api.Duration(200 * time.Millisecond)}}}}
	b.deploy("f", wasmtest.Emits("out", `{"type":"t"}`), api.FunctionSpec{Triggers: batch, Allow: api.Allow{Emit: []string{"out"}}})
	past := event.FormatTime(time.Now().Add(-time.Minute).UTC())
	b.publish("in", withExtension(newEvent("1", "k"), "expirytime", past), withExtension(newEvent("2", "k"), "evokehops", "9"), newEvent("3", "k"))
	b.eventually("the others have run", func() bool { return len(b.letters()) == 1 && len(b.stored("out")) == 1 })
	if got := b.letters()[0]; got.Event.ID != "1" || got.Attempts[0].Class != ClassExpired {
		t.Errorf("got %+v", got)
	}
	if x := extensions(&b.stored("out")[0].Event); x["evokehops"] != "10" || x["causationid"] != "" {
		t.Errorf("what a batch emits has many causes: %v", x)
	}
}

func BenchmarkLineage(b *testing.B) {
	cause := newEvent("1", "k")
	traced := withExtension(newEvent("1", "k"), "traceparent", aTrace)
	b.Run("nothing emitted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l := lineageOf("f", &cause)
			_ = l.known
		}
	})
	b.Run("one emitted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l := lineageOf("f", &cause)
			e := event.Event{ID: "2", Type: "t"}
			l.sign(&e)
		}
	})
	b.Run("one emitted in a trace", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l := lineageOf("f", &traced)
			e := event.Event{ID: "2", Type: "t"}
			l.sign(&e)
		}
	})
}

package scheduler

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func extensions(e *event.Event) map[string]string {
	out := map[string]string{}
	for _, x := range e.Extensions {
		out[x.Name] = x.Value
	}
	return out
}

// What a function gives up on goes to its dead-letter topic, once, with the reason.
func TestDeadLetterTopicGetsACopy(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, spec := range map[string]*api.DeadLetterSpec{"own": {Topic: "own.dead"}, "both": {Topic: "both.dead", Knative: true}} {
		b.deploy(name, wasmtest.Says(abi.Failed, 0, "no\nluck"), api.FunctionSpec{Retry: &api.Retry{Attempts: 2}, Triggers: onTopic("in"), DeadLetter: spec})
	}
	e := newEvent("1", "k")
	e.Data = []byte(`{"n":1}`)
	b.publish("in", e)
	b.eventually("two copies", func() bool { return len(b.stored("own.dead")) == 1 && len(b.stored("both.dead")) == 1 })
	ids := map[string]string{}
	for _, d := range b.letters() {
		ids[d.Trigger.Function] = d.ID.String()
	}
	for name, more := range map[string]map[string]string{
		"own":  {},
		"both": {"knativeerrordest": "/ns/default/functions/both", "knativeerrorcode": "500", "knativeerrordata": "no luck (all 2 attempts failed)"},
	} {
		got := b.stored(name + ".dead")[0].Event
		want := map[string]string{
			"evokedeadletter": ids[name], "evokefunction": name, "evoketrigger": name + ":in", "evokeerrorclass": "error",
			"evokeerrordata": "no luck (all 2 attempts failed)", "evokeattempts": "2",
		}
		maps.Copy(want, more)
		if !maps.Equal(extensions(&got), want) || got.ID != "1" || got.Source != "/test" || string(got.Data) != `{"n":1}` {
			t.Errorf("%s: got %+v\nwant %v", name, got, want)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeadLetterThatIsTooLargeForItsTopicIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("f", wasmtest.Returns(abi.Rejected), api.FunctionSpec{Triggers: onTopic("in"), DeadLetter: &api.DeadLetterSpec{Topic: "dead"}})
	e := newEvent("1", "k")
	e.Data = make([]byte, event.MaxSize-e.Size())
	b.publish("in", e)
	b.eventually("a dead letter", func() bool { return len(b.letters()) == 1 })
	if got := b.stored("dead"); len(got) != 0 {
		t.Errorf("the topic has %d events", len(got))
	}
}

func TestErrorTextFitsAnAttribute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": "plain", " a\tb\r\nc\x00\u0085 ": "a b  c", "bad \xff": "bad \uFFFD", strings.Repeat("é", 600): strings.Repeat("é", 512),
		"x" + strings.Repeat("é", 600): "x" + strings.Repeat("é", 511),
	} {
		if got := attributeText(text); got != want || !utf8.ValidString(got) {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestErrorCodesAreThoseOfTheGateway(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]int{"error": 500, "trap": 502, "deadline": 504, "memory": 502, "exit": 502, "init": 502, "rejected": 422, "internal": 500, "": 500} {
		if got := errorCode(class); got != want {
			t.Errorf("%q: %d, want %d", class, got, want)
		}
	}
}

// redrive makes a letter pending for a revision.
func (b *bundle) redrive(d partition.DeadLetter, revision int) {
	b.t.Helper()
	out, err := b.table.RedriveAs(b.t.Context(), []partition.Redriving{{Letter: partition.LetterID{ID: d.ID, Generation: d.Generation}, Revision: revision}})
	if err != nil || out[0] != partition.LetterChanged {
		b.t.Fatal(out, err)
	}
}

func TestRedriveRunsTheRevisionItNames(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	spec := api.FunctionSpec{Retry: &api.Retry{Attempts: 1}, Allow: api.Allow{Emit: []string{"out"}}, Triggers: onTopic("in")}
	b.deploy("f", wasmtest.Emits("out", `{"type":"first"}`), spec)
	b.deploy("f", wasmtest.Returns(abi.Failed), spec)
	for i := range 8 {
		b.publish("in", newEvent(fmt.Sprint(i), fmt.Sprint("k", i)))
	}
	b.eventually("dead letters", func() bool { return len(b.letters()) == 8 })
	var workers sync.WaitGroup
	for _, d := range b.letters() {
		workers.Go(func() { b.redrive(d, 1) })
	}
	workers.Wait()
	b.eventually("the outputs of revision 1", func() bool { return len(b.stored("out")) == 8 && b.stats("f:in").Pending == 0 })
	b.scheduler.pins.mu.Lock()
	if n := len(b.scheduler.pins.list); n != 1 || b.scheduler.pins.list[0].f.spec.Revision != 1 {
		t.Errorf("%d revisions are pinned", n)
	}
	b.scheduler.pins.mu.Unlock()
	if _, err := b.registry.DeleteFunction(t.Context(), "default", "f"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool {
		b.scheduler.pins.mu.Lock()
		defer b.scheduler.pins.mu.Unlock()
		return len(b.scheduler.pins.list) == 0
	})
}

// A revision that is not kept any more fails the attempt; the event is a dead letter again and says why.
func TestRedriveToARevisionThatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("f", wasmtest.Returns(abi.Failed), api.FunctionSpec{Retry: &api.Retry{Attempts: 1}, Triggers: onTopic("in")})
	b.publish("in", newEvent("1", "k"))
	b.eventually("a dead letter", func() bool { return len(b.letters()) == 1 })
	b.redrive(b.letters()[0], 77)
	b.eventually("it again", func() bool { l := b.letters(); return len(l) == 1 && l[0].Generation == 1 })
	last := b.letters()[0].Attempts[1]
	if last.Revision != 77 || last.Class != "internal" || !strings.Contains(last.Error, "load revision 77: revision 77 of f: not found") {
		t.Errorf("%+v", last)
	}
}

func TestOldPinsMakeRoom(t *testing.T) {
	t.Parallel()
	closed := 0
	p := &pins{}
	for i := range maxPins + 5 {
		q, mine := p.find(functionName{"n", "f"}, i)
		if !mine {
			t.Fatalf("revision %d is there", i)
		}
		q.f = &function{close: func() { closed++ }}
		close(q.loaded)
		if i > 0 { // the first stays in use
			p.leave(q)
		}
	}
	if len(p.list) != maxPins || closed != 5 || p.list[0].revision != 0 {
		t.Errorf("%d pins, %d closed, the oldest is %d", len(p.list), closed, p.list[0].revision)
	}
	first := p.list[0]
	p.forget(functionName{"n", "f"})
	if len(p.list) != 0 || closed != maxPins+4 {
		t.Errorf("%d pins, %d closed", len(p.list), closed)
	}
	if p.leave(first); closed != maxPins+5 {
		t.Error("the one in use was not closed by its last user")
	}
}

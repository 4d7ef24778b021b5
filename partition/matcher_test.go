package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/event"
)

func storedAs(topic string) storedEvent {
	e := event.Event{ID: "1", Source: "/s", Type: "t", Subject: "k"}
	return storedEvent{namespace: "default", topic: topic, event: e.AppendBinary(nil)}
}

// TestAMatcherThatWasChangedIsLikeANewOne also changes the topics of triggers, from exact ones to patterns and back.
func TestAMatcherThatWasChangedIsLikeANewOne(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	topics := []string{"a", "a.b", "a.*", "a.>", "b", ">"}
	set := noTriggers(newDefinitions())
	want := map[uint64]Trigger{}
	for range 300 {
		var put []Trigger
		var remove []uint64
		for range rng.IntN(6) {
			id := rng.Uint64N(40) + 1
			if rng.IntN(3) == 0 {
				remove = append(remove, id)
				continue
			}
			tr := onTopic(id, topics[rng.IntN(len(topics))])
			tr.Filter = []string{"", "subject = 'k'", "subject = 'other'", `{"prefix": {"subject": "k"}}`, `[{"not": {"data": {"a": {"exists": false}}}}]`}[rng.IntN(5)]
			put = append(put, tr)
		}
		for _, id := range remove {
			delete(want, id)
		}
		for _, tr := range put {
			want[tr.ID] = tr
		}
		var err error
		if set, err = set.With(put, remove); err != nil {
			t.Fatal(err)
		}
		var list []Trigger
		for _, tr := range want {
			list = append(list, tr)
		}
		fresh, err := noTriggers(newDefinitions()).With(list, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range []string{"a", "a.b", "a.b.c", "b", "c"} {
			one, two := storedAs(topic), storedAs(topic)
			one.triggers = []uint64{99} // of an append that failed
			if err := set.matcher.match(&one); err != nil {
				t.Fatal(err)
			}
			if err := fresh.matcher.match(&two); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(one.triggers, two.triggers) {
				t.Fatalf("%s is for %v, want %v", topic, one.triggers, two.triggers)
			}
		}
		d := difference{to: fresh}
		if d.since(set); len(d.put)+len(d.remove) > 0 {
			t.Fatalf("they differ: put %s, remove %v", d.texts, d.remove)
		}
	}
}

func TestABadTriggerLeavesTheSetAsItWas(t *testing.T) {
	t.Parallel()
	set, err := noTriggers(newDefinitions()).With([]Trigger{onTopic(1, "a")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	bad := onTopic(2, "a")
	bad.Filter = "type ="
	if _, err := set.With([]Trigger{bad}, []uint64{1}); err == nil {
		t.Fatal("it was taken")
	}
	e := storedAs("a")
	if err := set.matcher.match(&e); err != nil || !slices.Equal(e.triggers, []uint64{1}) {
		t.Errorf("triggers %v, %v", e.triggers, err)
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var list []Trigger
			for i := range n {
				list = append(list, onTopic(uint64(i+1), fmt.Sprintf("topic.%d", i)))
			}
			set, err := noTriggers(newDefinitions()).With(list, nil)
			if err != nil {
				b.Fatal(err)
			}
			e, none := storedAs("topic.0"), storedAs("topic.none")
			b.ReportAllocs()
			for b.Loop() {
				if err := set.matcher.match(&e); err != nil {
					b.Fatal(err)
				}
				if err := set.matcher.match(&none); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestEventsMatchedBeforeTheTriggersChangedAreMatchedAgain: filters are asked before an append has its turn, and a control record may have its own in between.
func TestEventsMatchedBeforeTheTriggersChangedAreMatchedAgain(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	first := onTopic(1, "a")
	tt.triggers(1, first)
	e := newEvent("x", "k")
	p := tt.place("default", e.Key(), e.Source, e.ID)
	record, _ := publishPart("default", "a", []event.Event{e}, []int{0})
	matched, err := p.match(record, nil)
	if err != nil || !slices.Equal(record.stored[0].triggers, []uint64{1}) {
		t.Fatalf("matched %v, %v", record.stored[0].triggers, err)
	}
	if again, err := p.match(record, matched); again != matched || err != nil {
		t.Errorf("nothing has changed, and it is matched again: %v", err)
	}
	first.Filter = `{"exact": {"subject": "other"}}`
	tt.triggers(2, first, onTopic(2, "a"))
	p.appendMu.Lock()
	done, err := p.appendMatched(record, matched)
	p.appendMu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.wait(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	if got := tt.takeN(2, 1); got[0].Event.ID != "x" {
		t.Errorf("got %s", got[0].Event.ID)
	}
	tt.takeNone(1)
}

// TestTriggersChangeUnderPublishers: whatever is stored was matched by the triggers in force there, as a replay of the log says.
func TestTriggersChangeUnderPublishers(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	const rounds, each = 40, 25
	one, two := onTopic(1, "a"), onTopic(2, "a") // exactly one of them wants an event, at any time
	one.Filter, two.Filter = `{"exact": {"specversion": "1.0"}}`, `{"not": {"exact": {"specversion": "1.0"}}}`
	tt.triggers(1, one, two)
	var wg sync.WaitGroup
	published := make(chan struct{}) // four publishers write, this test reads
	for g := range 4 {
		wg.Go(func() {
			for i := range rounds * each / 4 {
				if _, err := tt.Publish(t.Context(), "default", "a", []event.Event{newEvent(fmt.Sprintf("%d-%d", g, i), fmt.Sprint("k", i))}); err != nil {
					t.Error(err)
				}
				published <- struct{}{}
			}
		})
	}
	for generation := range uint64(rounds) {
		for range each {
			<-published
		}
		one.Filter, two.Filter = two.Filter, one.Filter
		tt.triggers(generation+2, one, two)
	}
	wg.Wait()
	if a, b := tt.Stats(1).Pending, tt.Stats(2).Pending; a+b != rounds*each || a == 0 || b == 0 {
		t.Errorf("%d and %d events are pending, want %d together", a, b, rounds*each)
	}
}

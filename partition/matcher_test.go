package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

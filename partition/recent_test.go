package partition

import (
	"fmt"
	"testing"

	"github.com/evoke-run/evoke/event"
)

func TestRecentForgetsTheOldestFirst(t *testing.T) {
	t.Parallel()
	r := newRecent()
	const size = 100 << 10
	for offset := range uint64(30) {
		r.add(offset, recentEvent{event: make([]byte, size)})
		r.add(offset, recentEvent{event: make([]byte, size)}) // known
	}
	const fit = recentBytes / (size + overhead)
	if len(r.events) != fit || len(r.order) != fit || r.bytes != fit*(size+overhead) {
		t.Errorf("%d events, %d in order, %d bytes", len(r.events), len(r.order), r.bytes)
	}
	for offset := range uint64(30) {
		if _, ok := r.events[offset]; ok != (offset >= 30-fit) {
			t.Errorf("event %d: %t", offset, ok)
		}
	}
	r.add(99, recentEvent{event: make([]byte, 2*recentBytes)})
	if _, ok := r.events[99]; !ok || len(r.events) != 1 {
		t.Errorf("one event over the bound stays alone: %d", len(r.events))
	}
}

// A backlog larger than what is kept, with events of two triggers in turns, is handed out whole and as it was published.
func TestBacklogBeyondWhatIsKeptIsHandedOutWhole(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"), onTopic(2, "b"))
	const n = 300
	want := map[string]string{}
	for i := range n {
		ev := newEvent(fmt.Sprint("e", i), "k")
		ev.Data = []byte(fmt.Sprintf("%020000d", i))
		want[ev.ID] = string(ev.Data)
		tt.publish([]string{"a", "b", "none"}[i%3], ev)
	}
	tt.reopen()
	got := map[string]event.Event{}
	for _, trigger := range []uint64{1, 2} {
		for len(got) < int(trigger)*n/3 {
			list, err := tt.Take(trigger, 7)
			if err != nil || len(list) == 0 {
				t.Fatalf("trigger %d stops after %d: %v", trigger, len(got), err)
			}
			for _, d := range list {
				got[d.Event.ID] = d.Event
				tt.done(d, Effects{})
			}
		}
		tt.takeNone(trigger)
	}
	for id, e := range got {
		if string(e.Data) != want[id] {
			t.Errorf("%s has other data", id)
		}
	}
}

package partition

import (
	"testing"
	"time"
)

func TestRoomIsSpentOnceAfterItWasLarge(t *testing.T) {
	t.Parallel()
	var r room
	for _, size := range []int{0, 1, plenty - 1, 0} {
		if r.spent(size) {
			t.Errorf("%d was large", size)
		}
	}
	if r.spent(plenty) || !r.spent(0) || r.spent(0) {
		t.Error("not spent once")
	}
}

func TestTimersOfSettledEventsLeave(t *testing.T) {
	t.Parallel()
	tr := &trigger{Trigger: &Trigger{ID: 1, Order: "key"}}
	tr.pending.add(1)
	r := newReady(&machine{triggers: map[uint64]*trigger{1: tr}})
	const events = 3 * plenty
	later := time.Now().Add(time.Hour).UnixMilli()
	f := r.feeds[1]
	for offset := uint64(1); offset <= events; offset++ {
		tr.pending.add(offset)
		put(&tr.progress, offset, progress{attempts: 1, next: later})
		f.claim(offset, ID{Offset: offset}.String())
		r.absorb([]change{{kind: changeRetry, trigger: 1, offset: offset}})
	}
	settle := func(offset uint64) {
		tr.pending.remove(offset)
		delete(tr.progress, offset)
		tr.giveBack()
		r.absorb([]change{{kind: changeSettled, timed: true, trigger: 1, offset: offset}})
	}
	for offset := uint64(1); offset < events; offset++ {
		settle(offset)
	}
	if n := len(r.timers); n > plenty || n < 1 {
		t.Errorf("%d timers for one event", n)
	}
	if found := r.isCurrent(timer{later, 1, events}); !found {
		t.Error("the one that waits has no timer")
	}
	settle(events)
	if f.room.peak != 0 || tr.room.peak != 0 {
		t.Errorf("room for %d lanes and %d attempts is kept", f.room.peak, tr.room.peak)
	}
	if next := r.fire(later + 1); next != 0 || len(f.due) > 0 {
		t.Errorf("the next is due at %d, %d are due", next, len(f.due))
	}
}

package partition

import "container/heap"

// Maps and slices of Go keep the memory of the most that they ever held. After a storm of a million keys that would be hundreds of megabytes for nothing, so what
// has become empty after it was large is made anew.

// plenty is from how many entries on.
const plenty = 1024

// room watches how large something gets.
type room struct{ peak int }

// spent is told its size now and then, and says whether it is empty after it was large.
func (r *room) spent(size int) bool {
	if size > 0 {
		r.peak = max(r.peak, size)
		return false
	}
	large := r.peak >= plenty
	r.peak = 0
	return large
}

// giveBack is called when a feed has changed.
func (f *feed) giveBack() {
	if f.room.spent(len(f.running) + len(f.lanes) + len(f.owns) + len(f.due)) {
		f.due, f.running, f.lanes, f.owns = nil, nil, nil, nil
	}
}

// giveBack is called when the trigger's progress has changed.
func (t *trigger) giveBack() {
	if t.room.spent(len(t.progress)) {
		t.progress = nil
	}
}

// put makes the map when it is the first entry: most triggers have nothing in most of theirs, and there may be a hundred thousand of them in each partition.
func put[V any](m *map[uint64]V, key uint64, value V) {
	if *m == nil {
		*m = map[uint64]V{}
	}
	(*m)[key] = value
}

// outdated counts a timer whose event was settled before it was due. When most of them are like that, those leave.
func (r *ready) outdated() {
	if r.stale++; r.stale < plenty || r.stale < len(r.timers)/2 {
		return
	}
	r.stale = 0
	var left timers
	for _, t := range r.timers {
		if r.isCurrent(t) {
			left = append(left, t)
		}
	}
	heap.Init(&left)
	r.timers = left
}

// isCurrent says whether the event, or the batch, of a timer still waits for it.
func (r *ready) isCurrent(t timer) bool {
	f := r.feeds[t.trigger]
	switch {
	case f == nil:
		return false
	case t.offset == 0:
		return f.gather.until == t.at
	}
	return f.trigger.progress[t.offset].next == t.at
}

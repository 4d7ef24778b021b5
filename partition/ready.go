package partition

import (
	"container/heap"
	"slices"
)

// ready knows which pending events may run now. It follows from the state and is made anew at start; nothing of it is stored.
//
// A pending event is in one place: not looked at yet (at or above its feed's scan) → due (its turn) → running (taken) → settled;
// from running also → waiting (retry at a time) → due, → aside (whoever took it may not run it now) → due, and for ordered triggers → queued (its key is busy) → due.
type ready struct {
	machine *machine
	feeds   map[uint64]*feed
	work    map[uint64]*feed // those that have something to take
	timers  timers
	fired   int64 // timers up to this time, in unix milliseconds, have fired
	earlier bool  // a timer came in front of all others since the last takeEarlier
	stale   int   // about how many timers are of events that were settled before they were due
}

// feed is one trigger's part.
type feed struct {
	ready   *ready
	trigger *trigger
	scan    uint64 // pending offsets below it were looked at
	passed  int    // how many pending offsets are below scan
	due     []uint64
	again   *pending // below scan and not looked at since they became pending anew; nil = none
	running map[uint64]struct{}
	aside   map[uint64]aside // nil = none
	ranked  ranked           // pending, with a rank, and not looked at
	early   map[uint64]bool  // at or above scan, and looked at because of their rank
	gather  gather
	room    room

	// Only of triggers with order: key.
	lanes map[uint64]*lane  // by hash of the key; two keys with one hash wait for each other
	owns  map[uint64]uint64 // offset that owns a lane → hash of the key
}

// lane is a key that is busy: its owner runs or waits for its retry, the others queue in order.
type lane struct {
	owner uint64
	queue []queued
	last  uint64 // the highest offset that was ever queued

	members map[queued]struct{} // of the queue, once somebody has asked for one; nil = nobody has
}

// has says whether an event is in the queue. All those of a key that come due at once ask.
func (l *lane) has(w queued) bool {
	if l.members == nil {
		l.members = make(map[queued]struct{}, len(l.queue))
		for _, one := range l.queue {
			l.members[one] = struct{}{}
		}
	}
	_, ok := l.members[w]
	return ok
}

// put queues an event, at the front or behind the others.
func (l *lane) put(w queued, first bool) {
	at := len(l.queue)
	if first {
		at = 0
	}
	l.queue = slices.Insert(l.queue, at, w)
	l.last = max(l.last, w.offset)
	if l.members != nil {
		l.members[w] = struct{}{}
	}
}

// next takes the first out of the queue, which has one.
func (l *lane) next() queued {
	first := l.queue[0]
	l.queue = l.queue[1:]
	delete(l.members, first)
	return first
}

// queued is an event that waits for its key. It keeps its place when it leaves; should it come again, it is of another generation then.
type queued struct {
	offset     uint64
	generation uint32
}

func newReady(m *machine) *ready {
	r := &ready{machine: m, feeds: map[uint64]*feed{}, work: map[uint64]*feed{}}
	for _, t := range m.triggers {
		r.sync(t)
	}
	return r
}

// sync makes the feed of a trigger, or drops it when the trigger is out of force. A trigger that has nothing gets one with its first event: there may be a hundred
// thousand, in each partition.
func (r *ready) sync(t *trigger) {
	f := r.feeds[t.ID]
	if f != nil && (t.gone || f.trigger != t) {
		delete(r.feeds, t.ID)
		delete(r.work, t.ID)
		f = nil
	}
	if t.gone {
		return
	}
	if f == nil {
		if t.pending.count == 0 && len(t.parked.lanes) == 0 {
			return
		}
		f = &feed{ready: r, trigger: t}
		r.feeds[t.ID] = f
		for offset, p := range t.progress {
			if p.next > 0 {
				r.schedule(timer{p.next, t.ID, offset})
			}
		}
		for offset := range t.ranks {
			f.rankUp(offset)
		}
		f.holdParked()
	}
	r.note(f)
}

// note keeps work in step with a feed.
func (r *ready) note(f *feed) {
	r.gather(f)
	if f.hasWork() {
		r.work[f.trigger.ID] = f
	} else {
		delete(r.work, f.trigger.ID)
	}
	f.giveBack()
}

// absorb takes over what apply changed.
func (r *ready) absorb(changes []change) {
	for _, c := range changes {
		if c.kind == changeTrigger {
			if t := r.machine.triggers[c.trigger]; t != nil {
				r.sync(t)
			} else {
				delete(r.feeds, c.trigger)
				delete(r.work, c.trigger)
			}
			continue
		}
		f := r.feeds[c.trigger]
		if f == nil { // this is its first event, or there is nothing left of it
			if t := r.machine.triggers[c.trigger]; t != nil {
				r.sync(t)
			}
			continue
		}
		r.absorbOne(f, c)
		r.note(f)
	}
}

func (r *ready) absorbOne(f *feed, c change) {
	switch c.kind {
	case changeAdded:
		f.rankUp(c.offset)
		later := f.trigger.progress[c.offset].next
		if later > 0 {
			r.schedule(timer{later, c.trigger, c.offset})
		}
		if c.offset < f.scan {
			f.passed++
			if later == 0 || f.trigger.Order == "key" { // else its timer brings it; in order, it holds up its key until then
				f.addAgain(c.offset)
			}
		}
	case changeSettled:
		delete(f.running, c.offset)
		delete(f.aside, c.offset)
		delete(f.early, c.offset)
		if c.timed {
			r.outdated()
		}
		if c.offset < f.scan {
			f.passed--
		}
		f.release(c.offset)
	case changeRetry:
		delete(f.running, c.offset)
		if p := f.trigger.progress[c.offset]; p.next > 0 {
			r.schedule(timer{p.next, c.trigger, c.offset})
		}
	case changeRedrive:
		if c.offset < f.scan {
			f.passed++
			f.due = append(f.due, c.offset)
		}
	case changeParked, changeUnparked:
		f.absorbParked(c)
	}
}

// release gives the lane that a settled offset owned to the next in its queue.
func (f *feed) release(offset uint64) {
	hash, ok := f.owns[offset]
	if !ok || f.trigger.parked.isHead(offset) {
		return
	}
	delete(f.owns, offset)
	l := f.lanes[hash]
	if f.giveToHead(hash, l) {
		return
	}
	for len(l.queue) > 0 {
		first := l.next()
		if f.trigger.pending.has(first.offset) && f.trigger.at(first.offset).generation == first.generation {
			l.owner = first.offset
			put(&f.owns, first.offset, hash)
			f.due = append(f.due, first.offset)
			return
		}
	}
	delete(f.lanes, hash)
}

// claim says whether an offset may run now as far as the order of its key goes; if not, it queues.
func (f *feed) claim(offset uint64, key string) bool {
	if f.trigger.Order != "key" || key == "" {
		return true
	}
	hash := laneOf(key)
	l := f.lanes[hash]
	if l == nil {
		put(&f.lanes, hash, &lane{owner: offset})
		put(&f.owns, offset, hash)
		return true
	}
	if f.headFirst(hash, l, offset); l.owner == offset {
		return true
	}
	w := queued{offset, f.trigger.at(offset).generation}
	if offset > l.last || !l.has(w) { // a key with a million events waiting must not be searched for each of them
		l.put(w, false)
	}
	return false
}

// pick takes the next offset that has its turn, marked running. waiting means that its time has not come: it only claims the lane of its key.
func (f *feed) pick(now int64) (offset uint64, waiting, ok bool) {
	if f.trigger.Paused {
		return 0, false, false
	}
	for len(f.due) > 0 {
		offset, f.due = f.due[0], f.due[1:]
		if _, running := f.running[offset]; running || !f.trigger.pending.has(offset) {
			continue
		}
		if f.waits(offset, now) { // failed again since it came due
			continue
		}
		put(&f.running, offset, struct{}{})
		return offset, false, true
	}
	if offset, waiting, ok = f.takeAgain(now); waiting {
		return offset, true, true
	}
	if !ok {
		offset, ok = f.takeRanked(true, now)
	}
	if ok {
		put(&f.running, offset, struct{}{})
		return offset, false, true
	}
	for !f.gather.open {
		offset, ok = f.trigger.pending.next(f.scan)
		if !ok || offset >= f.trigger.position.limit() {
			break
		}
		f.scan = offset + 1
		f.passed++
		f.gather.until = 0
		if f.trigger.ranks[offset] != 0 || f.early[offset] { // it has its turn by its rank, or has had it
			delete(f.early, offset)
			continue
		}
		waiting = f.waits(offset, now)
		if waiting && f.trigger.Order != "key" {
			continue
		}
		if !waiting {
			put(&f.running, offset, struct{}{})
		}
		return offset, waiting, true
	}
	if offset, ok = f.takeRanked(false, now); ok {
		put(&f.running, offset, struct{}{})
	}
	return offset, false, ok
}

// waits says whether the time of an offset has not come; then there is a timer that brings it. That may have fired already by a clock that was ahead of now: who picks
// reads the time before it has the lock, and clocks are set back.
func (f *feed) waits(offset uint64, now int64) bool {
	next := f.trigger.progress[offset].next
	if next > now && next <= f.ready.fired {
		f.ready.schedule(timer{next, f.trigger.ID, offset})
	}
	return next > now
}

// unpick gives back an offset that was picked and did not run to a verdict.
func (r *ready) unpick(trigger, offset uint64) {
	f := r.feeds[trigger]
	if f == nil {
		return
	}
	if _, ok := f.running[offset]; ok {
		f.unpick(offset)
		r.note(f)
	}
}

func (f *feed) unpick(offset uint64) {
	delete(f.running, offset)
	f.due = slices.Insert(f.due, 0, offset)
}

func (r *ready) schedule(t timer) {
	heap.Push(&r.timers, t)
	r.earlier = r.earlier || r.timers[0] == t
}

// takeEarlier says whether the earliest timer has changed since the last call.
func (r *ready) takeEarlier() bool {
	was := r.earlier
	r.earlier = false
	return was
}

// fire makes due what waited until now and returns the next time something is due, 0 for never.
func (r *ready) fire(now int64) int64 {
	r.fired = max(r.fired, now)
	for len(r.timers) > 0 && r.timers[0].at <= now {
		t := heap.Pop(&r.timers).(timer)
		f := r.feeds[t.trigger]
		if f != nil && t.offset == 0 {
			r.note(f) // its batch goes as it is
			continue
		}
		if !r.isCurrent(t) || !f.looked(t.offset) {
			continue // gone, not looked at yet, or an old timer: what is true now stands elsewhere
		}
		if _, running := f.running[t.offset]; running || !f.trigger.pending.has(t.offset) {
			continue
		}
		f.due = append(f.due, t.offset)
		r.note(f)
	}
	if len(r.timers) == 0 {
		return 0
	}
	return r.timers[0].at
}

// timer is the time at which a pending event is due, or, with offset 0, at which a trigger waits no longer for its batch to fill.
type timer struct {
	at      int64
	trigger uint64
	offset  uint64
}

type timers []timer

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].offset < t[j].offset
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = (*t)[:last]
	return x
}

package scheduler

import (
	"container/heap"
	"context"
	"slices"
	"sync"
)

// processors are shared by all functions of the node: a guest runs while it has one. Whose turn is next follows from what each function has used, so that one
// with a million events waiting, or with guests that do not end, takes from the others only what they leave. The currency is fuel.
//
//	start ─► waiting ─► running ─► end
//	                     │    ▲
//	                     │    └─ parked ◄─┐
//	                     ├─ yield: others have used less ─┤
//	                     └─ away: asleep ─────────────────┘
//
// A guest that has begun keeps its seat and its memory until it ends, wherever it is. One that waits takes nothing.
type processors struct {
	room  func()    // called, without mu, when a function that was limited may have more in progress; does not block
	seats *seats    // their numbers are guarded by mu
	spare sync.Pool // of guests that have ended, with their channels

	mu      sync.Mutex
	free    int      // processors that nobody runs on
	running []*guest // on the others
	budget  int64    // bytes that guests which have begun may take together
	taken   int64
	events  int      // in progress: taken, and not settled or given back
	most    int      // of them
	queue   shares   // those of whom somebody waits or is parked
	stuck   []*share // those of whom nobody can begin before another guest ends
	now     uint64   // virtual time: the least that a function in the queue or on a processor had used when it was last looked at
}

// guest is an attempt's claim to a processor.
type guest struct {
	share  *share
	key    *keyUse // nil = its function is not fair to keys
	events int     // of its batch
	memory int64   // bytes that it may take
	seat   int     // while it has begun
	on     bool    // it has a processor; guarded by processors.mu
	paid   int64   // of the fuel that it has used

	deadline *deadline // stands still while it is parked; nil until it runs

	granted chan struct{}
}

func (p *processors) newGuest(s *share, key *keyUse, events int, memory int64) *guest {
	g, ok := p.spare.Get().(*guest)
	if !ok {
		g = &guest{granted: make(chan struct{}, 1)}
	}
	g.share, g.key, g.events, g.memory, g.paid, g.deadline = s, key, events, memory, 0, nil
	return g
}

const (
	// fuelOfAttempt is what an attempt costs around its guest, so that many that do nothing pay too.
	fuelOfAttempt = 100_000

	// slice is by how much the others must have used less before a guest makes room for one that was parked. Two floods would else change places at every look.
	slice = 1_000_000

	// weightUnit keeps the precision of fuel divided by a weight.
	weightUnit = 100
)

func newProcessors(n int, budget int64, events int, seats *seats, room func()) *processors {
	return &processors{free: n, budget: budget, most: events, seats: seats, room: room}
}

// start waits until a guest may begin; false means that ctx has ended before. Whoever got true calls end.
func (p *processors) start(ctx context.Context, s *share, key *keyUse, events int, memory int64) (g *guest, ok bool) {
	g = p.newGuest(s, key, events, memory)
	p.mu.Lock()
	p.arrive(g.share)
	p.arriveKey(g)
	g.share.waiting = append(g.share.waiting, g)
	g.share.coming = max(0, g.share.coming-1) // one that runs again has come before: the count is right again when the function has a pause
	p.push(g.share)
	p.hand()
	p.mu.Unlock()
	if p.await(ctx, g) {
		return g, true
	}
	p.mu.Lock()
	began := g.on
	if !began {
		g.share.waiting = without(g.share.waiting, g)
		g.leaveKey()
		p.settle(g.share)
	}
	p.mu.Unlock()
	if began {
		<-g.granted
		p.end(g, 0)
	}
	return nil, false
}

// end is for a guest that has begun, and is not used any more. fuel is what it has used in all.
func (p *processors) end(g *guest, fuel int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.spare.Put(g)
	p.charge(g, fuel)
	p.pay(g, fuelOfAttempt)
	p.leave(g)
	g.leaveKey()
	p.taken -= g.memory
	p.seats.give(g.seat)
	for _, s := range p.stuck { // there may be room now
		s.at = nowhere
		p.push(s)
	}
	clear(p.stuck)
	p.stuck = p.stuck[:0]
	p.hand()
}

// yield lets guests of other functions run that have more of a right to. fuel is what the guest has used so far.
func (p *processors) yield(ctx context.Context, g *guest, fuel int64) {
	p.mu.Lock()
	p.charge(g, fuel)
	if !g.on || !p.outdone(g) { // without one its time is over
		p.mu.Unlock()
		return
	}
	p.leave(g)
	p.park(ctx, g)
}

// outdone says whether a guest has to make room for the first in the queue.
func (p *processors) outdone(g *guest) bool {
	if len(p.queue) == 0 {
		return false
	}
	s, first := g.share, p.queue[0]
	if first == s {
		return g.key != nil && p.outdoneByKey(g)
	}
	if len(first.parked) > 0 {
		return first.used+slice < s.used
	}
	return first.used < s.used
}

// outdoneByKey says whether a guest of its function that could run now has a key that has used less.
func (p *processors) outdoneByKey(g *guest) bool {
	s := g.share
	if i := s.leastUsed(s.parked); i >= 0 && s.parked[i].key.used+slice < g.key.used {
		return true
	}
	i := s.leastUsed(s.waiting)
	return i >= 0 && s.waiting[i].key.used < g.key.used && p.holds(s.waiting[i]) == ""
}

// outside runs wait, for which a guest needs no processor.
func (p *processors) outside(ctx context.Context, g *guest, fuel int64, wait func()) {
	p.mu.Lock()
	p.charge(g, fuel)
	p.leave(g)
	g.share.away++
	p.hand()
	limited := g.share.limited != ""
	p.mu.Unlock()
	if limited {
		p.room()
	}
	wait()
	p.mu.Lock()
	g.share.away--
	p.arrive(g.share)
	p.park(ctx, g)
}

// park waits for a processor, until ctx ends: then the guest goes on without one, for as long as it takes to stop it. It gives mu back.
func (p *processors) park(ctx context.Context, g *guest) {
	g.share.parked = append(g.share.parked, g)
	p.push(g.share)
	p.hand()
	p.mu.Unlock()
	select {
	case <-g.granted:
		return
	default:
	}
	if g.deadline != nil {
		g.deadline.hold()
		defer g.deadline.resume()
	}
	if p.await(ctx, g) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.on {
		<-g.granted // it must not be taken for the next one
		return
	}
	g.share.parked = without(g.share.parked, g)
	g.share.away++
	p.settle(g.share)
}

// await returns when the guest has a processor; false means that ctx has ended, and only mu tells whether it has one.
func (p *processors) await(ctx context.Context, g *guest) bool {
	if ctx.Err() == nil {
		select {
		case <-g.granted: // as most often: that ctx can end need not be asked
			return true
		default:
		}
	}
	select {
	case <-g.granted:
		return true
	case <-ctx.Done():
		return false
	}
}

// What follows needs mu.

// hand gives processors to those whose turn it is.
func (p *processors) hand() {
	for p.free > 0 && len(p.queue) > 0 {
		s := p.queue[0]
		g := p.next(s)
		if g == nil {
			heap.Remove(&p.queue, 0)
			s.at = inStuck
			p.stuck = append(p.stuck, s)
			continue
		}
		p.settle(s)
		p.free--
		s.running++
		p.running = append(p.running, g)
		g.on = true
		g.granted <- struct{}{} // it has room for one
	}
}

// next takes the first guest of a function out of line; nil = it cannot begin now.
func (p *processors) next(s *share) *guest {
	i, j := s.leastUsed(s.parked), s.leastUsed(s.waiting)
	if i >= 0 && (j < 0 || !(s.waiting[j].key != nil && s.parked[i].key != nil && s.waiting[j].key.used < s.parked[i].key.used && p.holds(s.waiting[j]) == "")) {
		g := s.parked[i]
		s.parked = slices.Delete(s.parked, i, i+1)
		return g
	}
	g := s.waiting[j]
	if s.held = p.holds(g); s.held != "" {
		return nil
	}
	s.waiting = slices.Delete(s.waiting, j, j+1)
	p.taken += g.memory
	g.seat = p.seats.take(g.events)
	return g
}

// holds says why a guest cannot begin.
func (p *processors) holds(g *guest) holding {
	switch {
	case g.share.max > 0 && g.share.begun() >= g.share.max:
		return heldByMax
	case p.taken > 0 && p.taken+g.memory > p.budget: // one that is larger than all there is still runs, alone
		return heldByMemory
	case !p.seats.room(g.events):
		return heldBySeats
	}
	return ""
}

// leave takes the processor from a guest, if it has one.
func (p *processors) leave(g *guest) {
	if !g.on {
		g.share.away--
		return
	}
	g.on = false
	g.share.running--
	p.free++
	p.running = without(p.running, g)
}

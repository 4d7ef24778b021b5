package scheduler

import (
	"cmp"
	"container/heap"
	"slices"
	"sync/atomic"

	"github.com/evoke-run/evoke/fetch"
)

// share is one function's part of the processors, over its revisions. It is guarded by processors.mu.
type share struct {
	name        functionName
	weight      uint64 // of two functions that both want more than there is, one with twice the weight gets twice the fuel
	max         int    // guests that may have begun at once; 0 = as many as there is room for
	concurrency int    // events and calls in progress at once; 0 = no limit

	fetch atomic.Pointer[fetch.Function] // of the first revision that may; it has no other lock

	events  int      // and calls in progress, until they are settled
	calls   int      // of those
	coming  int      // of the events and calls, those that have not lined up yet
	burnt   int64    // fuel
	used    uint64   // the same, and what attempts cost beside it, by weight
	waiting []*guest // have not begun, in order
	parked  []*guest // have begun, in order
	running int
	away    int
	held    holding // why the first that waits could not begin when it was last its turn; "" = it was not held
	limited holding // why no more events were taken when there was last a look
	at      int     // in the queue, or inStuck, or nowhere
}

const (
	nowhere = -1
	inStuck = -2
)

func newShare(name functionName) *share { return &share{name: name, weight: 1, at: nowhere} }

// begun is how many guests have a seat and memory.
func (s *share) begun() int { return s.running + len(s.parked) + s.away }

// keyUse is what a key of a function has used that is fair to its keys. It is guarded by processors.mu.
type keyUse struct {
	used   uint64 // fuel, and what attempts cost beside it
	guests int    // that wait, run, or are parked or away
}

// leastUsed is the first guest of a list whose key has used least; -1 = there is none.
func (s *share) leastUsed(list []*guest) int {
	least := -1
	for i, g := range list {
		if g.key == nil {
			return 0
		}
		if least < 0 || g.key.used < list[least].key.used {
			least = i
		}
	}
	return least
}

// configure sets what fn.yaml says of a function.
func (p *processors) configure(s *share, weight, max, concurrency int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.weight, s.max, s.concurrency = uint64(weight), max, concurrency
}

// inOrder sorts what is next by what its functions have used.
func (p *processors) inOrder(next []ready) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortFunc(next, func(a, b ready) int { return cmp.Compare(a.function.share.used, b.function.share.used) })
}

// What follows needs processors.mu.

// arrive is for a function that wants a processor. The time in which it wanted none is not saved up.
func (p *processors) arrive(s *share) {
	if s.running == 0 && s.at == nowhere {
		s.used = max(s.used, p.virtual())
	}
}

func (p *processors) virtual() uint64 {
	least, any := uint64(0), false
	if len(p.queue) > 0 {
		least, any = p.queue[0].used, true
	}
	for _, g := range p.running {
		if !any || g.share.used < least {
			least, any = g.share.used, true
		}
	}
	p.now = max(p.now, least)
	return p.now
}

func (p *processors) charge(g *guest, fuel int64) {
	more := max(0, fuel-g.paid)
	g.paid += more
	g.share.burnt += more
	p.pay(g, more)
}

func (p *processors) pay(g *guest, fuel int64) {
	s := g.share
	s.used += uint64(fuel) * weightUnit / s.weight
	if s.at >= 0 {
		heap.Fix(&p.queue, s.at)
	}
	if g.key != nil {
		g.key.used += uint64(fuel)
	}
}

// arriveKey is arrive for the key of a guest within its function.
func (p *processors) arriveKey(g *guest) {
	if g.key == nil {
		return
	}
	if g.key.guests == 0 {
		least, any := uint64(0), false
		for _, list := range [][]*guest{g.share.waiting, g.share.parked, p.running} {
			for _, o := range list {
				if o.share == g.share && o.key != nil && (!any || o.key.used < least) {
					least, any = o.key.used, true
				}
			}
		}
		g.key.used = max(g.key.used, least)
	}
	g.key.guests++
}

func (g *guest) leaveKey() {
	if g.key != nil {
		g.key.guests--
	}
}

// push puts a function in line.
func (p *processors) push(s *share) {
	switch s.at {
	case nowhere:
		heap.Push(&p.queue, s)
	case inStuck:
		if len(s.parked) == 0 {
			return // it is still its turn to wait
		}
		p.stuck = without(p.stuck, s)
		heap.Push(&p.queue, s)
	default:
		heap.Fix(&p.queue, s.at)
	}
}

// settle takes a function out of line of whom nobody waits.
func (p *processors) settle(s *share) {
	if len(s.waiting)+len(s.parked) > 0 {
		return
	}
	switch {
	case s.at >= 0:
		heap.Remove(&p.queue, s.at)
	case s.at == inStuck:
		p.stuck = without(p.stuck, s)
	}
	s.at, s.held = nowhere, ""
}

func without[T comparable](list []T, one T) []T {
	if i := slices.Index(list, one); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// shares is the heap of those that wait: the one that has used least is the first.
type shares []*share

func (h shares) Len() int           { return len(h) }
func (h shares) Less(i, j int) bool { return h[i].used < h[j].used }
func (h shares) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *shares) Push(x any) {
	s := x.(*share)
	s.at = len(*h)
	*h = append(*h, s)
}
func (h *shares) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.at = nowhere
	return s
}

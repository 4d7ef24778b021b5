package sandbox

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxInstances is how many events of a module run at once by default. Each instance is two mappings, of which Linux gives a process 65,530.
const maxInstances = 1000

// pool keeps a module's instances that wait for an event. The last one in is the first one out, so that few are warm and the others grow cold:
//
//	new ─► running ─► idle ─► trimmed ─► closed
//	          ▲         │        │
//	          └─────────┴────────┘
type pool struct {
	running chan struct{} // one token for each event that runs; no more instances wait than may run

	keep int // instances that stay warm however long they wait

	mu     sync.Mutex
	idle   []*instance // the coldest first
	closed bool
}

func newPool(limit, keep int) *pool {
	return &pool{running: make(chan struct{}, limit), keep: min(keep, limit)}
}

// missing is how many instances there are too few of.
func (p *pool) missing() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0
	}
	return max(0, p.keep-len(p.idle)-len(p.running))
}

// enter waits for its turn until ctx ends.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.running <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) leave() { <-p.running }

// take returns the warmest instance, or nil.
func (p *pool) take() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	i := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	i.trimmed = false
	return i
}

// put keeps an instance, unless the pool is closed or full.
func (p *pool) put(i *instance, now time.Time) (kept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= cap(p.running) {
		return false
	}
	i.idleSince = now
	p.idle = append(p.idle, i)
	return true
}

// close ends the keeping and returns what was kept.
func (p *pool) close() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	return idle
}

// takeIdle returns the instances that have waited since before a time.
func (p *pool) takeIdle(before time.Time) []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle)-p.keep && p.idle[n].idleSince.Before(before) {
		n++
	}
	taken := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	return taken
}

// takeUntrimmed returns those that have waited since before a time and still hold memory.
func (p *pool) takeUntrimmed(before time.Time) []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	var taken []*instance
	left := len(p.idle)
	p.idle = slices.DeleteFunc(p.idle, func(i *instance) bool {
		if left--; left < p.keep {
			return false
		}
		if i.trimmed || i.used || !i.idleSince.Before(before) {
			return false
		}
		taken = append(taken, i)
		return true
	})
	return taken
}

// putCold gives instances back that were idle all the time, and returns those there is no place for: events made new ones meanwhile.
func (p *pool) putCold(cold []*instance) (left []*instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return cold
	}
	n := min(len(cold), cap(p.running)-len(p.idle))
	p.idle = append(p.idle, cold[len(cold)-n:]...)
	slices.SortStableFunc(p.idle, func(a, b *instance) int { return a.idleSince.Compare(b.idleSince) })
	return cold[:len(cold)-n]
}

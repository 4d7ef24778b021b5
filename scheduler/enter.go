package scheduler

// holding says what an event or a guest that is next cannot have.
type holding string

const (
	heldByConcurrency holding = "concurrency"
	heldByMax         holding = "scale.max"
	heldByProcessors  holding = "processors"
	heldByMemory      holding = "memory"
	heldBySeats       holding = "instances"
)

// enter lets up to n more events of a function be in progress and says how many. Each ends with exit.
func (p *processors) enter(s *share, memory int64, n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.demand(s, memory)
	d.wanted = s.events + n
	target, why := scale(d)
	s.limited = why
	n = max(0, min(target-s.events, p.most-p.events))
	s.events += n
	s.coming += n
	p.events += n
	return n
}

// limit notes what else keeps a function from having more in progress.
func (p *processors) limit(s *share, why holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.limited = why
}

func (p *processors) demand(s *share, memory int64) demand {
	return demand{
		concurrency: s.concurrency, max: s.max, settling: s.events - s.begun() - len(s.waiting) - s.coming, begun: s.begun(), away: s.away,
		functions: 1 + len(p.queue) + len(p.stuck), memory: memory, free: p.budget - p.taken,
	}
}

// exit is for n events that have been settled, or given back.
func (p *processors) exit(s *share, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.events -= n
	p.events -= n
	s.gone()
}

// gone is for events and calls that have ended, some of which may never have lined up.
func (s *share) gone() { s.coming = max(0, min(s.coming, s.events-s.begun()-len(s.waiting))) }

// full says that no function may have another event in progress.
func (p *processors) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events >= p.most
}

// inProgress is how many events were taken and are not settled.
func (p *processors) inProgress() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events
}

// call lets a synchronous call in, unless its function has as many events and calls in progress as it may. It ends with hangUp.
func (p *processors) call(s *share) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.concurrency > 0 && s.events >= s.concurrency {
		return false
	}
	s.events++
	s.calls++
	s.coming++
	return true
}

func (p *processors) hangUp(s *share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.events--
	s.calls--
	s.gone()
}

package scheduler

import (
	"math"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// pace is how many events of a trigger may be in progress with regard to what is behind its function: fewer when that says it is overloaded, more again when it is
// not. Nothing has to be configured, and without a sign of overload there is no limit.
type pace struct {
	mu       sync.Mutex
	state    pacing
	inFlight int
	timer    *time.Timer // wakes the dispatcher when a hold ends; nil = none
}

// pacing is what a pace has learned. It is a value: after makes the next one.
type pacing struct {
	limit     float64   // 0 = none
	threshold float64   // up to here it grows fast: there it was half of what was too much
	until     time.Time // nothing begins before

	since time.Time // of the last change; attempts that began earlier tell of what was before it
	seen  int       // ended since then, or since the last look
	bad   int       // of those, the ones that met an overload
	retry time.Time // the latest time that one of them was asked to wait for
}

// met is what an attempt has met.
type met struct {
	began, ended time.Time
	overload     bool
	retryAfter   time.Duration // what it was asked to wait; -1 = nothing
	inFlight     int           // with itself
}

const (
	// paceWindow is how many attempts a look is at, at most: of fewer in flight, as many as these are.
	paceWindow = 16
	// paceShare is the part of them that must have met an overload. Below it, it is more likely a few events that cannot be handled.
	paceShare = 0.1
	// paceFree is the limit at which there is none any more.
	paceFree = 512
)

// after is what is learned from one more attempt: additive increase, multiplicative decrease, once for each round of attempts.
func (p pacing) after(m met) pacing {
	if m.began.Before(p.since) {
		return p
	}
	p.seen++
	if m.overload {
		p.bad++
		if at := m.ended.Add(min(m.retryAfter, maxRetryAfter)); m.retryAfter > 0 && at.After(p.retry) {
			p.retry = at
		}
	}
	round := float64(m.inFlight)
	if p.limit > 0 {
		round = p.limit
	}
	if p.seen < int(min(max(1, math.Ceil(round)), paceWindow)) {
		return p
	}
	next := pacing{limit: p.limit, threshold: p.threshold, until: p.until, since: p.since}
	switch {
	case p.bad == 0:
		next.grow()
	case float64(p.bad) >= paceShare*float64(p.seen):
		next.shrink(round, m.ended)
		if p.bad == p.seen && p.retry.After(m.ended) { // all of them, and they were told when to come again
			next.until, next.limit = p.retry, 1
		}
	}
	return next
}

func (p *pacing) grow() {
	switch {
	case p.limit == 0:
	case p.limit < p.threshold:
		p.limit = min(2*p.limit, p.threshold)
	default:
		p.limit++
	}
	if p.limit >= paceFree {
		*p = pacing{since: p.since}
	}
}

func (p *pacing) shrink(from float64, now time.Time) {
	p.threshold = max(1, from/2)
	p.limit, p.since = p.threshold, now
}

// room says how many more events may be taken, up to n, and what keeps it from being more.
func (p *pacing) room(inFlight, n int, now time.Time) (int, holding) {
	if now.Before(p.until) {
		return 0, heldByRetryAfter
	}
	if p.limit == 0 {
		return n, ""
	}
	if most := max(1, int(p.limit)) - inFlight; most < n {
		return max(0, most), heldByOverload
	}
	return n, ""
}

// What a trigger waits for when what is behind its function is overloaded.
const (
	heldByOverload   holding = "overload"
	heldByRetryAfter holding = "retry-after"
)

// take reserves up to n places; the rest of what it reserved, and each that has ended, is given back by done.
func (p *pace) take(n int) (int, holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, why := p.state.room(p.inFlight, n, time.Now())
	p.inFlight += n
	return n, why
}

func (p *pace) done(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight -= n
}

// learn takes over what an attempt has met; wake is called when a hold ends.
func (p *pace) learn(m met, wake func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.inFlight = p.inFlight
	held := p.state.until
	p.state = p.state.after(m)
	if p.state.until.After(held) {
		p.stopTimer()
		p.timer = time.AfterFunc(time.Until(p.state.until), wake)
	}
}

// waits says what keeps events from being taken now, and until when if that is known.
func (p *pace) waits() (why holding, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, why := p.state.room(p.inFlight, 1, time.Now())
	if n > 0 {
		return "", time.Time{}
	}
	if why == heldByRetryAfter {
		until = p.state.until
	}
	return why, until
}

func (p *pace) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopTimer()
}

func (p *pace) stopTimer() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// overload says whether an attempt has met one: it or somebody it sent a request to wants it to come later, its time was over, or it took longer than its function says it should.
func (a *attempt) overload(spec *api.FunctionSpec) bool {
	switch {
	case a.result.Verdict == abi.Failed && (a.result.RetryAfter >= 0 || a.result.Class == sandbox.ClassDeadline || a.pushed):
		return true
	case spec.Adaptive != nil && spec.Adaptive.Latency > 0:
		return a.duration-a.parked > time.Duration(spec.Adaptive.Latency)
	}
	return false
}

// pace is that of a trigger. One that is gone gets one that nobody keeps: what is in progress of it has no other that it could hold up.
func (s *Scheduler) pace(trigger uint64) *pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paces[trigger]
	if p == nil {
		p = &pace{}
		if s.triggers[trigger] != nil {
			s.paces[trigger] = p
		}
	}
	return p
}

// learn is for an attempt of an event that has ended by itself.
func (s *Scheduler) learn(f *function, a *attempt) {
	if a.triggerID == 0 || a.cut != nil || f.spec.Spec.Adaptive != nil && f.spec.Spec.Adaptive.Off {
		return
	}
	retryAfter := time.Duration(-1)
	if a.result.Verdict == abi.Failed {
		retryAfter = a.result.RetryAfter
	}
	s.pace(a.triggerID).learn(met{began: a.start, ended: a.start.Add(a.duration), overload: a.overload(&f.spec.Spec), retryAfter: retryAfter}, s.wake)
}

// forgetPace is for a trigger that is gone. It needs mu.
func (s *Scheduler) forgetPace(trigger uint64) {
	if p := s.paces[trigger]; p != nil {
		p.stop()
		delete(s.paces, trigger)
	}
}

package scheduler

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// executeAs runs a delivery by a revision of choice. When that cannot be loaded, the attempt has failed: it is tried again as others are, and is a dead letter in
// the end.
func (s *Scheduler) executeAs(ctx context.Context, f *function, d *partition.Delivery, revision int) {
	as, done, err := s.revision(ctx, f, revision)
	if err == nil {
		defer done()
		s.executeIn(ctx, as, d)
		return
	}
	if ctx.Err() != nil {
		s.opts.Table.Release(d)
		return
	}
	for one := range d.All() {
		alone := one.Alone()
		a := attempt{
			invocation: invocationOf(alone), revision: revision, start: time.Now(),
			result: sandbox.Result{Verdict: abi.Failed, Class: sandbox.ClassInternal, Reason: fmt.Sprintf("load revision %d: %v", revision, err), RetryAfter: -1},
		}
		if _, err := s.settle(ctx, f, alone, a); err != nil {
			s.cannotSettle(f, alone, err)
		}
	}
}

// revision returns a function as it is in one of its revisions, 0 = the one that is given, until done is called.
func (s *Scheduler) revision(ctx context.Context, f *function, revision int) (as *function, done func(), err error) {
	if revision == 0 || revision == f.spec.Revision {
		return f, func() {}, nil
	}
	return s.pins.acquire(ctx, f, revision)
}

// maxPins is how many revisions that are not the newest stay loaded while nobody uses them. What is loaded and idle is little: the sandbox gives its memory back.
const maxPins = 32

// pins are revisions that are not the newest and that redrives, or traffic, asked for.
type pins struct {
	scheduler *Scheduler

	mu   sync.Mutex
	list []*pin // the one asked for last is the last
}

// pin is one of them. What is below users is guarded by pins.mu, the rest is set before loaded is closed.
type pin struct {
	name     functionName
	revision int
	loaded   chan struct{}
	f        *function
	err      error

	users int
	gone  bool // out of the list; the last user closes it
}

// acquire returns a revision of a function, loaded, until done is called. It shares what the function has over its revisions.
func (p *pins) acquire(ctx context.Context, now *function, revision int) (f *function, done func(), err error) {
	q, mine := p.find(functionName{now.spec.Namespace, now.spec.Name}, revision)
	if mine {
		q.f, q.err = p.load(ctx, now, revision)
		close(q.loaded)
	}
	done = func() { p.leave(q) }
	select {
	case <-q.loaded:
	case <-ctx.Done():
		done()
		return nil, nil, context.Cause(ctx)
	}
	if q.err != nil {
		p.remove(q) // whoever comes next tries again
		done()
		return nil, nil, q.err
	}
	return q.f, done, nil
}

// find returns the pin of a revision, with the caller as a user. mine says that it is new, and the caller loads it.
func (p *pins) find(name functionName, revision int) (q *pin, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.list, func(q *pin) bool { return q.name == name && q.revision == revision })
	if i < 0 {
		p.evict()
		q, mine = &pin{name: name, revision: revision, loaded: make(chan struct{})}, true
	} else {
		q = p.list[i]
		p.list = slices.Delete(p.list, i, i+1)
	}
	q.users++
	p.list = append(p.list, q)
	return q, mine
}

// evict makes room for one more, unless all are in use. It needs mu.
func (p *pins) evict() {
	if len(p.list) < maxPins {
		return
	}
	if i := slices.IndexFunc(p.list, func(q *pin) bool { return q.users == 0 }); i >= 0 {
		p.list[i].f.close()
		p.list = slices.Delete(p.list, i, i+1)
	}
}

func (p *pins) leave(q *pin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.users--
	q.closeIfUnused()
}

// closeIfUnused needs mu.
func (q *pin) closeIfUnused() {
	if q.gone && q.users == 0 && q.err == nil {
		q.f.close()
	}
}

func (p *pins) remove(q *pin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = slices.DeleteFunc(p.list, func(other *pin) bool { return other == q })
	q.gone = true
}

// forget drops the pins of a function that is gone; those in use are closed after it.
func (p *pins) forget(name functionName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = slices.DeleteFunc(p.list, func(q *pin) bool {
		if q.name != name {
			return false
		}
		q.gone = true
		q.closeIfUnused()
		return true
	})
}

func (p *pins) load(ctx context.Context, now *function, revision int) (*function, error) {
	s := p.scheduler
	spec, err := s.opts.Registry.Revision(ctx, now.spec, revision)
	if err != nil {
		return nil, err
	}
	f := &function{spec: &spec, policy: newPolicy(spec.Spec.Retry), once: now.once, share: now.share, flow: now.flow, series: now.series, close: func() {}}
	return f, s.load(ctx, f)
}

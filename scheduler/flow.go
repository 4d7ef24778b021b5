package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

// flow is what fn.yaml says of how the events of a function begin, by key and in time. An event that has been taken passes all its rules before it runs; one that may
// not yet is put aside, so that those of other keys pass it, and is handed out again when it may:
//
//	taken ─► rate limit ─► concurrency of its key, fair ─► throttle ─► runs ─► leaves
//	              │                     │                     │
//	              ▼                     └────► aside ◄────────┘
//	           dropped                   (maxAside at most)
//
// What is put aside is only known here: after a restart it is taken anew. What a rate has used up is known to the partitions.
//
// It is one for all revisions of a function; its rules are those of the newest.
type flow struct {
	table *partition.Table
	name  functionName
	rules atomic.Pointer[[]*rule] // in the order in which an event passes them; nil = none

	mu    sync.Mutex // the maps are made with the first rule
	aside map[partition.ID]*group
	fresh map[partition.ID]struct{} // of those aside, the ones that the rate limit has let pass
}

// maxAside is how many events of a function may be aside: so far ahead of those that may not begin is looked for others that may.
const maxAside = 100_000

// pass is what an event or call holds of the rules.
type pass struct {
	flow   *flow
	groups []*group
}

func newFlow(table *partition.Table, name functionName) *flow {
	return &flow{table: table, name: name}
}

// full says that no more events of the function can be put aside.
func (f *flow) full() bool {
	if len(f.current()) == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.aside) >= maxAside
}

// passage is what becomes of an event at the rules.
type passage int

const (
	passed passage = iota
	putAside
	dropped // by the rate limit
)

// enter brings a taken event to the rules. Whoever passed leaves; what was put aside is not the caller's any more.
func (f *flow) enter(ctx context.Context, d *partition.Delivery) (*pass, passage, error) {
	rules := f.current()
	if len(rules) == 0 {
		return nil, passed, nil
	}
	p := &pass{flow: f}
	for _, r := range rules {
		how, err := passed, error(nil)
		key := r.keyOf(&d.Event)
		switch r.why {
		case heldByRate:
			how, err = f.count(ctx, r, key, d)
		case heldByThrottle:
			how, err = f.begin(ctx, r, key, d.ID)
		default:
			if !f.occupy(p, r, key, d.ID) {
				how = putAside
			}
		}
		if err != nil || how != passed {
			p.leave()
			return nil, how, err
		}
	}
	f.mu.Lock()
	f.forget(d.ID)
	f.mu.Unlock()
	return p, passed, nil
}

// enterCall brings a synchronous call to the rules: it does not wait.
func (f *flow) enterCall(ctx context.Context, e *event.Event) (*pass, error) {
	rules := f.current()
	if len(rules) == 0 {
		return nil, nil
	}
	p := &pass{flow: f}
	for _, r := range rules {
		key := r.keyOf(e)
		switch r.why {
		case heldByFair: // it waits for its turn at the processors
			f.join(p, r, key)
		case heldByKey:
			if !f.occupy(p, r, key, partition.ID{}) {
				p.leave()
				return nil, fmt.Errorf("%w: %s runs %d at once of the key %.40q, its concurrency", ErrBusy, f.name.name, r.limit, key)
			}
		default:
			rate := r.rate
			rate.Key = key
			ok, next, err := f.table.Admit(context.WithoutCancel(ctx), rate)
			if err == nil && !ok {
				err = &ThrottledError{Function: f.name.name, Rule: string(r.why), Until: next}
			}
			if err != nil {
				p.leave()
				return nil, err
			}
		}
	}
	return p, nil
}

// occupy takes one of the places of a group, or puts the event aside; a call, which has no id, is not.
func (f *flow) occupy(p *pass, r *rule, key string, id partition.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := r.group(key)
	if g.busy >= r.most() {
		if id != (partition.ID{}) {
			f.putAside(g, id)
		}
		return false
	}
	g.busy++
	p.groups = append(p.groups, g)
	return true
}

// join is occupy for whom there is always a place.
func (f *flow) join(p *pass, r *rule, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := r.group(key)
	g.busy++
	p.groups = append(p.groups, g)
}

// use is where what an event uses counts for its key; nil when its function is not fair to keys. The event is among those of its group.
func (f *flow) use(e *event.Event) *keyUse {
	for _, r := range f.current() {
		if r.why != heldByFair {
			continue
		}
		key := r.keyOf(e)
		f.mu.Lock()
		defer f.mu.Unlock()
		return &r.group(key).keyUse
	}
	return nil
}

func (f *flow) putAside(g *group, id partition.ID) {
	var until time.Time
	if g.rule.why == heldByThrottle {
		until = g.until
		if until.IsZero() { // the partition has not answered yet
			until = time.Now().Add(g.rule.rate.Interval)
		}
		until = until.Add(time.Duration(len(g.queue)) * g.rule.rate.Interval)
	}
	if f.table.SetAside(id, string(g.rule.why), until) { // else somebody has canceled it
		g.queue = append(g.queue, id)
		f.aside[id] = g
	}
}

// leave gives back what an event or a call held and hands out those of its groups that may pass now.
func (p *pass) leave() {
	if p == nil || len(p.groups) == 0 {
		return
	}
	f := p.flow
	f.mu.Lock()
	var next []partition.ID
	for _, g := range p.groups {
		g.busy--
		next = append(next, g.pop(g.rule.most()-g.busy)...)
		g.drop()
	}
	f.mu.Unlock()
	f.handOut(next)
}

// handOut lets events be taken again. One that has ended meanwhile makes room for the next of its group.
func (f *flow) handOut(ids []partition.ID) {
	for len(ids) > 0 {
		id := ids[0]
		ids = ids[1:]
		if !f.table.Resume(id) {
			f.mu.Lock()
			ids = append(ids, f.inPlaceOf(id)...)
			f.mu.Unlock()
		}
	}
}

// gone is for an event that is aside and does not come again. It returns what may pass in its place.
func (f *flow) gone(id partition.ID) []partition.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g := f.aside[id]; g != nil {
		g.queue = without(g.queue, id)
	}
	return f.inPlaceOf(id)
}

// inPlaceOf is gone for an event that has left its queue already, which may be long. The caller holds mu.
func (f *flow) inPlaceOf(id partition.ID) []partition.ID {
	g := f.aside[id]
	f.forget(id)
	if g == nil {
		return nil
	}
	defer g.drop()
	if g.rule.why == heldByThrottle {
		f.arm(g)
		return nil
	}
	return g.pop(g.rule.most() - g.busy)
}

func (f *flow) forget(id partition.ID) {
	delete(f.aside, id)
	delete(f.fresh, id)
}

// clear hands out all that is aside: the rules, or what triggers do, may have changed.
func (f *flow) clear() {
	f.mu.Lock()
	ids := slices.SortedFunc(maps.Keys(f.aside), func(a, b partition.ID) int { // about as they came
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Trigger, b.Trigger))
	})
	clear(f.aside)
	for _, r := range f.current() {
		for _, g := range r.groups {
			g.queue, g.due = nil, 0
			g.disarm()
			f.arm(g)
			g.drop()
		}
	}
	f.mu.Unlock()
	for _, id := range ids {
		f.table.Resume(id)
	}
}

// stop ends the timers.
func (f *flow) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.current() {
		for _, g := range r.groups {
			g.disarm()
		}
	}
}

package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
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

// What an event waits for, or a call was refused for, beside what processors say.
const (
	heldByKey      holding = "concurrency of its key"
	heldByFair     holding = "fair"
	heldByThrottle holding = "throttle"
	heldByRate     holding = "rateLimit"
	heldByAside    holding = "events that wait for their key or time"
)

// rule is one of fn.yaml.
type rule struct {
	why    holding
	text   string
	key    *filter.Value     // nil = all events are one group
	limit  int               // of a group at once; 0 = see most
	rate   partition.Rate    // of rate limit and throttle, without the key
	groups map[string]*group // guarded by flow.mu
}

// group is the events of one key. It is there while any is in progress, aside, or has to wait for a time.
type group struct {
	keyUse // of a function that is fair to its keys

	rule  *rule
	key   string
	busy  int            // events and calls that have passed
	queue []partition.ID // aside, in order

	// Of a throttle.
	asking bool        // somebody asks the partition now
	until  time.Time   // before that the answer is no
	due    int         // of the queue, how many were handed out again to ask
	timer  *time.Timer // hands out the next one; nil = not set
}

// pass is what an event or call holds of the rules.
type pass struct {
	flow   *flow
	groups []*group
}

func newFlow(table *partition.Table, name functionName) *flow {
	return &flow{table: table, name: name}
}

// current are the rules in force.
func (f *flow) current() []*rule {
	if rules := f.rules.Load(); rules != nil {
		return *rules
	}
	return nil
}

// configure takes over the rules of a revision. What is in progress counts on under a rule that has the same key as before.
func (f *flow) configure(spec *api.FunctionSpec) error {
	rules, err := f.read(spec)
	if err != nil {
		return err
	}
	f.mu.Lock()
	for _, old := range f.current() {
		for _, r := range rules {
			if r.why == old.why && r.text == old.text {
				r.groups = old.groups
				for _, g := range r.groups {
					g.rule = r
				}
			}
		}
	}
	if f.rules.Store(&rules); len(rules) == 0 {
		f.rules.Store(nil)
	} else if f.aside == nil {
		f.aside, f.fresh = map[partition.ID]*group{}, map[partition.ID]struct{}{}
	}
	f.mu.Unlock()
	return nil
}

func (f *flow) read(spec *api.FunctionSpec) (rules []*rule, err error) {
	add := func(why holding, text string, r *rule) {
		r.why, r.text, r.groups = why, text, map[string]*group{}
		if text != "" {
			var wrong error
			if r.key, wrong = filter.ParseValue(text); wrong != nil {
				err = errors.Join(err, fmt.Errorf("key of %s: %w", why, wrong))
			}
		}
		rules = append(rules, r)
	}
	if r := spec.RateLimit; r != nil {
		add(heldByRate, r.Key, &rule{rate: f.rate(r, "rateLimit", r.Limit)})
	}
	if k := spec.KeyConcurrency; k != nil {
		add(heldByKey, k.Key, &rule{limit: k.Limit})
	}
	if spec.Fair != "" {
		add(heldByFair, spec.Fair, &rule{})
	}
	if r := spec.Throttle; r != nil {
		add(heldByThrottle, r.Key, &rule{rate: f.rate(r, "throttle", 1)})
	}
	return rules, err
}

func (f *flow) rate(r *api.Rate, name string, burst int) partition.Rate {
	if r.Burst > 0 {
		burst = r.Burst
	}
	return partition.Rate{
		Namespace: f.name.namespace, Function: f.name.name, Name: name, Interval: time.Duration(r.Period) / time.Duration(max(1, r.Limit)), Burst: burst,
	}
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

// ThrottledError is that of a call which comes too early for the throttle or rateLimit of its function.
type ThrottledError struct {
	Function, Rule string
	Until          time.Time
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("%s has as many calls and events as its %s allows", e.Function, e.Rule)
}

func (e *ThrottledError) Unwrap() error { return ErrBusy }

func (r *rule) keyOf(e *event.Event) string {
	if r.key == nil {
		return ""
	}
	text, _ := r.key.Text(e) // those without are a group as well
	return text
}

// count asks whether an event may come at all: a first attempt that nobody asked for by name, once.
func (f *flow) count(ctx context.Context, r *rule, key string, d *partition.Delivery) (passage, error) {
	f.mu.Lock()
	_, counted := f.fresh[d.ID]
	f.mu.Unlock()
	if counted || d.Attempt > 1 || d.Generation > 0 {
		return passed, nil
	}
	rate := r.rate
	rate.Key = key
	ok, _, err := f.table.Admit(context.WithoutCancel(ctx), rate)
	if err != nil {
		return passed, err
	}
	if !ok {
		return dropped, nil
	}
	f.mu.Lock()
	f.fresh[d.ID] = struct{}{}
	f.mu.Unlock()
	return passed, nil
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

// most is how many of a group may be in progress. A function that is fair to its keys leaves half of what it may have to those that have nothing yet, or nobody
// would look far enough to find them.
func (r *rule) most() int {
	if r.limit > 0 {
		return r.limit
	}
	return max(1, ahead/2/len(r.groups))
}

func (r *rule) group(key string) *group {
	g := r.groups[key]
	if g == nil {
		g = &group{rule: r, key: key}
		r.groups[key] = g
	}
	return g
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

// pop takes up to n out of the queue.
func (g *group) pop(n int) []partition.ID {
	n = max(0, min(n, len(g.queue)))
	next := g.queue[:n]
	g.queue = g.queue[n:]
	return next
}

// drop forgets a group that nobody needs.
func (g *group) drop() {
	if g.busy == 0 && len(g.queue) == 0 && !g.asking && g.timer == nil && g.rule.groups[g.key] == g {
		delete(g.rule.groups, g.key)
	}
}

// handOut lets events be taken again. One that has ended meanwhile makes room for the next of its group.
func (f *flow) handOut(ids []partition.ID) {
	for len(ids) > 0 {
		id := ids[0]
		ids = ids[1:]
		if !f.table.Resume(id) {
			ids = append(ids, f.gone(id)...)
		}
	}
}

// gone is for an event that does not come again. It returns what may pass in its place.
func (f *flow) gone(id partition.ID) []partition.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.aside[id]
	f.forget(id)
	if g == nil {
		return nil
	}
	g.queue = without(g.queue, id)
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

// begin asks the throttle for a beginning.
func (f *flow) begin(ctx context.Context, r *rule, key string, id partition.ID) (passage, error) {
	f.mu.Lock()
	g := r.group(key)
	asked := g.due > 0 && f.aside[id] == g // it was handed out to ask
	if g.asking || time.Now().Before(g.until) || len(g.queue) > 0 && !asked {
		f.putAside(g, id)
		f.arm(g)
		f.mu.Unlock()
		return putAside, nil
	}
	if asked {
		g.due = 0
		g.disarm()
	}
	g.asking = true
	f.mu.Unlock()
	rate := r.rate
	rate.Key = key
	ok, next, err := f.table.Admit(context.WithoutCancel(ctx), rate)
	f.mu.Lock()
	defer f.mu.Unlock()
	g.asking = false
	how := passed
	if err == nil {
		g.until = next
	}
	if err == nil && !ok {
		how = putAside
		f.putAside(g, id)
	}
	f.arm(g)
	return how, err
}

// grace is how long a throttled event that was handed out may take to come, before the next one is handed out too: it may be of a trigger that has been paused.
const grace = time.Second

// arm sets the timer of a throttled group: for the next in its queue, or for when nothing is left to remember.
func (f *flow) arm(g *group) {
	wait := time.Until(g.until)
	if g.timer != nil || g.asking || len(g.queue) == 0 && wait <= 0 {
		return
	}
	f.armFor(g, wait)
}

func (f *flow) armFor(g *group, wait time.Duration) {
	var t *time.Timer
	t = time.AfterFunc(wait, func() { f.fire(g, &t) })
	g.timer = t
}

func (g *group) disarm() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

// fire hands out the next of a throttled group, to ask. t was set by the time mu is free.
func (f *flow) fire(g *group, t **time.Timer) {
	f.mu.Lock()
	if g.timer != *t { // it was stopped too late
		f.mu.Unlock()
		return
	}
	g.timer = nil
	next := g.pop(1)
	if len(next) > 0 {
		g.due = 1
		f.armFor(g, grace)
	}
	g.drop()
	f.mu.Unlock()
	f.handOut(next)
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

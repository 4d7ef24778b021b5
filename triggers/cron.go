// Package triggers makes events of what happens outside: of the time, for now. It holds what runs against what the registry wants, and stores through partitions.
package triggers

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cron"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
)

// Table stores firings and judges whether they count; *partition.Table is one.
type Table interface {
	Fire(ctx context.Context, list []partition.Firing) ([]partition.Fired, error)
	// LastDue is the last due time of a trigger that has passed; zero = none has.
	LastDue(trigger uint64) time.Time
}

// Options of New.
type Options struct {
	Table Table
	// Now is the clock that schedules go by; nil = time.Now. It may be set while the program runs.
	Now func() time.Time

	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil = no metrics
}

const (
	// look is how often the clock is looked at, at least: it may be set, and the machine may sleep, which a timer does not notice.
	look = 10 * time.Second
	// gap is how long nobody has looked when what was due meanwhile counts as missed.
	gap = 2 * look
	// again is how long to wait after firings could not be stored.
	again = 10 * time.Second
	// group is how many firings are stored at a time.
	group = 1024
)

// Cron fires triggers by their schedules. All of them share one goroutine, Run, and a heap with the next due time of each. It decides when; whether a due time has fired
// before is for partitions to say, so a restart, another node and a clock that is set fire nothing twice.
type Cron struct {
	o       Options
	metrics *metrics
	wake    chan struct{} // set by Apply, read by Run

	mu      sync.Mutex
	parser  cron.Parser
	applied *registry.Snapshot // nil = none
	entries map[uint64]*entry  // of the triggers that are not paused
	next    entryHeap          // those of them that are due some time

	// Only Run uses these.
	looked  time.Time // when the clock was looked at last
	held    time.Time // nothing is fired before
	failing bool
}

// New needs a table and a logger.
func New(o Options) *Cron {
	clock := o.Now
	if clock == nil {
		clock = time.Now
	}
	// Without its monotonic reading, which goes on as if nothing had happened when the clock is set, and stands still while the machine sleeps.
	o.Now = func() time.Time { return clock().Round(0) }
	c := &Cron{o: o, wake: make(chan struct{}, 1), entries: map[uint64]*entry{}}
	c.metrics = newMetrics(o.Registerer, c)
	return c
}

// Apply makes a snapshot of the registry what is wanted. Its triggers are in force in the partitions. It costs about as much as is different from the snapshot before.
func (c *Cron) Apply(snap *registry.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	if c.applied == nil {
		for _, f := range snap.Functions("") {
			c.change(nil, f, now)
		}
	} else {
		for was, is := range snap.FunctionsSince(c.applied) {
			c.change(was, is, now)
		}
	}
	c.applied = snap
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// change is that of one function; nil = there was or is none.
func (c *Cron) change(was, is *api.Function, now time.Time) {
	wanted := map[uint64]*api.Trigger{}
	for _, t := range cronTriggers(is) {
		if t.PausedSince.IsZero() {
			wanted[t.ID] = t
		}
	}
	for _, t := range cronTriggers(was) {
		if wanted[t.ID] == nil {
			c.remove(t.ID)
		}
	}
	for _, t := range wanted {
		c.put(t, now)
	}
}

func cronTriggers(f *api.Function) (list []*api.Trigger) {
	if f == nil {
		return nil
	}
	for i := range f.Triggers {
		if t := &f.Triggers[i]; t.Cron != nil {
			list = append(list, t)
		}
	}
	return list
}

func (c *Cron) remove(id uint64) {
	if e := c.entries[id]; e != nil {
		delete(c.entries, id)
		c.next.drop(e)
	}
}

// put takes over the definition of a trigger. One that was not watched until now has missed what was due before.
func (c *Cron) put(t *api.Trigger, now time.Time) {
	s, err := c.schedule(t)
	if err != nil { // a program before this one, or with other time zones, took it
		c.o.Logger.Error("a trigger does not fire: its schedule cannot be read", "trigger", t.Name, "namespace", t.Namespace, "err", err)
		c.remove(t.ID)
		return
	}
	e := c.entries[t.ID]
	if e != nil && e.schedule == s { // nothing of when it is due has changed
		e.trigger = t
		return
	}
	if e == nil {
		e = &entry{watched: now, at: -1}
		c.entries[t.ID] = e
	}
	e.trigger, e.schedule = t, s
	c.reset(e, now)
}

// reset begins anew with what the table says.
func (c *Cron) reset(e *entry, now time.Time) {
	e.last, e.passed, e.lost = c.o.Table.LastDue(e.trigger.ID), 0, 0
	if e.last.After(now.Add(look)) {
		c.o.Logger.Warn("a trigger has fired for a time to come: the clock was ahead; it fires again when that time has been", "trigger", e.trigger.Name, "last_due", e.last)
	}
	if e.last.Before(e.trigger.Since) {
		e.last = e.trigger.Since
	}
	c.await(e)
}

// await puts an entry where its next due time belongs.
func (c *Cron) await(e *entry) {
	due := e.schedule.Next(e.last)
	if due.IsZero() {
		c.next.drop(e)
		return
	}
	e.fires = due.Add(e.jitter(due))
	c.next.put(e)
}

// Run fires what is due until ctx ends.
func (c *Cron) Run(ctx context.Context) error {
	for {
		wait := c.round(ctx)
		select {
		case <-time.After(wait):
		case <-c.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// round fires what is due now, and says how long to wait for the next.
func (c *Cron) round(ctx context.Context) time.Duration {
	for {
		now := c.o.Now()
		c.notice(now)
		if now.Before(c.held) {
			return min(c.held.Sub(now), look)
		}
		entries, list := c.due(now)
		if len(list) == 0 {
			return c.untilNext(now)
		}
		if !c.fire(ctx, now, entries, list) {
			return look
		}
	}
}

// notice sees that nobody has looked for a while, or that the clock was set.
func (c *Cron) notice(now time.Time) {
	before := c.looked
	c.looked = now
	switch {
	case before.IsZero():
	case now.Sub(before) > gap:
		c.o.Logger.Warn("the clock went ahead, or this process stood still: what was due meanwhile counts as missed", "from", before, "to", now)
		c.watch(func(e *entry) { e.watched = now })
	case before.Sub(now) > time.Second:
		c.o.Logger.Warn("the clock went back: due times that have fired do not fire again", "from", before, "to", now)
		c.held = time.Time{}
		c.watch(func(e *entry) {
			if e.watched.After(now) {
				e.watched = now
			}
		})
	}
}

func (c *Cron) watch(change func(*entry)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		change(e)
	}
}

// due takes what fires now off the heap, up to about a group, with the entries that it comes from.
func (c *Cron) due(now time.Time) (entries []*entry, list []firing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.next) > 0 && !c.next[0].fires.After(now) && len(list) < group {
		e := c.next[0]
		list = append(list, e.take(now)...)
		entries = append(entries, e)
		c.await(e)
	}
	return entries, list
}

func (c *Cron) untilNext(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.next) == 0 {
		return look
	}
	return max(0, min(c.next[0].fires.Sub(now), look))
}

// fire stores firings. When it cannot, they are missed, and it is tried again after a while.
func (c *Cron) fire(ctx context.Context, now time.Time, entries []*entry, list []firing) bool {
	out := make([]partition.Firing, len(list))
	for i := range list {
		out[i] = list[i].stored(now)
	}
	fired, err := c.o.Table.Fire(ctx, out)
	if err != nil {
		if ctx.Err() == nil && !c.failing {
			c.o.Logger.Warn("triggers cannot fire; they are tried again, and what is due meanwhile counts as missed", "firings", len(list), "err", err)
		}
		c.failing, c.held = true, now.Add(again)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, e := range entries {
			if c.entries[e.trigger.ID] == e {
				e.watched = c.held
				c.reset(e, now)
			}
		}
		return false
	}
	c.failing = false
	for i := range list {
		c.metrics.told(&list[i], fired[i].Outcome, now)
	}
	return true
}

type entryHeap []*entry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].fires.Before(h[j].fires) }
func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}
func (h *entryHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.at = -1
	return e
}

func (h *entryHeap) put(e *entry) {
	if e.at >= 0 {
		heap.Fix(h, e.at)
	} else {
		heap.Push(h, e)
	}
}

func (h *entryHeap) drop(e *entry) {
	if e.at >= 0 {
		heap.Remove(h, e.at)
	}
}

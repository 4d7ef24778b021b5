package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/partition"
)

// ThrottledError is that of a call which comes too early for the throttle or rateLimit of its function.
type ThrottledError struct {
	Function, Rule string
	Until          time.Time
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("%s has as many calls and events as its %s allows", e.Function, e.Rule)
}

func (e *ThrottledError) Unwrap() error { return ErrBusy }

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

// arm sets the timer of a throttled group: for the next in its queue, or for when nothing is left to remember, which may be now.
func (f *flow) arm(g *group) {
	wait := time.Until(g.until)
	switch {
	case g.timer != nil || g.asking:
	case len(g.queue) == 0 && wait <= 0:
		g.drop()
	default:
		f.armFor(g, wait)
	}
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

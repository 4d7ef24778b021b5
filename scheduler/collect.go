package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/registry"
)

const (
	collectFirst = time.Minute // after the start
	collectEvery = 10 * time.Minute
)

// collector removes revisions that are neither new nor used, and module files that no revision names: of a function when it has a new revision, of all now and then, because
// uses end silently.
type collector struct {
	scheduler *Scheduler
	wake      chan struct{} // room for one: changed has something

	mu      sync.Mutex
	snap    *registry.Snapshot // the last; nil before the first
	changed map[functionName]bool
}

func newCollector(s *Scheduler) *collector {
	return &collector{scheduler: s, wake: make(chan struct{}, 1), changed: map[functionName]bool{}}
}

// apply notes which functions have a new revision. Of those that this node sees for the first time when it starts that is not known; their turn is with all others.
func (c *collector) apply(ch *changes) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snap = ch.snap
	for _, one := range ch.functions {
		fresh := one.was == nil && ch.before != nil || one.was != nil && one.is != nil && one.was.Revision != one.is.Revision
		if fresh {
			c.changed[one.name] = true
		}
	}
	if len(c.changed) > 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *collector) run(ctx context.Context) {
	timer := time.NewTimer(collectFirst)
	defer timer.Stop()
	for {
		select {
		case <-c.wake:
			c.collect(ctx, c.take(false))
		case <-timer.C:
			c.collect(ctx, c.take(true))
			c.sweep(ctx)
			timer.Reset(collectEvery)
		case <-ctx.Done():
			return
		}
	}
}

// take returns the functions that have changed, or all.
func (c *collector) take(all bool) (names []functionName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all && c.snap != nil {
		for _, f := range c.snap.Functions("") {
			names = append(names, functionName{f.Namespace, f.Name})
		}
	} else {
		for name := range c.changed {
			names = append(names, name)
		}
	}
	clear(c.changed)
	return names
}

// collect leaves what cannot be removed now to the next time.
func (c *collector) collect(ctx context.Context, names []functionName) {
	for _, n := range names {
		removed, _, err := c.scheduler.opts.Registry.DeleteRevisions(ctx, n.namespace, n.name, func(f *api.Function, kept []int) ([]int, error) {
			if len(kept) <= registry.KeptRevisions {
				return nil, nil
			}
			return registry.Surplus(f, kept, c.scheduler.opts.Table.WantedRevisions(n.namespace, n.name)), nil
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, registry.ErrNotFound):
			c.scheduler.log.Warn("cannot remove old revisions, trying again later", "namespace", n.namespace, "function", n.name, "err", err)
		case len(removed) > 0:
			c.scheduler.log.Info("removed revisions that nothing uses", "namespace", n.namespace, "function", n.name, "revisions", removed)
		}
	}
}

func (c *collector) sweep(ctx context.Context) {
	n, err := c.scheduler.opts.Registry.SweepModules(ctx)
	if err != nil && ctx.Err() == nil {
		c.scheduler.log.Warn("cannot remove modules that nothing names, trying again later", "err", err)
	}
	if n > 0 {
		c.scheduler.log.Info("removed modules that nothing names", "count", n)
	}
}

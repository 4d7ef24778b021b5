package scheduler

import (
	"context"
	"time"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// ClassRateLimited is the class of an attempt that did not run because there had been as many events as rateLimit allows.
const ClassRateLimited = "rate_limited"

// nextDropped is what history says of an event that was dropped.
const nextDropped = "dropped"

const dropReason = "there were as many events as rateLimit allows"

// drop settles an event that its function does not want.
func (s *Scheduler) drop(ctx context.Context, f *function, d *partition.Delivery) {
	a := attempt{
		invocation: invocationOf(d), revision: f.spec.Revision, start: time.Now(),
		result: sandbox.Result{Verdict: abi.Failed, Class: ClassRateLimited, Reason: dropReason, RetryAfter: -1},
	}
	outcome, err := s.opts.Table.Settle(context.WithoutCancel(ctx), d, a.kept(), partition.Next{Cancel: true}, partition.Effects{})
	switch {
	case err != nil:
		s.cannotSettle(f, d, err)
	case outcome == partition.Applied:
		if c := f.series.counters(); c != nil {
			c.dropped.Inc()
		}
		entry := a.entry(f)
		entry.Level, entry.Next, entry.Attempt = "info", nextDropped, a.shown()
		s.opts.History.Append(entry)
	}
}

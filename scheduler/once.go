package scheduler

import (
	"context"
	"time"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// atMostOnce is the delivery of a trigger whose events are settled before they run.
const atMostOnce = "atMostOnce"

// executeOnce settles a delivery at the last moment before it runs, and what it did afterwards. What fails is not tried again, and what a stop or a crash cuts is gone:
// that is what its owner asked for, because a second run would be worse.
func (s *Scheduler) executeOnce(ctx context.Context, f *function, d *partition.Delivery) {
	if f.spec.Spec.Allow.State {
		defer s.keys.lock(stateKey{f.spec.Namespace, f.spec.Name, d.Event.Key()})() // it cannot run again after a conflict
	}
	inv := invocationOf(d)
	inv.before = func(start time.Time) bool { return s.settleBefore(ctx, f, d, start) }
	a := s.attempt(ctx, f, inv)
	if a.held {
		s.opts.Table.Release(d)
		return
	}
	s.performOnce(ctx, f, d, &a)
	for i := range 1 + len(d.More) {
		s.record(f, a.alone(i), partition.Next{})
	}
}

// settleBefore says whether the delivery may run: it is stored that it has.
func (s *Scheduler) settleBefore(ctx context.Context, f *function, d *partition.Delivery, start time.Time) bool {
	kept := partition.Attempt{Number: d.Attempt, Revision: f.spec.Revision, Start: start, Verdict: int32(abi.Done)}
	settle := s.opts.Table.SettleBatch
	if len(d.More) == 0 {
		settle = func(ctx context.Context, d *partition.Delivery, a partition.Attempt, e partition.Effects) (partition.Outcome, error) {
			return s.opts.Table.Settle(ctx, d, a, partition.Next{}, e)
		}
	}
	outcome, err := settle(context.WithoutCancel(ctx), d, kept, partition.Effects{})
	if err != nil {
		s.log.Error("cannot settle before the run; the event waits", "function", f.spec.Name, "event_id", d.Event.ID, "err", err)
	}
	return err == nil && outcome == partition.Applied
}

// performOnce stores what the one run did, or makes it a failure.
func (s *Scheduler) performOnce(ctx context.Context, f *function, d *partition.Delivery, a *attempt) {
	if !a.allDone() || a.effects.Empty() {
		return
	}
	scope := partition.Scope{Namespace: f.spec.Namespace, Function: f.spec.Name, Event: &d.Event}
	if len(d.More) == 0 {
		scope.Key = d.Event.Key()
	}
	reason := "the state of its key changed while it ran, so that what it did is dropped"
	outcome, err := s.opts.Table.Perform(context.WithoutCancel(ctx), scope, a.id, a.effects)
	if err == nil && outcome == partition.Applied {
		return
	}
	if err != nil {
		reason = "what it did cannot be stored: " + err.Error()
	}
	a.result = forAll(sandbox.Result{Verdict: abi.Failed, Class: sandbox.ClassInternal, Reason: reason, RetryAfter: -1, Bill: a.result.Bill}, 1+len(d.More))
}

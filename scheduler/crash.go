package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/evoke-run/evoke/inflight"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// ClassNodeCrash is the class of an attempt that ran when the runtime died: it may have been the reason, or may only have been there.
const ClassNodeCrash = "node_crash"

// maxNodeCrashes is how often the runtime may die under one event, whatever the function's retry policy says. Else one event could keep it down for ever.
const maxNodeCrashes = 3

const crashReason = "the runtime died while this attempt ran"

// blame counts the attempts that ran when the last process died as failed ones, and begins to note those of this process. It comes before any function is in force, so
// that none of those events runs first. After an error the notes are still there.
func (s *Scheduler) blame(ctx context.Context, c *changes) error {
	if s.blamed || s.opts.InFlight == nil {
		return nil
	}
	functions := map[functionName]*function{} // all there are: nothing was applied before
	for _, one := range c.functions {
		functions[one.name] = one.loaded
	}
	for _, n := range s.opts.InFlight.Left() {
		if err := s.blameOne(ctx, functions[functionName{n.Namespace, n.Function}], n); err != nil {
			return fmt.Errorf("settle attempt %d of invocation %s, which ran when the runtime died: %w", n.Attempt, n.Invocation, err)
		}
	}
	s.blamed = true
	if err := s.opts.InFlight.Start(slotsOf(len(s.seats.list))); err != nil {
		s.log.Warn("a guest that brings down the runtime will not be found out", "err", err)
	}
	return nil
}

func (s *Scheduler) blameOne(ctx context.Context, f *function, n inflight.Note) error {
	if f == nil {
		return nil // it is gone, and what waited for it too
	}
	id, generation, err := partition.ParseInvocation(n.Invocation)
	if err != nil { // of a synchronous call: its caller knows
		s.log.Warn("a call ran when the runtime died", "function", n.Function, "revision", n.Revision, "invocation", n.Invocation, "started", n.Start)
		f.series.crash(n.Revision)
		return nil
	}
	inv, err := s.opts.Table.Invocation(id)
	if errors.Is(err, partition.ErrNotFound) {
		return nil // settled, and the note is from before a power cut
	}
	if err != nil {
		return err
	}
	if inv.State == partition.Dead || inv.Generation != generation || inv.Finished+1 != n.Attempt {
		return nil
	}
	return s.settleCrash(ctx, f, &inv, n)
}

func (s *Scheduler) settleCrash(ctx context.Context, f *function, inv *partition.Invocation, n inflight.Note) error {
	now := time.Now()
	first := inv.First
	if first.IsZero() {
		first = n.Start
	}
	a := attempt{
		invocation: invocation{id: n.Invocation, trigger: inv.Trigger.Name, number: n.Attempt, event: &inv.Event},
		revision:   n.Revision, start: n.Start, // how long it ran nobody knows
		result: sandbox.Result{Verdict: abi.Failed, Class: ClassNodeCrash, Reason: crashReason, RetryAfter: -1},
	}
	t := try{attempt: n.Attempt, first: first, now: now, result: a.result, crashes: 1 + nodeCrashes(inv)}
	next, why := s.policyOf(ctx, f, n.Revision).decide(t, rand.Float64())
	d := partition.Delivery{ID: inv.ID, Generation: inv.Generation, Attempt: n.Attempt, Trigger: inv.Trigger, Event: inv.Event}
	kept := a.kept()
	if next.DeadLetter {
		kept.Error += " (" + why + ")"
	}
	outcome, err := s.opts.Table.Settle(ctx, &d, kept, next, partition.Effects{})
	if err != nil || outcome != partition.Applied {
		return err
	}
	s.log.Warn("an event was being handled when the runtime died", "function", n.Function, "revision", n.Revision, "invocation", n.Invocation,
		"event_id", inv.Event.ID, "attempt", n.Attempt, "crashes", t.crashes, "dead_letter", next.DeadLetter)
	f.series.crash(n.Revision)
	s.record(f, a, next)
	return nil
}

// policyOf is that of the revision that ran; of one that is not kept any more, the newest's.
func (s *Scheduler) policyOf(ctx context.Context, f *function, revision int) policy {
	if revision == f.spec.Revision {
		return f.policy
	}
	ran, err := s.opts.Registry.Revision(ctx, f.spec, revision)
	if err != nil {
		return f.policy
	}
	return newPolicy(ran.Spec.Retry)
}

// nodeCrashes counts those of the generation that has not ended.
func nodeCrashes(inv *partition.Invocation) (n int) {
	for _, a := range inv.Attempts[max(0, len(inv.Attempts)-inv.Finished):] {
		if a.Class == ClassNodeCrash {
			n++
		}
	}
	return n
}

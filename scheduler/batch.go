package scheduler

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// A batch is one run of a function for several events. What it emits becomes real when all of them are done; when some are not, those are settled by their own verdicts and
// the others run again without them, so that nothing they emitted is lost or doubled. An event that has failed runs alone from then on (partition.Batch).

func invocationOf(d *partition.Delivery) invocation {
	inv := invocation{id: d.Invocation(), trigger: d.Trigger.Name, number: d.Attempt, event: &d.Event, triggerID: d.ID.Trigger}
	if len(d.More) == 0 {
		return inv
	}
	inv.batch = inv.id
	inv.more = make([]invocation, len(d.More))
	for i := range d.More {
		one := &d.More[i]
		inv.more[i] = invocation{id: one.Invocation(), trigger: inv.trigger, number: one.Attempt, event: &one.Event, triggerID: inv.triggerID, batch: inv.batch}
	}
	return inv
}

// all yields the invocation and those behind it in its batch.
func (inv *invocation) all() iter.Seq[*invocation] {
	return func(yield func(*invocation) bool) {
		if !yield(inv) {
			return
		}
		for i := range inv.more {
			if !yield(&inv.more[i]) {
				return
			}
		}
	}
}

func (inv *invocation) handles(id string) bool {
	return inv.id == id || slices.ContainsFunc(inv.more, func(one invocation) bool { return one.id == id })
}

// run runs the guest on the event, or on all of a batch.
func (inv *invocation) run(ctx context.Context, m *sandbox.Module, h *host) sandbox.Result {
	if len(inv.more) == 0 {
		return m.Invoke(ctx, inv.event, h)
	}
	var events []*event.Event
	for one := range inv.all() {
		events = append(events, one.event)
	}
	return m.InvokeBatch(ctx, events, h)
}

// alone is the part of a batch's attempt that one of its events has: its own verdict; the first one has the bill.
func (a *attempt) alone(i int) attempt {
	one := *a
	one.effects, one.more, one.result.More = partition.Effects{}, nil, nil
	if i > 0 {
		one.invocation, one.result = a.more[i-1], a.result.More[i-1]
	}
	return one
}

// allDone says whether all events of an attempt are.
func (a *attempt) allDone() bool {
	return a.result.Verdict == abi.Done && !slices.ContainsFunc(a.result.More, func(r sandbox.Result) bool { return r.Verdict != abi.Done })
}

// forAll makes what ended a batch early, or is the verdict of all its n events, the result of each.
func forAll(r sandbox.Result, n int) sandbox.Result {
	for len(r.More) < n-1 {
		r.More = append(r.More, sandbox.Result{Verdict: r.Verdict, Class: r.Class, Reason: r.Reason, RetryAfter: r.RetryAfter})
	}
	return r
}

// maxShrinks is how often a batch runs again without those that were not done, before its events run one by one.
const maxShrinks = 3

// executeBatch brings the events of a batch to their outcomes.
func (s *Scheduler) executeBatch(ctx context.Context, f *function, d *partition.Delivery) {
	for shrinks := 0; len(d.More) > 0 && shrinks <= maxShrinks; shrinks++ {
		a := s.attempt(ctx, f, invocationOf(d))
		if a.givenBack(ctx) {
			s.opts.Table.Release(d)
			return
		}
		if d = s.settleBatch(ctx, f, d, a); d == nil {
			return
		}
	}
	for one := range d.All() {
		s.executeOn(ctx, f, one.Alone())
	}
}

// settleBatch settles what an attempt of a batch has decided. What it returns has to run again now: its effects were dropped because others were not done.
func (s *Scheduler) settleBatch(ctx context.Context, f *function, d *partition.Delivery, a attempt) (again *partition.Delivery) {
	switch {
	case a.cut != nil:
		s.settleCut(ctx, f, d, a)
		return nil
	case a.allDone():
		s.settleDone(ctx, f, d, a)
		return nil
	}
	var left []partition.Delivery
	var settling sync.WaitGroup // they share fsyncs
	i := 0
	for one := range d.All() {
		part := a.alone(i)
		i++
		if part.result.Verdict == abi.Done && a.result.Dropped > 0 {
			left = append(left, *one)
			continue
		}
		alone := one.Alone()
		settling.Go(func() {
			if _, err := s.settle(ctx, f, alone, part); err != nil {
				s.cannotSettle(f, alone, err)
			}
		})
	}
	settling.Wait()
	if len(left) == 0 {
		return nil
	}
	left[0].More = left[1:]
	return &left[0]
}

// settleDone makes a batch's effects real. When somebody has settled one of its events meanwhile, nothing was done, and the others are given back.
func (s *Scheduler) settleDone(ctx context.Context, f *function, d *partition.Delivery, a attempt) {
	outcome, err := s.opts.Table.SettleBatch(context.WithoutCancel(ctx), d, a.kept(), a.effects)
	switch {
	case err != nil:
		s.cannotSettle(f, d, err)
	case outcome != partition.Applied:
		s.opts.Table.Release(d)
	default:
		for i := range 1 + len(d.More) {
			s.record(f, a.alone(i), partition.Next{})
		}
	}
}

// settleCut settles the one event that somebody has canceled and gives the others back: nobody knows what they would have become.
func (s *Scheduler) settleCut(ctx context.Context, f *function, d *partition.Delivery, a attempt) {
	i := 0
	for one := range d.All() {
		if part := a.alone(i); part.id == a.cut.id {
			if _, err := s.settle(ctx, f, one.Alone(), part); err != nil {
				s.log.Error("cannot settle a canceled event; it runs again", "function", f.spec.Name, "event_id", one.Event.ID, "err", err)
			}
		}
		i++
	}
	s.opts.Table.Release(d)
}

package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Errors of Cancel.
var (
	ErrNotOpen  = errors.New("no such invocation waits or runs")
	ErrCanceled = errors.New("the invocation was canceled") // also what a synchronous call that was canceled gets
)

// Cancel ends an invocation for good: one that waits is settled, one that runs is cut and settled; neither is tried again or becomes a dead letter. It returns when
// that is stored. A synchronous call is cut, and its caller gets ErrCanceled. ErrNotOpen: it has ended, is a dead letter, or was never there.
func (s *Scheduler) Cancel(ctx context.Context, namespace, name, reason string) error {
	id, generation, err := partition.ParseInvocation(name)
	if err != nil { // that of a synchronous call, or nothing
		if s.seats.cut(name, namespace, reason) {
			return nil
		}
		return ErrNotOpen
	}
	for wasCut := false; ; {
		changed := s.opts.Table.Changed()
		inv, err := s.opts.Table.Invocation(id)
		if err != nil && !errors.Is(err, partition.ErrNotFound) {
			return fmt.Errorf("look up invocation %s: %w", name, err)
		}
		open := err == nil && inv.State != partition.Dead && inv.Trigger.Namespace == namespace && (generation == 0 || generation == inv.Generation)
		switch {
		case !open && wasCut:
			return nil
		case !open && s.seats.cut(name, namespace, reason): // it was settled before it ran
			return nil
		case !open:
			return ErrNotOpen
		case inv.State == partition.Running && s.seats.cut(inv.Name(), namespace, reason): // whoever runs it settles it
			wasCut = true
			select {
			case <-changed:
			case <-ctx.Done():
				return fmt.Errorf("wait for the end of invocation %s: %w", name, context.Cause(ctx))
			}
			continue
		case inv.State == partition.Running: // it waits for a seat, or has just left it
			s.unwanted.add(inv.Name(), reason)
		}
		if outcome, err := s.cancelPending(ctx, &inv, reason); err != nil || outcome != partition.Stale {
			return err
		}
	}
}

// cancelPending settles an invocation that nobody runs.
func (s *Scheduler) cancelPending(ctx context.Context, inv *partition.Invocation, reason string) (partition.Outcome, error) {
	a := partition.Attempt{
		Number: inv.Finished + 1, Start: time.Now().UTC(), Verdict: int32(abi.Failed), Class: sandbox.ClassCanceled, Error: cutError(reason),
	}
	outcome, err := s.opts.Table.Cancel(ctx, inv, a)
	if err != nil {
		return outcome, fmt.Errorf("cancel invocation %s: %w", inv.Name(), err)
	}
	if outcome == partition.Applied {
		s.forgetAside(inv)
		s.opts.History.Append(api.LogEntry{
			Time: a.Start, Namespace: inv.Trigger.Namespace, Function: inv.Trigger.Function, Invocation: inv.Name(), EventID: inv.Event.ID,
			Trigger: inv.Trigger.Name, Level: "error", Next: nextCanceled,
			Attempt: &api.Attempt{Attempt: a.Number, Start: a.Start, Verdict: abi.Failed.Name(), Class: a.Class, Error: reason},
		})
	}
	return outcome, nil
}

// forgetAside lets the next of its group pass when an event that was aside has been canceled.
func (s *Scheduler) forgetAside(inv *partition.Invocation) {
	f := s.acquire(functionName{inv.Trigger.Namespace, inv.Trigger.Function})
	if f == nil {
		return
	}
	defer s.release(f)
	f.flow.handOut(f.flow.gone(inv.ID))
}

// unwanted are invocations that were canceled between being taken and sitting down. One that never sits down after all stays here: a few bytes for a rare race.
type unwanted struct {
	count atomic.Int64 // so that nobody pays for what is nearly always empty
	mu    sync.Mutex
	ids   map[string]string // to the reason
}

func (u *unwanted) add(id, reason string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[string]string{}
	}
	u.ids[id] = reason
	u.count.Store(int64(len(u.ids)))
}

// remove says whether an invocation was among them, and why.
func (u *unwanted) remove(id string) (reason string, ok bool) {
	if u.count.Load() == 0 {
		return "", false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	reason, ok = u.ids[id]
	delete(u.ids, id)
	u.count.Store(int64(len(u.ids)))
	return reason, ok
}

// RunningCall is a synchronous call that runs now; partitions do not know of those.
type RunningCall struct {
	Invocation, Function, Trigger, EventID, EventType, Key string
	Revision                                               int
	Start                                                  time.Time
}

// RunningCalls lists the synchronous calls of a namespace that run now.
func (s *Scheduler) RunningCalls(namespace string) []RunningCall {
	var out []RunningCall
	for i := range s.seats.list {
		at := &s.seats.list[i]
		at.mu.Lock()
		if g := at.sitting; g != nil && g.call && g.function.spec.Namespace == namespace {
			out = append(out, RunningCall{
				Invocation: g.id, Function: g.function.spec.Name, Trigger: g.trigger, EventID: g.event.ID, EventType: g.event.Type, Key: g.event.Key(),
				Revision: g.function.spec.Revision, Start: g.start,
			})
		}
		at.mu.Unlock()
	}
	return out
}

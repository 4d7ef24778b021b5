package scheduler

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Call is a synchronous call of a function.
type Call struct {
	Namespace, Function string
	Trigger             string      // name of the http trigger, "" for a call by fnctl
	Event               event.Event // valid; Request set for a plain HTTP request
	Key                 string      // "" = the event's own key

	// Once lets the caller repeat the call: it is done once, and its reply is kept for 24 hours; nil = every call is a new one.
	Once *partition.Once
}

// Reply is how a synchronous call ended. Verdict Done carries Data and Attributes.
type Reply struct {
	Invocation string
	Revision   int
	Attempt    int  // 1: a call is tried once
	Kept       bool // it is that of the same call before: see Call.Once
	Verdict    abi.Verdict
	Class      string // see api.Attempt; "" when done
	Error      string
	RetryAfter time.Duration // what the function asked for; -1 = nothing
	Data       []byte
	Attributes []byte // JSON set by the guest (docs/abi.md section 5), nil when not set
	Duration   time.Duration
	Bill       api.Bill // of the run whose effects are kept; the metrics also count those before it that met a conflict
}

// maxConflicts is how often a synchronous call runs again before its caller gets ErrConflict. From freeConflicts on only those can clash with it that had begun before.
const maxConflicts = 100

// Call runs a function and returns when its effects are durable; a call without effects stores nothing. It returns an error only when the function did not get
// to say a verdict: one of the package's, or ctx's.
func (s *Scheduler) Call(ctx context.Context, c Call) (Reply, error) {
	if !s.begin() {
		return Reply{}, ErrDraining
	}
	defer s.active.Done()
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	default:
		return Reply{}, ErrBusy
	}
	if c.Key != "" {
		c.Event.SetExtension(event.Extension{Name: "partitionkey", Value: c.Key})
	}
	if c.Once != nil {
		return s.callOnce(ctx, &c)
	}
	return s.run(ctx, &c)
}

// run runs a call.
func (s *Scheduler) run(ctx context.Context, c *Call) (Reply, error) {
	f := s.acquire(functionName{c.Namespace, c.Function})
	if f == nil {
		return Reply{}, fmt.Errorf("%w: %s", ErrNotFound, c.Function)
	}
	defer s.release(f)
	f, done, err := s.revision(ctx, f, f.currentTraffic().pick(&c.Event))
	if err != nil {
		return Reply{}, fmt.Errorf("%w: %s: %w", ErrUnavailable, c.Function, err)
	}
	defer done()
	if f.module == nil {
		return Reply{}, fmt.Errorf("%w: %s: %w", ErrUnavailable, c.Function, f.broken)
	}
	if !s.processors.call(f.share) {
		return Reply{}, fmt.Errorf("%w: %s runs %d at once, its concurrency", ErrBusy, c.Function, f.spec.Spec.Concurrency)
	}
	defer s.processors.hangUp(f.share)
	pass, err := f.flow.enterCall(ctx, &c.Event)
	if err != nil {
		return Reply{}, err
	}
	defer pass.leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.work, func() { cancel(context.Cause(s.work)) })()
	return s.runUntilCurrent(ctx, f, c)
}

// runUntilCurrent runs a call again when the state it saw had changed.
func (s *Scheduler) runUntilCurrent(ctx context.Context, f *function, c *Call) (Reply, error) {
	inv := invocation{id: newInvocationID(), trigger: c.Trigger, number: 1, event: &c.Event, call: true, once: c.Once}
	turn := s.turn(f, c.Event.Key())
	defer turn.end()
	for conflicts := range maxConflicts {
		turn.after(conflicts)
		a := s.attempt(ctx, f, inv)
		outcome, err := s.perform(ctx, c, a)
		if err != nil {
			return Reply{}, err
		}
		if outcome == partition.Answered { // by another node, meanwhile
			r, ok, err := s.keptReply(c)
			if !ok && err == nil {
				err = ErrInProgress // and forgotten since: the next try is a new call
			}
			return r, err
		}
		if outcome != partition.Conflict {
			s.record(f, a, partition.Next{})
			return a.reply(), nil
		}
		s.metrics.conflicts.Inc()
	}
	return Reply{}, ErrConflict
}

// perform makes the effects of a call real before anyone hears of its reply.
func (s *Scheduler) perform(ctx context.Context, c *Call, a attempt) (partition.Outcome, error) {
	if a.cut != nil {
		return 0, fmt.Errorf("%w: %s", ErrCanceled, a.cut.reason)
	}
	if a.result.Class == "canceled" && errors.Is(context.Cause(ctx), ErrDraining) {
		return 0, ErrDraining
	}
	switch {
	case a.result.Verdict != abi.Done:
		return partition.Applied, nil
	case c.Once != nil:
		return s.performReply(ctx, c, &a)
	case a.effects.Empty():
		return partition.Applied, nil
	}
	return s.opts.Table.Perform(context.WithoutCancel(ctx), c.scope(), a.id, a.effects)
}

func (a *attempt) reply() Reply {
	r := a.result
	return Reply{
		Invocation: a.id, Revision: a.revision, Attempt: a.number, Verdict: r.Verdict, Class: r.Class, Error: r.Reason, RetryAfter: r.RetryAfter,
		Data: r.Data, Attributes: r.Attributes, Duration: a.duration, Bill: a.bill(),
	}
}

func newInvocationID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

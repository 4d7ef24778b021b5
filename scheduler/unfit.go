package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Classes of attempts that were not made, because the event must not run.
const (
	ClassExpired = "expired" // past its expirytime
	ClassLoop    = "loop"    // functions have handed it on to one another too often
)

// unfit says why an event must not run; class is "" for one that may.
func unfit(e *event.Event, now time.Time) (class, reason string) {
	if hops := e.Hops(); hops >= event.MaxHops {
		return ClassLoop, fmt.Sprintf("stopped after %d hops: %s", hops, e.Trail())
	}
	if at := e.Expiry(); !at.IsZero() && now.After(at) {
		return ClassExpired, fmt.Sprintf("not run: its expirytime was %s", event.FormatTime(at))
	}
	return "", ""
}

// settleUnfit gives up on the events of a delivery that must not run, and returns the others, nil for none. What somebody has redriven or replayed runs: they have seen it.
func (s *Scheduler) settleUnfit(ctx context.Context, f *function, d *partition.Delivery) *partition.Delivery {
	now := time.Now()
	count := 0
	for one := range d.All() {
		if class, _ := unfit(&one.Event, now); class != "" && one.Generation == 0 {
			count++
		}
	}
	if count == 0 {
		return d
	}
	var left []partition.Delivery
	for one := range d.All() {
		class, reason := unfit(&one.Event, now)
		if class == "" || one.Generation > 0 {
			left = append(left, *one)
			continue
		}
		s.giveUpUnfit(ctx, f, one.Alone(), sandbox.Result{Verdict: abi.Failed, Class: class, Reason: reason, RetryAfter: -1})
	}
	if len(left) == 0 {
		return nil
	}
	left[0].More = left[1:]
	return &left[0]
}

func (s *Scheduler) giveUpUnfit(ctx context.Context, f *function, d *partition.Delivery, r sandbox.Result) {
	a := attempt{invocation: invocationOf(d), revision: f.spec.Revision, start: time.Now(), result: r}
	if _, err := s.settle(ctx, f, d, a); err != nil {
		s.cannotSettle(f, d, err)
		return
	}
	f.series.unfit(r.Class)
}

package scheduler

import (
	"fmt"
	"math"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// maxRetryAfter bounds the delay that a function may ask for.
const maxRetryAfter = 15 * time.Minute

// policy says when a failed event is tried again.
type policy struct {
	attempts     int
	initial, max time.Duration
	factor       float64
	jitter       bool
	maxAge       time.Duration
}

// newPolicy fills in the defaults: 8 attempts, 1 s × 2 up to 5 min, full jitter, 24 h.
func newPolicy(r *api.Retry) policy {
	p := policy{attempts: 8, initial: time.Second, max: 5 * time.Minute, factor: 2, jitter: true, maxAge: 24 * time.Hour}
	if r == nil {
		return p
	}
	if r.Attempts > 0 {
		p.attempts = r.Attempts
	}
	if r.Initial > 0 {
		p.initial = time.Duration(r.Initial)
	}
	if r.Max > 0 {
		p.max = time.Duration(r.Max)
	}
	if r.Factor > 0 {
		p.factor = r.Factor
	}
	if r.MaxAge > 0 {
		p.maxAge = time.Duration(r.MaxAge)
	}
	p.jitter = r.Jitter != "none"
	return p
}

// try is what decide looks at: the attempt that ended at now, counted from 1, and the start of the first one.
type try struct {
	attempt    int
	first, now time.Time
	result     sandbox.Result
	canceled   bool // somebody does not want it any more
	crashes    int  // how often the runtime died under the event, this time included
}

// decide says what becomes of the event. random is from [0,1).
func (p policy) decide(t try, random float64) (next partition.Next, why string) {
	if t.canceled {
		return partition.Next{Cancel: true}, ""
	}
	if t.crashes >= maxNodeCrashes {
		return partition.Next{DeadLetter: true}, fmt.Sprintf("%d times by now", t.crashes)
	}
	switch t.result.Class {
	case ClassExpired: // nobody failed: what comes behind it is not held up
		return partition.Next{DeadLetter: true, GoOn: true}, ""
	case ClassLoop:
		return partition.Next{DeadLetter: true}, ""
	}
	switch t.result.Verdict {
	case abi.Done:
		return partition.Next{}, ""
	case abi.Rejected:
		return partition.Next{DeadLetter: true}, "the function rejected it"
	}
	if t.attempt >= p.attempts {
		return partition.Next{DeadLetter: true}, fmt.Sprintf("all %d attempts failed", p.attempts)
	}
	delay := p.delay(t, random)
	if age := t.now.Add(delay).Sub(t.first); age > p.maxAge {
		return partition.Next{DeadLetter: true}, fmt.Sprintf("the next attempt would be %s after the first, the limit is %s", age.Round(time.Second), p.maxAge)
	}
	return partition.Next{RetryAt: t.now.Add(delay)}, ""
}

func (p policy) delay(t try, random float64) time.Duration {
	if asked := t.result.RetryAfter; asked >= 0 {
		return min(asked, maxRetryAfter)
	}
	d := time.Duration(min(float64(p.initial)*math.Pow(p.factor, float64(t.attempt-1)), float64(p.max)))
	if p.jitter {
		d = time.Duration(random * float64(d))
	}
	return d
}

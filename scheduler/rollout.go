package scheduler

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// A rollout is stored with its function and moves by compare-and-swap:
//
//	progressing ─► progressing with more ─► promoted
//	    │  ▲
//	    ▼  │ enough attempts
//	  waiting                   a guard fails, in either
//	    └──────────────────────────► rolling-back ─► rolled-back
//
// What moves it is counted here, in memory: a restart loses an interval's counts at most, and the interval begins again.

// tallied is what the candidate of a rollout did.
type tallied struct {
	api.RolloutCounts
	slow []int // by guard on a time: attempts that did not keep its limit
}

// move is what becomes of a rollout.
type move int

const (
	stay move = iota
	wait      // the interval is over and has too little to say
	advance
	promote
	rollBack
)

// step is what to do with a rollout now.
type step struct {
	move    move
	percent int // of the candidate, afterwards
	reason  string
}

// nextStep decides what becomes of a rollout that runs.
func nextStep(r *api.Rollout, guards []api.Guard, c *tallied, now time.Time) step {
	for i, g := range guards {
		if why := broken(g, i, c, r.Min); why != "" {
			return step{move: rollBack, reason: why}
		}
	}
	began := r.Since
	if c.Since.After(began) {
		began = c.Since
	}
	percent := min(100, r.Now+r.Step)
	switch {
	case now.Before(began.Add(time.Duration(r.Every))):
		return step{move: stay, percent: r.Now}
	case c.Attempts < r.Min:
		return step{move: wait, percent: r.Now, reason: fmt.Sprintf("an interval needs %d attempts of revision %d", r.Min, r.Candidate)}
	case percent == 100:
		return step{move: promote, percent: percent}
	}
	return step{move: advance, percent: percent}
}

// broken says why a guard does not hold, "" when it does. As long as there are fewer attempts than an interval needs, those that are missing count as good ones: what fails
// then has failed whatever comes.
func broken(g api.Guard, i int, c *tallied, least int) string {
	all := max(c.Attempts, least)
	percentile := g.Percentile()
	switch {
	case g.Metric == api.GuardDead:
		if !g.Below(int64(c.Dead)) {
			return fmt.Sprintf("%s does not hold: %s", g, plural(c.Dead, "dead letter"))
		}
	case percentile > 0:
		if mayBeSlow := all - (all*percentile+99)/100; c.slow[i] > mayBeSlow {
			return fmt.Sprintf("%s does not hold: %d of %s took longer", g, c.slow[i], plural(c.Attempts, "attempt"))
		}
	default:
		n, what := c.Errors, "failed"
		if g.Metric == api.GuardRejected {
			n, what = c.Rejected, "rejected the event"
		}
		if !g.ShareBelow(n, all) {
			return fmt.Sprintf("%s does not hold: %d of %s %s", g, n, plural(c.Attempts, "attempt"), what)
		}
	}
	return ""
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// tally counts what the candidate of one rollout does on this node.
type tally struct {
	started   time.Time // of the rollout: with the candidate its name
	candidate int
	least     int
	guards    []api.Guard
	alarm     func() // a guard may have failed, or the last attempt that an interval needs has come

	mu     sync.Mutex
	since  time.Time // api.Rollout.Since of what is counted
	counts tallied
	before int // dead letters from before this process
	looked bool
}

func newTally(r *api.Rollout, now time.Time, alarm func()) (*tally, error) {
	guards, err := api.ParseGuards(r.Guards)
	t := &tally{started: r.Started, candidate: r.Candidate, least: r.Min, guards: guards, alarm: alarm}
	t.begin(r.Since, now)
	return t, err
}

func (t *tally) isOf(r *api.Rollout) bool {
	return r.Running() && t.started.Equal(r.Started) && t.candidate == r.Candidate
}

// begin starts the count of an interval, unless it runs.
func (t *tally) begin(since, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts.slow == nil || !t.since.Equal(since) {
		t.since = since
		t.counts = tallied{RolloutCounts: api.RolloutCounts{Dead: t.counts.Dead, Since: now.UTC()}, slow: make([]int, len(t.guards))}
	}
}

// now is what has been counted in the interval.
func (t *tally) now() (c tallied, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c = t.counts
	c.slow = slices.Clone(c.slow)
	c.Dead += t.before
	return c, t.since
}

// attempt counts one, or all events of a batch's.
func (t *tally) attempt(a *attempt) {
	t.mu.Lock()
	good := t.one(&a.result, a.duration)
	for i := range a.result.More {
		good = t.one(&a.result.More[i], a.duration) && good
	}
	enough := t.counts.Attempts >= t.least && t.counts.Attempts < t.least+1+len(a.result.More)
	t.mu.Unlock()
	if !good || enough {
		t.alarm()
	}
}

// one needs mu. It says whether no guard can have failed by it.
func (t *tally) one(r *sandbox.Result, took time.Duration) (good bool) {
	if r.Class == sandbox.ClassCanceled {
		return true
	}
	c := &t.counts
	c.Attempts++
	good = true
	switch r.Verdict {
	case abi.Done:
	case abi.Rejected:
		c.Rejected++
		good = false
	default:
		c.Errors++
		good = false
	}
	for i, g := range t.guards {
		if g.Percentile() > 0 && !g.Below(int64(took)) {
			c.slow[i]++
			good = false
		}
	}
	return good
}

// crash counts an attempt under which the runtime died: how long it took nobody knows.
func (t *tally) crash() {
	t.mu.Lock()
	t.counts.Attempts++
	t.counts.Errors++
	t.mu.Unlock()
	t.alarm()
}

func (t *tally) deadLetter() {
	t.mu.Lock()
	t.counts.Dead++
	t.mu.Unlock()
	t.alarm()
}

// lookBack takes in the dead letters that a process before this one has made. there counts all that there are.
func (t *tally) lookBack(count func() (there int, err error)) error {
	t.mu.Lock()
	looked := t.looked
	t.mu.Unlock()
	if looked {
		return nil
	}
	there, err := count()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before, t.looked = max(0, there-t.counts.Dead), true
	return nil
}

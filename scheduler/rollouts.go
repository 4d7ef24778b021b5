package scheduler

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
)

const (
	rolloutGap   = 20 * time.Millisecond  // between two looks at all rollouts, when much happens
	rolloutRetry = time.Second            // after an error
	rolloutPoll  = 100 * time.Millisecond // while something is handed out again
	rolloutIdle  = time.Minute
)

// rollouts moves the rollouts of all functions. It looks at levels: what the registry says and what has been counted since.
type rollouts struct {
	scheduler *Scheduler
	alarms    chan struct{} // room for one: there is something to look at

	mu      sync.Mutex
	snap    *registry.Snapshot
	tallies map[functionName]*tally
	last    map[functionName]*api.Rollout // as the snapshot has them

	rollbacks map[rollback]*handed // only used by run
}

func newRollouts(s *Scheduler) *rollouts {
	return &rollouts{
		scheduler: s, alarms: make(chan struct{}, 1),
		tallies: map[functionName]*tally{}, last: map[functionName]*api.Rollout{}, rollbacks: map[rollback]*handed{},
	}
}

func (c *rollouts) alarm() {
	select {
	case c.alarms <- struct{}{}:
	default:
	}
}

// apply has the candidates of a snapshot counted. It comes before the functions are in force.
func (c *rollouts) apply(ch *changes) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, one := range ch.functions {
		if one.is == nil {
			continue
		}
		r := one.is.Rollout
		c.scheduler.metrics.rollout(one.name, c.last[one.name], r)
		if r != nil {
			c.last[one.name] = r
		} else {
			delete(c.last, one.name)
		}
		one.loaded.series.candidate.Store(c.tallyOf(one.name, r, now))
	}
	for _, one := range ch.functions {
		if one.is == nil {
			c.forget(one.name)
		}
	}
	if ch.before == nil { // one that was only in a snapshot which did not come into force
		for name := range c.last {
			if _, there := ch.snap.Function(name.namespace, name.name); !there {
				c.forget(name)
			}
		}
	}
	c.snap = ch.snap
	c.alarm()
}

// forget needs mu.
func (c *rollouts) forget(name functionName) {
	delete(c.last, name)
	delete(c.tallies, name)
}

// tallyOf needs mu. It is nil when no rollout runs.
func (c *rollouts) tallyOf(name functionName, r *api.Rollout, now time.Time) *tally {
	if !r.Running() {
		delete(c.tallies, name)
		return nil
	}
	t := c.tallies[name]
	if t != nil && t.isOf(r) {
		t.begin(r.Since, now)
		return t
	}
	t, err := newTally(r, now, c.alarm)
	if err != nil { // the registry has checked them; those of a newer version may say more
		c.scheduler.log.Error("cannot read the guards of a canary; it stays where it is", "function", name.name, "guards", r.Guards, "err", err)
		delete(c.tallies, name)
		return nil
	}
	c.tallies[name] = t
	return t
}

// counts is what the candidate of a function has done in this interval.
func (c *rollouts) counts(name functionName) (api.RolloutCounts, bool) {
	c.mu.Lock()
	t := c.tallies[name]
	c.mu.Unlock()
	if t == nil {
		return api.RolloutCounts{}, false
	}
	now, _ := t.now()
	return now.RolloutCounts, true
}

// RolloutCounts says what the candidate of the function's canary has done; false when none runs.
func (s *Scheduler) RolloutCounts(namespace, function string) (api.RolloutCounts, bool) {
	return s.rollouts.counts(functionName{namespace, function})
}

// run looks whenever there is an alarm, an interval is over, or something is being handed out again, until ctx ends.
func (c *rollouts) run(ctx context.Context) {
	timer := time.NewTimer(rolloutIdle)
	defer timer.Stop()
	for {
		timer.Reset(c.round(ctx))
		select {
		case <-c.alarms:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(rolloutGap):
		case <-ctx.Done():
			return
		}
	}
}

// round looks at all rollouts once and says when to look again at the latest.
func (c *rollouts) round(ctx context.Context) time.Duration {
	c.mu.Lock()
	snap := c.snap
	open := map[functionName]*api.Rollout{}
	for name, r := range c.last {
		if r.Running() || len(r.Redrive) > 0 {
			open[name] = r
		}
	}
	c.mu.Unlock()
	again := rolloutIdle
	soon := func(d time.Duration) { again = min(again, max(d, 0)) }
	for name, r := range open {
		if r.Running() {
			due, err := c.move(ctx, name, r)
			c.complain(ctx, name, err)
			soon(due)
		}
		for _, revision := range r.Redrive {
			began := time.Now()
			c.complain(ctx, name, c.handOutAgain(ctx, snap, rollback{name, r.Started, revision}))
			soon(max(rolloutPoll, 10*time.Since(began))) // a function may have very many dead letters to look through
		}
	}
	for at := range c.rollbacks {
		if r := open[at.name]; r == nil || !slices.Contains(r.Redrive, at.revision) {
			delete(c.rollbacks, at)
		}
	}
	return again
}

func (c *rollouts) complain(ctx context.Context, name functionName, err error) {
	if err != nil && ctx.Err() == nil {
		c.scheduler.log.Warn("cannot move a canary on, trying again", "namespace", name.namespace, "function", name.name, "err", err)
	}
}

// move brings a rollout that runs to its next step, if there is one, and says when there may be.
func (c *rollouts) move(ctx context.Context, name functionName, r *api.Rollout) (due time.Duration, err error) {
	c.mu.Lock()
	t := c.tallies[name]
	c.mu.Unlock()
	if t == nil {
		return rolloutIdle, nil
	}
	err = t.lookBack(func() (int, error) {
		there, err := c.scheduler.opts.Table.GivenUpBy(name.namespace, name.name, r.Candidate, maxRedriven)
		return len(there), err
	})
	if err != nil {
		return rolloutRetry, err
	}
	counted, since := t.now()
	if !t.isOf(r) || !since.Equal(r.Since) {
		return rolloutRetry, nil // a newer snapshot is on its way
	}
	now := time.Now()
	next := nextStep(r, t.guards, &counted, now)
	if next.move == stay || next.move == wait && r.Phase == api.PhaseWaiting {
		due = time.Until(counted.Since.Add(time.Duration(r.Every)))
		if next.move == wait {
			due = rolloutIdle // the alarm of its last attempt comes first
		}
		return due, nil
	}
	if err := c.take(ctx, name, r, next, counted.RolloutCounts, now); err != nil {
		return rolloutRetry, err
	}
	return rolloutIdle, nil
}

// take stores a step, unless the rollout has gone on meanwhile, and logs it.
func (c *rollouts) take(ctx context.Context, name functionName, r *api.Rollout, next step, seen api.RolloutCounts, now time.Time) error {
	taken := false
	_, err := c.scheduler.opts.Registry.Steer(ctx, name.namespace, name.name, func(f *api.Function) bool {
		taken = f.Rollout.Running() && f.Rollout.Candidate == r.Candidate && f.Rollout.Started.Equal(r.Started) && f.Rollout.Since.Equal(r.Since)
		if taken {
			moveTo(f, next, now.UTC())
		}
		return taken
	})
	if err != nil || !taken {
		return err
	}
	log := c.scheduler.log.With("namespace", name.namespace, "function", name.name, "revision", r.Candidate,
		"attempts", seen.Attempts, "errors", seen.Errors, "rejected", seen.Rejected, "dead", seen.Dead)
	switch next.move {
	case advance:
		log.Info("canary gets more traffic", "percent", next.percent)
	case promote:
		log.Info("canary has all of the traffic")
	case wait:
		log.Info("canary waits for traffic", "percent", next.percent, "needs", r.Min)
	case rollBack:
		log.Warn("canary failed, the traffic is back", "reason", next.reason)
	}
	return nil
}

// moveTo changes a function as a step says.
func moveTo(f *api.Function, s step, now time.Time) {
	r := *f.Rollout
	r.Reason = s.reason
	switch s.move {
	case stay:
	case wait:
		r.Phase = api.PhaseWaiting
	case advance:
		r.Phase, r.Now, r.Since = api.PhaseProgressing, s.percent, now
		f.Traffic = api.Mix(r.Good, r.Candidate, s.percent)
	case promote:
		r.Phase, r.Now, r.Ended = api.PhasePromoted, s.percent, now
		f.Traffic = nil
	case rollBack:
		r.Phase, r.Now = api.PhaseRollingBack, 0
		r.Redrive = append(slices.Clone(r.Redrive), r.Candidate)
		f.Traffic = slices.Clone(r.Good)
	}
	f.Rollout = &r
}

// maxRedriven is how many dead letters are handed out again at once.
const maxRedriven = 1000

// rollback names a revision whose dead letters are to be handed out again.
type rollback struct {
	name     functionName
	started  time.Time
	revision int
}

// handed is how far that has come.
type handed struct {
	before   map[partition.Handed]struct{} // attempts that may run by the traffic of before, and be given up
	redriven int
}

// handOutAgain redrives what a bad revision gave up on. It has come to its end when nothing runs any more that was handed out before the traffic was back, and nothing is
// left: then the registry forgets it. Until then it may be begun anew at any time.
func (c *rollouts) handOutAgain(ctx context.Context, snap *registry.Snapshot, at rollback) error {
	s, table := c.scheduler, c.scheduler.opts.Table
	if !s.isInForce(snap.Revision) {
		return nil
	}
	running := table.HandedOut(at.name.namespace, at.name.name)
	h := c.rollbacks[at]
	if h == nil {
		h = &handed{before: running}
		c.rollbacks[at] = h
	}
	for one := range h.before {
		if _, still := running[one]; !still {
			delete(h.before, one)
		}
	}
	quiet := len(h.before) == 0 // asked before the look at the dead letters
	letters, err := table.GivenUpBy(at.name.namespace, at.name.name, at.revision, maxRedriven)
	if err != nil {
		return err
	}
	if len(letters) > 0 {
		wishes := make([]partition.Redriving, len(letters))
		for i, l := range letters {
			wishes[i] = partition.Redriving{Letter: l} // by the traffic, which is the good one
		}
		outcomes, err := table.RedriveAs(ctx, wishes)
		for _, o := range outcomes {
			if o == partition.LetterChanged {
				h.redriven++
			}
		}
		return err
	}
	if !quiet {
		return nil
	}
	if _, err := s.opts.Registry.Steer(ctx, at.name.namespace, at.name.name, func(f *api.Function) bool { return rolledBack(f, at, time.Now().UTC()) }); err != nil {
		return err
	}
	s.log.Info("what a bad canary gave up on was handed out again", "namespace", at.name.namespace, "function", at.name.name, "revision", at.revision, "events", h.redriven)
	return nil
}

// rolledBack notes that nothing is left of a revision.
func rolledBack(f *api.Function, at rollback, now time.Time) bool {
	if f.Rollout == nil || !slices.Contains(f.Rollout.Redrive, at.revision) {
		return false
	}
	r := *f.Rollout
	r.Redrive = slices.DeleteFunc(slices.Clone(r.Redrive), func(n int) bool { return n == at.revision })
	if r.Phase == api.PhaseRollingBack && len(r.Redrive) == 0 {
		r.Phase, r.Ended, r.Redrive = api.PhaseRolledBack, now, nil
	}
	f.Rollout = &r
	return true
}

func (s *Scheduler) isInForce(revision int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inForce >= revision
}

// upkeep starts what goes on beside the events; stop ends it and waits.
func (s *Scheduler) upkeep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.rollouts.run(ctx) })
	running.Go(func() { s.collector.run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

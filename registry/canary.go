package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/evoke-run/evoke/api"
)

// bringIn gives the new revision of a function its traffic, all of it or that of a canary, and says what becomes of the traffic and the rollout of before. before is nil for a
// new function.
func (p *plan) bringIn(f, before *api.Function) (notes []string) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	f.Traffic, f.Rollout = nil, nil
	switch {
	case before == nil && p.spec.Canary != nil:
		note("%s is new: there is no revision to go back to, so it gets all of its traffic at once and no canary begins", f.Name)
	case before == nil:
	case p.spec.Canary == nil:
		if r := before.Rollout; r.Running() || r != nil && len(r.Redrive) > 0 {
			f.Rollout = endedBy(r, fmt.Sprintf("the deploy of revision %d, which is no canary, gives it everything", f.Revision), p.now)
		}
		if before.Rollout.Running() {
			note("the canary of %s, revision %d, ended at %d%%; revision %d gets all of the traffic now", f.Name, before.Rollout.Candidate, before.Rollout.Now, f.Revision)
		} else if len(before.Traffic) > 0 {
			note("the traffic was %s; revision %d gets all of it now", trafficText(before.Traffic), f.Revision)
		}
	default:
		f.Rollout = p.rollout(f.Revision, before)
		f.Traffic = api.Mix(f.Rollout.Good, f.Revision, f.Rollout.Now)
		if before.Rollout.Running() {
			note("the canary of %s, revision %d, ended at %d%%: this one takes its place. What revision %d gave up on stays a dead letter: fnctl dlq ls", f.Name, before.Rollout.Candidate, before.Rollout.Now, before.Rollout.Candidate)
		}
		notes = append(notes, canaryText(f))
		if !equalJSON(f.Spec.Triggers, before.Spec.Triggers) {
			note("the triggers of %s are those of revision %d at once, for all of its events; code and settings come step by step", f.Name, f.Revision)
		}
	}
	return notes
}

// rollout is the canary of a new revision. A running one before has not shown that its candidate is good, so what was good before stays so.
func (p *plan) rollout(revision int, before *api.Function) *api.Rollout {
	r := &api.Rollout{
		Canary: p.spec.Canary.WithDefaults(), Candidate: revision, Good: before.Traffic, Now: p.spec.Canary.Percent,
		Phase: api.PhaseProgressing, Started: p.now, Since: p.now,
	}
	if len(r.Good) == 0 {
		r.Good = []api.Share{{Revision: before.Revision, Percent: 100}}
	}
	if old := before.Rollout; old != nil {
		r.Redrive = old.Redrive
		if old.Running() {
			r.Good = old.Good
			r.Reason = fmt.Sprintf("takes the place of the canary of revision %d", old.Candidate)
		}
	}
	return r
}

// canaryText says what will happen.
func canaryText(f *api.Function) string {
	r := f.Rollout
	intervals := (100 - r.Percent + r.Step - 1) / r.Step
	return fmt.Sprintf("canary of %s: revision %d has %d%% of the traffic, and gets %d%% more after every %s in which %s held over at least %d attempts: all of it in %s at the earliest. "+
		"When a guard fails, the traffic goes back to %s. To see how it stands: fnctl traffic %s",
		f.Name, r.Candidate, r.Percent, r.Step, time.Duration(r.Every), r.Guards, r.Min, time.Duration(intervals)*time.Duration(r.Every), trafficText(r.Good), f.Name)
}

// unchangedNotes are for a function that a deploy leaves as it is.
func (p *plan) unchangedNotes(f *api.Function) (notes []string) {
	switch {
	case f.Rollout.Running():
		notes = append(notes, fmt.Sprintf("%s did not change, and the canary of its revision %d goes on: it has %d%%", f.Name, f.Revision, f.Rollout.Now))
	case len(f.Traffic) > 0:
		notes = append(notes, fmt.Sprintf("the traffic stays %s; to give all of it to the newest revision: fnctl traffic %s r%d=100", trafficText(f.Traffic), f.Name, f.Revision))
	}
	if p.spec.Canary != nil && !f.Rollout.Running() {
		notes = append(notes, fmt.Sprintf("%s did not change, so no canary begins", f.Name))
	}
	return notes
}

// endedBy is a rollout after somebody else has said where the traffic goes. What it has still to hand out again stays to be done.
func endedBy(r *api.Rollout, reason string, now time.Time) *api.Rollout {
	if r == nil {
		return nil
	}
	out := *r
	if r.Running() {
		out.Phase, out.Reason, out.Ended = api.PhaseAborted, reason, now
	}
	return &out
}

// endedByHand also gives up handing out again what a revision gave up on that has traffic now: whoever set it knows better.
func endedByHand(r *api.Rollout, traffic []api.Share, newest int, now time.Time) *api.Rollout {
	if len(traffic) == 0 {
		traffic = []api.Share{{Revision: newest, Percent: 100}}
	}
	reason := "somebody set the traffic to " + trafficText(traffic)
	out := endedBy(r, reason, now)
	if out == nil {
		return nil
	}
	out.Redrive = slices.DeleteFunc(slices.Clone(out.Redrive), func(revision int) bool {
		return slices.ContainsFunc(traffic, func(s api.Share) bool { return s.Revision == revision })
	})
	if out.Phase == api.PhaseRollingBack && len(out.Redrive) == 0 {
		out.Phase, out.Ended, out.Reason = api.PhaseAborted, now, out.Reason+"; then "+reason
	}
	return out
}

// Steer changes the traffic and the rollout of a function as edit does, which says whether it did; it runs again when someone else was faster. It returns the etcd revision at
// which that holds. ErrNotFound.
func (r *Registry) Steer(ctx context.Context, namespace, function string, edit func(*api.Function) bool) (int64, error) {
	key := r.keys.function(namespace, function)
	revision, err := r.write(ctx, func() (change, error) {
		f, err := r.readFunction(ctx, namespace, function)
		if err != nil {
			return change{}, err
		}
		if !edit(&f.value) {
			return change{holdsAt: f.mod}, nil
		}
		p := &plan{}
		p.relyOn(key, f.mod)
		err = p.put(key, f.value)
		return change{compares: p.compares, writes: p.writes}, err
	})
	if err != nil {
		return 0, fmt.Errorf("change the rollout of function %s in namespace %s: %w", function, namespace, err)
	}
	return revision, nil
}

package scheduler

import (
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const every = time.Minute
	for name, tc := range map[string]struct {
		guards        string
		now           int // percent
		attempts, bad int // bad = errors, rejected and slow alike
		dead          int
		after         time.Duration // since the interval began
		counted       time.Duration // how much later the count began: a restart
		move          move
		percent       int
		reason        string
	}{
		"nothing yet":                          {now: 5, move: stay, percent: 5},
		"in the middle":                        {now: 5, attempts: 100, after: every - 1, move: stay, percent: 5},
		"an interval that held":                {now: 5, attempts: 20, after: every, move: advance, percent: 20},
		"long after":                           {now: 20, attempts: 20, after: time.Hour, move: advance, percent: 35},
		"the last step":                        {now: 95, attempts: 20, after: every, move: promote, percent: 100},
		"a step that hits 100":                 {now: 85, attempts: 20, after: every, move: promote, percent: 100},
		"no traffic":                           {now: 5, after: every, move: wait, percent: 5, reason: "an interval needs 20 attempts of revision 8"},
		"too little traffic":                   {now: 5, attempts: 19, after: 10 * every, move: wait, percent: 5, reason: "an interval needs 20 attempts of revision 8"},
		"a restart begins the interval anew":   {now: 5, attempts: 30, after: 3 * every, counted: 2*every + 1, move: stay, percent: 5},
		"after a restart":                      {now: 5, attempts: 30, after: 3 * every, counted: 2 * every, move: advance, percent: 20},
		"one error of few, early":              {now: 5, attempts: 1, bad: 1, move: rollBack, reason: "errors<1% does not hold: 1 of 1 attempt failed"},
		"errors at the limit":                  {guards: "errors<5%", now: 5, attempts: 100, bad: 5, move: rollBack, reason: "errors<5% does not hold: 5 of 100 attempts failed"},
		"errors at the limit, which may be":    {guards: "errors<=5%", now: 5, attempts: 100, bad: 5, move: stay, percent: 5},
		"the missing ones may be good":         {guards: "errors<=5%", now: 5, attempts: 1, bad: 1, move: stay, percent: 5},
		"the missing ones cannot make it good": {guards: "errors<=5%", now: 5, attempts: 2, bad: 2, move: rollBack, reason: "errors<=5% does not hold: 2 of 2 attempts failed"},
		"the guards come before the interval":  {now: 95, attempts: 1000, bad: 500, after: every, move: rollBack, reason: "errors<1% does not hold: 500 of 1000 attempts failed"},
		"a dead letter":                        {now: 5, dead: 1, move: rollBack, reason: "dead<1 does not hold: 1 dead letter"},
		"dead letters":                         {guards: "dead<=2", now: 5, dead: 3, move: rollBack, reason: "dead<=2 does not hold: 3 dead letters"},
		"as many dead letters as may be":       {guards: "dead<=2", now: 5, attempts: 20, dead: 2, after: every, move: advance, percent: 20},
		"rejected":                             {guards: "rejected<10%", now: 5, attempts: 20, bad: 2, move: rollBack, reason: "rejected<10% does not hold: 2 of 20 attempts rejected the event"},
		"p95 with as many slow ones as may be": {guards: "p95<200ms", now: 5, attempts: 100, bad: 5, after: every, move: advance, percent: 20},
		"p95 with one more":                    {guards: "p95<200ms", now: 5, attempts: 100, bad: 6, move: rollBack, reason: "p95<200ms does not hold: 6 of 100 attempts took longer"},
		"p95 early, may still be kept":         {guards: "p95<200ms", now: 5, attempts: 1, bad: 1, move: stay, percent: 5},
		"p95 early, cannot be kept any more":   {guards: "p95<200ms", now: 5, attempts: 2, bad: 2, move: rollBack, reason: "p95<200ms does not hold: 2 of 2 attempts took longer"},
		"p50":                                  {guards: "p50<200ms", now: 5, attempts: 20, bad: 10, after: every, move: advance, percent: 20},
		"p50 not kept":                         {guards: "p50<200ms", now: 5, attempts: 20, bad: 11, move: rollBack, reason: "p50<200ms does not hold: 11 of 20 attempts took longer"},
		"p99 of 100 allows one":                {guards: "p99<1s", now: 5, attempts: 100, bad: 1, move: stay, percent: 5},
		"p99 of 99 allows none":                {guards: "p99<1s", now: 5, attempts: 99, bad: 1, move: rollBack, reason: "p99<1s does not hold: 1 of 99 attempts took longer"},
		"the second guard fails":               {guards: "dead<1,p50<=1s,errors<50%", now: 5, attempts: 20, bad: 10, move: rollBack, reason: "errors<50% does not hold: 10 of 20 attempts failed"},
	} {
		if tc.guards == "" {
			tc.guards = api.DefaultGuards
		}
		guards, err := api.ParseGuards(tc.guards)
		if err != nil {
			t.Fatal(name, err)
		}
		r := &api.Rollout{
			Canary:    api.Canary{Percent: 5, Step: 15, Every: api.Duration(every), Guards: tc.guards, Min: 20},
			Candidate: 8, Now: tc.now, Phase: api.PhaseProgressing, Since: began,
		}
		c := &tallied{RolloutCounts: api.RolloutCounts{
			Attempts: tc.attempts, Errors: tc.bad, Rejected: tc.bad, Dead: tc.dead, Since: began.Add(tc.counted),
		}}
		for range guards {
			c.slow = append(c.slow, tc.bad)
		}
		if got, want := nextStep(r, guards, c, began.Add(tc.after)), (step{tc.move, tc.percent, tc.reason}); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	alarms := 0
	r := &api.Rollout{Canary: api.Canary{Percent: 5, Guards: "errors<50%,p95<1s,p50<=2s", Min: 4}, Candidate: 8, Phase: api.PhaseProgressing, Started: time.Unix(1, 0), Since: time.Unix(1, 0)}
	now := time.Unix(100, 0).UTC()
	tl, err := newTally(r, now, func() { alarms++ })
	if err != nil {
		t.Fatal(err)
	}
	try := func(wantAlarm bool, took time.Duration, results ...sandbox.Result) {
		t.Helper()
		alarms = 0
		a := &attempt{duration: took, result: results[0]}
		a.result.More = results[1:]
		tl.attempt(a)
		if (alarms > 0) != wantAlarm {
			t.Errorf("%v, %+v: %d alarms", took, results, alarms)
		}
	}
	done, failed := sandbox.Result{Verdict: abi.Done}, sandbox.Result{Verdict: abi.Failed, Class: sandbox.ClassTrap}
	rejected, canceled := sandbox.Result{Verdict: abi.Rejected, Class: sandbox.ClassRejected}, sandbox.Result{Verdict: abi.Failed, Class: sandbox.ClassCanceled}
	try(false, time.Millisecond, done)
	try(false, time.Hour, canceled)
	try(true, time.Millisecond, done, failed) // of a batch
	try(true, time.Second, done)              // slow, and the fourth
	try(false, time.Millisecond, done)
	try(true, time.Millisecond, rejected)
	try(true, 2*time.Second, done)
	try(true, 2*time.Second+1, done)
	tl.crash()
	tl.deadLetter()
	c, since := tl.now()
	if want := (api.RolloutCounts{Attempts: 9, Errors: 2, Rejected: 1, Dead: 1, Since: now}); c.RolloutCounts != want || !since.Equal(r.Since) {
		t.Errorf("counted %+v, want %+v", c.RolloutCounts, want)
	}
	if c.slow[0] != 0 || c.slow[1] != 3 || c.slow[2] != 1 {
		t.Errorf("slow %v", c.slow)
	}

	// What was given up before this process counts once, and a new interval keeps the dead letters only.
	for range 2 {
		if err := tl.lookBack(func() (int, error) { return 4, nil }); err != nil {
			t.Fatal(err)
		}
	}
	tl.begin(r.Since, now.Add(time.Hour))
	if c, _ = tl.now(); c.Attempts != 9 || c.Dead != 4 {
		t.Errorf("the same interval: %+v", c)
	}
	tl.begin(r.Since.Add(1), now.Add(time.Hour))
	if c, _ = tl.now(); c.RolloutCounts != (api.RolloutCounts{Dead: 4, Since: now.Add(time.Hour)}) {
		t.Errorf("the next interval: %+v", c)
	}
	other := *r
	other.Candidate = 9
	ended := *r
	ended.Phase = api.PhasePromoted
	if !tl.isOf(r) || tl.isOf(&other) || tl.isOf(&ended) || tl.isOf(nil) {
		t.Error("it is of another rollout")
	}
}

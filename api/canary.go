package api

import (
	"fmt"
	"strings"
	"time"
)

// Canary says how the new revisions of a deploy get their traffic: a little at first, and more after every interval in which all guards held. Zero fields but Percent
// take the defaults.
type Canary struct {
	// Percent is the share of the keys that a new revision begins with, 1 to 99.
	Percent int `json:"percent"`
	// Step is what it gets more after each interval, 1 to 100. Default 15.
	Step int `json:"step,omitempty"`
	// Every is the length of an interval, at least a second. Default 1m.
	Every Duration `json:"every,omitempty"`
	// Guards are what must hold, see ParseGuards. Default DefaultGuards.
	Guards string `json:"guards,omitempty"`
	// Min is how many attempts of the new revision an interval must have seen before it counts. Default 20.
	Min int `json:"min,omitempty"`
}

// Defaults of Canary.
const (
	DefaultStep   = 15
	DefaultEvery  = time.Minute
	DefaultGuards = "errors<1%,dead<1"
	DefaultMin    = 20
)

// WithDefaults fills in what is not said.
func (c Canary) WithDefaults() Canary {
	if c.Step == 0 {
		c.Step = DefaultStep
	}
	if c.Every == 0 {
		c.Every = Duration(DefaultEvery)
	}
	if c.Min == 0 {
		c.Min = DefaultMin
	}
	if strings.TrimSpace(c.Guards) == "" {
		c.Guards = DefaultGuards
	}
	return c
}

// CanaryError says which field of a Canary is wrong and how.
type CanaryError struct{ Field, Problem string }

func (e *CanaryError) Error() string { return e.Field + ": " + e.Problem }

const (
	minEvery = time.Second
	maxEvery = 30 * 24 * time.Hour
	maxMin   = 1_000_000_000
)

// Check finds the first thing that is wrong with a Canary that has no defaults to take any more, as a *CanaryError.
func (c Canary) Check() error {
	wrong := func(field, format string, args ...any) error {
		return &CanaryError{field, fmt.Sprintf(format, args...)}
	}
	switch {
	case c.Percent == 100:
		return wrong("percent", "100 is everything at once, which is no canary; begin with 1 to 99")
	case c.Percent < 1 || c.Percent > 99:
		return wrong("percent", "%d is not between 1 and 99, the percent of the keys that a canary begins with", c.Percent)
	case c.Step < 1 || c.Step > 100:
		return wrong("step", "%d is not between 1 and 100, the percent that a canary gets more after each interval", c.Step)
	case time.Duration(c.Every) < minEvery || time.Duration(c.Every) > maxEvery:
		return wrong("every", "%s is not between 1s and 30 days, the length of an interval", time.Duration(c.Every))
	case c.Min < 1 || c.Min > maxMin:
		return wrong("min", "%d is not between 1 and 1000000000, the attempts of the new revision that an interval needs to count", c.Min)
	}
	if _, err := ParseGuards(c.Guards); err != nil {
		return wrong("guards", "%q: %v", c.Guards, err)
	}
	return nil
}

// Phases of a Rollout. Those before PhasePromoted are not ended.
const (
	PhaseProgressing = "progressing"  // the share of the candidate grows
	PhaseWaiting     = "waiting"      // the interval is over and has seen too few attempts to say something
	PhaseRollingBack = "rolling-back" // the traffic is back; what the candidate gave up on is handed out again
	PhasePromoted    = "promoted"     // the candidate has all of the traffic
	PhaseRolledBack  = "rolled-back"  // the traffic is back, and nothing that the candidate gave up on is left
	PhaseAborted     = "aborted"      // somebody else has said where the traffic goes
)

// Rollout is how the canary of a function stands, or how the last one ended.
type Rollout struct {
	Canary
	// Candidate is the new revision.
	Candidate int `json:"candidate"`
	// Good is the traffic before, to which a rollback goes, sorted by revision.
	Good []Share `json:"good"`
	// Now is the share of the candidate at the moment, in percent.
	Now   int    `json:"now"`
	Phase string `json:"phase"`
	// Reason says why the phase is what it is; "" while all is well.
	Reason  string    `json:"reason,omitempty"`
	Started time.Time `json:"started"`
	// Since is when the interval began.
	Since time.Time `json:"since"`
	Ended time.Time `json:"ended,omitzero"`
	// Redrive are revisions whose dead letters are still to be handed out again.
	Redrive []int `json:"redrive,omitempty"`
	// Seen is what the candidate did in this interval. It is only in answers.
	Seen *RolloutCounts `json:"seen,omitempty"`
}

// Running says whether the candidate may still get more traffic.
func (r *Rollout) Running() bool {
	return r != nil && (r.Phase == PhaseProgressing || r.Phase == PhaseWaiting)
}

// RolloutCounts count what the candidate did: finished attempts of the interval, and dead letters of the whole rollout. Attempts that were canceled do not count.
type RolloutCounts struct {
	Attempts int `json:"attempts"`
	Errors   int `json:"errors"`
	Rejected int `json:"rejected"`
	Dead     int `json:"dead"`
	// Since is when this count began: with the interval, or with the start of the runtime.
	Since time.Time `json:"since"`
}

// Mix is the traffic in which a new revision has so many percent, and those of before share the rest as they did, in whole percent. A revision for which none is left is
// left out. The new one is above all of before.
func Mix(before []Share, revision, percent int) []Share {
	if percent >= 100 {
		return nil
	}
	rest := 100 - percent
	var out []Share
	sum, given := 0, 0
	for _, s := range before {
		sum += s.Percent
		upTo := (sum*rest + 50) / 100 // rounds the ends of the ranges, so that all add up
		if upTo > given {
			out = append(out, Share{Revision: s.Revision, Percent: upTo - given})
			given = upTo
		}
	}
	return append(out, Share{Revision: revision, Percent: percent})
}

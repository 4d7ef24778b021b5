package partition

import "testing"

// simMutants are the rules of docs/log.md that a mutant of the model leaves out, each with the number of runs within which the simulation must notice. The code keeps
// the rule and the model does not, which differs exactly where a code without it would differ from the model: so every rule is one that runs come by.
var simMutants = map[string]uint64{
	"epoch": 400, "sequence": 400, "remove": 400, "control generation": 1000, "every trigger": 200, "not before": 200,
	"dedup": 200, "dedup window": 400, "dedup limit": 1000,
	"generation": 1000, "attempt": 200, "first attempt": 400, "conflict": 200, "state version": 200, "list": 1000, "joint writes": 200,
	"outbox sequence": 600, "outbox once": 200, "delivered": 4000,
	"next generation": 600, "generation of dead letters": 4000,
	// triggers that start in the past
	"run begins at from": 400, "run ends at to": 400, "replay once": 400, "replay generation": 200, "above all": 200, "run generation": 400, "definition": 600, "run goes on": 4000, "held back in the past": 1000,
	"pending stay": 200, "dead letters stay": 200, "below the floor": 4000,
	// keys that stand still, and what people want of dead letters
	"who parks": 400, "one head": 4000, "lane goes on": 200, "parks no more": 4000,
	"edited": 200, "revision": 200, "in force again": 200, "done is forgotten": 200,
	// batches, and calls that happen once
	"batch attempt": 1000, "whole batch": 200, "call once": 200, "reply age": 600,
	// ranks and rates
	"rank": 200,
	"rate": 200, "burst": 200, "rate of a clock set back": 400, "rate is forgotten": 400,
	// firings
	"due once": 200, "last due": 200, "alone": 200, "due of what overlaps": 400, "due is of who is in force": 400,
	// leaders that move
	"lead": 400, "deposed": 400, "lost lease": 1000, "followers": 1000, "behind": 1000, "export": 200,
	// retention
	"runs hold": 200, "horizon only rises": 200, "lapse generation": 200, "class of a lapse": 200, "floor only rises": 4000, "floor is applied": 400,
}

func TestSimulationNoticesABrokenRule(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("runs without the race detector: nothing runs at once in a simulation")
	}
	for rule, runs := range simMutants {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= runs; seed++ {
				if finding, _ := simRun(t, seed, rule, simLength, nil); finding != "" {
					t.Logf("run %d: %.200s", seed, finding)
					return
				}
			}
			t.Errorf("%d runs did not notice", runs)
		})
	}
}

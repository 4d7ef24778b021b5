package partition

import "testing"

// simMutants are the rules of docs/log.md that a mutant of the model leaves out, each with the number of runs within which the simulation must notice. The code keeps
// the rule and the model does not, which differs exactly where a code without it would differ from the model: so every rule is one that runs come by.
var simMutants = map[string]uint64{
	"epoch": 100, "sequence": 100, "remove": 100, "control generation": 400, "every trigger": 50, "not before": 50,
	"dedup": 50, "dedup window": 100, "dedup limit": 400,
	"generation": 400, "attempt": 50, "first attempt": 100, "conflict": 50, "state version": 50,
	"outbox sequence": 200, "outbox once": 50, "delivered": 1000,
	"next generation": 200, "generation of dead letters": 2000,
	// triggers that start in the past
	"run begins at from": 100, "run ends at to": 100, "replay once": 100, "replay generation": 50, "above all": 50, "run generation": 100, "definition": 200, "run goes on": 1000,
	"pending stay": 50, "dead letters stay": 50, "below the floor": 2000,
	// keys that stand still, and what people want of dead letters
	"who parks": 100, "one head": 1000, "lane goes on": 50, "parks no more": 1000,
	"edited": 50, "revision": 50, "in force again": 50, "done is forgotten": 50,
	// batches, and calls that happen once
	"batch attempt": 400, "whole batch": 50, "call once": 50, "reply age": 200,
	// retention
	"runs hold": 50, "horizon only rises": 50, "lapse generation": 50, "class of a lapse": 50, "floor only rises": 1000, "floor is applied": 100,
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

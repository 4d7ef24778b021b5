package partition

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// simLength is how many steps a run has.
const simLength = 150

// TestSimulation drives real tables from one number a run, over a log that loses, repeats and delays what its contract allows, with crashes, leaders that were
// deposed and do not know it, and states behind the log. After every step it compares them with a naive model written from docs/log.md.
//
// EVOKE_SIM_SEEDS says how many runs, EVOKE_SIM_SEED=N runs only N and prints every step, EVOKE_SOAK=2h runs for so long, beginning somewhere.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if one := os.Getenv("EVOKE_SIM_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatalf("EVOKE_SIM_SEED: %v", err)
		}
		simReport(t, seed)
		return
	}
	usual := uint64(200)
	if raceDetector {
		usual = 20 // it is slow there, and nothing runs at once in a simulation
	}
	first, seeds := uint64(1), simEnv(t, "EVOKE_SIM_SEEDS", usual)
	end := time.Time{}
	if text := os.Getenv("EVOKE_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("EVOKE_SOAK: %v", err)
		}
		first, seeds, end = rand.Uint64()>>1, 1<<62, time.Now().Add(d)
	}
	simSpread(t, simRange{first, seeds, end}, func(t *testing.T, seed uint64) {
		if finding, _ := simRun(t, seed, "", simLength, nil); finding != "" {
			simReport(t, seed)
		}
	})
}

func simEnv(t *testing.T, name string, n uint64) uint64 {
	if text := os.Getenv(name); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return n
}

// simRange is which seeds are run: so many from the first on, and none begins after the end if there is one.
type simRange struct {
	first, count uint64
	end          time.Time
}

// simSpread runs seeds on all processors and stops at the first failure.
func simSpread(t *testing.T, r simRange, run func(*testing.T, uint64)) {
	var taken atomic.Uint64
	for worker := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint("worker ", worker), func(t *testing.T) {
			t.Parallel()
			for n := taken.Add(1); n <= r.count && !t.Failed() && (r.end.IsZero() || time.Now().Before(r.end)); n = taken.Add(1) {
				run(t, r.first+n-1)
			}
		})
	}
}

// simRun is one run; it gives the first finding and the step after which it showed.
func simRun(t *testing.T, seed uint64, broken string, length int, leaveOut map[int]bool) (finding string, at int) {
	synctest.Test(t, func(t *testing.T) {
		finding, at = newSimWorld(t, seed, broken).steps(length, leaveOut)
	})
	return finding, at
}

// simReport runs a seed again, leaves out the steps that the finding does not need, and prints what is left.
func simReport(t *testing.T, seed uint64) {
	t.Helper()
	finding, at := simRun(t, seed, "", simLength, nil)
	if finding == "" {
		t.Logf("seed %d: nothing found", seed)
		return
	}
	length, leaveOut := min(at+1, simLength), map[int]bool{}
	for i := length - 1; i >= 0; i-- {
		leaveOut[i] = true
		if f, _ := simRun(t, seed, "", length, leaveOut); f == "" {
			delete(leaveOut, i)
		}
	}
	trace, finding := simTrace(t, seed, length, leaveOut)
	t.Errorf("%s\n%s\nreproduce with: EVOKE_SIM_SEED=%d go test -run '^TestSimulation$' ./partition", strings.Join(trace, "\n"), finding, seed)
}

// simTrace is what happened in a run, and what was found.
func simTrace(t *testing.T, seed uint64, length int, leaveOut map[int]bool) (trace []string, finding string) {
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld(t, seed, "")
		w.tracing = true
		finding, _ = w.steps(length, leaveOut)
		trace = w.trace
	})
	return trace, finding
}

// A run follows from its seed alone, or what it finds could not be found again.
func TestSimulationFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		first, _ := simTrace(t, seed, simLength, nil)
		again, _ := simTrace(t, seed, simLength, nil)
		for i := range min(len(first), len(again)) {
			if first[i] != again[i] {
				from := max(0, i-12)
				t.Fatalf("seed %d differs at line %d:\n%s\n\nbut then:\n%s", seed, i, strings.Join(first[from:i+1], "\n"), strings.Join(again[from:i+1], "\n"))
			}
		}
		if len(first) != len(again) {
			t.Fatalf("seed %d has %d lines, then %d", seed, len(first), len(again))
		}
	}
}

package api

import (
	"reflect"
	"testing"
	"time"
)

func TestCanaryThatIsWrong(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Canary{
		"percent: 0 is not between 1 and 99, the percent of the keys that a canary begins with":                     {},
		"percent: -5 is not between 1 and 99, the percent of the keys that a canary begins with":                    {Percent: -5},
		"percent: 101 is not between 1 and 99, the percent of the keys that a canary begins with":                   {Percent: 101},
		"percent: 100 is everything at once, which is no canary; begin with 1 to 99":                                {Percent: 100},
		"step: -1 is not between 1 and 100, the percent that a canary gets more after each interval":                {Percent: 5, Step: -1},
		"step: 101 is not between 1 and 100, the percent that a canary gets more after each interval":               {Percent: 5, Step: 101},
		"every: 999ms is not between 1s and 30 days, the length of an interval":                                     {Percent: 5, Every: Duration(999 * time.Millisecond)},
		"every: 721h0m0s is not between 1s and 30 days, the length of an interval":                                  {Percent: 5, Every: Duration(721 * time.Hour)},
		"min: -1 is not between 1 and 1000000000, the attempts of the new revision that an interval needs to count": {Percent: 5, Min: -1},
		`guards: "cpu<1%": at 1: there is no metric "cpu"; there are dead, errors, p50, p95, p99 and rejected`:      {Percent: 5, Guards: "cpu<1%"},
	} {
		if err := c.WithDefaults().Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
	if err := (Canary{Percent: 1}).Check(); err == nil || err.Error() != "step: 0 is not between 1 and 100, the percent that a canary gets more after each interval" {
		t.Errorf("without the defaults: %v", err)
	}
	if err := (Canary{Percent: 1}).WithDefaults().Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if got := (Canary{Percent: 1}).WithDefaults(); got != (Canary{1, 15, Duration(time.Minute), "errors<1%,dead<1", 20}) {
		t.Errorf("the defaults are %+v", got)
	}
}

func TestMix(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		before  []Share
		percent int
		want    []Share
	}{
		{[]Share{{1, 100}}, 5, []Share{{1, 95}, {3, 5}}},
		{[]Share{{1, 50}, {2, 50}}, 5, []Share{{1, 48}, {2, 47}, {3, 5}}},
		{[]Share{{1, 90}, {2, 10}}, 99, []Share{{1, 1}, {3, 99}}},
		{[]Share{{1, 100}}, 100, nil},
	} {
		if got := Mix(tc.before, 3, tc.percent); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%v with %d%%: %v, want %v", tc.before, tc.percent, got, tc.want)
		}
	}
	for percent := 1; percent < 100; percent++ {
		for first := 1; first < 100; first++ {
			sum := 0
			for _, s := range Mix([]Share{{1, first}, {2, 100 - first}}, 3, percent) {
				if sum += s.Percent; s.Percent < 1 {
					t.Fatalf("%d and %d: %+v", percent, first, s)
				}
			}
			if sum != 100 {
				t.Fatalf("%d and %d add up to %d", percent, first, sum)
			}
		}
	}
	for phase, want := range map[string]bool{PhaseProgressing: true, PhaseWaiting: true, PhaseRollingBack: false, PhasePromoted: false, PhaseRolledBack: false, PhaseAborted: false} {
		if got := (&Rollout{Phase: phase}).Running(); got != want {
			t.Errorf("%s: running %v", phase, got)
		}
	}
	if (*Rollout)(nil).Running() {
		t.Error("no rollout, and it runs")
	}
}

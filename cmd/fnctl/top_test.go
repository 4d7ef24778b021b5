package main

import (
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestTop(t *testing.T) {
	t.Parallel()
	busy := []api.Function{
		{Name: "grind", Load: &api.Load{Wanted: 20, Target: 4, Limit: "scale.max", InProgress: 5, Running: 2, Parked: 1, Waiting: 1, Fuel: 12_300_000}},
		{Name: "naps", Load: &api.Load{Wanted: 3, Target: 3, InProgress: 3, Away: 3, Held: "memory"}},
	}
	f := newFake(t, map[string]any{"GET /ns/default/top": busy, "GET /ns/empty/top": []api.Function{}})
	f.fnctl("top").want(t, 0, "FUNCTION   RUNNING   PARKED   AWAY   IN PROGRESS   WANTED   LIMITED BY   FUEL\n"+
		"grind      2         1        0      5             20       scale.max    12.3M\n"+
		"naps       0         0        3      3             3        memory       0\n", "")
	f.fnctl("top", "-o", "name").want(t, 0, "grind\nnaps\n", "")
	f.fnctl("top", "-n", "empty").want(t, 0, "", "no function in namespace empty has anything to do\n")
	f.fnctl("top", "--every", "1ms").want(t, 2, "", "error: --every 1ms is too short; the least is 100ms\nTry: fnctl top --help\n")
	f.fnctl("top", "grind").want(t, 2, "", "error: fnctl top takes no arguments, but there is \"grind\"\nTry: fnctl top --help\n")
}

func TestWhatAFunctionDoesInOneLine(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]*api.Load{
		"":                           {},
		"1 in progress (1 run) of 1": {Wanted: 1, Target: 1, InProgress: 1, Running: 1},
		"7 in progress (2 run, 1 wait to go on, 1 sleep, 2 wait to begin, 1 being stored) of 20, limited by scale.max": {
			Wanted: 20, Target: 7, Limit: "scale.max", InProgress: 7, Running: 2, Parked: 1, Away: 1, Waiting: 2,
		},
		"0 in progress of 4, limited by memory": {Wanted: 4, Held: "memory"},
	} {
		if got := loadText(l); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := loadText(nil); got != "" {
		t.Errorf("%q", got)
	}
}

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/evoke-run/evoke/sandbox"
)

const (
	killAfter  = 50 * time.Millisecond // the deadline of an event whose guest will not end by itself
	kills      = 3                     // in each round
	killTarget = 10                    // ms
)

// kill measures how late after its deadline something is ended.
type kill struct {
	name string
	run  func(ctx context.Context) error // until it is ended
	late []time.Duration
}

func (x *box) killCases(ctx context.Context) ([]roundCase, error) {
	var all []roundCase
	for _, g := range busyGuests() {
		m, err := x.load(ctx, g.value, false)
		if err != nil {
			return nil, fmt.Errorf("load guest %s: %w", g.name, err)
		}
		all = append(all, &kill{name: "kill_lateness_" + g.name, run: func(ctx context.Context) error {
			if res := m.Invoke(ctx, benchEvent(nil), silent{}); res.Class != sandbox.ClassDeadline {
				return notDone(ctx, res)
			}
			return nil
		}})
	}
	return append(all, &kill{name: "kill_lateness_yardstick", run: watchTheClock}), nil
}

// watchTheClock is what cannot be late but for the machine: a loop that ends when it sees that its time is over.
func watchTheClock(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	for time.Now().Before(deadline) {
	}
	return nil
}

func (k *kill) round(parent context.Context) error {
	for range kills {
		if err := k.once(parent); err != nil {
			return err
		}
	}
	return nil
}

func (k *kill) once(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, killAfter)
	defer cancel()
	err := k.run(ctx)
	deadline, _ := ctx.Deadline()
	k.late = append(k.late, time.Since(deadline))
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	return nil
}

func (k *kill) rows() []row { return worstAndMedian(k.name, k.late, killTarget) }

// worstAndMedian are the rows of what has to be short every time: name_ms is the longest of all times against a target in ms, name_p50_ms their median.
func worstAndMedian(name string, times []time.Duration, limit float64) []row {
	var all []float64
	for _, t := range times {
		all = append(all, milliseconds(t))
	}
	return []row{worst(name+"_ms", "ms", all, limit), {Case: name + "_p50_ms", Unit: "ms", Value: median(all), Runs: len(all)}}
}

// worst is the largest of all values against a target. It has no noise: it is the noise.
func worst(name, unit string, values []float64, limit float64) row {
	r := target(name, unit, []float64{slices.Max(values)}, limit)
	r.Runs = len(values)
	return r
}

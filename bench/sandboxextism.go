package main

import (
	"context"
	"fmt"
	"time"
)

// extism is the yardstick with Extism: it handles events for as long as it is told to, and says how many.
type extism struct{ *dialogue }

// extismAnswer is a line of what bench/peers/extism prints.
type extismAnswer struct {
	Events int           `json:"events"`
	Took   time.Duration `json:"took_ns"`
}

func startExtism(binary, plugin string) (*extism, error) {
	d, err := startDialogue("Extism", binary, plugin)
	if err != nil {
		return nil, err
	}
	return &extism{d}, nil
}

// run handles events in one of the modes of bench/peers/extism and answers what one took.
func (e *extism) run(mode string, length time.Duration) (time.Duration, error) {
	var a extismAnswer
	if err := e.ask(&a, mode, length); err != nil {
		return 0, err
	}
	if a.Events < 1 {
		return 0, fmt.Errorf("nothing was handled by Extism in %v", length)
	}
	return a.Took / time.Duration(a.Events), nil
}

// foreign compares Extism with our isolated C function.
type foreign struct {
	*box
	ours          subject
	pooled, fresh series
}

func (x *box) extismCases(ctx context.Context) ([]roundCase, error) {
	if x.extism == nil {
		return nil, nil
	}
	m, err := x.load(ctx, x.guests.c, false)
	const ours = "isolated_c_1k"
	return []roundCase{&foreign{
		box: x, ours: invoke(ctx, m, loopData()),
		pooled: series{name: "extism_pooled_1k", unit: "µs/event", against: ours}, fresh: series{name: "extism_fresh_1k", unit: "µs/event", against: ours},
	}}, err
}

func (f *foreign) rows() []row { return []row{f.pooled.row(), f.fresh.row()} }

func (f *foreign) round(ctx context.Context) error {
	turn := f.session.slice / 2 / (3 * pieces)
	took := map[string][]float64{}
	for range pieces {
		each, err := repeat(ctx, turn, f.ours)
		if err != nil {
			return err
		}
		took["ours"] = append(took["ours"], microseconds(each))
		for _, mode := range []string{"pooled", "fresh"} {
			each, err := f.extism.run(mode, turn)
			if err != nil {
				return err
			}
			took[mode] = append(took[mode], microseconds(each))
		}
	}
	f.pooled.add(median(took["pooled"]), median(took["ours"]))
	f.fresh.add(median(took["fresh"]), median(took["ours"]))
	return nil
}

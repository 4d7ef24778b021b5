package main

import (
	"context"
	"fmt"
	"time"
)

// workers compares two goroutines that handle events of one function with one. The rows of CPU time tell what they cost each other from what the machine
// had no processor for.
type workers struct {
	*box
	handle    subject
	rate, cpu series
}

func (x *box) workerCases(ctx context.Context) ([]roundCase, error) {
	m, err := x.load(ctx, x.guests.loop, false)
	if err != nil {
		return nil, err
	}
	const name, one = "throughput_2_workers_go_1k", "1 worker"
	return []roundCase{&workers{
		box: x, handle: invoke(ctx, m, loopData()),
		rate: series{name: name, unit: "events/s", against: one}, cpu: series{name: name + "_cpu", unit: "µs/event", against: one},
	}}, nil
}

func (w *workers) rows() []row { return []row{w.rate.row(), w.cpu.row()} }

func (w *workers) round(ctx context.Context) error {
	var total [2]sample
	var rates [2][]float64
	const turns = 20
	for range turns {
		for i := range total {
			out, err := w.turn(ctx, 1+i, w.session.slice/2/(2*turns))
			if err != nil {
				return fmt.Errorf("%d workers: %w", 1+i, err)
			}
			rates[i] = append(rates[i], out.perSecond())
			total[i].n, total[i].cpu = total[i].n+out.n, total[i].cpu+out.cpu
		}
	}
	w.rate.add(median(rates[1]), median(rates[0]))
	w.cpu.add(total[1].cpuEach(), total[0].cpuEach())
	return nil
}

func (w *workers) turn(ctx context.Context, n int, length time.Duration) (sample, error) {
	before := ownCPU()
	out, err := hammer(ctx, n, length, func(context.Context, int) error { return w.handle() })
	out.cpu = ownCPU() - before
	return out, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

// workOff takes events of the trigger and lets up to flying handlers settle them, until n have been taken. It leaves no settle behind.
func (w *world) workOff(ctx context.Context, n int, settle func(context.Context, *partition.Delivery) error) (out sample, err error) {
	// The handlers stay: a new goroutine for each event would have to grow its stack for each.
	type result struct {
		events int
		err    error
	}
	work, results := make(chan *partition.Delivery, flying), make(chan result, flying)
	defer close(work)
	for range min(n, flying) {
		go func() {
			for d := range work {
				results <- result{1 + len(d.More), settle(ctx, d)}
			}
		}()
	}
	busy := 0 // events
	finish := func(r result) {
		busy -= r.events
		out.n += r.events
		err = errors.Join(err, r.err)
	}
	before, start := ownCPU(), time.Now()
	for err == nil && out.n+busy < n {
		list, e := w.table.Take(triggerID, (min(flying-busy, n-out.n-busy)+w.together-1)/w.together)
		if e != nil {
			err = e
			break
		}
		for i := range list {
			work <- &list[i]
			busy += 1 + len(list[i].More)
		}
		if busy == 0 {
			err = w.waitReady(ctx)
			continue
		}
		finish(<-results)
		for range len(results) { // in groups, as they are committed
			finish(<-results)
		}
	}
	for busy > 0 {
		finish(<-results)
	}
	out.elapsed, out.cpu = time.Since(start), ownCPU()-before
	return out, err
}

// waitReady waits until the table says that there may be something to take.
func (w *world) waitReady(ctx context.Context) error {
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settle stores that an attempt was done, with its effects; like a scheduler, whatever comes.
func (w *world) settle(ctx context.Context, d *partition.Delivery, e partition.Effects) error {
	outcome, err := w.table.Settle(context.WithoutCancel(ctx), d, done(d), partition.Next{}, e)
	return applied(d, outcome, err)
}

func done(d *partition.Delivery) partition.Attempt {
	return partition.Attempt{Number: d.Attempt, Revision: 1, Start: time.Now(), Verdict: int32(abi.Done)}
}

func applied(d *partition.Delivery, outcome partition.Outcome, err error) error {
	if err == nil && outcome != partition.Applied {
		err = fmt.Errorf("settle of %s: outcome %d", d.ID, outcome)
	}
	return err
}

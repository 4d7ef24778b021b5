package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

// inWork is how many events the pipeline works on at the same time.
const inWork = 1024

// pipeline fills a topic, then takes its events and settles each with one emitted event of the same key and size, for a while: all that happens to an
// event but the function itself.
func (w *world) pipeline(ctx context.Context, length time.Duration) (sample, error) {
	if err := w.fill(ctx, length); err != nil {
		return sample{}, fmt.Errorf("fill the topic: %w", err)
	}
	before, start := ownCPU(), time.Now()
	n, err := w.settleUntil(ctx, start.Add(length))
	return sample{n: n, elapsed: time.Since(start), cpu: ownCPU() - before}, err
}

// fill publishes in batches, which is faster than anything is settled.
func (w *world) fill(ctx context.Context, length time.Duration) error {
	_, err := hammer(ctx, partitions, length, func(ctx context.Context, _ int) error { return w.publishBatch(ctx, inTopic, 64) })
	return err
}

func (w *world) publishBatch(ctx context.Context, topic string, n int) error {
	batch := make([]event.Event, n)
	for i := range batch {
		batch[i] = w.event()
	}
	_, err := w.table.Publish(ctx, "default", topic, batch)
	return err
}

// settleUntil works until a time or until nothing is left, and answers how many events it has settled. It leaves no settle behind.
func (w *world) settleUntil(ctx context.Context, end time.Time) (done int, err error) {
	results := make(chan error, inWork)
	busy := 0
	finish := func(e error) {
		busy--
		done++
		err = errors.Join(err, e)
	}
	for err == nil && time.Now().Before(end) {
		list, e := w.table.Take(triggerID, inWork-busy)
		if err = e; len(list) == 0 && busy == 0 {
			break
		}
		busy += len(list)
		for i := range list {
			go func() { results <- w.settle(ctx, &list[i]) }()
		}
		finish(<-results)
		for range len(results) { // as a scheduler with many slots does, in groups
			finish(<-results)
		}
	}
	for busy > 0 {
		finish(<-results)
	}
	return done, err
}

func (w *world) settle(ctx context.Context, d *partition.Delivery) error {
	out := event.Event{
		ID: d.Invocation() + ".0", Source: "/bench/out", Type: d.Event.Type, Subject: d.Event.Subject,
		DataContentType: d.Event.DataContentType, Data: d.Event.Data,
	}
	outcome, err := w.table.Settle(ctx, d,
		partition.Attempt{Number: d.Attempt, Revision: 1, Start: time.Now(), Verdict: int32(abi.Done)},
		partition.Next{}, partition.Effects{Emits: []partition.Emit{{Topic: outTopic, Event: out}}})
	if err == nil && outcome != partition.Applied {
		err = fmt.Errorf("settle of %s: outcome %d", d.ID, outcome)
	}
	return err
}

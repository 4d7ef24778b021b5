package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

const timerTarget = 50 // ms

// timerRow: many delayed events are due at the same time. How late does Take hand them out?
func (s *session) timerRow(ctx context.Context) (row, error) {
	n := int(20_000 * s.slice.Seconds())
	var p99 []float64
	for round := range s.rounds {
		s.say("timers %d of %d", round+1, s.rounds)
		late, err := s.timers(ctx, n)
		if err != nil {
			return row{}, fmt.Errorf("timers: %w", err)
		}
		p99 = append(p99, milliseconds(quantile(late, 0.99)))
	}
	return target("timers_20k", "ms", p99, timerTarget), nil
}

func (s *session) timers(ctx context.Context, n int) (late []time.Duration, err error) {
	dir := s.tableDir("timers")
	w, err := openWorld(ctx, dir, partition.Trigger{}, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close(), os.RemoveAll(dir)) }()
	due := time.Now().Add(time.Second + s.slice).Truncate(time.Millisecond)
	if err := w.delay(ctx, n, due); err != nil {
		return nil, err
	}
	if time.Now().After(due) {
		return nil, errors.New("the events are not stored before they are due: the disk is too slow or too busy")
	}
	late = make([]time.Duration, 0, n)
	for len(late) < n {
		select {
		case <-w.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		for {
			// A scheduler takes a few at a time.
			list, err := w.table.Take(triggerID, batch)
			if err != nil {
				return nil, err
			}
			if len(list) == 0 {
				break
			}
			after := time.Since(due)
			for range list {
				late = append(late, after)
			}
		}
	}
	return late, nil
}

// delay stores n events that nobody may have before a time.
func (w *world) delay(ctx context.Context, n int, due time.Time) error {
	for n > 0 {
		events := make([]event.Event, min(n, flying))
		for i := range events {
			events[i] = w.event()
			events[i].SetExtension(event.Extension{Name: event.DeliverAtExtension, Value: event.FormatTime(due.UTC())})
		}
		if _, err := w.table.Publish(ctx, "default", inTopic, events); err != nil {
			return err
		}
		n -= len(events)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

const laneTarget = 500 // bytes

// laneRows: a trigger with order key and a million keys, each with one event that failed and waits for its retry and one that waits behind it. How much memory
// does a key take, and how much of that is left when all are settled? Deduplication, which has a bound of its own, remembers nothing here. One run tells: there is
// little chance in it.
func (s *session) laneRows(ctx context.Context) ([]row, error) {
	n := int(1e6 * s.slice.Seconds())
	s.say("%d keys", n)
	waiting, settled, err := s.lanes(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	return []row{
		target("lanes_1M_keys", "bytes/key", []float64{waiting}, laneTarget),
		target("lanes_1M_keys_settled", "bytes/key", []float64{settled}, 0),
	}, nil
}

func (s *session) lanes(ctx context.Context, n int) (waiting, settled float64, err error) {
	dir := s.tableDir("lanes")
	w, err := openWorld(ctx, dir, partition.Trigger{Order: "key"}, func(o *partition.Options) { o.DedupLimit = 1 })
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, w.close(), os.RemoveAll(dir)) }()
	w.keys, w.payload = uint64(n), w.payload[:16]
	if err := w.fill(ctx, inTopic, 2*n); err != nil {
		return 0, 0, err
	}
	heads := make(chan partition.ID, n)
	before := heap()
	if _, err := w.workOff(ctx, n, func(ctx context.Context, d *partition.Delivery) error { heads <- d.ID; return w.retry(ctx, d) }); err != nil {
		return 0, 0, fmt.Errorf("let the first of each key fail: %w", err)
	}
	if list, err := w.table.Take(triggerID, n); err != nil || len(list) > 0 {
		return 0, 0, errors.Join(err, fmt.Errorf("%d events overtake those before them", len(list)))
	}
	waiting = perKey(before, n)
	if err := w.settleHeads(ctx, heads); err != nil {
		return 0, 0, err
	}
	_, err = w.workOff(ctx, n, func(ctx context.Context, d *partition.Delivery) error { return w.settle(ctx, d, partition.Effects{}) })
	return waiting, perKey(before, n), err
}

// retry fails an attempt; nothing is tried again before the end.
func (w *world) retry(ctx context.Context, d *partition.Delivery) error {
	failed := partition.Attempt{Number: d.Attempt, Revision: 1, Start: time.Now(), Verdict: int32(abi.Failed), Class: "error"}
	outcome, err := w.table.Settle(ctx, d, failed, partition.Next{RetryAt: time.Now().Add(time.Hour)}, partition.Effects{})
	return applied(d, outcome, err)
}

// settleHeads settles those that wait for their retry, without waiting for it.
func (w *world) settleHeads(ctx context.Context, heads <-chan partition.ID) error {
	ended := make(chan error, flying)
	for range flying {
		go func() {
			for {
				select {
				case id := <-heads:
					d := partition.Delivery{ID: id, Attempt: 2, Trigger: partition.Trigger{Namespace: "default", Function: "bench"}}
					if err := w.settle(ctx, &d, partition.Effects{}); err != nil {
						ended <- err
						return
					}
				default:
					ended <- nil
					return
				}
			}
		}()
	}
	var err error
	for range flying {
		err = errors.Join(err, <-ended)
	}
	return err
}

// heap is what is in use on it.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers have let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// perKey is how much the heap has grown for each of n keys.
func perKey(before uint64, n int) float64 {
	return max(0, float64(heap())-float64(before)) / float64(n)
}

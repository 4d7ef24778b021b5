package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/evoke-run/evoke/partition"
)

// producers publish one event after the other, each when the one before is durable.
const producers = 64

// eventsASecond is how many events there are, for each second of a slice, of what must be stored before it is measured.
const eventsASecond = 100_000

// stored is how many events are stored before a case that works them off.
func (s *session) stored() int { return max(flying, int(eventsASecond*s.slice.Seconds())) }

// workLimit bounds how long they are worked off.
const workLimit = time.Minute

// runLog measures partition.Table on eventlog/local, as a node has them, beside JetStream.
func runLog(ctx context.Context, s *session) ([]row, error) {
	peer, err := s.buildJetStream(ctx)
	if err != nil {
		return nil, err
	}
	return s.measureLog(ctx, peer)
}

// measureLog: every case has a new table, so that the yardstick's turn finds a disk at rest.
func (s *session) measureLog(ctx context.Context, peer string) ([]row, error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	rows, err := s.contests(ctx, peer, s.logContests())
	if err != nil {
		return nil, err
	}
	timers, err := s.timerRow(ctx)
	if err != nil {
		return nil, err
	}
	lanes, err := s.laneRows(ctx)
	return append(append(rows, timers), lanes...), err
}

// logContests: what comes in is durable before it is acknowledged; JetStream does that with sync_interval always, and in ingest_1024 does not. In replay both
// sides read what is stored.
func (s *session) logContests() []*contest {
	return []*contest{
		{
			rate: "ingest_64", p50: "ingest_64_p50", p99: "ingest_64_p99", cpu: "ingest_64_cpu",
			ours: s.inWorld(partition.Trigger{}, func(ctx context.Context, w *world) (sample, error) { return w.ingest(ctx, producers, 1, s.slice) }),
			mode: "always", n: producers, length: s.slice,
		},
		{
			p50:  "ingest_1",
			ours: s.inWorld(partition.Trigger{}, func(ctx context.Context, w *world) (sample, error) { return w.ingest(ctx, 1, 1, s.slice/2) }),
			mode: "always", n: 1, length: s.slice / 2,
		},
		{
			rate: "ingest_1024", cpu: "ingest_1024_cpu",
			ours: s.inWorld(partition.Trigger{}, func(ctx context.Context, w *world) (sample, error) {
				return w.ingest(ctx, flying/batch, batch, s.slice)
			}),
			mode: "async", n: flying, length: s.slice,
		},
		{
			rate: "replay", cpu: "replay_cpu",
			ours: s.inWorld(partition.Trigger{}, func(ctx context.Context, w *world) (sample, error) { return w.replay(ctx, s.stored()) }),
			mode: "replay", n: s.stored(), length: workLimit,
		},
	}
}

// inWorld gives a case a table of its own.
func (s *session) inWorld(t partition.Trigger, do func(context.Context, *world) (sample, error)) func(context.Context, string) (sample, error) {
	return func(ctx context.Context, dir string) (out sample, err error) {
		w, err := openWorld(ctx, dir, t, nil)
		if err != nil {
			return sample{}, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
		return do(ctx, w)
	}
}

// ingest publishes from n producers, each with a number of events at a time; it waits until they are durable and applied before it sends more.
func (w *world) ingest(ctx context.Context, n, events int, length time.Duration) (sample, error) {
	publish := func(ctx context.Context, _ int) error { return w.publish(ctx, plainTopic, events) }
	if _, err := hammer(ctx, n, length/5, publish); err != nil { // warms up
		return sample{}, err
	}
	before := ownCPU()
	out, err := hammer(ctx, n, length, publish)
	out.cpu = ownCPU() - before
	out.n *= events
	return out, err
}

// replay stores n events in a topic and then reads all of them in order.
func (w *world) replay(ctx context.Context, n int) (sample, error) {
	if err := w.fill(ctx, plainTopic, n); err != nil {
		return sample{}, err
	}
	out := sample{}
	before, start := ownCPU(), time.Now()
	_, err := w.table.Tail("default", plainTopic, partition.Cursor{}, time.Time{}, 0, func(partition.TopicRecord) error {
		out.n++
		return context.Cause(ctx)
	})
	out.elapsed, out.cpu = time.Since(start), ownCPU()-before
	if err == nil && out.n != n {
		err = errors.New("a replay has not read what is stored")
	}
	return out, err
}

// tableDir is where a case that is no contest has its table.
func (s *session) tableDir(name string) string { return filepath.Join(s.dir, name) }

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

// What a handler makes of an event, on both sides: an event to emit and a state entry.
const (
	outputSize = 512
	stateSize  = 256
)

// runPipeline measures what happens to events behind ingest, beside JetStream.
func runPipeline(ctx context.Context, s *session) ([]row, error) {
	peer, err := s.buildJetStream(ctx)
	if err != nil {
		return nil, err
	}
	root, err := sources(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, "stateful.wasm")
	if err := buildGuest(ctx, filepath.Join(root, "bench", "testdata", "stateful"), file); err != nil {
		return nil, err
	}
	guest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return s.measurePipeline(ctx, peer, guest)
}

func (s *session) measurePipeline(ctx context.Context, peer string, guest []byte) (rows []row, err error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	p, err := s.newWasmPipeline(ctx, guest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return s.contests(ctx, peer, s.pipelineContests(p))
}

// pipelineContests work off a topic, or stream, that was filled before. Ours are durable, with deduplication and topic index, and the effects of an event happen
// exactly once. JetStream's are at least once and without fsync: in "pipeline" it publishes an output and puts a state for each message, as our handler does,
// and in "dispatch" it acknowledges. With a trigger that hands out batches of 64 events, one record settles a batch.
func (s *session) pipelineContests(p *wasmPipeline) []*contest {
	return []*contest{
		{
			rate: "pipeline_stateful", cpu: "pipeline_stateful_cpu",
			ours: s.inWorld(partition.Trigger{}, func(ctx context.Context, w *world) (sample, error) { return w.pipeline(ctx, s.stored(), w.handle) }),
			mode: "pipeline", n: s.stored(), length: workLimit,
		},
		{
			rate: "pipeline_wasm_go", cpu: "pipeline_wasm_go_cpu",
			ours: p.run,
			mode: "pipeline", n: s.stored(), length: workLimit,
		},
		{
			rate: "dispatch", cpu: "dispatch_cpu",
			ours: s.inWorld(partition.Trigger{}, func(ctx context.Context, w *world) (sample, error) { return w.pipeline(ctx, s.stored(), w.accept) }),
			mode: "dispatch", n: s.stored(), length: workLimit,
		},
		{
			rate: "dispatch_batch_64", cpu: "dispatch_batch_64_cpu",
			ours: s.inWorld(partition.Trigger{Batch: &partition.Batch{Size: batch}}, func(ctx context.Context, w *world) (sample, error) {
				return w.pipeline(ctx, s.stored(), w.acceptBatch)
			}),
			mode: "dispatch", n: s.stored(), length: workLimit,
		},
	}
}

// pipeline fills a topic, then takes its events and lets a function in Go handle each: all that happens to an event but the sandbox.
func (w *world) pipeline(ctx context.Context, n int, handle func(context.Context, *partition.Delivery) error) (sample, error) {
	if err := w.fill(ctx, inTopic, n); err != nil {
		return sample{}, err
	}
	out, err := w.workOff(ctx, n, handle)
	if left := w.table.Stats(triggerID).Pending; err == nil && left > 0 {
		err = errors.New("events are left behind")
	}
	return out, err
}

// handle emits an event of the same key and writes a state entry.
func (w *world) handle(ctx context.Context, d *partition.Delivery) error {
	out := event.Event{
		ID: d.Invocation() + ".0", Source: "/bench/out", Type: d.Event.Type, Subject: d.Event.Subject,
		DataContentType: d.Event.DataContentType, Data: d.Event.Data[:outputSize],
	}
	return w.settle(ctx, d, partition.Effects{
		Emits:  []partition.Emit{{Topic: outTopic, Event: out}},
		Writes: []partition.StateWrite{{Name: "last", Value: d.Event.Data[:stateSize]}},
	})
}

// accept does nothing with an event.
func (w *world) accept(ctx context.Context, d *partition.Delivery) error {
	return w.settle(ctx, d, partition.Effects{})
}

// acceptBatch does nothing with the events of a batch.
func (w *world) acceptBatch(ctx context.Context, d *partition.Delivery) error {
	outcome, err := w.table.SettleBatch(context.WithoutCancel(ctx), d, done(d), partition.Effects{})
	return applied(d, outcome, err)
}

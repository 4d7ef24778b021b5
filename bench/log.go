package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/partition"
)

const (
	producers  = 64
	partitions = 16
	keys       = 1000
)

// logRows are the rows of `bench log`.
type logRows struct {
	rate, p50, p99, cpu, lone, pipeline, pipelineCPU series
}

func newLogRows() *logRows {
	const loop = "fsync loop"
	return &logRows{
		rate:        series{name: "ingest_64", unit: "events/s", against: loop},
		p50:         series{name: "ingest_64_p50", unit: "ms", against: loop},
		p99:         series{name: "ingest_64_p99", unit: "ms", against: loop},
		cpu:         series{name: "ingest_64_cpu", unit: "µs/event"},
		lone:        series{name: "ingest_1_p50", unit: "ms", against: loop},
		pipeline:    series{name: "pipeline", unit: "events/s", against: loop},
		pipelineCPU: series{name: "pipeline_cpu", unit: "µs/event"},
	}
}

// runLog measures partition.Table on eventlog/local. Every round has a new table, so that the yardstick's turn finds a disk at rest.
func runLog(ctx context.Context, s *session) ([]row, error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	rows := newLogRows()
	for round := range s.rounds {
		s.say("round %d of %d", round+1, s.rounds)
		loop, err := s.fsyncLoop(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.logRound(ctx, round, rows, loop); err != nil {
			return nil, err
		}
	}
	var out []row
	for _, r := range []*series{&rows.rate, &rows.p50, &rows.p99, &rows.cpu, &rows.lone, &rows.pipeline, &rows.pipelineCPU} {
		out = append(out, r.row())
	}
	return out, nil
}

func (s *session) logRound(ctx context.Context, round int, rows *logRows, loop sample) (err error) {
	w, err := openWorld(ctx, filepath.Join(s.dir, "round-"+strconv.Itoa(round)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if _, err := w.ingest(ctx, producers, s.slice/5); err != nil { // warms up
		return err
	}
	many, err := w.ingest(ctx, producers, s.slice)
	if err != nil {
		return err
	}
	one, err := w.ingest(ctx, 1, s.slice/2)
	if err != nil {
		return err
	}
	through, err := w.pipeline(ctx, s.slice)
	if err != nil {
		return err
	}
	rows.rate.add(many.perSecond(), loop.perSecond())
	rows.p50.add(many.p(0.5), loop.p(0.5))
	rows.p99.add(many.p(0.99), loop.p(0.99))
	rows.cpu.ours = append(rows.cpu.ours, many.cpuEach())
	rows.lone.add(one.p(0.5), loop.p(0.5))
	rows.pipeline.add(through.perSecond(), loop.perSecond())
	rows.pipelineCPU.ours = append(rows.pipelineCPU.ours, through.cpuEach())
	return nil
}

// world is a table on a log, as a node has it.
type world struct {
	log     *local.Log
	table   *partition.Table
	payload []byte
	next    atomic.Uint64 // id of the next event
}

const (
	plainTopic = "plain" // nobody listens
	inTopic    = "in"    // the pipeline's trigger listens
	outTopic   = "out"
	triggerID  = 1
)

func openWorld(ctx context.Context, dir string) (*world, error) {
	w := &world{payload: payload()}
	var err error
	if w.log, err = local.Open(local.Options{Dir: filepath.Join(dir, "log"), Partitions: partitions}); err != nil {
		return nil, err
	}
	w.table, err = partition.Open(ctx, partition.Options{
		Log: w.log, Dir: filepath.Join(dir, "state"), Partitions: partitions, Epoch: 1, Node: "bench",
		Ready: func() {}, Fatal: func(err error) { panic(err) }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, w.log.Close())
	}
	err = w.table.SetTriggers(ctx, 1, []partition.Trigger{{ID: triggerID, Namespace: "default", Name: "bench", Function: "bench", Topic: inTopic}})
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) close() error { return errors.Join(w.table.Close(), w.log.Close()) }

func (w *world) event() event.Event {
	n := w.next.Add(1)
	return event.Event{
		ID: strconv.FormatUint(n, 10), Source: "/bench", Type: "dev.evoke.bench", Subject: "key-" + strconv.FormatUint(n%keys, 10),
		DataContentType: "application/octet-stream", Data: w.payload,
	}
}

func (w *world) publish(ctx context.Context, topic string) error {
	stored, err := w.table.Publish(ctx, "default", topic, []event.Event{w.event()})
	if err == nil && stored[0].Duplicate {
		err = errors.New("a new event was called a duplicate")
	}
	return err
}

// ingest publishes from n producers; each waits until its event is durable and applied.
func (w *world) ingest(ctx context.Context, n int, length time.Duration) (sample, error) {
	before := ownCPU()
	out, err := hammer(ctx, n, length, func(ctx context.Context, _ int) error { return w.publish(ctx, plainTopic) })
	out.cpu = ownCPU() - before
	return out, err
}

// ownCPU is what this process has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

package main

import (
	"context"
	"errors"
	"fmt"
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
	partitions = 16
	keys       = 1000
)

// world is a table on a log, as a node has it.
type world struct {
	log     *local.Log
	table   *partition.Table
	ready   chan struct{} // set by the table
	payload []byte
	keys    uint64        // how many different keys events have
	next    atomic.Uint64 // id of the next event

	together int // events of a delivery
}

const (
	plainTopic = "plain" // nobody listens
	inTopic    = "in"    // the trigger listens
	outTopic   = "out"
	triggerID  = 1
)

// openWorld has a trigger in force; change may say more of the table.
func openWorld(ctx context.Context, dir string, t partition.Trigger, change func(*partition.Options)) (*world, error) {
	w, err := openTable(ctx, dir, change)
	if err != nil {
		return nil, err
	}
	if t.Batch != nil {
		w.together = t.Batch.Size
	}
	t.ID, t.Namespace, t.Name, t.Function, t.Topic = triggerID, "default", "bench", "bench", inTopic
	if err = w.table.SetTriggers(ctx, 1, []partition.Trigger{t}); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func openTable(ctx context.Context, dir string, change func(*partition.Options)) (*world, error) {
	w := &world{payload: payload(), ready: make(chan struct{}, 1), keys: keys, together: 1}
	var err error
	if w.log, err = local.Open(local.Options{Dir: filepath.Join(dir, "log"), Partitions: partitions}); err != nil {
		return nil, err
	}
	o := partition.Options{
		Log: w.log, Dir: filepath.Join(dir, "state"), Partitions: partitions, Epoch: 1, Node: "bench",
		Ready: func() {
			select {
			case w.ready <- struct{}{}:
			default:
			}
		},
		Fatal: func(err error) { panic(err) }, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	if w.table, err = partition.Open(ctx, o); err != nil {
		return nil, errors.Join(err, w.log.Close())
	}
	return w, nil
}

func (w *world) close() error { return errors.Join(w.table.Close(), w.log.Close()) }

func (w *world) event() event.Event {
	n := w.next.Add(1)
	return event.Event{
		ID: strconv.FormatUint(n, 10), Source: "/bench", Type: "dev.evoke.bench", Subject: "key-" + strconv.FormatUint(n%w.keys, 10),
		DataContentType: "application/octet-stream", Data: w.payload,
	}
}

// publish stores n new events with one call.
func (w *world) publish(ctx context.Context, topic string, n int) error {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = w.event()
	}
	stored, err := w.table.Publish(ctx, "default", topic, events)
	for _, s := range stored {
		if s.Duplicate {
			return errors.New("a new event was called a duplicate")
		}
	}
	return err
}

// An asynchronous producer has as many events in flight, and hands them over in batches.
const (
	flying = 1024
	batch  = 64
)

// fill stores n events in a topic as fast as it goes.
func (w *world) fill(ctx context.Context, topic string, n int) error {
	var begun atomic.Int64
	ended := make(chan error, flying/batch)
	for range flying / batch {
		go func() {
			for {
				first := int(begun.Add(batch)) - batch
				if first >= n {
					ended <- nil
					return
				}
				if err := w.publish(ctx, topic, min(batch, n-first)); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	var err error
	for range flying / batch {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return fmt.Errorf("store %d events first: %w", n, err)
	}
	return nil
}

// ownCPU is what this process has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

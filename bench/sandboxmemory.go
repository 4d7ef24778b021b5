package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/evoke-run/evoke/sandbox"
)

const (
	idleInstances = 100
	idleTarget    = 150 // KiB

	// coldAfter and droppedAfter are how long, in units of session.idle, until a waiting instance has given its memory back, and until a
	// function that nobody calls is out of memory.
	coldAfter    = 6  // 12 s; the sandbox takes 5 to 10
	droppedAfter = 33 // 66 s; it takes 45 to 50
)

// idleRow is what an instance of a Go function takes while it waits, in a sandbox with nothing else in it that could go meanwhile.
func (s *session) idleRow(ctx context.Context, b sandboxBuilt) (out row, err error) {
	x, err := s.openBox(ctx, sandboxBuilt{})
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	m, err := x.load(ctx, b.guests.loop, false)
	if err != nil {
		return row{}, err
	}
	wait := coldAfter * s.idle
	s.say("waiting twice %v for idle instances to give their memory back", wait)
	before, err := coldMemory(ctx, m, 1, wait)
	if err != nil {
		return row{}, err
	}
	after, err := coldMemory(ctx, m, 1+idleInstances, wait)
	return target("idle_go_instance_kib", "KiB", []float64{max(after.anonymous-before.anonymous, 0) / idleInstances}, idleTarget), err
}

// coldMemory is what the process has when a number of instances have waited for a time.
func coldMemory(ctx context.Context, m *sandbox.Module, instances int, wait time.Duration) (memory, error) {
	if _, err := nest(ctx, m, instances); err != nil {
		return memory{}, err
	}
	if err := sleep(ctx, wait); err != nil {
		return memory{}, err
	}
	return ownMemory()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// quietEvents are counted for allocations, in each round.
const quietEvents = 1000

// allocs counts what an event without a reply allocates in the host.
type allocs struct {
	module *sandbox.Module
	count  []float64
	bytes  []float64
}

func (x *box) allocCases(ctx context.Context) ([]roundCase, error) {
	m, err := x.load(ctx, x.guests.loop, false)
	return []roundCase{&allocs{module: m}}, err
}

func (a *allocs) rows() []row {
	return []row{target("allocs_per_event", "allocations", a.count, 0), target("alloc_bytes_per_event", "B", a.bytes, 0)}
}

func (a *allocs) round(ctx context.Context) error {
	quiet := invokeQuiet(ctx, a.module, quietData())
	if err := quiet(); err != nil { // warms up
		return fmt.Errorf("allocations: %w", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range quietEvents {
		if err := quiet(); err != nil {
			return fmt.Errorf("allocations: %w", err)
		}
	}
	runtime.ReadMemStats(&after)
	a.count = append(a.count, float64(after.Mallocs-before.Mallocs)/quietEvents)
	a.bytes = append(a.bytes, float64(after.TotalAlloc-before.TotalAlloc)/quietEvents)
	return nil
}

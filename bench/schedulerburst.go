package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
)

// burst publishes a thousand events of a millisecond of work with one request, in a runtime that has just started and has nothing of their function in memory, and
// waits until the last is settled. The yardstick is the same work in a sandbox that is warm, in as many goroutines as there are processors, with nothing published,
// stored, scheduled or settled.
type burst struct {
	session      *session
	runtime, dir string
	events       int
	work         *work
	alone        subject
	series       series
}

const burstFunction = "burst"

func (s *session) newBurst(ctx context.Context, m *sandbox.Module, b schedulerBuilt) (*burst, error) {
	w, err := spinFor(ctx, m, time.Millisecond)
	if err != nil {
		return nil, err
	}
	u := &burst{
		session: s, runtime: b.runtime, dir: filepath.Join(s.dir, "burst"), events: max(runtime.NumCPU(), int(1000*s.slice.Seconds())),
		work: w, alone: invokeQuiet(ctx, m, w.data), series: series{name: "zero_to_1000_ms", unit: "ms", against: "work alone"},
	}
	return u, withRuntime(ctx, u.runtime, u.dir, func(_ *process, client *api.Client) error {
		return deployListener(ctx, client, burstFunction, b.c)
	})
}

func (u *burst) rows() []row { return []row{u.series.row()} }

func (u *burst) round(ctx context.Context) error {
	ideal, err := u.ideal(ctx)
	if err != nil {
		return fmt.Errorf("work alone: %w", err)
	}
	return withRuntime(ctx, u.runtime, u.dir, func(_ *process, client *api.Client) error {
		start := time.Now()
		if _, err := u.work.publish(ctx, client, burstFunction, u.events); err != nil {
			return err
		}
		if err := sleep(ctx, ideal-time.Since(start)); err != nil { // nobody asks before it can be done
			return err
		}
		if err := settled(ctx, client, burstFunction); err != nil {
			return err
		}
		u.series.add(milliseconds(time.Since(start)), milliseconds(ideal))
		return nil
	})
}

// ideal is how long the work takes with nothing around it.
func (u *burst) ideal(ctx context.Context) (time.Duration, error) {
	var begun atomic.Int64
	ended := make(chan error, runtime.NumCPU())
	start := time.Now()
	for range cap(ended) {
		go func() {
			var err error
			for err == nil && int(begun.Add(1)) <= u.events {
				err = u.alone()
			}
			ended <- err
		}()
	}
	var err error
	for range cap(ended) {
		err = errors.Join(err, <-ended)
	}
	return time.Since(start), errors.Join(err, context.Cause(ctx))
}

// settled returns when a function has nothing left; it looks every two milliseconds.
func settled(ctx context.Context, client *api.Client, function string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := stats(ctx, client, function)
		if err != nil || left.Pending == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

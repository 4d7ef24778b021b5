package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

const (
	// stallArg, with a time, starts this program as a process that has little more in it than guests that spin: what a collection takes there is what
	// they hold it up. It collects for that time beside guests, and as long beside goroutines.
	stallArg = "collect-beside-guests"

	spinning    = 2 // guests at the same time
	stallTarget = 5 // ms
)

// stall measures how long garbage collections take while guests spin, and for how long they stop everything, beside as many goroutines that do the same.
//
// The time of a whole collection is mostly waiting for turns: runtime.GC sweeps piece by piece and lets others run after each. What holds everybody up, and
// what only a guest that cannot be stopped makes long, is the pause.
type stall struct {
	*box
	stallTimes
}

// stallTimes is what the process prints.
type stallTimes struct{ Guests, Goroutines collections }

// collections are what garbage collections took.
type collections struct {
	Whole  []time.Duration
	Pauses []time.Duration // all of one collection together
}

func (c *collections) add(more collections) {
	c.Whole, c.Pauses = append(c.Whole, more.Whole...), append(c.Pauses, more.Pauses...)
}

func (x *box) stallCases(context.Context) ([]roundCase, error) {
	return []roundCase{&stall{box: x}}, nil
}

func (s *stall) rows() (rows []row) {
	for _, r := range []struct {
		name            string
		ours, yardstick []time.Duration
	}{{"gc_stall", s.Guests.Whole, s.Goroutines.Whole}, {"gc_pause", s.Guests.Pauses, s.Goroutines.Pauses}} {
		two := worstAndMedian(r.name, r.ours, stallTarget)
		two[1] = beside(two[1], "2 spinning goroutines", milliseconds(quantile(r.yardstick, 0.5)))
		rows = append(rows, two...)
	}
	return rows
}

// beside adds what a row compares with.
func beside(r row, against string, value float64) row {
	r.Against, r.AgainstValue = against, value
	if value != 0 {
		r.Ratio = r.Value / value
	}
	return r
}

func (s *stall) round(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, stallArg, (s.session.slice / 2).String())
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("collect beside guests: %w", err)
	}
	var t stallTimes
	if err := json.Unmarshal(raw, &t); err != nil {
		return fmt.Errorf("collect beside guests: %w", err)
	}
	s.Guests.add(t.Guests)
	s.Goroutines.add(t.Goroutines)
	return nil
}

// serveStall is the process.
func serveStall(length string, stdout, stderr io.Writer) int {
	d, err := time.ParseDuration(length)
	var times stallTimes
	if err == nil {
		times, err = stalls(context.Background(), d)
	}
	if err == nil {
		err = json.NewEncoder(stdout).Encode(times)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func stalls(ctx context.Context, length time.Duration) (t stallTimes, err error) {
	r, err := sandbox.New(ctx, sandbox.Options{})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	m, err := r.Load(ctx, wasmtest.Loops(), sandbox.Settings{Function: "bench"})
	if err != nil {
		return t, err
	}
	if t.Guests, err = besideGuests(ctx, m, length); err != nil {
		return t, err
	}
	t.Goroutines = besideGoroutines(length)
	return t, nil
}

func besideGuests(parent context.Context, m *sandbox.Module, length time.Duration) (took collections, err error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	done := make(chan sandbox.Result)
	for range spinning {
		go func() { done <- m.Invoke(ctx, benchEvent(nil), silent{}) }()
	}
	runtime.GC() // they begin meanwhile
	took = collect(length)
	cancel()
	for range spinning {
		if res := <-done; res.Class != sandbox.ClassCanceled {
			err = errors.Join(err, notDone(parent, res))
		}
	}
	return took, err
}

func besideGoroutines(length time.Duration) collections {
	var stop atomic.Bool
	done := make(chan struct{})
	for range spinning {
		go func() {
			for !stop.Load() {
			}
			done <- struct{}{}
		}()
	}
	runtime.GC()
	took := collect(length)
	stop.Store(true)
	for range spinning {
		<-done
	}
	return took
}

// collect collects garbage again and again.
func collect(length time.Duration) (c collections) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for begin := time.Now(); len(c.Whole) == 0 || time.Since(begin) < length; {
		start := time.Now()
		runtime.GC()
		c.Whole = append(c.Whole, time.Since(start))
	}
	runtime.ReadMemStats(&after)
	kept := uint32(len(after.PauseNs)) // the last ones, round and round
	for n := max(before.NumGC, after.NumGC-min(after.NumGC, kept)); n < after.NumGC; n++ {
		c.Pauses = append(c.Pauses, time.Duration(after.PauseNs[n%kept]))
	}
	return c
}

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

// stall measures how long garbage collections take while guests spin, beside as many goroutines that do the same, and how long they stop everything.
type stall struct {
	*box
	stallTimes
}

// stallTimes is what the process prints.
type stallTimes struct {
	Guests     []time.Duration // of whole collections
	Goroutines []time.Duration
	Pauses     []time.Duration // in collections beside guests
}

func (x *box) stallCases(context.Context) ([]sandboxCase, error) {
	return []sandboxCase{&stall{box: x}}, nil
}

func (s *stall) rows() []row {
	rows := append(worstAndMedian("gc_stall", s.Guests, stallTarget), worstAndMedian("gc_pause", s.Pauses, stallTarget)...)
	rows[1] = beside(rows[1], "2 spinning goroutines", milliseconds(quantile(s.Goroutines, 0.5)))
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
	s.Guests, s.Goroutines, s.Pauses = append(s.Guests, t.Guests...), append(s.Goroutines, t.Goroutines...), append(s.Pauses, t.Pauses...)
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
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if t.Guests, err = besideGuests(ctx, m, length); err != nil {
		return t, err
	}
	runtime.ReadMemStats(&after)
	for n := before.NumGC; n < after.NumGC; n++ { // MemStats keeps the last 256, round and round
		t.Pauses = append(t.Pauses, time.Duration(after.PauseNs[n%uint32(len(after.PauseNs))]))
	}
	t.Goroutines = besideGoroutines(length)
	return t, nil
}

func besideGuests(parent context.Context, m *sandbox.Module, length time.Duration) (took []time.Duration, err error) {
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

func besideGoroutines(length time.Duration) []time.Duration {
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
func collect(length time.Duration) []time.Duration {
	var took []time.Duration
	for begin := time.Now(); len(took) == 0 || time.Since(begin) < length; {
		start := time.Now()
		runtime.GC()
		took = append(took, time.Since(start))
	}
	return took
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
)

const (
	floodTarget = 2 // ms more than alone
	probes      = 20
	floodBatch  = 5000
)

// flood measures how long a function waits for its turn while another has a backlog of events that take 10 ms of a processor each. Now and then the first one gets
// an event: the time is that from before its publish until the runtime says that the attempt is settled, to who follows its log. While it is measured alone, the
// other function is paused.
type flood struct {
	session   *session
	node      *process
	client    *api.Client
	transport *http.Transport
	work      *work // of the function that floods
	probe     *work
	closed    context.CancelFunc
	done      chan string // ids of the events that the first function has done; follow writes and closes it
	ended     error       // why it is closed

	alone, beside []float64 // ms: medians of the rounds
	waited        []float64 // ms: of each probe in a flood, beyond the median alone of its round
}

const (
	floodFunction = "flood"
	quietFunction = "quiet"
)

// newFlood starts a runtime.
func (s *session) newFlood(ctx context.Context, m *sandbox.Module, b schedulerBuilt) (*flood, error) {
	w, err := spinFor(ctx, m, 10*time.Millisecond)
	if err != nil {
		return nil, err
	}
	f := &flood{session: s, work: w, probe: &work{data: spinData(1)}, done: make(chan string, probes)}
	if f.node, _, err = startRuntime(ctx, b.runtime, filepath.Join(s.dir, "flood")); err != nil {
		return nil, err
	}
	if f.client, f.transport, err = f.node.client(); err != nil {
		return nil, errors.Join(err, f.node.stop())
	}
	following, stop := context.WithCancel(ctx)
	f.closed = stop
	err = errors.Join(deployListener(ctx, f.client, floodFunction, b.c), deployListener(ctx, f.client, quietFunction, b.c))
	go f.follow(following)
	if err == nil {
		_, err = f.ask(ctx, 3) // warms up
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// follow reads the log of the function until ctx ends.
func (f *flood) follow(ctx context.Context) {
	defer close(f.done)
	for entry, err := range f.client.Logs(ctx, "default", api.LogOptions{Function: quietFunction, Follow: true}) {
		if err != nil {
			f.ended = err
			return
		}
		if entry.Attempt != nil {
			f.done <- entry.EventID
		}
	}
}

func (f *flood) close() error {
	f.closed()
	for range f.done { // ends with follow
	}
	f.transport.CloseIdleConnections()
	return f.node.stop()
}

func (f *flood) rows() []row {
	more := make([]float64, len(f.beside))
	for i := range more {
		more[i] = max(0, f.beside[i]-f.alone[i])
	}
	alone := series{name: "fairness_alone_ms", unit: "ms", ours: f.alone}
	return []row{target("fairness_ms", "ms", more, floodTarget), worst("fairness_worst_ms", "ms", f.waited, floodTarget), alone.row()}
}

func (f *flood) round(ctx context.Context) error {
	if _, err := f.client.PauseFunction(ctx, "default", floodFunction); err != nil {
		return err
	}
	if err := f.refill(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, f.session.slice/5); err != nil { // until what has started has ended
		return err
	}
	alone, err := f.ask(ctx, probes)
	if err != nil {
		return err
	}
	if _, err := f.client.ResumeFunction(ctx, "default", floodFunction); err != nil {
		return err
	}
	if err := sleep(ctx, f.session.slice/5); err != nil { // until it is under way
		return err
	}
	beside, err := f.ask(ctx, probes)
	if err != nil {
		return err
	}
	if left, err := stats(ctx, f.client, floodFunction); err != nil || left.Pending == 0 {
		return errors.Join(err, fmt.Errorf("the flood was over before its end was looked at: %d events wait", left.Pending))
	}
	quiet := median(alone)
	f.alone, f.beside = append(f.alone, quiet), append(f.beside, median(beside))
	for _, took := range beside {
		f.waited = append(f.waited, max(0, took-quiet))
	}
	return nil
}

// refill sees to it that there is more than can be done in a round.
func (f *flood) refill(ctx context.Context) error {
	left, err := stats(ctx, f.client, floodFunction)
	if err != nil {
		return err
	}
	if left.Pending < floodBatch/2 {
		_, err = f.work.publish(ctx, f.client, floodFunction, floodBatch)
	}
	return err
}

// ask publishes up to n single events to the function, with pauses, and answers what each took in ms. When they take long, a few must do.
func (f *flood) ask(ctx context.Context, n int) ([]float64, error) {
	const few, longest = 3, 3 // slices
	var took []float64
	for begin := time.Now(); len(took) < n && (len(took) < few || time.Since(begin) < longest*f.session.slice); {
		if err := sleep(ctx, f.session.slice/probes); err != nil {
			return nil, err
		}
		start := time.Now()
		id, err := f.probe.publish(ctx, f.client, quietFunction, 1)
		if err != nil {
			return nil, err
		}
		got, ok := <-f.done
		if !ok {
			return nil, fmt.Errorf("follow the log: %w", f.ended)
		}
		if got != id {
			return nil, fmt.Errorf("event %s is done instead of %s", got, id)
		}
		took = append(took, milliseconds(time.Since(start)))
	}
	return took, nil
}

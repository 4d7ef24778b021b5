package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// nested is how many events of one function are under way at once, each inside a host call of the one before: so each has an instance of its own.
const nested = 20

// newInstance measures what the first event of an instance waits for: until its guest makes its first call to the host, in an instance that was made from
// the snapshot for it, and in one that was instantiated and initialised.
type newInstance struct {
	*box
	naive  *stockModule
	series series
}

func (x *box) newInstanceCases(ctx context.Context) ([]roundCase, error) {
	m, err := x.stock.load(ctx, x.guests.loop)
	return []roundCase{&newInstance{box: x, naive: m, series: series{name: "new_instance_go_vs_naive", unit: "instances/s", against: naive}}}, err
}

func (n *newInstance) rows() []row { return []row{n.series.row()} }

// round loads the module anew: in the one of the round before the instances wait.
func (n *newInstance) round(ctx context.Context) (err error) {
	m, err := n.load(ctx, n.guests.loop, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close(context.Background())) }()
	ours, err := nest(ctx, m, nested)
	if err != nil {
		return fmt.Errorf("new instances: %w", err)
	}
	var theirs []time.Duration
	for range nested {
		took, err := n.naiveOnce(ctx)
		if err != nil {
			return fmt.Errorf("new instances on the stock engine: %w", err)
		}
		theirs = append(theirs, took)
	}
	n.series.add(1/quantile(ours, 0.5).Seconds(), 1/quantile(theirs, 0.5).Seconds())
	return nil
}

func (n *newInstance) naiveOnce(ctx context.Context) (took time.Duration, err error) {
	start := time.Now()
	n.naive.called = func() { took = time.Since(start) }
	defer func() { n.naive.called = nil }()
	guest, err := n.naive.instantiate(ctx)
	if err != nil {
		return 0, err
	}
	err = n.naive.handle(ctx, guest.ExportedFunction(abi.ExportHandle), callData())
	return took, errors.Join(err, guest.Close(ctx))
}

// nest has a number of events under way at once and answers how long each waited until its guest called the host. Afterwards that many instances wait.
func nest(ctx context.Context, m *sandbox.Module, deep int) ([]time.Duration, error) {
	n := &nesting{module: m, event: benchEvent(callData()), left: deep}
	err := n.next(ctx)
	if err == nil && n.left > 0 {
		err = errors.New("the guest did not call the host")
	}
	return n.took, err
}

// nesting is the host of events inside each other.
type nesting struct {
	silent
	module  *sandbox.Module
	event   *event.Event
	started time.Time
	took    []time.Duration
	left    int
	err     error
}

func (n *nesting) next(ctx context.Context) error {
	n.started = time.Now()
	if res := n.module.Invoke(ctx, n.event, n); res.Class != "" {
		return notDone(ctx, res)
	}
	return n.err
}

func (n *nesting) Call(ctx context.Context, _ string, _ []byte) (int32, []byte) {
	n.took = append(n.took, time.Since(n.started))
	if n.left--; n.left > 0 {
		n.err = errors.Join(n.err, n.next(ctx))
	}
	return abi.StatusOK, nil
}

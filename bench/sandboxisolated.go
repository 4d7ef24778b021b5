package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

const (
	neverReset = "never reset"
	naive      = "naive on stock wazero"
	stockKept  = "never reset on stock wazero"

	// spins is how many rounds the loop of fuel_spin_c takes: a millisecond or two.
	spins = 2_000_000
)

// isolationCases is what isolation costs, and what fuel and depth do.
func (x *box) isolationCases(ctx context.Context) ([]roundCase, error) {
	load := loader{box: x, ctx: ctx}
	order, loop, sdk, c := load.both(x.guests.order), load.both(x.guests.loop), load.both(x.guests.sdk), load.both(x.guests.c)
	c4m := load.both(x.guests.c4m)
	stockOrder, stockLoop, stockC, stockC4M := load.stock(x.guests.order), load.stock(x.guests.loop), load.stock(x.guests.c), load.stock(x.guests.c4m)
	if load.err != nil {
		return nil, load.err
	}
	data, json, spin := loopData(), orderData(), spinData(spins)
	return []roundCase{
		x.duel("isolated_go_json", neverReset, invoke(ctx, order.isolated, json), invoke(ctx, order.kept, json)),
		x.duel("isolated_go_1k", neverReset, invoke(ctx, loop.isolated, data), invoke(ctx, loop.kept, data)),
		x.duel("isolated_go_sdk_1k", neverReset, invoke(ctx, sdk.isolated, data), invoke(ctx, sdk.kept, data)),
		x.duel("isolated_c_1k", neverReset, invoke(ctx, c.isolated, data), invoke(ctx, c.kept, data)),
		x.duel("isolated_go_vs_naive", naive, invoke(ctx, loop.isolated, data), stockLoop.fresh(ctx, data)).faster(),
		x.duel("isolated_c_vs_naive", naive, invoke(ctx, c4m.isolated, data), stockC4M.fresh(ctx, data)).faster(),
		x.duel("isolated_c_128k_vs_naive", naive, invoke(ctx, c.isolated, data), stockC.fresh(ctx, data)).faster(),
		x.duel("fuel_go_json", stockKept, invoke(ctx, order.kept, json), stockOrder.kept(ctx, json)),
		x.duel("fuel_spin_c", stockKept, invokeQuiet(ctx, c.kept, spin), stockC.kept(ctx, spin)),
	}, nil
}

// loader loads guests until the first error.
type loader struct {
	*box
	ctx context.Context
	err error
}

// loaded is a guest in our sandbox, as usual and with the isolation of events given up.
type loaded struct{ isolated, kept *sandbox.Module }

func (l *loader) both(wasm []byte) loaded {
	return loaded{l.ours(wasm, false), l.ours(wasm, true)}
}

func (l *loader) ours(wasm []byte, kept bool) *sandbox.Module {
	if l.err != nil {
		return nil
	}
	m, err := l.load(l.ctx, wasm, kept)
	l.err = err
	return m
}

func (l *loader) stock(wasm []byte) *stockModule {
	if l.err != nil {
		return nil
	}
	m, err := l.box.stock.load(l.ctx, wasm)
	l.err = err
	return m
}

// silent is a host that allows everything and keeps nothing.
type silent struct{}

func (silent) AllowEmit(string) bool                                { return true }
func (silent) Call(context.Context, string, []byte) (int32, []byte) { return abi.StatusOK, nil }
func (silent) Begin(string, []byte) func(context.Context, func(int) bool) (int32, []byte) {
	return nil
}
func (silent) Log(slog.Level, string)                          {}
func (silent) Yield(context.Context, int64)                    {}
func (silent) Attempt(int) int                                 { return 1 }
func (silent) Outside(_ context.Context, _ int64, wait func()) { wait() }

func benchEvent(data []byte) *event.Event {
	return &event.Event{ID: "1", Source: "/bench", Type: "dev.evoke.bench", DataContentType: "application/octet-stream", Data: data}
}

// invoke handles an event that is replied to. The context has a deadline.
func invoke(ctx context.Context, m *sandbox.Module, data []byte) subject {
	e := benchEvent(data)
	return func() error {
		if res := m.Invoke(ctx, e, silent{}); res.Class != "" || len(res.Data) == 0 {
			return notDone(ctx, res)
		}
		return nil
	}
}

// invokeQuiet handles an event that is not replied to.
func invokeQuiet(ctx context.Context, m *sandbox.Module, data []byte) subject {
	e := benchEvent(data)
	return func() error {
		if res := m.Invoke(ctx, e, silent{}); res.Class != "" {
			return notDone(ctx, res)
		}
		return nil
	}
}

// notDone says what went wrong with an event.
func notDone(ctx context.Context, res sandbox.Result) error {
	if res.Class == sandbox.ClassDeadline && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the guest ended with class %q and %d bytes of reply: %s", res.Class, len(res.Data), res.Reason)
}

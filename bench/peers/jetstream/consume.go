package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// maxAckPending is what a consumer may have handed out: enough that it never waits for acknowledgements.
const maxAckPending = 10000

// fetch is how many messages a lane of the pipeline works on together: their outputs are published side by side.
const fetch = 100

// pipeline handles n messages at least once: for each an output is published and the state of its key put (a message that replaces the one before, as a
// key-value bucket does); when both are acknowledged it is acknowledged itself.
func (b *bench) pipeline(ctx context.Context, n int) (int, []time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done atomic.Int64
	var workers sync.WaitGroup
	for lane := range lanes {
		c, err := b.js.CreateConsumer(ctx, "in", jetstream.ConsumerConfig{
			Durable: fmt.Sprintf("lane-%d", lane), AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: fmt.Sprintf("in.%d.>", lane), MaxAckPending: maxAckPending,
		})
		if err != nil {
			cancel(err)
			break
		}
		workers.Go(func() {
			for ctx.Err() == nil && done.Load() < int64(n) {
				handled, err := b.handle(c)
				if err != nil {
					cancel(err)
				}
				done.Add(int64(handled))
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return 0, nil, err
	}
	return int(done.Load()), nil, nil
}

// handle fetches some messages and handles them.
func (b *bench) handle(c jetstream.Consumer) (int, error) {
	batch, err := c.Fetch(fetch, jetstream.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		return 0, err
	}
	type work struct {
		msg           jetstream.Msg
		output, state jetstream.PubAckFuture
	}
	var list []work
	for m := range batch.Messages() {
		key := m.Subject()[len("in."):]
		w := work{msg: m}
		if w.output, err = b.js.PublishAsync("fx.out."+key, b.payload[:outputSize], jetstream.WithStallWait(patience)); err != nil {
			return 0, err
		}
		state := &nats.Msg{Subject: "fx.state." + key, Data: b.payload[:stateSize], Header: nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}}}
		if w.state, err = b.js.PublishMsgAsync(state, jetstream.WithStallWait(patience)); err != nil {
			return 0, err
		}
		list = append(list, w)
	}
	for _, w := range list {
		if err := errors.Join(wait(w.output), wait(w.state), w.msg.Ack()); err != nil {
			return 0, err
		}
	}
	return len(list), batch.Error()
}

// dispatch consumes n messages and acknowledges each.
func (b *bench) dispatch(ctx context.Context, n int) (int, []time.Duration, error) {
	c, err := b.in.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "dispatch", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: maxAckPending})
	if err != nil {
		return 0, nil, err
	}
	return b.consume(ctx, c, n, func(m jetstream.Msg) error { return m.Ack() })
}

// replay reads n messages in order.
func (b *bench) replay(ctx context.Context, n int) (int, []time.Duration, error) {
	c, err := b.in.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, nil, err
	}
	return b.consume(ctx, c, n, func(jetstream.Msg) error { return nil })
}

// consume hands messages to do, one after the other, until it has seen n or ctx ends.
func (b *bench) consume(ctx context.Context, c jetstream.Consumer, n int, do func(jetstream.Msg) error) (int, []time.Duration, error) {
	end := make(chan error, 1)
	var seen atomic.Int64
	running, err := c.Consume(func(m jetstream.Msg) {
		err := do(m)
		if seen.Add(1) < int64(n) && err == nil {
			return
		}
		select {
		case end <- err:
		default: // it has ended already
		}
	})
	if err != nil {
		return 0, nil, err
	}
	defer running.Stop()
	select {
	case err = <-end:
	case <-ctx.Done():
	}
	return int(seen.Load()), nil, err
}

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// publish lets n publishers publish one message after the other, each when the one before is acknowledged.
func (b *bench) publish(ctx context.Context, n int) (int, []time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var first error
	var publishers sync.WaitGroup
	for p := range n {
		publishers.Go(func() {
			var took []time.Duration
			var err error
			for i := p; err == nil && ctx.Err() == nil; i += n {
				before := time.Now()
				// A publish that has begun is waited for: the last ones count as all others do.
				_, err = b.js.Publish(context.Background(), subject(i), b.payload)
				took = append(took, time.Since(before))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if first == nil {
				first = err
			}
		})
	}
	publishers.Wait()
	return len(all), all, first
}

// publishAsync publishes for as long as ctx lasts.
func (b *bench) publishAsync(ctx context.Context, n int) (int, []time.Duration, error) {
	events, err := b.stream(n, func(int) bool { return ctx.Err() == nil })
	return events, nil, err
}

// fill stores n messages.
func (b *bench) fill(ctx context.Context, n int) error {
	stored, err := b.stream(window, func(i int) bool { return i < n && ctx.Err() == nil })
	if err == nil && stored < n {
		err = ctx.Err()
	}
	return err
}

// stream publishes asynchronously while more says so, with up to n messages in flight, and waits for the acknowledgement of each.
func (b *bench) stream(n int, more func(i int) bool) (acked int, err error) {
	flying := make(chan jetstream.PubAckFuture, n)
	ended := make(chan error, 1)
	go func() { // ends when flying is closed
		var first error
		for f := range flying {
			if err := wait(f); err == nil {
				acked++
			} else if first == nil {
				first = err
			}
		}
		ended <- first
	}()
	for i := 0; more(i); i++ {
		f, e := b.js.PublishAsync(subject(i), b.payload, jetstream.WithStallWait(patience))
		if e != nil {
			err = e
			break
		}
		flying <- f
	}
	close(flying)
	if e := <-ended; err == nil {
		err = e
	}
	return acked, err
}

func wait(f jetstream.PubAckFuture) error {
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-time.After(patience):
		return fmt.Errorf("no acknowledgement within %v", patience)
	}
}

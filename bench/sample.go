package main

import (
	"context"
	"time"
)

// sample is one case in one round.
type sample struct {
	n         int             // operations
	latencies []time.Duration // of each operation, in no order
	elapsed   time.Duration
	cpu       time.Duration // of the process under test
}

func (s *sample) add(latencies ...time.Duration) {
	s.latencies = append(s.latencies, latencies...)
	s.n += len(latencies)
}

func (s *sample) perSecond() float64 { return float64(s.n) / s.elapsed.Seconds() }

// p is a quantile of the latencies in milliseconds.
func (s *sample) p(q float64) float64 { return milliseconds(quantile(s.latencies, q)) }

// each is how long one operation took in microseconds, when as many as there were are spread over the time.
func (s *sample) each() float64 { return microseconds(s.elapsed) / float64(max(1, s.n)) }

// cpuEach is CPU time for one operation in microseconds.
func (s *sample) cpuEach() float64 {
	if s.n == 0 {
		return 0
	}
	return microseconds(s.cpu) / float64(s.n)
}

// hammer calls do from n goroutines, one call after the other in each, until length has passed. The first error ends it.
func hammer(ctx context.Context, n int, length time.Duration, do func(ctx context.Context, worker int) error) (sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start := time.Now()
	parts := make(chan []time.Duration, n)
	for worker := range n {
		go func() {
			var took []time.Duration
			for ctx.Err() == nil {
				before := time.Now()
				if err := do(ctx, worker); err != nil {
					cancel(err)
					break
				}
				now := time.Now()
				took = append(took, now.Sub(before))
				if now.Sub(start) >= length {
					break
				}
			}
			parts <- took
		}()
	}
	var out sample
	for range n {
		out.add(<-parts...)
	}
	out.elapsed = time.Since(start)
	if ctx.Err() != nil {
		return sample{}, context.Cause(ctx)
	}
	return out, nil
}

// pace makes calls at a rate, evenly, for a time, from n goroutines. What is due while all of them wait for an answer is called late, and the latency of every
// call counts from when it was due: a stall costs all who would have come in it. The clock wakes up to a millisecond late, which counts, too, on every side.
func pace(ctx context.Context, n int, rate float64, length time.Duration, do func(ctx context.Context, worker int) error) (sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	calls := max(1, int(rate*length.Seconds()))
	due, parts := make(chan time.Time, calls), make(chan []time.Duration, n) // room for all calls: the clock waits for nobody
	for worker := range n {
		go func() {
			var took []time.Duration
			for at := range due {
				if ctx.Err() != nil {
					continue
				}
				if err := do(ctx, worker); err != nil {
					cancel(err)
					continue
				}
				took = append(took, time.Since(at))
			}
			parts <- took
		}()
	}
	start := time.Now()
	for i := range calls {
		at := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		time.Sleep(time.Until(at))
		if ctx.Err() != nil {
			break
		}
		due <- at
	}
	close(due)
	var out sample
	for range n {
		out.add(<-parts...)
	}
	out.elapsed = time.Since(start)
	if ctx.Err() != nil {
		return sample{}, context.Cause(ctx)
	}
	return out, nil
}

package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evoke-run/evoke/partition"
)

var logCases = []string{
	"ingest_64", "ingest_64_p50", "ingest_64_p99", "ingest_64_cpu", "ingest_1", "ingest_1024", "ingest_1024_cpu", "replay", "replay_cpu",
	"timers_20k", "lanes_1M_keys", "lanes_1M_keys_settled",
}

func TestLogWithTinyNumbers(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	rows, err := s.measureLog(t.Context(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, logCases...)
	for _, r := range rows {
		switch {
		case strings.HasPrefix(r.Case, "lanes_"): // other tests use the heap, too
			if r.Runs != 1 || r.Against != "target" {
				t.Errorf("%+v", r)
			}
		case r.Runs != s.rounds || r.Value == 0 || r.Against == "" || r.Ratio == 0:
			t.Errorf("%+v", r)
		}
	}
	if len(s.disk) == 0 {
		t.Error("the report gets no times of the disk")
	}
}

func TestLogWithoutJetStream(t *testing.T) {
	t.Parallel()
	s, said := quick(t)
	s.rounds = 1
	rows, err := s.measureLog(t.Context(), s.buildOptionalPeer(t.Context(), t.TempDir(), "jetstream", "the yardstick JetStream"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "without the yardstick JetStream, which cannot be built here: go build in ") {
		t.Errorf("said %q", said)
	}
	wantRows(t, rows, logCases...)
	for _, r := range rows {
		if r.Against != "" && r.Against != "target" || r.Value == 0 && !strings.HasPrefix(r.Case, "lanes_") {
			t.Errorf("%+v", r)
		}
	}
}

func TestHammerEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var calls atomic.Int32
	_, err := hammer(t.Context(), 4, time.Minute, func(ctx context.Context, worker int) error {
		calls.Add(1)
		if worker == 2 {
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, broken) || calls.Load() > 4 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
}

func TestHammerCountsEveryCall(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s, err := hammer(t.Context(), 3, time.Millisecond, func(context.Context, int) error { calls.Add(1); return nil })
	if err != nil || s.n != int(calls.Load()) || len(s.latencies) != s.n || s.n < 3 || s.elapsed < time.Millisecond {
		t.Errorf("%d calls, %d counted, %v, %v", calls.Load(), s.n, s.elapsed, err)
	}
}

func TestHammerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	_, err := hammer(ctx, 2, time.Minute, func(context.Context, int) error { cancel(why); return nil })
	if !errors.Is(err, why) {
		t.Error(err)
	}
}

// BenchmarkPublish is for profiles: go test ./bench -run '^$' -bench Publish -benchmem -cpuprofile cpu.prof
func BenchmarkPublish(b *testing.B) {
	w, err := openWorld(b.Context(), b.TempDir(), partition.Trigger{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer w.close()
	b.ReportAllocs()
	b.SetParallelism(producers)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := w.publish(b.Context(), plainTopic, 1); err != nil {
				b.Error(err)
			}
		}
	})
}

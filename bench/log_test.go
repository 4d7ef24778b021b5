package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestLogWithTinyNumbers(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	rows, err := runLog(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "ingest_64", "ingest_64_p50", "ingest_64_p99", "ingest_64_cpu", "ingest_1_p50", "pipeline", "pipeline_cpu")
	for _, r := range rows {
		if r.Runs != s.rounds || r.Value == 0 || r.Against != "" && r.Ratio == 0 {
			t.Errorf("%+v", r)
		}
	}
	if len(s.disk) == 0 {
		t.Error("the report gets no times of the disk")
	}
}

func TestPipelineSettlesWhatIsThere(t *testing.T) {
	t.Parallel()
	w, err := openWorld(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	const events = 3 * inWork / 2
	for range events / 64 {
		if err := w.publishBatch(t.Context(), inTopic, 64); err != nil {
			t.Fatal(err)
		}
	}
	n, err := w.settleUntil(t.Context(), time.Now().Add(time.Minute))
	if err != nil || n != events {
		t.Errorf("settled %d of %d: %v", n, events, err)
	}
	if left := w.table.Stats(triggerID).Pending; left != 0 {
		t.Errorf("%d events are left", left)
	}
	if n, err = w.settleUntil(t.Context(), time.Now().Add(time.Minute)); n != 0 || err != nil {
		t.Errorf("settled %d of nothing: %v", n, err)
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
	w, err := openWorld(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer w.close()
	b.ReportAllocs()
	b.SetParallelism(producers)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := w.publish(b.Context(), plainTopic); err != nil {
				b.Error(err)
			}
		}
	})
}

package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/evoke-run/evoke/partition"
)

func TestPipelineWithTinyNumbers(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	rows, err := s.measurePipeline(t.Context(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "pipeline_stateful", "pipeline_stateful_cpu", "dispatch", "dispatch_cpu")
	for _, r := range rows {
		if r.Runs != s.rounds || r.Value == 0 || r.Against != "JetStream" || r.Ratio == 0 {
			t.Errorf("%+v", r)
		}
	}
}

func open(t *testing.T, trigger partition.Trigger) *world {
	t.Helper()
	w, err := openWorld(t.Context(), t.TempDir(), trigger, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestPipelineHandlesEachEventOnce(t *testing.T) {
	t.Parallel()
	w := open(t, partition.Trigger{})
	const events = 3*flying/2 + 1
	out, err := w.pipeline(t.Context(), events, w.handle)
	if err != nil || out.n != events || out.elapsed <= 0 {
		t.Errorf("handled %d of %d: %v", out.n, events, err)
	}
	outputs := map[string]int{}
	_, err = w.table.Tail("default", outTopic, partition.Cursor{}, time.Time{}, 0, func(r partition.TopicRecord) error {
		outputs[r.Event.ID]++
		if len(r.Event.Data) != outputSize {
			t.Errorf("an output of %d bytes", len(r.Event.Data))
		}
		return nil
	})
	if err != nil || len(outputs) != events {
		t.Errorf("%d different outputs of %d events: %v", len(outputs), events, err)
	}
	value, _, err := w.table.State("default", "bench", "key-1", "last")
	if err != nil || len(value) != stateSize {
		t.Errorf("state has %d bytes: %v", len(value), err)
	}
}

func TestWorkOffEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	w := open(t, partition.Trigger{})
	if err := w.fill(t.Context(), inTopic, 100); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	out, err := w.workOff(t.Context(), 100, func(context.Context, *partition.Delivery) error { return broken })
	if !errors.Is(err, broken) || out.n > 100 {
		t.Errorf("%d, %v", out.n, err)
	}
}

func TestWorkOffWaitsForWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := open(t, partition.Trigger{})
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	time.AfterFunc(time.Millisecond, func() { cancel(enough) })
	if out, err := w.workOff(ctx, 1, w.accept); !errors.Is(err, enough) || out.n != 0 {
		t.Errorf("%d, %v", out.n, err)
	}
}

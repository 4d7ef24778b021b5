package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/partition"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestPipelineWithTinyNumbers(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	rows, err := s.measurePipeline(t.Context(), self(t), stateful())
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "pipeline_stateful", "pipeline_stateful_cpu", "pipeline_wasm_go", "pipeline_wasm_go_cpu", "dispatch", "dispatch_cpu",
		"dispatch_batch_64", "dispatch_batch_64_cpu")
	for _, r := range rows {
		if r.Runs != s.rounds || r.Value == 0 || r.Against != "JetStream" || r.Ratio == 0 {
			t.Errorf("%+v", r)
		}
	}
}

// stateful emits an event and sets a state entry as testdata/stateful does, in a module that compiles at once.
func stateful() []byte {
	const topic, output, op, request = 0x100, 0x200, 0x300, 0x400
	m, i := w.NewGuest()
	text, set := `{"type":"dev.evoke.bench"}`, append([]byte{4, 0, 0, 0}, "lastvalue"...)
	m.Memory(1)
	m.Data(topic, []byte(outTopic))
	m.Data(output, []byte(text))
	m.Data(op, []byte(abi.OpStateSet))
	m.Data(request, set)
	return m.Handle(
		w.Call(i.Emit, topic, int32(len(outTopic)), output, int32(len(text))), w.Drop(),
		w.Call(i.Call, op, int32(len(abi.OpStateSet)), request, int32(len(set))), w.Drop(), w.I32Const(0),
	).Bytes()
}

func TestFunctionThatFails(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	p, err := s.newWasmPipeline(t.Context(), w.New().Handle(w.I32Const(1)).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.run(t.Context(), t.TempDir())
	if e := p.close(); e != nil {
		t.Error(e)
	}
	if err == nil || !strings.Contains(err.Error(), "the function failed ") {
		t.Error(err)
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

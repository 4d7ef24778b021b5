package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// run runs what a case has: one event, or a batch.
func (f *function) run(ctx context.Context, c api.TrialCase) api.TrialResult {
	if len(c.More) == 0 {
		return f.try(ctx, c)
	}
	var events []*event.Event
	for i, raw := range append([]json.RawMessage{c.Event}, c.More...) {
		e := &event.Event{}
		err := e.UnmarshalJSON(raw)
		if err == nil {
			err = e.Validate()
		}
		if err != nil {
			return api.TrialResult{Error: fmt.Sprintf("event %d of the batch: %v", i+1, err)}
		}
		events = append(events, e)
	}
	ctx, cancel := f.limit(ctx)
	defer cancel()
	h, start := newHost(f, events[0], c.Stubs), time.Now()
	r := f.module.InvokeBatch(ctx, events, h)
	out := h.result(r, time.Since(start))
	for _, one := range r.More {
		out.More = append(out.More, verdictOf(one))
		if one.Verdict != abi.Done {
			out.Emitted, out.State = nil, nil // the runtime runs the events again, one by one
		}
	}
	return out
}

// verdictOf is what became of one event of a batch.
func verdictOf(r sandbox.Result) api.TrialResult {
	out := api.TrialResult{Verdict: r.Verdict.Name(), Class: r.Class, Reason: r.Reason}
	if r.RetryAfter > 0 {
		out.RetryAfter = api.Duration(r.RetryAfter)
	}
	return out
}

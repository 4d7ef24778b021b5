package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
)

// work makes events with the same data, each with an id of its own.
type work struct {
	data []byte
	last int
}

// spinFor makes testdata/c/loop.c spin for a time, as far as the fastest of many tries tells how long that takes: others of the machine make it slower, and
// nobody makes it faster.
func spinFor(ctx context.Context, m *sandbox.Module, length time.Duration) (*work, error) {
	const tried = 1 << 20
	once, best := invokeQuiet(ctx, m, spinData(tried)), time.Hour
	for range 20 {
		start := time.Now()
		if err := once(); err != nil {
			return nil, err
		}
		best = min(best, time.Since(start))
	}
	return &work{data: spinData(uint32(tried * float64(length) / float64(best)))}, nil
}

// publish stores n events with one request and answers the id of the last.
func (w *work) publish(ctx context.Context, client *api.Client, topic string, n int) (string, error) {
	type cloudEvent struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Source      string `json:"source"`
		Type        string `json:"type"`
		Data        []byte `json:"data_base64"`
	}
	events := make([]cloudEvent, n)
	for i := range events {
		w.last++
		events[i] = cloudEvent{"1.0", strconv.Itoa(w.last), "/bench", "dev.evoke.bench", w.data}
	}
	raw, err := json.Marshal(events)
	if err != nil {
		return "", err
	}
	if _, err := client.Publish(ctx, "default", topic, api.EventBatchJSON, raw); err != nil {
		return "", fmt.Errorf("publish %d events: %w", n, err)
	}
	return events[n-1].ID, nil
}

// stats of the trigger of a function that deployListener has deployed.
func stats(ctx context.Context, client *api.Client, function string) (api.TriggerStats, error) {
	t, err := client.Trigger(ctx, "default", function+":"+function)
	if err != nil {
		return api.TriggerStats{}, err
	}
	if t.Stats == nil || t.Stats.DeadLetters+t.Stats.Retrying > 0 {
		return api.TriggerStats{}, fmt.Errorf("function %s failed events: %+v", function, t.Stats)
	}
	return *t.Stats, nil
}

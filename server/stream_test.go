package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
)

func (b *bundle) publishOrder(id string) {
	b.t.Helper()
	e := event.Event{ID: id, Source: "/a", Type: "t", Data: []byte(`"<x>"`)}
	if _, err := b.table.Publish(context.Background(), "default", "orders", []event.Event{e}); err != nil {
		b.t.Fatal(err)
	}
}

// puller steps through a stream; it stops with the test.
func puller[T any](t *testing.T, seq iter.Seq2[T, error]) func() (T, error) {
	t.Helper()
	next, stop := iter.Pull2(seq)
	t.Cleanup(stop)
	return func() (T, error) {
		v, err, ok := next()
		if !ok && err == nil {
			err = errors.New("the stream has ended")
		}
		return v, err
	}
}

func idOf(t *testing.T, e api.TopicEvent) string {
	t.Helper()
	var v struct{ ID string }
	if err := json.Unmarshal(e.Event, &v); err != nil {
		t.Fatal(err)
	}
	return v.ID
}

func TestTail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for i := range 5 {
		b.publishOrder(fmt.Sprint("o", i))
	}
	count := 0
	for e, err := range b.client().TopicEvents(t.Context(), "default", "orders", api.TailOptions{Limit: 2}) {
		if err != nil || e.Topic != "orders" || e.Offset == 0 || e.Time.IsZero() {
			t.Fatalf("%+v %v", e, err)
		}
		count++
	}
	if count != 2 {
		t.Errorf("%d events, want the newest 2", count)
	}
	for e, err := range b.client().TopicEvents(t.Context(), "default", "orders", api.TailOptions{Since: time.Now().Add(time.Hour)}) {
		t.Errorf("since the future: %+v %v", e, err)
	}
	got := b.do("GET", b.admin+"/api/v1/ns/default/topics/orders/events?since=10m", "")
	if got.status != 200 || got.header.Get("Content-Type") != "application/jsonl" {
		t.Errorf("%d %v", got.status, got.header)
	}
}

func TestTailFollowsUntilDrain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.publishOrder("before")
	next := puller(t, b.client().TopicEvents(t.Context(), "default", "orders", api.TailOptions{Follow: true}))
	for _, id := range []string{"before", "after-1", "after-2"} {
		if id != "before" {
			b.publishOrder(id)
		}
		if e, err := next(); err != nil || idOf(t, e) != id {
			t.Fatalf("want %s, got %s %v", id, e.Event, err)
		}
	}
	start := time.Now()
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > b.o.DrainTimeout/2 {
		t.Errorf("the drain waited %s for a stream", took)
	}
	if _, err := next(); !errors.Is(err, api.ErrStreamEnded) {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestTailEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.publishOrder("one")
	ctx, cancel := context.WithCancel(t.Context())
	next := puller(t, b.client().TopicEvents(ctx, "default", "orders", api.TailOptions{Follow: true}))
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := next(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := b.stop(); err != nil { // waits for the handler
		t.Error(err)
	}
	if log := b.logged.String(); log != "" {
		t.Errorf("logged %s", log)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, level := range []string{"debug", "info", "warn", "error"} {
		b.history.Append(api.LogEntry{Time: clock.Add(time.Duration(i) * time.Minute), Namespace: "default", Function: "charge", Invocation: fmt.Sprint("inv-", i), Level: level, Message: level})
	}
	b.history.Append(api.LogEntry{Time: clock, Namespace: "acme", Function: "charge", Level: "error", Message: "acme"})
	for name, tt := range map[string]struct {
		o    api.LogOptions
		want []string
	}{
		"all":        {api.LogOptions{}, []string{"debug", "info", "warn", "error"}},
		"level":      {api.LogOptions{Level: "warn"}, []string{"warn", "error"}},
		"limit":      {api.LogOptions{Limit: 1}, []string{"error"}},
		"invocation": {api.LogOptions{Invocation: "inv-1"}, []string{"info"}},
		"function":   {api.LogOptions{Function: "other"}, nil},
		"since":      {api.LogOptions{Since: clock.Add(2 * time.Minute)}, []string{"warn", "error"}},
	} {
		var got []string
		for e, err := range b.client().Logs(t.Context(), "default", tt.o) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Message)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestLogsFollowUntilDrain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.history.Append(api.LogEntry{Time: clock, Namespace: "default", Level: "info", Message: "before"})
	next := puller(t, b.client().Logs(t.Context(), "default", api.LogOptions{Follow: true}))
	for _, text := range []string{"before", "after"} {
		if text == "after" {
			b.history.Append(api.LogEntry{Time: clock, Namespace: "default", Level: "info", Message: text})
		}
		if e, err := next(); err != nil || e.Message != text {
			t.Fatalf("want %s, got %+v %v", text, e, err)
		}
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if _, err := next(); !errors.Is(err, api.ErrStreamEnded) {
		t.Errorf("the stream ended with %v", err)
	}
}

// A stream that breaks in the middle must not look complete.
func TestBrokenStreamIsNoticed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.newEcho("admin")
	e.GET("/*", func(c echo.Context) error {
		out, done := b.newStream(c)
		defer done()
		if err := out.send(api.LogEntry{Message: "one"}); err != nil {
			return err
		}
		return errors.New("the disk is on fire")
	})
	broken := httptest.NewServer(e)
	t.Cleanup(broken.Close)
	b.admin = broken.URL
	next := puller(t, b.client().Logs(t.Context(), "default", api.LogOptions{}))
	if e, err := next(); err != nil || e.Message != "one" {
		t.Fatalf("%+v %v", e, err)
	}
	if _, err := next(); err == nil || errors.Is(err, api.ErrStreamEnded) {
		t.Errorf("the stream ended with %v", err)
	}
}

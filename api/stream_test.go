package api_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func collect[T any](seq iter.Seq2[T, error]) (items []T, err error) {
	for v, err := range seq {
		if err != nil {
			return items, err
		}
		items = append(items, v)
	}
	return items, nil
}

func TestStreamsReadLines(t *testing.T) {
	t.Parallel()
	var query string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RequestURI()
		io.WriteString(w, "{\"offset\":1}\n\n{\"offset\":2}") // an empty line keeps alive, the last line may lack its end
	})
	since := time.Date(2026, 1, 31, 12, 0, 0, 5, time.FixedZone("", 3600))
	events, err := collect(c.TopicEvents(context.Background(), "n", "a.b", api.TailOptions{Limit: 3, Since: since}))
	if err != nil || len(events) != 2 || events[1].Offset != 2 {
		t.Errorf("got %v, %v", events, err)
	}
	if want := "/api/v1/ns/n/topics/a.b/events?limit=3&since=2026-01-31T11%3A00%3A00.000000005Z"; query != want {
		t.Errorf("got %s, want %s", query, want)
	}
	if _, err := collect(c.Logs(context.Background(), "n", api.LogOptions{Function: "f", Invocation: "i", Level: "warn", Limit: 1, Since: since})); err != nil {
		t.Error(err)
	}
	if want := "/api/v1/ns/n/logs?function=f&invocation=i&level=warn&limit=1&since=2026-01-31T11%3A00%3A00.000000005Z"; query != want {
		t.Errorf("got %s, want %s", query, want)
	}
}

func TestFollowedStreamEndsWithAnErrorOnly(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("follow") != "true" {
			t.Error("follow is not asked for")
		}
		io.WriteString(w, "{\"message\":\"a\"}\n")
	})
	entries, err := collect(c.Logs(context.Background(), "n", api.LogOptions{Follow: true}))
	if len(entries) != 1 || !errors.Is(err, api.ErrStreamEnded) {
		t.Errorf("got %v, %v", entries, err)
	}
}

func TestFollowingStopsWithTheContext(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "{\"message\":\"a\"}\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var err error
	for _, err = range c.Logs(ctx, "n", api.LogOptions{Follow: true}) {
		if err != nil {
			break
		}
		cancel()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-gone
}

func TestLeavingTheLoopEndsTheRequest(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "{\"message\":\"a\"}\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	for _, err := range c.Logs(context.Background(), "n", api.LogOptions{Follow: true}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	<-gone
}

func TestStreamErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, want string }{
		{"no JSON", "{}\nhello\n", "read a line of /api/v1/ns/n/logs: invalid character 'h'"},
		{"endless line", strings.Repeat("x", 5<<20), "token too long"},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, tc.body) })
		if _, err := collect(c.Logs(context.Background(), "n", api.LogOptions{})); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	var p *api.Problem
	if _, err := collect(c.TopicEvents(context.Background(), "n", "a", api.TailOptions{})); !errors.As(err, &p) {
		t.Errorf("got %v", err)
	}
}

package server

import (
	"context"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
)

const oneEvent = `{"specversion":"1.0","id":"1","source":"/s","type":"t"%s}`

func withMore(more string) string { return strings.Replace(oneEvent, "%s", more, 1) }

// What headers and events say of their delivery is stored as one thing: the time.
func TestDelayOfPublishedEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for name, tc := range map[string]struct {
		header string // name, value
		body   string
		want   string // evokedeliverat as stored, or "error: " and a part of the answer
	}{
		"none":           {"", withMore(``), ""},
		"at header":      {"Evoke-Deliver-At: 2026-02-01T00:00:00+01:00", withMore(``), "2026-02-01T00:00:00+01:00"},
		"delay header":   {"Evoke-Delay: 90s", withMore(``), "2026-01-31T12:01:30Z"},
		"delay in event": {"", withMore(`,"evokedelay":"1d"`), "2026-02-01T12:00:00Z"},
		"at in event":    {"", withMore(`,"evokedeliverat":"2026-02-01T12:00:00Z"`), "2026-02-01T12:00:00Z"},
		"event wins":     {"Evoke-Delay: 90s", withMore(`,"evokedelay":"1h"`), "2026-01-31T13:00:00Z"},
		"bad time":       {"Evoke-Deliver-At: tomorrow", withMore(``), `error: evokedeliverat "tomorrow" is not an RFC 3339 time`},
		"bad delay":      {"Evoke-Delay: 90", withMore(``), `error: evokedelay "90" is not a duration such as`},
		"too far":        {"Evoke-Delay: 31d", withMore(``), "error: evokedelay 31d is more than 30 days"},
		"both in event":  {"", withMore(`,"evokedelay":"1d","evokedeliverat":"2026-02-01T12:00:00Z"`), "error: are both set"},
	} {
		body := strings.Replace(tc.body, `"id":"1"`, `"id":"`+name+`"`, 1)
		header := []string{"Content-Type", "application/cloudevents+json"}
		if n, v, ok := strings.Cut(tc.header, ": "); ok {
			header = append(header, n, v)
		}
		got := b.do("POST", b.gateway+"/topics/orders", body, header...)
		if want, refused := strings.CutPrefix(tc.want, "error: "); refused {
			p := got.problem(t)
			if p.Status != 400 || !strings.Contains(p.Detail, want) || !strings.Contains(p.Next, "Evoke-Delay") {
				t.Errorf("%s: %+v", name, p)
			}
			continue
		}
		if got.status != 202 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
			continue
		}
		found := false
		for _, e := range b.stored("default", "orders") {
			if e.ID == name {
				found = true
				at, _ := e.Extension(event.DeliverAtExtension)
				if _, left := e.Extension(event.DelayExtension); at != tc.want || left {
					t.Errorf("%s: stored with %q, want %q", name, at, tc.want)
				}
			}
		}
		if !found {
			t.Errorf("%s was not stored", name)
		}
	}
	both := b.do("POST", b.gateway+"/topics/orders", withMore(``), "Content-Type", "application/cloudevents+json", "Evoke-Delay", "1s", "Evoke-Deliver-At", "2026-02-01T12:00:00Z")
	if p := both.problem(t); p.Status != 400 || !strings.Contains(p.Detail, "both set") {
		t.Errorf("both headers: %+v", p)
	}
}

func TestDelayInABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	one := func(id, more string) string {
		return strings.Replace(withMore(more), `"id":"1"`, `"id":"`+id+`"`, 1)
	}
	post := func(batch string) answer {
		return b.do("POST", b.gateway+"/topics/orders", batch, "Content-Type", "application/cloudevents-batch+json", "Evoke-Delay", "1h")
	}
	if p := post("[" + one("a", "") + "," + one("b", `,"evokedelay":"soon"`) + "]").problem(t); p.Status != 400 || !strings.Contains(p.Detail, "event 2 of the batch: evokedelay") {
		t.Errorf("%+v", p)
	}
	if n := len(b.stored("default", "orders")); n != 0 {
		t.Errorf("%d events of a batch that was refused are stored", n)
	}
	if got := post("[" + one("a", "") + "," + one("b", `,"evokedelay":"2h"`) + "]"); got.status != 202 {
		t.Fatal(got)
	}
	want := map[string]string{"a": "2026-01-31T13:00:00Z", "b": "2026-01-31T14:00:00Z"}
	for _, e := range b.stored("default", "orders") {
		if at, _ := e.Extension(event.DeliverAtExtension); at != want[e.ID] {
			t.Errorf("%s is for %s, want %s", e.ID, at, want[e.ID])
		}
	}
}

// Only what goes to the inbox can wait.
func TestDelayOfCalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.call = func(context.Context, scheduler.Call) (scheduler.Reply, error) {
		return scheduler.Reply{Verdict: abi.Done}, nil
	}
	url := b.gateway + "/fn/hello"
	if p := b.do("POST", url, "x", "Evoke-Delay", "1h").problem(t); p.Status != 400 || !strings.Contains(p.Detail, "synchronous call cannot be delayed") || !strings.Contains(p.Next, "respond-async") {
		t.Errorf("%+v", p)
	}
	if got := b.do("POST", url, withMore(`,"evokedeliverat":"2026-01-01T12:00:00Z"`), "Content-Type", "application/cloudevents+json"); got.status >= 300 {
		t.Errorf("an event that was delayed before: %d %s", got.status, got.body)
	}
	if got := b.do("POST", url, "x", "Evoke-Delay", "1h", "Prefer", "respond-async"); got.status != 202 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if p := b.do("POST", url, "x", "Evoke-Delay", "soon", "Prefer", "respond-async").problem(t); p.Status != 400 || !strings.Contains(p.Detail, `evokedelay "soon"`) {
		t.Errorf("%+v", p)
	}
	invoke := b.admin + "/api/v1/ns/default/functions/hello/invoke"
	if p := b.do("POST", invoke, `{"event":{"evokedelay":"1h"}}`).problem(t); p.Status != 400 || !strings.Contains(p.Next, "--async") {
		t.Errorf("%+v", p)
	}
	if got := b.do("POST", invoke, `{"async":true,"event":{"evokedelay":"1h"}}`); got.status != 202 {
		t.Errorf("%d %s", got.status, got.body)
	}
	inbox := b.stored("default", "_inbox.hello")
	if len(inbox) != 2 {
		t.Fatalf("%d events in the inbox", len(inbox))
	}
	for _, e := range inbox {
		if at, _ := e.Extension(event.DeliverAtExtension); at != "2026-01-31T13:00:00Z" {
			t.Errorf("stored for %s", at)
		}
	}
}

package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/scheduler"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{Invocation: "inv-1", Data: []byte("hi"), Kept: true})
	same := map[[16]byte]int{}
	for _, header := range []string{`"a-1"`, "a-1", " a-1 "} {
		got := b.do("POST", b.gateway+"/fn/hello/x?y=1", "body", "Idempotency-Key", header)
		if got.status != 200 || got.header.Get("Idempotent-Replayed") != "true" || got.header.Get("Evoke-Invocation") != "inv-1" {
			t.Fatalf("%s: %+v", header, got)
		}
		c := <-calls
		if c.Once == nil || c.Once.Key != "a-1" {
			t.Fatalf("%s: %+v", header, c.Once)
		}
		same[c.Once.Request]++
	}
	if len(same) != 1 {
		t.Errorf("the same request has %d forms", len(same))
	}
	for _, other := range [][3]string{{"PUT", "/fn/hello/x?y=1", "body"}, {"POST", "/fn/hello/x?y=2", "body"}, {"POST", "/fn/hello/x?y=1", "other"}} {
		b.do(other[0], b.gateway+other[1], other[2], "Idempotency-Key", "a-1")
		if c := <-calls; same[c.Once.Request] > 0 {
			t.Errorf("%v is taken for the same request", other)
		}
	}
	b.do("POST", b.gateway+"/fn/hello", "body")
	if c := <-calls; c.Once != nil {
		t.Errorf("without a key: %+v", c.Once)
	}
	for _, bad := range []string{"", `""`, `"`, "a\tb", "ä", `a"b`, strings.Repeat("x", 256)} {
		p := b.do("POST", b.gateway+"/fn/hello", "body", "Idempotency-Key", bad).problem(t)
		if p.Status != 400 || p.Detail != "the Idempotency-Key is not 1 to 255 printable ASCII characters without quotes in them" || p.Next != "send one key for each call, a UUID for instance" {
			t.Errorf("%q: %+v", bad, p)
		}
	}
	if p := b.do("POST", b.gateway+"/fn/hello", "body", "Idempotency-Key", "a", "Idempotency-Key", "b").problem(t); p.Status != 400 {
		t.Errorf("two keys: %+v", p)
	}
}

func TestIdempotencyKeyRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for _, tc := range []struct {
		err          error
		status       int
		slug, detail string
	}{
		{scheduler.ErrInProgress, 409, "call-in-progress", `a call of function "hello" with this Idempotency-Key still runs`},
		{scheduler.ErrOtherRequest, 422, "idempotency-key-reused", `function "hello" was called with this Idempotency-Key before, by another request`},
		{fmt.Errorf("%w: it has 9 bytes", scheduler.ErrReplyTooLong), 502, "reply-too-long", `function "hello" ran, and nothing of it was kept: the reply is too long to be kept: it has 9 bytes`},
	} {
		b.call = func(context.Context, scheduler.Call) (scheduler.Reply, error) { return scheduler.Reply{}, tc.err }
		p := b.do("POST", b.gateway+"/fn/hello", "body", "Idempotency-Key", "a").problem(t)
		if p.Status != tc.status || p.Type != "https://evoke.run/problems/"+tc.slug || p.Detail != tc.detail || p.Next == "" {
			t.Errorf("%+v", p)
		}
	}
}

// An asynchronous call that is repeated is the same event of the inbox.
func TestIdempotencyKeyOfAnAsynchronousCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	seen := map[string]bool{}
	for range 2 {
		got := b.do("POST", b.gateway+"/fn/hello", "body", "Idempotency-Key", "a", "Prefer", "respond-async")
		if got.status != 202 {
			t.Fatalf("%+v", got)
		}
		seen[got.header.Get("Evoke-Invocation")] = true
	}
	if len(seen) != 1 || seen[""] {
		t.Errorf("invocations %v, want one", seen)
	}
	for _, other := range [][4]string{
		{"PUT", "/fn/hello", "body", "text/plain"}, {"POST", "/fn/hello?y=1", "body", "text/plain"}, {"POST", "/fn/hello/x", "body", "text/plain"},
		{"POST", "/fn/hello", "other", "text/plain"}, {"POST", "/fn/hello", "body", "text/html"},
	} {
		b.do("POST", b.gateway+"/fn/hello", "body", "Idempotency-Key", "b", "Prefer", "respond-async", "Content-Type", "text/plain")
		p := b.do(other[0], b.gateway+other[1], other[2], "Idempotency-Key", "b", "Prefer", "respond-async", "Content-Type", other[3]).problem(t)
		if p.Status != 422 || p.Detail != `function "hello" was called with this Idempotency-Key before, by another request` {
			t.Errorf("%v, which would never run, is answered %+v", other, p)
		}
	}
}

// A key is for a function and an event key, as that of a synchronous call: partitions that have the events of several keys must not mix them up.
func TestIdempotencyKeyOfAnAsynchronousCallIsForAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	const keys = 8 // in two partitions
	seen := map[string]bool{}
	for i := range 2 * keys {
		got := b.do("POST", b.gateway+"/fn/hello", "body", "Idempotency-Key", "a", "Prefer", "respond-async", "Evoke-Key", fmt.Sprint(i%keys))
		if got.status != 202 {
			t.Fatalf("%+v", got)
		}
		seen[got.header.Get("Evoke-Invocation")] = true
	}
	if len(seen) != keys {
		t.Errorf("%d invocations, want one for each of %d keys", len(seen), keys)
	}
}

// In binary mode the attributes are headers: an event with other attributes is another request, as in structured mode.
func TestIdempotencyKeyOfAnEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{Invocation: "inv-1"})
	seen := map[[16]byte]bool{}
	for _, headers := range [][]string{
		{"Ce-Id", "1", "Ce-Type", "order"}, {"Ce-Type", "order", "Ce-Id", "1"}, {"Ce-Id", "2", "Ce-Type", "order"}, {"Ce-Id", "1", "Ce-Type", "refund"},
		{"Ce-Id", "1", "Ce-Type", "order", "Ce-Tenant", "a"},
	} {
		headers = append(headers, "Ce-Specversion", "1.0", "Ce-Source", "/s", "Idempotency-Key", "a")
		if got := b.do("POST", b.gateway+"/fn/hello", "body", headers...); got.status != 204 {
			t.Fatalf("%+v", got)
		}
		c := <-calls
		seen[c.Once.Request] = true
	}
	if len(seen) != 4 {
		t.Errorf("four events under a key have %d forms", len(seen))
	}
}

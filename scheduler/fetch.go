package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/fetch"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// fetches is what an attempt remembers of its requests to others.
type fetches struct {
	of   map[int][sha256.Size]byte    // host.identity, by place of the event
	made map[[sha256.Size]byte]uint64 // how often each request was made

	mu         sync.Mutex               // requests end in goroutines of their own
	overloaded map[string]time.Duration // hosts whose last answer was 429 or 503, and what they asked to wait; -1 = nothing
}

// mayFetch gives a function its allow list. Its revisions have one limit together.
func (s *Scheduler) mayFetch(f *function) (err error) {
	if len(f.spec.Spec.Allow.HTTP) == 0 {
		return nil
	}
	f.fetch, err = s.opts.Fetch.Function(f.spec.Spec.Allow.HTTP, f.share.fetch.Load())
	if err == nil {
		f.share.fetch.CompareAndSwap(nil, f.fetch)
	}
	return err
}

// fetch begins an http.fetch.
func (h *host) fetch(raw []byte) func(context.Context, func(int) bool) (int32, []byte) {
	f := h.function.fetch
	if f == nil {
		return h.ended(fetch.NotAllowed(raw))
	}
	r, err := fetch.Parse(raw)
	if err != nil {
		return h.ended(fetch.Invalid(err))
	}
	if r.Event > len(h.invocation.more) {
		return h.ended(fetch.Invalid(fmt.Errorf("event %d is not among the %d of the delivery; the first one is 0", r.Event, 1+len(h.invocation.more))))
	}
	if h.fetches == nil {
		h.fetches = &fetches{}
	}
	if r.Unsafe() && !r.Has("Idempotency-Key") {
		r.Set("Idempotency-Key", h.idempotencyKey(r))
	}
	h.continueTrace(r)
	return func(ctx context.Context, reserve func(int) bool) (int32, []byte) {
		start := time.Now()
		a := f.Do(ctx, r, reserve)
		h.fetches.heard(r.URL.Host, &a)
		h.function.series.fetched(a.Outcome, time.Since(start))
		return a.Status, a.Body
	}
}

// ended is a fetch that nothing came of.
func (h *host) ended(a fetch.Answer) func(context.Context, func(int) bool) (int32, []byte) {
	return func(context.Context, func(int) bool) (int32, []byte) {
		h.function.series.fetched(a.Outcome, 0)
		return a.Status, a.Body
	}
}

// eventOf is the event that a request is made for; nil = several.
func (h *host) eventOf(r *fetch.Request) *event.Event {
	switch {
	case len(h.invocation.more) == 0 || r.Event == 0:
		return h.invocation.event
	case r.Event > 0:
		return h.invocation.more[r.Event-1].event
	}
	return nil
}

// continueTrace sends the trace of its event on, unless the guest has one of its own. The attempt is a span in it, but for one of a batch, which has many events.
func (h *host) continueTrace(r *fetch.Request) {
	e := h.eventOf(r)
	if e == nil || r.Has("traceparent") {
		return
	}
	parent, ok := e.TraceParent()
	state, _ := e.Extension(event.TraceStateExtension)
	if len(h.invocation.more) == 0 {
		l := h.tracing()
		parent, state, ok = l.trace, l.state, l.known
	}
	if !ok {
		return
	}
	r.Set("traceparent", parent.String())
	if state != "" && !r.Has("tracestate") {
		r.Set("tracestate", state)
	}
}

// idempotencyKey is the same when the event is tried again, redriven or replayed, and the guest asks for the same, for the n-th time as it did then.
func (h *host) idempotencyKey(r *fetch.Request) string {
	who := h.identity(r)
	sum := sha256.New()
	hashAll(sum, who[:], r.Method, r.URL.String(), r.Body)
	n := h.fetches.count([sha256.Size]byte(sum.Sum(nil)))
	hashAll(sum, binary.LittleEndian.AppendUint64(nil, n))
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// count says how often a request was made before.
func (f *fetches) count(request [sha256.Size]byte) (before uint64) {
	if f.made == nil {
		f.made = map[[sha256.Size]byte]uint64{}
	}
	before = f.made[request]
	f.made[request]++
	return before
}

// identity stands for what a request is made for: an event as it is and its trigger, or a call that its client repeats. Edited, an event is another one. A batch without
// one that is named is all of its events: it may come in another composition, and then with new keys.
func (h *host) identity(r *fetch.Request) [sha256.Size]byte {
	f := h.fetches
	if f.of == nil {
		f.of = map[int][sha256.Size]byte{}
	}
	if id, ok := f.of[r.Event]; ok {
		return id
	}
	f.of[r.Event] = h.invocation.identity(h.function, h.eventOf(r))
	return f.of[r.Event]
}

// identity is for one event of an invocation; nil = all of them. What an invoked function is asked is part of what its caller does.
func (inv *invocation) identity(f *function, e *event.Event) [sha256.Size]byte {
	sum := sha256.New()
	hashAll(sum, f.spec.Namespace, f.spec.Name, inv.trigger)
	switch {
	case inv.caller != nil:
		of := inv.caller.identityOfAll()
		hashAll(sum, "invoked", of[:], inv.asked)
	case inv.once != nil:
		hashAll(sum, "once", inv.event.Key(), inv.once.Key, inv.once.Request[:])
	case e != nil:
		hashAll(sum, untraced(e))
	default:
		for one := range inv.all() {
			hashAll(sum, untraced(one.event))
		}
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// identityOfAll stands for what the delivery is about. Any goroutine may ask.
func (h *host) identityOfAll() [sha256.Size]byte {
	if len(h.invocation.more) > 0 {
		return h.invocation.identity(h.function, nil)
	}
	return h.invocation.identity(h.function, h.invocation.event)
}

// untraced is an event but for its trace: who sends it again may do so in another one.
func untraced(e *event.Event) []byte {
	same := *e
	same.Extensions = slices.DeleteFunc(slices.Clone(e.Extensions), func(x event.Extension) bool {
		return x.Name == event.TraceParentExtension || x.Name == event.TraceStateExtension
	})
	return same.AppendBinary(make([]byte, 0, same.Size()))
}

// hashAll writes texts or bytes so that no two lists of them are the same.
func hashAll(to hash.Hash, parts ...any) {
	var size [8]byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			binary.LittleEndian.PutUint64(size[:], uint64(len(p)))
			_, _ = to.Write(size[:])
			_, _ = io.WriteString(to, p) // a hash takes everything
		case []byte:
			binary.LittleEndian.PutUint64(size[:], uint64(len(p)))
			_, _ = to.Write(size[:])
			_, _ = to.Write(p)
		default:
			panic("hashAll takes strings and bytes")
		}
	}
}

// heard takes note of whether a host has too much to do. Its last word counts.
func (f *fetches) heard(host string, a *fetch.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case a.HTTP == 0:
	case a.Overloaded:
		if f.overloaded == nil {
			f.overloaded = map[string]time.Duration{}
		}
		f.overloaded[host] = a.RetryAfter
	default:
		delete(f.overloaded, host)
	}
}

// heed lets what failed come again when the hosts that had too much to do want it. What the guest has said of that itself counts more. It says whether there are such hosts.
func (f *fetches) heed(r *sandbox.Result) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := time.Duration(-1)
	for _, wait := range f.overloaded {
		asked = max(asked, wait)
	}
	heed(r, asked)
	for i := range r.More {
		heed(&r.More[i], asked)
	}
	return len(f.overloaded) > 0
}

func heed(r *sandbox.Result, asked time.Duration) {
	if r.Verdict == abi.Failed && r.RetryAfter < 0 {
		r.RetryAfter = asked
	}
}

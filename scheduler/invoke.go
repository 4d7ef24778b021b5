package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

const (
	// maxInvokeDepth is how many functions may be under way because of one event, each invoked by the one before.
	maxInvokeDepth = 8

	// invokePatience is how long an invoked function waits for a place. Its caller has one meanwhile, and when all places are those of callers nobody would ever go on.
	invokePatience = 5 * time.Second
)

var errNoPlace = fmt.Errorf("no place for it within %s", invokePatience)

// callees is what a delivery has of the functions that it invoked. They run one after the other, in the order in which they get turn, which guards what is below it.
type callees struct {
	// Only used by the guest's goroutine.
	started int
	asked   map[[sha256.Size]byte]uint64 // how often, by function and event

	turn chan struct{} // has room for one; nil before the first

	views   map[string]stateView // by function: what all of them, at any depth, have seen and done of their state
	emitted []partition.Emit
}

// beginInvoke is the capability invoke: another function runs inside this delivery, under its key and within its deadline. What it emits and writes becomes real with
// what this one does, or not at all.
func (h *host) beginInvoke(request []byte) func(context.Context, func(int) bool) (int32, []byte) {
	name, ev, reason := abi.ParseInvoke(request)
	if reason != "" {
		return refused(abi.StatusInvalid, "%s", reason)
	}
	if !slices.Contains(h.function.spec.Spec.Allow.Invoke, name) {
		return refused(abi.StatusDenied, "%s may not invoke %.80q; add it to allow: { invoke: [...] } in fn.yaml", h.function.spec.Name, name)
	}
	if problem := h.cycle(name); problem != "" {
		return refused(abi.StatusLoop, "%s", problem)
	}
	if h.callees.turn == nil {
		h.callees.turn = make(chan struct{}, 1)
	}
	h.callees.started++
	inv := invocation{id: fmt.Sprintf("%s.i%d", h.invocation.id, h.callees.started), trigger: h.function.spec.Name + ":invoke", number: 1, call: true, caller: h, asked: h.asks(name, ev)}
	e, err := h.invokedEvent(ev, inv.id)
	if err != nil {
		return refused(abi.StatusInvalid, "the event for %s: %v", name, err)
	}
	if class, reason := unfit(&e, time.Now()); class == ClassLoop {
		return refused(abi.StatusLoop, "%s", reason)
	}
	inv.event = &e
	return func(ctx context.Context, reserve func(int) bool) (int32, []byte) {
		return h.invoke(ctx, name, inv, reserve)
	}
}

func refused(status int32, format string, args ...any) func(context.Context, func(int) bool) (int32, []byte) {
	return func(context.Context, func(int) bool) (int32, []byte) {
		return status, fmt.Appendf(nil, format, args...)
	}
}

// cycle says why a function must not be invoked here: it is under way already, or too many are.
func (h *host) cycle(name string) string {
	chain, found := []string{name}, false
	for p := h; p != nil; p = p.invocation.caller {
		chain = append(chain, p.function.spec.Name)
		found = found || p.function.spec.Name == name
	}
	slices.Reverse(chain)
	way := strings.Join(chain, " → ")
	switch {
	case found:
		return "a function cannot be invoked while it waits for what it invoked: " + way
	case len(chain) > maxInvokeDepth:
		return fmt.Sprintf("at most %d functions may be under way because of one event: %s", maxInvokeDepth, way)
	}
	return ""
}

// asks stands for what the function is asked: the same in each attempt in which the caller asks the same, for the n-th time as it did then.
func (h *host) asks(name string, ev []byte) string {
	sum := sha256.New()
	hashAll(sum, name, ev)
	if h.callees.asked == nil {
		h.callees.asked = map[[sha256.Size]byte]uint64{}
	}
	what := [sha256.Size]byte(sum.Sum(nil))
	n := h.callees.asked[what]
	h.callees.asked[what]++
	return string(binary.LittleEndian.AppendUint64(what[:], n))
}

// invokedEvent fills in what the guest has left out, as for one that it emits. Its key is that of the delivery.
func (h *host) invokedEvent(text []byte, id string) (event.Event, error) {
	var e event.Event
	if err := e.UnmarshalJSON(text); err != nil {
		return e, err
	}
	h.fillIn(&e, id)
	if h.key != "" {
		e.SetExtension(event.Extension{Name: "partitionkey", Value: h.key})
	}
	if err := e.Validate(); err != nil {
		return e, err
	}
	if n := e.Size(); n > event.MaxSize {
		return e, fmt.Errorf("it has %d bytes, the limit is %d", n, event.MaxSize)
	}
	h.sign(&e)
	return e, nil
}

// invoke runs the function when those that were invoked before it have ended.
func (h *host) invoke(ctx context.Context, name string, inv invocation, reserve func(int) bool) (status int32, answer []byte) {
	select {
	case h.callees.turn <- struct{}{}:
		defer func() { <-h.callees.turn }()
	case <-ctx.Done():
		return abi.StatusUnavailable, []byte("it was canceled before it ran")
	}
	s := h.scheduler
	f := s.acquire(functionName{h.function.spec.Namespace, name})
	if f == nil {
		return abi.StatusNotFound, fmt.Appendf(nil, "there is no function %s", name)
	}
	defer s.release(f)
	f, done, err := s.revision(ctx, f, f.currentTraffic().pick(inv.event))
	if err != nil {
		return abi.StatusUnavailable, fmt.Appendf(nil, "%s cannot be loaded: %v", name, err)
	}
	defer done()
	if f.module == nil {
		return abi.StatusUnavailable, fmt.Appendf(nil, "%s cannot be loaded: %v", name, f.broken)
	}
	if !s.processors.call(f.share) {
		return abi.StatusBusy, fmt.Appendf(nil, "%s runs %d at once, its concurrency", name, f.spec.Spec.Concurrency)
	}
	defer s.processors.hangUp(f.share)
	pass, err := f.flow.enterCall(ctx, inv.event)
	if err != nil {
		return statusOf(err), []byte(err.Error())
	}
	defer pass.leave()
	a := s.attempt(ctx, f, inv)
	status, answer = a.answer()
	if a.host == nil {
		return status, answer
	}
	if status == abi.StatusOK && !reserve(len(answer)) {
		status, answer = abi.StatusTooLarge, fmt.Appendf(nil, "the reply of %s has %d bytes, more than the caller's memory has left", name, len(answer))
	}
	h.join(a.host, status == abi.StatusOK, a.effects.Emits)
	s.record(f, a, partition.Next{})
	return status, answer
}

func statusOf(err error) int32 {
	if _, throttled := errors.AsType[*ThrottledError](err); throttled || errors.Is(err, ErrBusy) {
		return abi.StatusBusy
	}
	return abi.StatusInternal
}

// answer is that of an invoked function: the length of the reply's JSON, which is 0 for none, that, and its data; else the reason why it did not reply.
func (a *attempt) answer() (status int32, answer []byte) {
	r := &a.result
	reason := []byte(r.Reason)
	switch {
	case a.held: // it did not begin
		return abi.StatusBusy, reason
	case r.Verdict == abi.Done:
		b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(r.Attributes)+len(r.Data)), uint32(len(r.Attributes)))
		return abi.StatusOK, append(append(b, r.Attributes...), r.Data...)
	case r.Verdict == abi.Rejected:
		return abi.StatusRejected, reason
	}
	switch r.Class {
	case sandbox.ClassError:
		return abi.StatusInternal, reason
	case sandbox.ClassDeadline:
		return abi.StatusTimeout, reason
	case sandbox.ClassCanceled:
		return abi.StatusUnavailable, reason
	}
	return abi.StatusTrapped, reason
}

// view is what the delivery knows of a function's state: of that which has run last, here or in a caller.
func (h *host) view(function string) stateView {
	for p := h; p != nil; p = p.invocation.caller {
		if v, ok := p.callees.views[function]; ok {
			return v
		}
	}
	return stateView{}
}

// join takes over what an invoked function has done; of one that is not done, only what it has seen: the caller may act upon what came of that.
func (h *host) join(callee *host, done bool, emitted []partition.Emit) {
	if h.callees.views == nil {
		h.callees.views = map[string]stateView{}
	}
	take := func(function string, v stateView) {
		if !done {
			v = v.withoutWrites(h.view(function))
		}
		h.callees.views[function] = v
	}
	take(callee.function.spec.Name, callee.stateView)
	for function, v := range callee.callees.views {
		take(function, v)
	}
	if done {
		h.callees.emitted = append(h.callees.emitted, emitted...)
	}
}

// joints are the callees' part of the effects, and how many bytes they are.
func (h *host) joints() (list []partition.Joint, size int) {
	if len(h.lists) > 0 {
		list = append(list, partition.Joint{Function: h.function.spec.Name, Lists: h.lists})
	}
	names := make([]string, 0, len(h.callees.views))
	for name := range h.callees.views {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := h.callees.views[name]
		j := partition.Joint{Function: name, Lists: v.lists}
		var n int
		if j.Reads, j.Writes, n = v.effects(); len(j.Reads)+len(j.Lists) > 0 {
			list, size = append(list, j), size+n
		}
	}
	return list, size
}

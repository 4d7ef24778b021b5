package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// host is what one attempt may reach outside its sandbox. It gathers state reads and writes; nothing of them is real before the settle.
type host struct {
	scheduler  *Scheduler
	function   *function
	invocation invocation
	guest      *guest
	key        string
	stateView
	callees callees
	lineage lineage  // see tracing
	fetches *fetches // nil before the first
}

var _ sandbox.Host = (*host)(nil)

// AllowEmit says whether the manifest lets the function emit to a topic.
func (h *host) AllowEmit(topic string) bool {
	for _, p := range h.function.emit {
		if p.Match(topic) {
			return true
		}
	}
	return false
}

// Log writes a line of the guest to the history.
func (h *host) Log(level slog.Level, message string) {
	entry := h.invocation.entry(h.function)
	entry.Level, entry.Message = strings.ToLower(level.String()), message
	h.scheduler.opts.History.Append(entry)
}

// Attempt is the number of the attempt, which each event of a batch has for itself.
func (h *host) Attempt(ev int) int {
	if ev > 0 {
		return h.invocation.more[ev-1].number
	}
	return h.invocation.number
}

// Yield lets guests of other functions run whose turn it is.
func (h *host) Yield(ctx context.Context, fuel int64) {
	h.scheduler.processors.yield(ctx, h.guest, fuel)
}

// Outside lets others run meanwhile.
func (h *host) Outside(ctx context.Context, fuel int64, wait func()) {
	h.scheduler.processors.outside(ctx, h.guest, fuel, wait)
}

// Begin has the capabilities of docs/abi.md section 8 that wait for others.
func (h *host) Begin(op string, request []byte) func(context.Context, func(int) bool) (int32, []byte) {
	switch op {
	case abi.OpHTTPFetch:
		return h.fetch(request)
	case abi.OpInvoke:
		return h.beginInvoke(request)
	}
	return nil
}

// Call runs a capability of docs/abi.md section 8.
func (h *host) Call(_ context.Context, op string, request []byte) (status int32, answer []byte) {
	switch op {
	case abi.OpStateGet, abi.OpStateSet, abi.OpStateDelete, abi.OpStateList:
		return h.callState(op, request)
	case abi.OpSecretGet:
		return h.secret(string(request))
	}
	return abi.StatusNotFound, fmt.Appendf(nil, "no capability %q", op)
}

func (h *host) callState(op string, request []byte) (status int32, answer []byte) {
	if status, reason := abi.RefuseState(h.function.spec.Spec.Allow.State, h.key); status != 0 {
		return status, []byte(reason)
	}
	if op == abi.OpStateList {
		return h.listState(request)
	}
	name, value, status, reason := abi.ParseState(op, request)
	if status != 0 {
		return status, []byte(reason)
	}
	e, err := h.entry(name)
	if errors.Is(err, errTooMany) {
		return abi.StatusTooLarge, []byte(err.Error())
	}
	if err != nil {
		return abi.StatusInternal, []byte(err.Error())
	}
	switch op {
	case abi.OpStateSet:
		return h.set(e, value)
	case abi.OpStateDelete:
		e.value, e.changed = nil, true
		return abi.StatusNoContent, nil
	}
	if e.value == nil {
		return abi.StatusNotFound, nil
	}
	return abi.StatusOK, e.value
}

func (h *host) set(e *stateEntry, value []byte) (status int32, answer []byte) {
	if status, reason := abi.CheckStateValue(value); status != 0 {
		return status, []byte(reason)
	}
	e.value, e.changed = append(make([]byte, 0, len(value)), value...), true
	return abi.StatusNoContent, nil
}

var errTooMany = fmt.Errorf("the delivery uses more than %d state entries", abi.MaxState)

// entry finds what the attempt knows of a state entry, and reads it the first time.
func (h *host) entry(name string) (*stateEntry, error) {
	for i := range h.state {
		if h.state[i].name == name {
			return &h.state[i], nil
		}
	}
	if len(h.state) >= abi.MaxState {
		return nil, errTooMany
	}
	spec := h.function.spec
	value, version, err := h.scheduler.opts.Table.State(spec.Namespace, spec.Name, h.key, name)
	if err != nil {
		return nil, fmt.Errorf("read state %s: %w", name, err)
	}
	if version != 0 && value == nil {
		value = []byte{}
	}
	h.state = append(h.state, stateEntry{name: name, version: version, first: value, value: value})
	return &h.state[len(h.state)-1], nil
}

// finish turns what a successful attempt did into effects, or the attempt into a failure when they are too large.
func (h *host) finish(r sandbox.Result) (partition.Effects, sandbox.Result) {
	var e partition.Effects
	var size, more int
	e.Reads, e.Writes, size = h.effects()
	e.Joints, more = h.joints()
	size += more
	for _, emitted := range h.callees.emitted {
		size += emitted.Event.Size()
	}
	e.Emits = h.callees.emitted
	for i, emitted := range r.Emitted {
		ev := emitted.Event
		h.fillIn(&ev, fmt.Sprintf("%s.%d", h.invocation.id, i))
		h.sign(&ev)
		size += ev.Size()
		e.Emits = append(e.Emits, partition.Emit{Topic: emitted.Topic, Event: ev})
	}
	if size > abi.MaxEffects {
		r.Verdict, r.Class, r.More = abi.Failed, "error", nil
		r.Reason = fmt.Sprintf("emitted events and state writes have %d bytes together, the limit is %d", size, abi.MaxEffects)
		return partition.Effects{}, r
	}
	return e, r
}

// fillIn sets what a guest may leave out of an event.
func (h *host) fillIn(e *event.Event, id string) {
	if e.ID == "" {
		e.ID = id
	}
	if e.Source == "" {
		e.Source = "/ns/" + h.function.spec.Namespace + "/functions/" + h.function.spec.Name
	}
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
}

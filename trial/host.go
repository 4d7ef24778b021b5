package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// host is what one event may reach: its stubs. Only the guest's goroutine uses it: nothing here takes time, so Begin has nothing to do.
type host struct {
	function *function
	key      string
	stubs    api.TrialStubs

	writes  map[string][]byte // nil = deleted
	log     []api.TrialLine
	missing []string
}

var _ sandbox.Host = (*host)(nil)

func newHost(f *function, e *event.Event, stubs api.TrialStubs) *host {
	return &host{function: f, key: e.Key(), stubs: stubs, writes: map[string][]byte{}}
}

func (h *host) AllowEmit(topic string) bool {
	for _, p := range h.function.emit {
		if p.Match(topic) {
			return true
		}
	}
	return false
}

func (h *host) Log(level slog.Level, message string) {
	h.log = append(h.log, api.TrialLine{Level: strings.ToLower(level.String()), Message: message})
}

func (h *host) Yield(context.Context, int64) {}

func (h *host) Attempt(int) int { return 1 }

func (h *host) Outside(_ context.Context, _ int64, wait func()) { wait() }

func (h *host) Begin(string, []byte) func(context.Context, func(int) bool) (int32, []byte) {
	return nil
}

// Call runs a capability of docs/abi.md section 8.
func (h *host) Call(_ context.Context, op string, request []byte) (status int32, answer []byte) {
	switch op {
	case abi.OpStateGet, abi.OpStateSet, abi.OpStateDelete, abi.OpStateList:
		return h.state(op, request)
	case abi.OpSecretGet:
		return h.secret(string(request))
	case abi.OpHTTPFetch:
		return h.fetch(request)
	case abi.OpInvoke:
		return h.invoke(request)
	}
	return abi.StatusNotFound, fmt.Appendf(nil, "no capability %q", op)
}

// lacks remembers what no stub has, once.
func (h *host) lacks(what string) {
	if !slices.Contains(h.missing, what) {
		h.missing = append(h.missing, what)
	}
}

func (h *host) state(op string, request []byte) (status int32, answer []byte) {
	if status, reason := abi.RefuseState(h.function.spec.Allow.State, h.key); status != 0 {
		return status, []byte(reason)
	}
	if op == abi.OpStateList {
		return h.listState(request)
	}
	name, value, status, reason := abi.ParseState(op, request)
	if status != 0 {
		return status, []byte(reason)
	}
	switch op {
	case abi.OpStateSet:
		if status, reason := abi.CheckStateValue(value); status != 0 {
			return status, []byte(reason)
		}
		h.writes[name] = append([]byte{}, value...)
		return abi.StatusNoContent, nil
	case abi.OpStateDelete:
		h.writes[name] = nil
		return abi.StatusNoContent, nil
	}
	if value := h.entry(name); value != nil {
		return abi.StatusOK, value
	}
	return abi.StatusNotFound, nil
}

// entry is nil when there is none.
func (h *host) entry(name string) []byte {
	if value, ok := h.writes[name]; ok {
		return value
	}
	if value, ok := h.stubs.State[name]; ok {
		return bytesOf(value)
	}
	return nil
}

func (h *host) listState(request []byte) (status int32, answer []byte) {
	prefix, after, reason := abi.ParseStateList(request)
	if reason != "" {
		return abi.StatusInvalid, []byte(reason)
	}
	names := map[string]bool{}
	for name := range h.stubs.State {
		names[name] = true
	}
	for name := range h.writes {
		names[name] = true
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !strings.HasPrefix(name, prefix) || after != "" && name <= after || h.entry(name) == nil {
			continue
		}
		if n == abi.MaxStatePage {
			return abi.StatusPartial, answer
		}
		n++
		answer = abi.AppendText(answer, name)
	}
	return abi.StatusOK, answer
}

func (h *host) secret(name string) (status int32, answer []byte) {
	if !slices.Contains(h.function.spec.Secrets, name) {
		return abi.StatusDenied, fmt.Appendf(nil, "the secret %.64q is not listed; add it to secrets: of the function in fn.yaml", name)
	}
	value, ok := h.stubs.Secrets[name]
	if !ok {
		h.lacks(fmt.Sprintf("secrets: %q", name))
		return abi.StatusNotFound, fmt.Appendf(nil, "the secret %q is not set; set it with fnctl secret set %s", name, name)
	}
	return abi.StatusOK, []byte(value)
}

func (h *host) invoke(request []byte) (status int32, answer []byte) {
	name, ev, wrong := abi.ParseInvoke(request)
	if wrong != "" {
		return abi.StatusInvalid, []byte(wrong)
	}
	if !slices.Contains(h.function.spec.Allow.Invoke, name) {
		return abi.StatusDenied, fmt.Appendf(nil, "%s may not invoke %.80q; add it to allow: { invoke: [...] } in fn.yaml", h.function.name, name)
	}
	var e event.Event
	if err := e.UnmarshalJSON(ev); err != nil {
		return abi.StatusInvalid, fmt.Appendf(nil, "the event for %s: %v", name, err)
	}
	reply, ok := h.stubs.Invoke[name]
	if !ok {
		h.lacks(fmt.Sprintf("invoke: %q", name))
		return abi.StatusNotFound, fmt.Appendf(nil, "there is no function %s", name)
	}
	switch reply.Verdict {
	case "failed":
		return abi.StatusInternal, []byte(reply.Reason)
	case "rejected":
		return abi.StatusRejected, []byte(reply.Reason)
	}
	return abi.StatusOK, append(abi.AppendText(nil, string(reply.Attributes)), bytesOf(reply.Data)...)
}

// bytesOf is what a value of a stub stands for: a text for itself, all else for its JSON. It is never nil.
func bytesOf(value json.RawMessage) []byte {
	var text string
	if json.Unmarshal(value, &text) == nil && string(value) != "null" {
		return []byte(text)
	}
	return append([]byte{}, value...)
}

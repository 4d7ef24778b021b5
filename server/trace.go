package server

import (
	"net/http"
	"strings"

	"github.com/evoke-run/evoke/event"
)

// W3C trace context of a request. A request without one starts no trace here: a trace begins with the first event that a function emits (event.OwnTrace), so that what
// causes nothing costs nothing.
const (
	traceParentHeader = "Traceparent"
	traceStateHeader  = "Tracestate"
)

// carryTrace hands the trace of a request to its events; a traceparent that is none is ignored.
func carryTrace(h http.Header, events []event.Event) {
	parent := first(h[traceParentHeader])
	if parent == "" {
		return
	}
	state := traceState(h)
	for i := range events {
		events[i].CarryTrace(parent, state)
	}
}

// traceState is that of all lines, which the header may have several of.
func traceState(h http.Header) string { return strings.Join(h[traceStateHeader], ",") }

// refuseExpired is for synchronous calls, whose caller is there to hear it.
func (s *Server) refuseExpired(e *event.Event) error {
	if at := e.Expiry(); !at.IsZero() && s.now().After(at) {
		return refuse(errInvalidEvent, "send a newer event", "attribute %q is %s, which is past: the event is of no use any more", event.ExpiryExtension, event.FormatTime(at))
	}
	return nil
}

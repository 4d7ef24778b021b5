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

// traceOf is the trace of a request, for event.CarryTrace; a traceparent that is none is ignored there. So are two of them, as W3C's own tests want it; a tracestate may
// have several lines.
func traceOf(h http.Header) (parent, state string) {
	if parents := h[traceParentHeader]; len(parents) == 1 {
		return parents[0], strings.Join(h[traceStateHeader], ",")
	}
	return "", ""
}

// refuseExpired is for synchronous calls, whose caller is there to hear it.
func (s *Server) refuseExpired(e *event.Event) error {
	if at := e.Expiry(); !at.IsZero() && s.now().After(at) {
		return refuse(errInvalidEvent, "send a newer event", "attribute %q is %s, which is past: the event is of no use any more", event.ExpiryExtension, event.FormatTime(at))
	}
	return nil
}

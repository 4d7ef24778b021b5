package server

import (
	"net/http"

	"github.com/evoke-run/evoke/event"
)

// Headers that hold the events of a request back from triggers, for those that do not say so themselves.
const (
	deliverAtHeader = "Evoke-Deliver-At" // RFC 3339
	delayHeader     = "Evoke-Delay"      // 500ms, 30s, 5m, 24h, 14d
)

// delay takes over what the headers and the events say of their delivery; one that is not valid fails them all.
func (s *Server) delay(h http.Header, events []event.Event) error {
	at, wait := first(h[deliverAtHeader]), first(h[delayHeader])
	now := s.now()
	for i := range events {
		e := &events[i]
		if !e.Delayed() {
			setIfAny(e, event.DeliverAtExtension, at)
			setIfAny(e, event.DelayExtension, wait)
			if !e.Delayed() {
				continue
			}
		}
		if err := e.ResolveDelay(now); err != nil {
			err = refuse(errInvalidEvent, "send Evoke-Deliver-At with an RFC 3339 time or Evoke-Delay with a duration, at most 30 days ahead; nothing of this request was stored", "%v", err)
			if len(events) > 1 {
				err = inBatch(i+1, err)
			}
			return err
		}
	}
	return nil
}

// first is what http.Header.Get finds, without bringing the name into the form that it is in.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func setIfAny(e *event.Event, extension, value string) {
	if value != "" {
		e.SetExtension(event.Extension{Name: extension, Value: value})
	}
}

// refuseDelay is for synchronous calls, which cannot wait. What an event brings from an earlier delivery is past, and does no harm.
func (s *Server) refuseDelay(h http.Header, e *event.Event) error {
	asked := h.Get(deliverAtHeader) != "" || h.Get(delayHeader) != ""
	if _, ok := e.Extension(event.DelayExtension); asked || ok || e.DeliverAt().After(s.now()) {
		return refuse(errInvalid, "hand it to the function's inbox: Prefer: respond-async, or fnctl invoke --async", "a synchronous call cannot be delayed")
	}
	return nil
}

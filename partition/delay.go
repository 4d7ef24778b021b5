package partition

import (
	"bytes"

	"github.com/evoke-run/evoke/event"
)

// notBefore is the time before which triggers may not have an event, in unix milliseconds, 0 for at once: what it says of itself, in the form of event.ResolveDelay.
func notBefore(e *event.Event) int64 {
	at := e.DeliverAt()
	if at.IsZero() {
		return 0
	}
	return max(0, at.UnixMilli())
}

var deliverAtName = []byte(event.DeliverAtExtension)

// storedNotBefore is notBefore of an event in its binary form; nearly all are told to have none without being decoded.
func storedNotBefore(raw []byte) (int64, error) {
	if !bytes.Contains(raw, deliverAtName) {
		return 0, nil
	}
	e, err := event.Decode(raw)
	if err != nil {
		return 0, err
	}
	return notBefore(&e), nil
}

package event

import "time"

// ExpiryExtension is the CloudEvents extension that says until when an event is of use.
const ExpiryExtension = "expirytime"

// Expiry is when the event is of no use any more; the zero time means never.
func (e *Event) Expiry() time.Time {
	text, ok := e.Extension(ExpiryExtension)
	if !ok {
		return time.Time{}
	}
	at, err := parseTime(text)
	if err != nil {
		return time.Time{} // stored by a program that did not look at it
	}
	return at
}

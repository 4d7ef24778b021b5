package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Extensions that hold an event back from triggers. DelayExtension is what senders may say; it is stored as DeliverAtExtension.
const (
	DeliverAtExtension = "evokedeliverat" // RFC 3339
	DelayExtension     = "evokedelay"     // 500ms, 30s, 5m, 24h, 14d
)

// MaxDelay is how far ahead an event may be delivered.
const MaxDelay = 30 * 24 * time.Hour

// Delayed says whether the event carries one of the two extensions.
func (e *Event) Delayed() bool {
	_, at := e.findExtension(DeliverAtExtension)
	_, delay := e.findExtension(DelayExtension)
	return at || delay
}

// DeliverAt is when triggers may have the event; the zero time means at once, as does a value that ResolveDelay would refuse.
func (e *Event) DeliverAt() time.Time {
	text, ok := e.Extension(DeliverAtExtension)
	if !ok {
		return time.Time{}
	}
	at, err := parseTime(text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// ResolveDelay checks what the event says of its delivery and turns a delay from now on into a time.
func (e *Event) ResolveDelay(now time.Time) error {
	atText, hasAt := e.Extension(DeliverAtExtension)
	delayText, hasDelay := e.Extension(DelayExtension)
	switch {
	case hasAt && hasDelay:
		return fmt.Errorf("%s and %s are both set; send one of them", DeliverAtExtension, DelayExtension)
	case hasAt:
		at, err := parseTime(atText)
		if err != nil {
			return fmt.Errorf("%s %q is not an RFC 3339 time such as 2026-01-31T12:00:00Z", DeliverAtExtension, atText)
		}
		if at.Sub(now) > MaxDelay {
			return fmt.Errorf("%s %s is more than 30 days ahead", DeliverAtExtension, atText)
		}
	case hasDelay:
		d, ok := parseDelay(delayText)
		if !ok {
			return fmt.Errorf("%s %q is not a duration such as 500ms, 30s, 5m, 24h or 14d", DelayExtension, delayText)
		}
		if d > MaxDelay {
			return fmt.Errorf("%s %s is more than 30 days", DelayExtension, delayText)
		}
		e.removeExtension(DelayExtension)
		e.SetExtension(Extension{Name: DeliverAtExtension, Value: FormatTime(now.Add(d).UTC().Round(time.Millisecond))})
	}
	return nil
}

// parseDelay reads Go's form of a duration, or whole days as "14d".
func parseDelay(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

func (e *Event) removeExtension(name string) {
	if i, ok := e.findExtension(name); ok {
		e.Extensions = slices.Delete(slices.Clone(e.Extensions), i, i+1)
	}
}

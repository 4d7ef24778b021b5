package event

import (
	"strconv"
	"strings"
)

// Extensions by which the runtime counts how far an event has come from function to function. They are never believed from outside.
const (
	HopsExtension  = "evokehops"  // how many functions were between the event and what came from outside
	TrailExtension = "evoketrail" // the last of them, from trailFrom hops on, the oldest first
)

const (
	// MaxHops is where an event is stopped: no application is this deep, only a loop.
	MaxHops = 64
	// trailFrom is when it begins to be noted which functions they are: the way of an event that is no loop costs a number.
	trailFrom = MaxHops - 16
	// maxTrail bounds the note in bytes.
	maxTrail = 2 << 10
)

// Hops is how far the event has come: 0 for one from outside.
func (e *Event) Hops() int {
	i, ok := e.findExtension(HopsExtension)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(e.Extensions[i].Value)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Trail is which functions the event has come through, as far as it was noted, with arrows between them.
func (e *Event) Trail() string {
	text, _ := e.Extension(TrailExtension)
	return strings.ReplaceAll(text, " ", " → ")
}

// HopFrom says that a function emitted the event while it handled another.
func (e *Event) HopFrom(cause *Event, function string) {
	hops := cause.Hops() + 1
	e.SetExtension(Extension{Name: HopsExtension, Value: strconv.Itoa(hops), Kind: Integer})
	if hops < trailFrom {
		e.removeExtension(TrailExtension)
		return
	}
	trail, _ := cause.Extension(TrailExtension)
	if trail != "" {
		function = trail + " " + function
	}
	for len(function) > maxTrail {
		_, function, _ = strings.Cut(function, " ")
	}
	e.SetExtension(Extension{Name: TrailExtension, Value: function})
}

// ForgetHops removes what somebody outside says of it.
func (e *Event) ForgetHops() {
	e.removeExtension(HopsExtension)
	e.removeExtension(TrailExtension)
}

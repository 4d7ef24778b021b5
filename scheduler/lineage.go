package scheduler

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/evoke-run/evoke/event"
)

// lineage is what the events that an attempt emits say of where they come from: CloudEvents' correlation and trace extensions, and how many functions were before. It
// costs an attempt that emits nothing, and whose event is in no trace, one look at the event's extensions.
type lineage struct {
	function    string
	cause       *event.Event
	correlation string
	trace       event.TraceParent // its span is that of the attempt
	state       string
	known       bool // there is a trace
}

// lineageOf begins with the trace that the event is in; one that is none is as if there was nothing.
func lineageOf(function string, cause *event.Event) lineage {
	l := lineage{function: function, cause: cause}
	if parent, ok := cause.TraceParent(); ok {
		l.state, _ = cause.Extension(event.TraceStateExtension)
		l.begin(parent)
	}
	return l
}

// begin makes the attempt a span of its own in a trace.
func (l *lineage) begin(parent event.TraceParent) {
	l.trace, l.known = parent, true
	binary.BigEndian.PutUint64(l.trace.Span[:], 1+rand.Uint64N(1<<64-1))
}

// sign marks an event that the function emits. What the function has set itself stays, but for the hops, which are ours.
func (l *lineage) sign(e *event.Event) {
	if !l.known {
		l.begin(l.cause.OwnTrace())
	}
	if l.correlation == "" {
		l.correlation = l.cause.ID
		if of, ok := l.cause.Extension(event.CorrelationExtension); ok && of != "" {
			l.correlation = of
		}
	}
	e.Extensions = slices.Grow(e.Extensions, 5) // those below
	setUnlessSet(e, event.CorrelationExtension, l.correlation)
	setUnlessSet(e, event.CausationExtension, l.cause.ID)
	if _, own := e.TraceParent(); !own {
		e.CarryTrace(l.trace.String(), l.state)
	}
	e.HopFrom(l.cause, l.function)
}

// tracing is the lineage of the attempt, made when it is asked for.
func (h *host) tracing() *lineage {
	if h.lineage.cause == nil {
		h.lineage = lineageOf(h.function.spec.Name, h.invocation.event)
	}
	return &h.lineage
}

// sign marks an event that the attempt emits.
func (h *host) sign(e *event.Event) {
	if len(h.invocation.more) > 0 {
		e.HopFrom(h.invocation.furthest(), h.function.spec.Name)
		return
	}
	h.tracing().sign(e)
}

func setUnlessSet(e *event.Event, name, value string) {
	if _, ok := e.Extension(name); !ok {
		e.SetExtension(event.Extension{Name: name, Value: value})
	}
}

// furthest is the event of a delivery that has come through most functions. What a batch emits has many causes: only its hops are taken over.
func (inv *invocation) furthest() *event.Event {
	e := inv.event
	for one := range inv.all() {
		if one.event.Hops() > e.Hops() {
			e = one.event
		}
	}
	return e
}

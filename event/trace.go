package event

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/evoke-run/evoke/wire"
)

// Extensions of CloudEvents that tie events together: W3C trace context, and which event came of which.
const (
	TraceParentExtension = "traceparent"
	TraceStateExtension  = "tracestate"
	CorrelationExtension = "correlationid"
	CausationExtension   = "causationid"
)

// TraceParent is a place in a trace: W3C Trace Context, level 1.
type TraceParent struct {
	Trace [16]byte
	Span  [8]byte
	Flags byte
}

const traceParentSize = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// ParseTraceParent reads the text of a traceparent. What is not one is ignored everywhere, as W3C asks for, so there are no words for it.
func ParseTraceParent(s string) (t TraceParent, ok bool) {
	var version, flags [1]byte
	if len(s) < traceParentSize || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return t, false
	}
	if !lowerHex(version[:], s[:2]) || !lowerHex(t.Trace[:], s[3:35]) || !lowerHex(t.Span[:], s[36:52]) || !lowerHex(flags[:], s[53:55]) {
		return TraceParent{}, false
	}
	if version[0] == 0xff || version[0] == 0 && len(s) != traceParentSize || len(s) > traceParentSize && s[traceParentSize] != '-' {
		return TraceParent{}, false
	}
	if t.Trace == ([16]byte{}) || t.Span == ([8]byte{}) {
		return TraceParent{}, false
	}
	t.Flags = flags[0]
	return t, true
}

func lowerHex(out []byte, s string) bool {
	for i := range len(s) {
		if ch := s[i]; (ch < '0' || ch > '9') && (ch < 'a' || ch > 'f') {
			return false
		}
	}
	_, err := hex.Decode(out, []byte(s))
	return err == nil
}

// String is the text of version 00.
func (t TraceParent) String() string {
	b := make([]byte, 0, traceParentSize)
	b = hex.AppendEncode(append(b, "00-"...), t.Trace[:])
	b = hex.AppendEncode(append(b, '-'), t.Span[:])
	b = hex.AppendEncode(append(b, '-'), []byte{t.Flags})
	return string(b)
}

// TraceParent is where in which trace the event was sent; ok is false for one that does not say, or says what is none.
func (e *Event) TraceParent() (t TraceParent, ok bool) {
	text, ok := e.Extension(TraceParentExtension)
	if !ok {
		return t, false
	}
	return ParseTraceParent(text)
}

// OwnTrace is the trace that begins with an event without one. It follows from what the event is, so that all its attempts, by whatever functions, on whatever node, are in
// the same, and nothing has to be stored with events of which nothing comes.
func (e *Event) OwnTrace() TraceParent {
	const sampled = 1
	sum := sha256.Sum256(wire.AppendBytes(wire.AppendBytes(nil, e.Source), e.ID))
	t := TraceParent{Flags: sampled}
	copy(t.Trace[:], sum[:])
	copy(t.Span[:], sum[16:])
	return t
}

// maxTraceState is how many bytes a tracestate that is carried on must have room for (W3C Trace Context, 3.3.1.5); longer ones end here.
const maxTraceState = 512

// CarryTrace gives an event the trace context of the request that brought it, unless it has its own, which tells of where it began.
func (e *Event) CarryTrace(parent, state string) {
	if _, has := e.TraceParent(); has {
		return
	}
	if _, ok := ParseTraceParent(parent); !ok || len(parent) > maxTraceState { // one of a later version may be of any length
		return
	}
	e.SetExtension(Extension{Name: TraceParentExtension, Value: parent})
	e.removeExtension(TraceStateExtension)
	if state != "" && len(state) <= maxTraceState && checkValue(TraceStateExtension, state) == nil {
		e.SetExtension(Extension{Name: TraceStateExtension, Value: state})
	}
}

package scheduler

import (
	"strconv"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
)

// deadLetterCopy is what the function's dead-letter topic gets of an event that is given up on.
func (s *Scheduler) deadLetterCopy(f *function, d *partition.Delivery, last partition.Attempt) partition.Effects {
	spec := f.spec.Spec.DeadLetter
	if spec == nil || spec.Topic == "" {
		return partition.Effects{}
	}
	e := withExtensions(d.Event, []event.Extension{
		{Name: "evokedeadletter", Value: d.ID.String()},
		{Name: "evokefunction", Value: f.spec.Name},
		{Name: "evoketrigger", Value: d.Trigger.Name},
		{Name: "evokeerrorclass", Value: last.Class},
		{Name: "evokeerrordata", Value: attributeText(last.Error)},
		{Name: "evokeattempts", Value: strconv.Itoa(d.Attempt), Kind: event.Integer},
	})
	if spec.Knative {
		e = WithKnativeError(e, f.spec, last.Class, last.Error)
	}
	if e.Size() > event.MaxSize {
		s.log.Warn("a dead letter is too large for its topic with the attributes that say why; it is only kept as a dead letter",
			"function", f.spec.Name, "event_id", d.Event.ID, "id", d.ID.String(), "topic", spec.Topic)
		return partition.Effects{}
	}
	return partition.Effects{Emits: []partition.Emit{{Topic: spec.Topic, Event: e}}}
}

// WithKnativeError gives a dead letter the attributes that consumers of Knative's dead-letter sinks read: the destination that failed (here the function as a URI
// reference), the HTTP status that it would have answered with, and what it said, at most 1,024 bytes.
func WithKnativeError(e event.Event, f *api.Function, class, text string) event.Event {
	return withExtensions(e, []event.Extension{
		{Name: "knativeerrordest", Value: "/ns/" + f.Namespace + "/functions/" + f.Name},
		{Name: "knativeerrorcode", Value: strconv.Itoa(errorCode(class)), Kind: event.Integer},
		{Name: "knativeerrordata", Value: attributeText(text)},
	})
}

// errorCode is the status that the gateway answers when a synchronous call ends so.
func errorCode(class string) int {
	switch class {
	case sandbox.ClassDeadline:
		return 504
	case sandbox.ClassTrap, sandbox.ClassMemory, sandbox.ClassExit, sandbox.ClassInit:
		return 502
	case sandbox.ClassRejected:
		return 422
	}
	return 500
}

// withExtensions leaves e as it is. Empty values are left out.
func withExtensions(e event.Event, add []event.Extension) event.Event {
	e.Extensions = append([]event.Extension(nil), e.Extensions...)
	for _, x := range add {
		if x.Value != "" {
			e.SetExtension(x)
		}
	}
	return e
}

// maxErrorData is how much of an error's text goes into an attribute, in bytes: as much as Knative sends.
const maxErrorData = 1024

// attributeText makes text fit for an attribute: no control characters, valid UTF-8, not too long.
func attributeText(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > maxErrorData {
		text = strings.ToValidUTF8(text[:maxErrorData], "")
	}
	return strings.TrimSpace(text)
}

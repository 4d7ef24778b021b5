package sandbox

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

const (
	maxEmit  = 1 << 20 // bytes of one emitted event, as JSON
	maxTopic = 255
)

func emit(c call, stack []uint64) {
	topic, body := c.memory.bytes(stack[0], stack[1]), c.memory.bytes(stack[2], stack[3])
	code, problem := c.emit(topic, body)
	if problem != "" {
		// The guest gets a bare number; people get told why.
		c.log.line(slog.LevelWarn, "emit: "+problem)
	}
	set(stack, code)
}

// emit returns the number of the event, or a code below 0 and what is wrong.
func (inv *invocation) emit(topic, body []byte) (code int32, problem string) {
	switch {
	case len(inv.emitted) >= abi.MaxEmitted:
		return abi.TooLarge, fmt.Sprintf("a delivery may emit %d events", abi.MaxEmitted)
	case len(body) > maxEmit:
		return abi.TooLarge, fmt.Sprintf("the event has %d bytes, the limit is %d", len(body), maxEmit)
	case !inv.effects.fits(len(topic)+len(body), ""):
		return abi.TooLarge, fmt.Sprintf("events and state writes of a delivery may have %d bytes together", abi.MaxEffects)
	case !validTopic(topic):
		return abi.Invalid, fmt.Sprintf("%q is no topic name: use letters, digits, - and _ in parts joined by dots", cutText(string(topic[:min(len(topic), maxTopic)]), maxTopic))
	}
	name := string(topic)
	if !inv.host.AllowEmit(name) {
		return abi.Denied, fmt.Sprintf("the function may not emit to topic %q; add it to allow.emit", name)
	}
	e, err := parseEmitted(body)
	if err != nil {
		return abi.Invalid, fmt.Sprintf("the event for topic %q is invalid: %v", name, err)
	}
	inv.effects.emitted += len(topic) + len(body)
	inv.bill.BytesOut += int64(len(topic) + len(body))
	inv.emitted = append(inv.emitted, Emitted{Topic: name, Event: e})
	return int32(len(inv.emitted) - 1), ""
}

// parseEmitted reads an event that may leave id, source and time to be filled in.
func parseEmitted(body []byte) (event.Event, error) {
	var e event.Event
	if err := e.UnmarshalJSON(body); err != nil {
		return event.Event{}, err
	}
	filled := e
	if filled.ID == "" {
		filled.ID = "id"
	}
	if filled.Source == "" {
		filled.Source = "/source"
	}
	if err := filled.Validate(); err != nil {
		return e, err
	}
	return e, e.ResolveDelay(time.Now())
}

// validTopic accepts names without wildcards, of at most 255 bytes.
func validTopic(topic []byte) bool {
	if len(topic) == 0 || len(topic) > maxTopic {
		return false
	}
	for token := range strings.SplitSeq(string(topic), ".") {
		if token == "" || strings.ContainsFunc(token, notTopicRune) {
			return false
		}
	}
	return true
}

func notTopicRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

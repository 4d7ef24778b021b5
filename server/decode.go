package server

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
)

const (
	// maxBatch bounds the events of one request.
	maxBatch = 10_000
	// maxEventJSON bounds the JSON of one event before it is parsed: 1 MiB of data, written in the longest usual way, stays below.
	maxEventJSON = 4 << 20
)

// encoding is the form in which a request carries CloudEvents.
type encoding int

const (
	notCloudEvents encoding = iota
	binaryEvent
	structuredEvent
	eventBatch
)

func encodingOf(h http.Header) encoding {
	if strings.Contains(strings.ToLower(first(h["Content-Type"])), "cloudevents") { // as few types do, and parsing takes longer
		switch mediaType(h) {
		case api.EventJSON:
			return structuredEvent
		case api.EventBatchJSON:
			return eventBatch
		}
	}
	if first(h["Ce-Specversion"]) != "" {
		return binaryEvent
	}
	return notCloudEvents
}

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return t
}

// decodeEvents reads all events of a request and checks each; one that is not valid fails them all.
func decodeEvents(h http.Header, body []byte) ([]event.Event, error) {
	if encodingOf(h) == eventBatch {
		if err := checkJSONType(h); err != nil {
			return nil, err
		}
		return decodeBatch(body)
	}
	e, err := decodeEvent(h, body)
	if err != nil {
		return nil, err
	}
	return []event.Event{e}, nil
}

// decodeEvent reads the one event of a request in binary or structured mode.
func decodeEvent(h http.Header, body []byte) (event.Event, error) {
	switch encodingOf(h) {
	case binaryEvent:
		return decodeBinary(h, body)
	case structuredEvent:
		if err := checkJSONType(h); err != nil {
			return event.Event{}, err
		}
		return decodeStructured(body)
	case eventBatch:
		return event.Event{}, refuse(errMediaType, "send one event, or publish the batch to a topic", "a function takes one event at a time, not a batch")
	}
	return event.Event{}, notAnEvent(h)
}

// checkJSONType refuses JSON that says it is written in anything but UTF-8.
func checkJSONType(h http.Header) error {
	types := h["Content-Type"]
	if len(types) > 1 {
		return refuse(errInvalidEvent, "", "the header Content-Type is there %d times", len(types))
	}
	_, parameters, err := mime.ParseMediaType(types[0])
	if err != nil {
		return refuse(errMediaType, "send it as application/cloudevents+json", "the content type %q cannot be read: %v", types[0], err)
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return refuse(errMediaType, "send it in UTF-8, which is what JSON is", "the event is written in charset %q", charset)
	}
	return nil
}

func notAnEvent(h http.Header) error {
	if h.Get("Ce-Id") != "" || h.Get("Ce-Type") != "" || h.Get("Ce-Source") != "" {
		return refuse(errInvalidEvent, "add the header Ce-Specversion: 1.0", "required attribute %q is missing or empty (header Ce-Specversion)", "specversion")
	}
	switch t := mediaType(h); {
	case strings.HasPrefix(t, "application/cloudevents"):
		return refuse(errMediaType, "use application/cloudevents+json or application/cloudevents-batch+json", "event format %q is not known here", t)
	case t == "":
		return refuse(errMediaType, "", "the request is not a CloudEvent: it has no Ce-Specversion header and no content type")
	default:
		return refuse(errMediaType, "", "the request is not a CloudEvent: it has no Ce-Specversion header, and its content type is %q", t)
	}
}

// decodeStructured reads an event in the JSON format.
func decodeStructured(text []byte) (event.Event, error) {
	if len(text) > maxEventJSON {
		return event.Event{}, refuse(errTooLarge, "", "the JSON of the event has %d bytes, an event may have %d", len(text), event.MaxSize)
	}
	e, err := event.Parse(text)
	if err != nil {
		return event.Event{}, invalidEvent(err)
	}
	return e, checkIncoming(&e)
}

// decodeBatch reads a JSON array of events, all or none.
func decodeBatch(body []byte) ([]event.Event, error) {
	events := []event.Event{}
	err := event.Elements(body, func(text []byte) error {
		if len(events) == maxBatch {
			return refuse(errTooLarge, "send several smaller batches", "the batch has more than %d events", maxBatch)
		}
		e, err := decodeStructured(text)
		if err != nil {
			return inBatch(len(events)+1, err)
		}
		if len(events) == 0 { // most batches have events of about one size
			events = make([]event.Event, 0, min(len(body)/len(text)+1, maxBatch))
		}
		events = append(events, e)
		return nil
	})
	if _, ours := errors.AsType[*fault](err); err != nil && !ours {
		err = invalidEvent(err)
	}
	return events, err
}

// inBatch says which event is meant; the kind of the error and its next step stay.
func inBatch(number int, err error) error {
	f, ok := errors.AsType[*fault](err)
	if !ok {
		return err
	}
	return refuse(f.err, f.next, "event %d of the batch: %s", number, f.detail)
}

// checkIncoming is for what comes from outside: how far it has come from function to function is ours to say.
func checkIncoming(e *event.Event) error {
	e.ForgetHops()
	return checkEvent(e)
}

func checkEvent(e *event.Event) error {
	if n := e.Size(); n > event.MaxSize {
		return refuse(errTooLarge, "put large data elsewhere and send a reference (dataref)", "the event has %d bytes, the limit is %d", n, event.MaxSize)
	}
	if err := e.Validate(); err != nil {
		return invalidEvent(err)
	}
	return nil
}

// maxFindings bounds what is said of an event: one with ten thousand faults is not answered with all of them.
const maxFindings = 4 << 10

// invalidEvent puts the findings of errors.Join on one line.
func invalidEvent(err error) error {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > maxFindings {
		text = strings.ToValidUTF8(text[:maxFindings], "") + " …"
	}
	return refuse(errInvalidEvent, "", "%s", text)
}

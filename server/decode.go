package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

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
	if strings.Contains(strings.ToLower(h.Get("Content-Type")), "cloudevents") { // as few types do, and parsing takes longer
		switch mediaType(h) {
		case api.EventJSON:
			return structuredEvent
		case api.EventBatchJSON:
			return eventBatch
		}
	}
	if h.Get("Ce-Specversion") != "" {
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
		return decodeStructured(body)
	case eventBatch:
		return event.Event{}, refuse(errMediaType, "send one event, or publish the batch to a topic", "a function takes one event at a time, not a batch")
	}
	return event.Event{}, notAnEvent(h)
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

// decodeBinary leaves the headers to the CloudEvents SDK. The data is the body as it came.
func decodeBinary(h http.Header, body []byte) (event.Event, error) {
	decoded, err := attributeHeaders(h)
	if err != nil {
		return event.Event{}, err
	}
	in, err := binding.ToEvent(context.Background(), cehttp.NewMessage(decoded, nil))
	if err != nil {
		return event.Event{}, refuse(errInvalidEvent, "", "read the Ce- headers: %v", err)
	}
	e, err := event.FromCloudEvent(*in)
	if err != nil {
		return event.Event{}, refuse(errInvalidEvent, "", "%v", err)
	}
	if len(body) > 0 {
		e.Data = body
	}
	var missing []error
	for _, a := range [...]struct{ name, value, header string }{{"id", e.ID, "Ce-Id"}, {"source", e.Source, "Ce-Source"}, {"type", e.Type, "Ce-Type"}} {
		if a.value == "" {
			missing = append(missing, fmt.Errorf("required attribute %q is missing or empty (header %s)", a.name, a.header))
		}
	}
	if len(missing) > 0 {
		return event.Event{}, invalidEvent(errors.Join(missing...))
	}
	return e, checkEvent(&e)
}

// attributeHeaders picks the headers that carry attributes and undoes their percent-encoding (CloudEvents HTTP binding, 3.1.3.2).
func attributeHeaders(h http.Header) (http.Header, error) {
	out := make(http.Header, 8)
	for name, values := range h {
		switch {
		case name == "Content-Type":
			out[name] = values
		case name == "Ce-Specversion" && values[0] != "1.0":
			return nil, refuse(errInvalidEvent, "", "specversion %q is not supported, only \"1.0\" is (header Ce-Specversion)", values[0])
		case name == "Ce-Time":
			if err := checkTime(values[0]); err != nil {
				return nil, err
			}
			out[name] = values
		case strings.HasPrefix(name, "Ce-"):
			if i := strings.IndexFunc(name[3:], notInName); i >= 0 || name == "Ce-" {
				return nil, refuse(errInvalidEvent, "", "header %s is no attribute: names may only have letters and digits", name)
			}
			out[name] = []string{percentDecode(values[0])}
		}
	}
	return out, nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}

// checkTime lets package event judge, whose words are better than the SDK's and which knows what years can be kept.
func checkTime(text string) error {
	quoted, err := json.Marshal(map[string]string{"time": text})
	if err != nil {
		return invalidEvent(err)
	}
	var e event.Event
	if err := e.UnmarshalJSON(quoted); err != nil {
		return refuse(errInvalidEvent, "", "%v (header Ce-Time)", err)
	}
	return nil
}

// percentDecode keeps a value that is not well-formed as it is: not every sender encodes.
func percentDecode(v string) string {
	if !strings.Contains(v, "%") {
		return v
	}
	if decoded, err := url.PathUnescape(v); err == nil {
		return decoded
	}
	return v
}

// decodeStructured reads an event in the JSON format.
func decodeStructured(text []byte) (event.Event, error) {
	if len(text) > maxEventJSON {
		return event.Event{}, refuse(errTooLarge, "", "the JSON of the event has %d bytes, an event may have %d", len(text), event.MaxSize)
	}
	var e event.Event
	if err := e.UnmarshalJSON(text); err != nil {
		return event.Event{}, invalidEvent(err)
	}
	var head struct {
		SpecVersion string `json:"specversion"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return event.Event{}, invalidEvent(err)
	}
	if head.SpecVersion == "" {
		return event.Event{}, invalidEvent(errors.New(`required attribute "specversion" is missing or empty`))
	}
	return e, checkEvent(&e)
}

// decodeBatch reads a JSON array of events, one after the other, so that a huge array of nothing is refused before it takes memory.
func decodeBatch(body []byte) ([]event.Event, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, invalidEvent(errors.New("a batch must be a JSON array of events"))
	}
	events := []event.Event{}
	for d.More() {
		if len(events) == maxBatch {
			return nil, refuse(errTooLarge, "send several smaller batches", "the batch has more than %d events", maxBatch)
		}
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return nil, invalidEvent(fmt.Errorf("event %d of the batch: %w", len(events)+1, err))
		}
		e, err := decodeStructured(text)
		if err != nil {
			return nil, inBatch(len(events)+1, err)
		}
		events = append(events, e)
	}
	if _, err := d.Token(); err != nil {
		return nil, invalidEvent(fmt.Errorf("the batch ends early: %w", err))
	}
	if rest := bytes.TrimSpace(body[d.InputOffset():]); len(rest) > 0 {
		return nil, invalidEvent(fmt.Errorf("the batch has %d bytes after its end", len(rest)))
	}
	return events, nil
}

// inBatch says which event is meant; the kind of the error and its next step stay.
func inBatch(number int, err error) error {
	f, ok := errors.AsType[*fault](err)
	if !ok {
		return err
	}
	return refuse(f.err, f.next, "event %d of the batch: %s", number, f.detail)
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

// invalidEvent puts the findings of errors.Join on one line.
func invalidEvent(err error) error {
	return refuse(errInvalidEvent, "", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

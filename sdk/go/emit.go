package evoke

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sort"
	"strconv"
	"time"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Emit adds an event to a topic, when and if the handler returns without an error. The manifest names the topics a function may emit to. An event
// without ID gets one that stays the same when the attempt is repeated.
func Emit(topic string, e *Event) error {
	body, err := e.marshal()
	if err != nil {
		return &opError{op: "emit to topic", name: topic, err: err}
	}
	switch result := host.Emit(topic, body); {
	case result >= 0:
		return nil
	case result == abi.Denied:
		return &opError{"emit to topic", topic, "add it to allow.emit of this function in fn.yaml", ErrDenied}
	case result == abi.TooLarge:
		return &opError{"emit to topic", topic, "an event has at most 1 MiB, a delivery emits at most 1,000 events and 4 MiB in all, state included", ErrTooLarge}
	case result == abi.Invalid:
		return &opError{"emit to topic", topic, "the event needs a type, and names of extensions have lower-case letters and digits only", ErrInvalid}
	default:
		return &opError{op: "emit to topic", name: topic, err: errors.New("the event is over")}
	}
}

// marshal writes the event as structured CloudEvents JSON.
func (e *Event) marshal() ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	data := e.Data()
	b := make([]byte, 0, 256+len(data)*4/3)
	b = append(b, `{"specversion":"1.0"`...)
	for _, a := range [...][2]string{
		{"id", e.ID}, {"source", e.Source}, {"type", e.Type}, {"subject", e.Subject},
		{"datacontenttype", e.DataContentType}, {"dataschema", e.DataSchema},
	} {
		if a[1] != "" {
			b = appendString(appendName(b, a[0]), a[1])
		}
	}
	if !e.Time.IsZero() {
		b = appendString(appendName(b, "time"), e.Time.Format(time.RFC3339Nano))
	}
	b, err := e.appendExtensions(b)
	if err != nil {
		return nil, err
	}
	switch {
	case data == nil:
	case e.isJSON || isPlainJSON(e.DataContentType, data):
		b = append(appendName(b, "data"), data...)
	default: // byte for byte, whatever it is
		b = append(appendName(b, "data_base64"), '"')
		b = append(base64.StdEncoding.AppendEncode(b, data), '"')
	}
	return append(b, '}'), nil
}

// isPlainJSON says whether data can stand in an event as it is: the runtime would not keep space around it.
func isPlainJSON(contentType string, data []byte) bool {
	return contentType == "application/json" && len(bytes.TrimSpace(data)) == len(data) && json.Valid(data)
}

func (e *Event) appendExtensions(b []byte) ([]byte, error) {
	m := e.Extensions()
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		b = appendName(b, name)
		switch v := m[name].(type) {
		case string:
			b = appendString(b, v)
		case bool:
			b = strconv.AppendBool(b, v)
		case int32:
			b = strconv.AppendInt(b, int64(v), 10)
		default:
			return nil, &opError{"extension", name, "its value is a string, a bool, an int32 or an int that fits one", ErrInvalid}
		}
	}
	return b, nil
}

func appendName(b []byte, name string) []byte { return append(appendString(append(b, ','), name), ':') }

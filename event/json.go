package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evoke-run/evoke/wire"
)

// MarshalJSON writes the event in the CloudEvents JSON format. Data of a JSON content type is embedded byte for byte,
// other UTF-8 text becomes a string, anything else data_base64.
func (e *Event) MarshalJSON() ([]byte, error) {
	b := e.appendAttributes(make([]byte, 0, 256+len(e.Data)))
	if e.Data != nil {
		b = e.appendData(append(b[:len(b)-1], ','))
		b = append(b, '}')
	}
	return b, nil
}

// AttributesJSON is all attributes and extensions as one JSON object, without the data (docs/abi.md, part 1).
func (e *Event) AttributesJSON() []byte { return e.appendAttributes(nil) }

func (e *Event) appendAttributes(b []byte) []byte {
	b = append(b, `{"specversion":"1.0"`...)
	for _, name := range [...]string{"id", "source", "type", "subject", "time", "datacontenttype", "dataschema"} {
		if v, ok := e.Attribute(name); ok {
			b = appendMember(b, name, v)
		}
	}
	for _, x := range e.Extensions {
		if x.Kind == String {
			b = appendMember(b, x.Name, x.Value)
			continue
		}
		b = append(wire.AppendJSON(append(b, ','), x.Name), ':')
		b = append(b, x.Value...)
	}
	return append(b, '}')
}

func (e *Event) appendData(b []byte) []byte {
	switch {
	case isJSON(e.DataContentType) && json.Valid(e.Data):
		return append(append(b, `"data":`...), e.Data...)
	case !isJSON(e.DataContentType) && utf8.Valid(e.Data):
		return wire.AppendJSON(append(b, `"data":`...), string(e.Data))
	default:
		b = append(b, `"data_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.Data)
		return append(b, '"')
	}
}

func appendMember(b []byte, name, value string) []byte {
	return wire.AppendJSON(append(wire.AppendJSON(append(b, ','), name), ':'), value)
}

// isJSON follows the CloudEvents JSON format: no content type means JSON.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json"))
}

// UnmarshalJSON reads the CloudEvents JSON format. It checks the form only; Validate checks the rules.
// JSON data is kept byte for byte, without the space around it.
func (e *Event) UnmarshalJSON(b []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return fmt.Errorf("event is not a JSON object: %w", err)
	}
	out := Event{}
	if v, err := stringMember(members, "specversion"); err != nil {
		return err
	} else if v != "" && v != "1.0" {
		return fmt.Errorf("specversion %q is not supported, only \"1.0\" is", v)
	}
	var timeText string
	for _, attribute := range [...]struct {
		name string
		to   *string
	}{
		{"id", &out.ID}, {"source", &out.Source}, {"type", &out.Type}, {"subject", &out.Subject},
		{"datacontenttype", &out.DataContentType}, {"dataschema", &out.DataSchema}, {"time", &timeText},
	} {
		v, err := stringMember(members, attribute.name)
		if err != nil {
			return err
		}
		*attribute.to = v
	}
	if err := out.setTime(timeText); err != nil {
		return err
	}
	if err := out.setData(members["data"], members["data_base64"]); err != nil {
		return err
	}
	var names []string // of extensions
	for name := range members {
		if !isContextAttribute(name) && name != "data_base64" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		x, ok, err := extension(name, members[name])
		if err != nil {
			return err
		}
		if ok {
			out.SetExtension(x)
		}
	}
	*e = out
	return nil
}

func stringMember(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok || string(raw) == "null" {
		return "", nil
	}
	s, err := unquote(raw)
	if err != nil {
		return "", fmt.Errorf("attribute %q must be a JSON string, not %s", name, shorten(raw))
	}
	return s, nil
}

// unquote reads a JSON string out of JSON that was found to be valid. Most strings stand there as they are.
func unquote(raw json.RawMessage) (s string, err error) {
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : n-1]), nil
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

func (e *Event) setTime(text string) error {
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("attribute \"time\" is %q, not an RFC 3339 time such as 2026-01-31T12:00:00Z", text)
	}
	e.Time = t
	return checkTime(t)
}

func (e *Event) setData(data, data64 json.RawMessage) error {
	if data != nil && data64 != nil {
		return fmt.Errorf("event has both \"data\" and \"data_base64\"")
	}
	if data64 != nil {
		s, err := unquote(data64)
		if err != nil {
			return fmt.Errorf("\"data_base64\" must be a JSON string")
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return fmt.Errorf("\"data_base64\" is not base64: %w", err)
		}
		e.Data = raw
		return nil
	}
	if data == nil || string(data) == "null" {
		return nil
	}
	if !isJSON(e.DataContentType) {
		if s, err := unquote(data); err == nil {
			e.Data = []byte(s)
			return nil
		}
	}
	e.Data = slices.Clone([]byte(data))
	return nil
}

// extension reads an extension member; null means it is absent.
func extension(name string, raw json.RawMessage) (x Extension, ok bool, err error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return Extension{}, false, err
	}
	switch v := v.(type) {
	case nil:
		return Extension{}, false, nil
	case string:
		return Extension{Name: name, Value: v, Kind: String}, true, nil
	case bool:
		return Extension{Name: name, Value: strconv.FormatBool(v), Kind: Boolean}, true, nil
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 32)
		if err != nil {
			return Extension{}, false, fmt.Errorf("extension %q is %s, not a 32-bit whole number; send it as a string", name, v)
		}
		return Extension{Name: name, Value: strconv.FormatInt(n, 10), Kind: Integer}, true, nil
	}
	return Extension{}, false, fmt.Errorf("extension %q must be a string, number or boolean, not %s", name, shorten(raw))
}

func shorten(raw []byte) string {
	if len(raw) > 40 {
		return string(raw[:40]) + "…"
	}
	return string(raw)
}

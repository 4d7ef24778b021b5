package event

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// UnmarshalJSON reads the CloudEvents JSON format, as functions and people write it: what they leave out, or leave empty, is for the caller to fill in. It checks the
// form only; Validate checks the rules. JSON data is kept byte for byte, without the space around it.
func (e *Event) UnmarshalJSON(b []byte) error { return e.parse(b, false) }

// Parse reads an event from outside in the CloudEvents JSON format. Beyond UnmarshalJSON it wants specversion, text that is UTF-8, and no attribute that is there and
// empty. The data shares b's memory where it can. Validate checks the rest.
func Parse(b []byte) (Event, error) {
	if i := invalidUTF8(b); i >= 0 {
		return Event{}, fmt.Errorf("the JSON of the event is not valid UTF-8 at byte %d", i)
	}
	var e Event
	return e, e.parse(b, true)
}

func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	i := 0
	for r, n := utf8.DecodeRune(b); r != utf8.RuneError || n != 1; r, n = utf8.DecodeRune(b[i:]) {
		i += n
	}
	return i
}

// reading is what has been read of an event in JSON. Data waits for its content type, which may stand behind it.
type reading struct {
	Event

	strict       bool
	seen         uint // bits of the context attributes
	time         string
	version      string
	extensions   []Extension // as they come
	data, data64 []byte      // as they stand there, nil = absent
}

func (e *Event) parse(b []byte, strict bool) error {
	r := reading{strict: strict}
	o := object{text: b}
	if !o.open() {
		return whyInvalid(b)
	}
	for name, value, ok := o.next(); ok; name, value, ok = o.next() {
		if err := r.member(name, value); err != nil {
			return err
		}
	}
	if o.bad {
		return whyInvalid(b)
	}
	if err := r.finish(); err != nil {
		return err
	}
	*e = r.Event
	return nil
}

// member takes one member of the object.
func (r *reading) member(name, value []byte) error {
	var to *string
	var bit uint
	switch string(name) {
	case "id":
		to, bit = &r.ID, 1
	case "source":
		to, bit = &r.Source, 1<<1
	case "type":
		to, bit = &r.Type, 1<<2
	case "subject":
		to, bit = &r.Subject, 1<<3
	case "datacontenttype":
		to, bit = &r.DataContentType, 1<<4
	case "dataschema":
		to, bit = &r.DataSchema, 1<<5
	case "time":
		to, bit = &r.time, 1<<6
	case "specversion":
		to, bit = &r.version, 1<<7
	case "data":
		bit = 1 << 8
		r.data = value
	case "data_base64":
		bit = 1 << 9
		r.data64 = value
	default:
		return r.extension(string(name), value)
	}
	if r.seen&bit != 0 {
		return twice(string(name))
	}
	r.seen |= bit
	if to == nil || string(value) == "null" {
		return nil
	}
	text, err := r.text(string(name), value)
	if err != nil {
		return err
	}
	*to = text
	return nil
}

func twice(name string) error { return fmt.Errorf("attribute %q is there twice", name) }

func (r *reading) text(name string, value []byte) (string, error) {
	s, err := unquote(value)
	if err != nil {
		return "", fmt.Errorf("attribute %q must be a JSON string, not %s", name, shorten(value))
	}
	if halfPair(value) {
		return "", fmt.Errorf("attribute %q has one half of a surrogate pair, which is no character", name)
	}
	if s == "" && r.strict {
		return "", emptyAttribute(name)
	}
	return s, nil
}

func emptyAttribute(name string) error {
	switch name {
	case "id", "source", "type", "specversion":
		return fmt.Errorf("required attribute %q is missing or empty", name)
	}
	return fmt.Errorf("attribute %q is empty; give it a value or leave it out", name)
}

// finish checks what belongs together.
func (r *reading) finish() error {
	if r.version == "" && r.strict {
		return emptyAttribute("specversion")
	}
	if r.version != "" && r.version != "1.0" {
		return fmt.Errorf("specversion %q is not supported, only \"1.0\" is", r.version)
	}
	if err := r.SetTime(r.time); err != nil {
		return err
	}
	if err := r.SetExtensions(r.extensions); err != nil {
		return err
	}
	return r.setData()
}

// SetTime sets the attribute from its text; "" leaves it out.
func (e *Event) SetTime(text string) error {
	if text == "" {
		return nil
	}
	t, err := parseTime(text)
	if err != nil {
		return fmt.Errorf("attribute \"time\" is %q, not an RFC 3339 time such as 2026-01-31T12:00:00Z", text)
	}
	e.Time = t
	return checkTime(t)
}

// parseTime reads an RFC 3339 time, exactly: Go's own layout takes more. The letters may be lower-case, and a leap second is the beginning of the next minute.
func parseTime(text string) (time.Time, error) {
	b := []byte(text)
	for i, ch := range b {
		if ch == 't' || ch == 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	leap := len(b) > 19 && string(b[14:19]) == "59:60"
	if leap {
		copy(b[17:], "59")
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil || !inFullForm(b) {
		return t, errNoTime
	}
	if leap {
		t = t.Add(time.Second)
	}
	return t, nil
}

var errNoTime = errors.New("not an RFC 3339 time")

// inFullForm refuses what time.Parse takes and RFC 3339 does not: hours of one digit, a comma before the fraction, zones of more than a day.
func inFullForm(b []byte) bool {
	if len(b) < len("2006-01-02T15:04:05Z") || b[13] != ':' || b[16] != ':' || b[19] == ',' {
		return false
	}
	if b[len(b)-1] == 'Z' {
		return true
	}
	zone := string(b[len(b)-len("00:00"):])
	return zone[:2] < "24" && zone[3:] < "60"
}

func (r *reading) setData() error {
	if string(r.data) == "null" {
		r.data = nil
	}
	if string(r.data64) == "null" {
		r.data64 = nil
	}
	switch {
	case r.data != nil && r.data64 != nil:
		return fmt.Errorf("event has both \"data\" and \"data_base64\"")
	case r.data64 != nil:
		return r.setBase64()
	case r.data == nil:
		return nil
	}
	if r.data[0] == '"' && !isJSON(r.DataContentType) {
		if halfPair(r.data) {
			return fmt.Errorf("\"data\" has one half of a surrogate pair, which is no character; send the bytes as \"data_base64\"")
		}
		s, err := unquote(r.data)
		r.Data = []byte(s)
		return err
	}
	r.Data = slices.Clone(r.data)
	return nil
}

func (r *reading) setBase64() error {
	if r.data64[0] != '"' {
		return fmt.Errorf("\"data_base64\" must be a JSON string")
	}
	text := r.data64[1 : len(r.data64)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		s, err := unquote(r.data64)
		if err != nil {
			return err
		}
		text = []byte(s)
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(raw, text)
	if err != nil {
		return fmt.Errorf("\"data_base64\" is not base64: %w", err)
	}
	r.Data = raw[:n]
	return nil
}

// extension takes a member that is no context attribute; null means it is absent.
func (r *reading) extension(name string, value []byte) error {
	x := Extension{Name: name}
	switch value[0] {
	case 'n':
		return nil
	case '"':
		s, err := unquote(value)
		if err != nil {
			return err
		}
		if halfPair(value) {
			return fmt.Errorf("attribute %q has one half of a surrogate pair, which is no character", name)
		}
		x.Value = s
	case 't', 'f':
		x.Value, x.Kind = string(value), Boolean
	case '{', '[':
		return fmt.Errorf("extension %q must be a string, number or boolean, not %s", name, shorten(value))
	default:
		n, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil {
			return fmt.Errorf("extension %q is %s, not a 32-bit whole number; send it as a string", name, shorten(value))
		}
		x.Value, x.Kind = strconv.FormatInt(n, 10), Integer
	}
	r.extensions = append(r.extensions, x)
	return nil
}

func shorten(raw []byte) string {
	if len(raw) > 40 {
		return string(raw[:40]) + "…"
	}
	return string(raw)
}

package event

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Validate reports every rule of CloudEvents 1.0 and of our limits that the event breaks.
func (e *Event) Validate() error {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, a := range [...]struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			note(emptyAttribute(a.name))
		}
	}
	for _, a := range [...]struct{ name, value string }{
		{"id", e.ID}, {"source", e.Source}, {"type", e.Type}, {"subject", e.Subject},
		{"datacontenttype", e.DataContentType}, {"dataschema", e.DataSchema},
	} {
		note(checkValue(a.name, a.value))
	}
	note(checkURI("source", e.Source, false))
	note(checkURI("dataschema", e.DataSchema, true))
	if e.Request == nil { // a client of a function may name the content of its request as it likes
		note(checkMediaType(e.DataContentType))
	}
	for i := range e.Extensions {
		note(e.Extensions[i].validate())
	}
	if !e.Time.IsZero() {
		note(checkTime(e.Time))
	}
	if n := e.Size(); n > MaxSize {
		note(fmt.Errorf("event has %d bytes, the limit is %d; put large data elsewhere and send a reference (dataref)", n, MaxSize))
	}
	return errors.Join(errs...)
}

// checkTime keeps times to those that the binary form can hold.
func checkTime(t time.Time) error {
	if y := t.UTC().Year(); y < 1678 || y > 2261 {
		return fmt.Errorf("attribute \"time\" is in the year %d, only 1678 to 2261 can be kept", y)
	}
	return nil
}

func (x *Extension) validate() error {
	if x.Name == "" || len(x.Name) > 64 {
		return fmt.Errorf("extension name %q must have 1 to 64 characters", x.Name)
	}
	for i := range len(x.Name) {
		if ch := x.Name[i]; (ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') {
			return fmt.Errorf("extension name %q may only have lower-case letters and digits", x.Name)
		}
	}
	if isContextAttribute(x.Name) {
		return fmt.Errorf("%q is a context attribute, not an extension", x.Name)
	}
	if x.Name == ExpiryExtension {
		if _, err := parseTime(x.Value); err != nil {
			return fmt.Errorf("attribute %q is %q, not an RFC 3339 time such as 2026-01-31T12:00:00Z", x.Name, x.Value)
		}
	}
	return checkValue(x.Name, x.Value)
}

// checkValue checks what a CloudEvents string may have.
func checkValue(name, value string) error {
	if len(value) > 64<<10 {
		return fmt.Errorf("attribute %q has %d bytes, the limit is 65536", name, len(value))
	}
	plain := true
	for i := range len(value) {
		if ch := value[i]; ch < 0x20 || ch >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return nil
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("attribute %q is not valid UTF-8", name)
	}
	for i, r := range value {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return fmt.Errorf("attribute %q has a control character at byte %d", name, i)
		}
		if r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe {
			return fmt.Errorf("attribute %q has at byte %d what Unicode says is no character (%U)", name, i, r)
		}
	}
	return nil
}

// checkURI checks a URI reference of RFC 3986, or a URI, which names its scheme. An absent value is none's fault.
func checkURI(name, value string, withScheme bool) error {
	structured, fragment := withScheme, false
	for i := range len(value) {
		switch ch := value[i]; {
		case ch == '%':
			if i+2 >= len(value) || !isHex(value[i+1]) || !isHex(value[i+2]) {
				return notURI(name, value, withScheme, fmt.Sprintf("the %% at byte %d needs two hex digits behind it", i))
			}
		case ch == ':' || ch == '[' || ch == ']':
			structured = true
		case ch == '#' && !fragment:
			fragment = true
		case !inURI(ch):
			return notURI(name, value, withScheme, fmt.Sprintf("what is at byte %d must be written as %%%02X", i, ch))
		}
	}
	if value == "" || !structured {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil {
		why := err
		if parse, ok := errors.AsType[*url.Error](err); ok {
			why = parse.Err
		}
		return notURI(name, value, withScheme, why.Error())
	}
	if withScheme && !u.IsAbs() {
		return notURI(name, value, withScheme, "it has no scheme such as https:")
	}
	return nil
}

func notURI(name, value string, withScheme bool, why string) error {
	kind := "a URI reference"
	if withScheme {
		kind = "a URI"
	}
	return fmt.Errorf("attribute %q is %q, not %s: %s", name, shorten([]byte(value)), kind, why)
}

// inURI names the characters of RFC 3986, section 2, but those that checkURI looks at itself.
func inURI(ch byte) bool {
	return ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9' || strings.IndexByte("-._~/?@!$&'()*+,;=", ch) >= 0
}

func isHex(ch byte) bool {
	return ch >= '0' && ch <= '9' || ch >= 'a' && ch <= 'f' || ch >= 'A' && ch <= 'F'
}

// checkMediaType checks what RFC 2046 calls a media type.
func checkMediaType(value string) error {
	if value == "" {
		return nil
	}
	t, _, parameters := strings.Cut(value, ";")
	kind, subtype, _ := strings.Cut(strings.TrimRight(t, " \t"), "/")
	if isToken(kind) && isToken(subtype) {
		if !parameters {
			return nil
		}
		if _, _, err := mime.ParseMediaType(value); err == nil {
			return nil
		}
	}
	return fmt.Errorf("attribute \"datacontenttype\" is %q, not a media type such as application/json", shorten([]byte(value)))
}

func isToken(s string) bool {
	for i := range len(s) {
		if ch := s[i]; ch <= 0x20 || ch >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, ch) >= 0 {
			return false
		}
	}
	return s != ""
}

func isContextAttribute(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data":
		return true
	}
	return false
}

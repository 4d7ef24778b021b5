package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/event"
)

// decodeBinary reads an event in binary mode: attributes from headers, the data is the body as it came. It is the CloudEvents SDK's reading with the whole of the HTTP
// binding's rules for values, and without its messages, readers and maps, which took longer than storing the event (FuzzDecodeBinary compares the two).
func decodeBinary(h http.Header, body []byte) (event.Event, error) {
	var e event.Event
	var faults []error
	for name, values := range h {
		if strings.HasPrefix(name, "Ce-") || name == "Content-Type" {
			if err := setAttribute(&e, name, values); err != nil {
				faults = append(faults, err)
			}
		}
	}
	if err := e.SetExtensions(e.Extensions); err != nil { // setExtension has left them as they came
		faults = append(faults, err)
	}
	if len(faults) > 0 { // in the same order for the same request
		slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return event.Event{}, invalidEvent(errors.Join(faults...))
	}
	if len(body) > 0 {
		e.Data = body
	}
	for _, a := range [...]struct{ name, value, header string }{{"id", e.ID, "Ce-Id"}, {"source", e.Source, "Ce-Source"}, {"type", e.Type, "Ce-Type"}} {
		if a.value == "" {
			faults = append(faults, fmt.Errorf("required attribute %q is missing or empty (header %s)", a.name, a.header))
		}
	}
	if len(faults) > 0 {
		return event.Event{}, invalidEvent(errors.Join(faults...))
	}
	return e, checkIncoming(&e)
}

// setAttribute takes one header.
func setAttribute(e *event.Event, name string, values []string) error {
	if len(values) != 1 {
		return fmt.Errorf("attribute %q is there %d times (header %s)", attributeName(name), len(values), name)
	}
	value := values[0]
	if name == "Content-Type" {
		e.DataContentType = value // an HTTP header of its own, with its own way of writing
		return nil
	}
	value = headerText(value)
	var to *string
	switch name {
	case "Ce-Id":
		to = &e.ID
	case "Ce-Source":
		to = &e.Source
	case "Ce-Type":
		to = &e.Type
	case "Ce-Subject":
		to = &e.Subject
	case "Ce-Dataschema":
		to = &e.DataSchema
	case "Ce-Specversion":
		if value != "1.0" {
			return fmt.Errorf("specversion %q is not supported, only \"1.0\" is (header Ce-Specversion)", value)
		}
		return nil
	case "Ce-Time":
		return setTime(e, value)
	case "Ce-Datacontenttype":
		return errors.New(`attribute "datacontenttype" belongs into the header Content-Type, not into Ce-Datacontenttype`)
	default:
		return setExtension(e, name, value)
	}
	if *to = value; value == "" && name != "Ce-Id" && name != "Ce-Source" && name != "Ce-Type" { // those are told together
		return fmt.Errorf("attribute %q is empty; give it a value or leave it out (header %s)", attributeName(name), name)
	}
	return nil
}

func setTime(e *event.Event, value string) error {
	if value == "" {
		return errors.New(`attribute "time" is empty; give it a value or leave it out (header Ce-Time)`)
	}
	if err := e.SetTime(value); err != nil {
		return fmt.Errorf("%w (header Ce-Time)", err)
	}
	return nil
}

func setExtension(e *event.Event, header, value string) error {
	name := attributeName(header)
	if i := strings.IndexFunc(name, notInName); i >= 0 || name == "" {
		return fmt.Errorf("header %s is no attribute: names may only have letters and digits", header)
	}
	e.Extensions = append(e.Extensions, event.Extension{Name: name, Value: value})
	return nil
}

func notInName(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }

func attributeName(header string) string {
	if header == "Content-Type" {
		return "datacontenttype"
	}
	return strings.ToLower(header[len("Ce-"):])
}

// headerText is the text that a header's value stands for (CloudEvents HTTP binding, 3.1.3.2): quotes around it are taken off, then percent-encoding is undone, once. What
// is not well-formed stays as it is: not every sender encodes.
func headerText(v string) string { return percentDecode(unquoteHeader(v)) }

// unquoteHeader reads a quoted string of RFC 9110, section 5.6.4, which senders of older versions of the binding write.
func unquoteHeader(v string) string {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return v
	}
	inside := v[1 : len(v)-1]
	if !strings.ContainsAny(inside, `"\`) {
		return inside
	}
	b := make([]byte, 0, len(inside))
	for i := 0; i < len(inside); i++ {
		ch := inside[i]
		if ch == '"' {
			return v
		}
		if ch == '\\' {
			if i++; i == len(inside) {
				return v
			}
			ch = inside[i]
		}
		b = append(b, ch)
	}
	return string(b)
}

// percentDecode keeps a value that is not well-formed as it is.
func percentDecode(v string) string {
	if !strings.Contains(v, "%") {
		return v
	}
	if decoded, err := url.PathUnescape(v); err == nil {
		return decoded
	}
	return v
}

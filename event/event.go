// Package event is one CloudEvents 1.0 event: in memory, as structured JSON, and in the compact binary form the log stores.
package event

import (
	"cmp"
	"slices"
	"time"
)

// MaxSize is the largest event that is accepted, in bytes of its binary form (attributes and data together).
const MaxSize = 1 << 20

// HTTPRequestType is the type of the event that a plain HTTP request becomes.
const HTTPRequestType = "dev.evoke.http.request"

// Event is one CloudEvents 1.0 event. The zero value of an optional field means absent.
type Event struct {
	ID, Source, Type string

	Subject         string
	DataContentType string
	DataSchema      string
	Time            time.Time

	// Extensions are sorted by name; names are unique. Use SetExtension.
	Extensions []Extension

	// Data is the payload as it came; nil means the event has none.
	Data []byte

	// Request is the HTTP request as JSON (docs/abi.md, part 3); nil for an event that was none.
	Request []byte
}

// Kind is the CloudEvents type of an extension's value, as far as JSON tells them apart.
type Kind uint8

// The kinds of an extension's value. Binary, URI and timestamp values are strings on the wire.
const (
	String Kind = iota
	Integer
	Boolean
)

// Extension is one extension attribute; Value is its canonical string form.
type Extension struct {
	Name, Value string
	Kind        Kind
}

// Extension returns the value of an extension attribute.
func (e *Event) Extension(name string) (value string, ok bool) {
	i, ok := e.findExtension(name)
	if !ok {
		return "", false
	}
	return e.Extensions[i].Value, true
}

// SetExtension adds an extension attribute or replaces its value.
func (e *Event) SetExtension(x Extension) {
	i, found := e.findExtension(x.Name)
	if found {
		e.Extensions[i] = x
		return
	}
	e.Extensions = slices.Insert(e.Extensions, i, x)
}

// SetExtensions takes over the extension attributes of an event that has none, in whatever order they come: one by one, those of a hostile event would take a minute.
func (e *Event) SetExtensions(list []Extension) error {
	slices.SortFunc(list, func(a, b Extension) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(list); i++ {
		if list[i-1].Name == list[i].Name {
			return twice(list[i].Name)
		}
	}
	e.Extensions = list
	return nil
}

// DropExtension takes an extension attribute away.
func (e *Event) DropExtension(name string) {
	if i, found := e.findExtension(name); found {
		e.Extensions = slices.Delete(e.Extensions, i, i+1)
	}
}

func (e *Event) findExtension(name string) (int, bool) {
	return slices.BinarySearchFunc(e.Extensions, name, func(x Extension, n string) int { return cmp.Compare(x.Name, n) })
}

// Key is what orders events and holds state: the partitionkey extension, else the subject, else "" for none.
func (e *Event) Key() string {
	if k, ok := e.Extension("partitionkey"); ok && k != "" {
		return k
	}
	return e.Subject
}

// Attribute returns a context attribute or extension by its CloudEvents name, in its string form.
func (e *Event) Attribute(name string) (value string, ok bool) {
	switch name {
	case "specversion":
		return "1.0", true
	case "id":
		return e.ID, true
	case "source":
		return e.Source, true
	case "type":
		return e.Type, true
	case "subject":
		return e.Subject, e.Subject != ""
	case "datacontenttype":
		return e.DataContentType, e.DataContentType != ""
	case "dataschema":
		return e.DataSchema, e.DataSchema != ""
	case "time":
		if e.Time.IsZero() {
			return "", false
		}
		return FormatTime(e.Time), true
	}
	return e.Extension(name)
}

// FormatTime writes a time as CloudEvents wants it: RFC 3339 with as many fractional digits as it has.
func FormatTime(t time.Time) string { return t.Format(time.RFC3339Nano) }

package event

import (
	"fmt"
	"strconv"

	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// FromCloudEvent converts an event of the CloudEvents SDK. Version 0.3 events are refused.
func FromCloudEvent(in ce.Event) (Event, error) {
	if v := in.SpecVersion(); v != ce.CloudEventsVersionV1 {
		return Event{}, fmt.Errorf("specversion %q is not supported, only \"1.0\" is", v)
	}
	e := Event{
		ID: in.ID(), Source: in.Source(), Type: in.Type(),
		Subject: in.Subject(), DataContentType: in.DataContentType(), DataSchema: in.DataSchema(),
		Time: in.Time(), Data: in.Data(),
	}
	for name, v := range in.Extensions() {
		x := Extension{Name: name}
		switch v := v.(type) {
		case bool:
			x.Kind, x.Value = Boolean, strconv.FormatBool(v)
		case int32:
			x.Kind, x.Value = Integer, strconv.FormatInt(int64(v), 10)
		default:
			s, err := types.Format(v)
			if err != nil {
				return Event{}, fmt.Errorf("extension %q: %w", name, err)
			}
			x.Value = s
		}
		e.SetExtension(x)
	}
	return e, nil
}

// CloudEvent converts to an event of the CloudEvents SDK, which shares the data.
func (e *Event) CloudEvent() ce.Event {
	out := ce.New()
	out.SetID(e.ID)
	out.SetSource(e.Source)
	out.SetType(e.Type)
	if e.Subject != "" {
		out.SetSubject(e.Subject)
	}
	if e.DataSchema != "" {
		out.SetDataSchema(e.DataSchema)
	}
	if !e.Time.IsZero() {
		out.SetTime(e.Time)
	}
	if e.DataContentType != "" {
		out.SetDataContentType(e.DataContentType)
	}
	for _, x := range e.Extensions {
		switch x.Kind {
		case Boolean:
			out.SetExtension(x.Name, x.Value == "true")
		case Integer:
			n, _ := strconv.ParseInt(x.Value, 10, 32) // Kind Integer is only set for values that parse
			out.SetExtension(x.Name, int32(n))
		default:
			out.SetExtension(x.Name, x.Value)
		}
	}
	out.DataEncoded = e.Data
	return out
}

package filter

import (
	"strconv"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/evoke-run/evoke/event"
)

// attributes shows an event to the SDK without copying it: one event may meet thousands of filters. The embedded interface is nil; what is not
// overridden here (everything that writes or converts) is never called by an expression.
type attributes struct {
	ce.EventContext
	event *event.Event
}

func (a attributes) GetSpecVersion() string     { return ce.CloudEventsVersionV1 }
func (a attributes) GetID() string              { return a.event.ID }
func (a attributes) GetSource() string          { return a.event.Source }
func (a attributes) GetType() string            { return a.event.Type }
func (a attributes) GetSubject() string         { return a.event.Subject }
func (a attributes) GetTime() time.Time         { return a.event.Time }
func (a attributes) GetDataSchema() string      { return a.event.DataSchema }
func (a attributes) GetDataContentType() string { return a.event.DataContentType }

func (a attributes) GetExtensions() map[string]any {
	m := make(map[string]any, len(a.event.Extensions))
	for _, x := range a.event.Extensions {
		switch x.Kind {
		case event.Boolean:
			m[x.Name] = x.Value == "true"
		case event.Integer:
			n, _ := strconv.ParseInt(x.Value, 10, 32) // kind Integer is only set for values that parse
			m[x.Name] = int32(n)
		default:
			m[x.Name] = x.Value
		}
	}
	return m
}

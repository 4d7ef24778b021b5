package filter

import (
	"strconv"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/evoke-run/evoke/event"
)

// attributes shows an event to the SDK without copying it: one event may meet many filters. The embedded interface is nil; what is not
// overridden here (everything that writes or converts) is never called by an expression.
type attributes struct {
	ce.EventContext
	view *view
}

func (a attributes) GetSpecVersion() string        { return ce.CloudEventsVersionV1 }
func (a attributes) GetID() string                 { return a.view.event.ID }
func (a attributes) GetSource() string             { return a.view.event.Source }
func (a attributes) GetType() string               { return a.view.event.Type }
func (a attributes) GetSubject() string            { return a.view.event.Subject }
func (a attributes) GetTime() time.Time            { return a.view.event.Time }
func (a attributes) GetDataSchema() string         { return a.view.event.DataSchema }
func (a attributes) GetDataContentType() string    { return a.view.event.DataContentType }
func (a attributes) GetExtensions() map[string]any { return a.view.sdkExtensions() }

// sdkExtensions makes the map that the SDK wants once per event. An expression only reads it.
func (v *view) sdkExtensions() map[string]any {
	if v.extensions != nil {
		return v.extensions
	}
	v.extensions = make(map[string]any, len(v.event.Extensions))
	for _, x := range v.event.Extensions {
		switch x.Kind {
		case event.Boolean:
			v.extensions[x.Name] = x.Value == "true"
		case event.Integer:
			n, _ := strconv.ParseInt(x.Value, 10, 32) // kind Integer is only set for values that parse
			v.extensions[x.Name] = int32(n)
		default:
			v.extensions[x.Name] = x.Value
		}
	}
	return v.extensions
}

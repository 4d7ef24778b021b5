// Package filter decides which events a trigger gets: CESQL filters over the attributes of an event, and topic patterns.
//
// Filters and patterns are immutable; all their methods may be called by many goroutines at once.
package filter

import (
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/evoke-run/evoke/event"
)

// Filter is a parsed CESQL expression. It sees the attributes and extensions of an event, not its data.
//
// The expressions of the CloudEvents SDK are values without state once they are built, and the only table they look into (the functions) is
// filled before main starts, so Match needs no lock.
type Filter struct {
	text string
	expr cesql.Expression // nil = every event
}

// Match says whether the event passes. As the CloudEvents Subscriptions API asks for filters, an expression that ends in an error (a missing
// attribute, a cast that fails) or in something other than a boolean does not match.
func (f *Filter) Match(e *event.Event) (matched bool) {
	if f.expr == nil {
		return true
	}
	// Built-in functions index strings with numbers from the event: SUBSTRING('abc', 2, -9) panics inside the SDK.
	defer func() {
		if recover() != nil {
			matched = false
		}
	}()
	v, err := f.expr.Evaluate(ce.Event{Context: attributes{event: e}})
	if err != nil {
		return false
	}
	b, ok := v.(bool)
	return ok && b
}

// String returns the text the filter was parsed from; "" matches everything.
func (f *Filter) String() string { return f.text }

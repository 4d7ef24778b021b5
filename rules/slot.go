package rules

import "github.com/evoke-run/evoke/api"

// Slot is what one trigger alone can serve: a method of all the routes of one shape. Two triggers that could get the same request, and of which neither comes first, want the
// same slot; see docs/http.md for the order of all others.
type Slot struct {
	At     string // host and shape of the path
	Method string // "*" = those that nobody names
}

func (s Slot) String() string {
	if s.Method == "*" {
		return s.At
	}
	return s.Method + " " + s.At
}

// Slots are those of a binding, which is valid. They have no namespace.
func Slots(function string, t api.TriggerSpec) []Slot {
	switch {
	case t.Webhook != nil:
		return []Slot{{t.Webhook.URLPath("default", function), "POST"}}
	case t.HTTP == nil:
		return nil
	}
	at := t.HTTP.Host + "/fn/" + function // nobody else's: the name is the function's
	if t.HTTP.Path != "" {
		route, err := api.ParseRoute(t.HTTP.Path)
		if err != nil {
			return nil // was reported
		}
		at = t.HTTP.Host + route.Shape()
	}
	if len(t.HTTP.Methods) == 0 {
		return []Slot{{at, "*"}}
	}
	out := make([]Slot, len(t.HTTP.Methods))
	for i, method := range t.HTTP.Methods {
		out[i] = Slot{at, method}
	}
	return out
}

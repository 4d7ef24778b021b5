package evoke

import (
	"encoding/json"
	"strings"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
)

// Request is the HTTP request that became an event. Its body is the event's data.
type Request struct {
	// Method is GET, POST, …
	Method string `json:"method"`
	// Path is what follows /fn/NAME, decoded; RawPath as it came.
	Path    string `json:"path"`
	RawPath string `json:"rawPath"`
	// Route is the pattern that matched, and Params are the values of its names.
	Route  string            `json:"route"`
	Params map[string]string `json:"params"`
	// QueryPairs and Headers are in the order they came; names of headers are lower case.
	QueryPairs [][2]string `json:"query"`
	Headers    [][2]string `json:"headers"`
}

// Request returns the HTTP request that became this event; nil for an event that was none.
func (e *Event) Request() *Request {
	if e.request != nil {
		return e.request
	}
	b, ok := e.part(abi.PartRequest)
	if !ok {
		return nil
	}
	r := new(Request)
	if json.Unmarshal(b, r) != nil {
		return nil // cannot be: the runtime made it
	}
	e.request = r
	return r
}

// Header is the first value of a header, in any case of its name; "" when it is not there.
func (r *Request) Header(name string) string { return first(r.Headers, strings.ToLower(name)) }

// Query is the first value of a query parameter; "" when it is not there.
func (r *Request) Query(name string) string { return first(r.QueryPairs, name) }

func first(pairs [][2]string, name string) string {
	for _, p := range pairs {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
)

// route is an http trigger, ready to be used.
type route struct {
	function *api.Function
	trigger  *api.Trigger
	http     *api.HTTPTrigger
	segments []api.Segment
	names    []string // of parameters
	key      keyPlace
}

// routesOf are those of a function. What cannot be read was refused by the deploy.
func routesOf(f *api.Function) (out []*route) {
	for i := range f.Triggers {
		t := &f.Triggers[i]
		if t.Kind != "http" || t.HTTP == nil {
			continue
		}
		r := &route{function: f, trigger: t, http: t.HTTP, key: newKeyPlace(t.HTTP.Key)}
		if t.HTTP.Path != "" {
			parsed, err := api.ParseRoute(t.HTTP.Path)
			if err != nil {
				continue
			}
			r.segments, r.names = parsed.Segments, parsed.Params()
		}
		out = append(out, r)
	}
	return out
}

// target is the function that a request reaches and how.
type target struct {
	*route
	params []string
	// path is that of the function, "/fn/NAME" or "/@NAMESPACE/fn/NAME": the source of its events. A request that does not come by a route begins with it.
	path string
}

// way is how a request looks for its target: by the name of a function, or by its path.
type way struct {
	s         *Server
	r         *http.Request
	namespace string
	named     bool   // the path begins with the namespace
	function  string // "" = by path
}

// target finds the function for a method. One that is not served over HTTP gets the answer of one that does not exist.
func (w *way) target(method string, allow http.Header) (target, error) {
	var at found
	if !isHost(w.r.Host) {
		return target{}, refuse(errInvalid, "send the host of the URL, and its port", "the Host header is no host: %.80q", w.r.Host)
	}
	if dotted(w.r.URL.Path) {
		return target{}, refuse(errInvalid, "send the path that is meant", "the path has a segment . or ..")
	}
	if w.function != "" {
		l := w.s.router().function(w.namespace, w.function)
		if l == nil {
			return target{}, refuse(errUnknownFunction, "give the function an http trigger in fn.yaml, \"on: [ { http: {} } ]\", and run fnctl deploy",
				"no function %q is served over HTTP", w.function)
		}
		if at.route = l.pick(method); at.route == nil {
			at.allow = l.allow()
		}
	} else {
		at = w.s.router().find(w.namespace, hostName(w.r.Host), method, w.path(), w.r.URL.RawPath != "")
	}
	if at.route == nil && at.allow == nil {
		return target{}, refuse(errUnknownPath, "\"fnctl ls routes\" shows what is served", "nothing is served at this path")
	}
	if at.route == nil {
		slices.Sort(at.allow)
		allow.Set("Allow", strings.Join(slices.Compact(at.allow), ", "))
		return target{}, refuse(errMethod, "", "this path does not take %s", w.r.Method)
	}
	return target{route: at.route, params: at.params, path: functionPath(at.route.function, w.named)}, nil
}

func functionPath(f *api.Function, named bool) string {
	if named {
		return "/@" + f.Namespace + "/fn/" + f.Name
	}
	return "/fn/" + f.Name
}

// path is the part of the request's path, as it came, that routes are compared with.
func (w *way) path() string {
	path := w.r.URL.RawPath
	if path == "" {
		path = w.r.URL.Path
	}
	if w.named {
		path = pathBelow(path, 1)
	}
	return path
}

// dotted says whether a path has a segment . or .., which means another place to some who read it.
func dotted(path string) bool {
	for {
		_, rest, ok := strings.Cut(path, "/.")
		if !ok {
			return false
		}
		rest = strings.TrimPrefix(rest, ".")
		if rest == "" || rest[0] == '/' {
			return true
		}
		path = rest
	}
}

// callRoute serves everything that is not the gateway's own.
func (s *Server) callRoute(c echo.Context) error {
	w := way{s: s, r: c.Request(), namespace: namespace(c), named: param(c, "ns") != ""}
	path := w.path()
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case first == "topics" && rest != "" && !strings.Contains(rest, "/"): // POST has a handler of its own
		c.Response().Header().Set("Allow", "OPTIONS, POST")
		if c.Request().Method == http.MethodOptions {
			return c.NoContent(http.StatusNoContent)
		}
		return refuse(errMethod, "", "events are published by POST")
	case path == "" || path[0] != '/' || isReserved(first):
		return refuse(errUnknownPath, "", "nothing is served at this path")
	}
	return s.serve(c, &w)
}

// isReserved knows the gateway's own places by the first segment of a path as it came, in whatever way that is written.
func isReserved(first string) bool {
	if decoded, err := url.PathUnescape(first); err == nil {
		first = decoded
	}
	switch first {
	case "fn", "topics", "webhooks":
		return true
	}
	return strings.HasPrefix(first, "@")
}

// keyPlace is where a trigger finds the key of a request.
type keyPlace struct {
	from, name string        // header, query or params
	expression *filter.Value // else
}

func newKeyPlace(text string) keyPlace {
	from, name, _ := strings.Cut(text, ".")
	switch from {
	case "":
		return keyPlace{}
	case "header", "query", "params":
		return keyPlace{from: from, name: name}
	}
	v, _ := filter.ParseValue(text) // a deploy has read it
	return keyPlace{expression: v}
}

// requestKey takes the key of an event from its request: the Evoke-Key header, else where the trigger looks for it.
func requestKey(r *http.Request, to target, e *event.Event) string {
	if key := r.Header.Get("Evoke-Key"); key != "" {
		return key
	}
	return to.key.of(r, to.names, to.params, e)
}

// of is the key, "" when there is none.
func (k *keyPlace) of(r *http.Request, names, params []string, e *event.Event) string {
	switch k.from {
	case "header":
		return r.Header.Get(k.name)
	case "params":
		if i := slices.Index(names, k.name); i >= 0 {
			return params[i]
		}
	case "query":
		for name, v := range queryPairs(r.URL.RawQuery) {
			if name == k.name {
				return v
			}
		}
	default:
		if k.expression != nil {
			text, _ := k.expression.Text(e)
			return text
		}
	}
	return ""
}

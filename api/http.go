package api

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// HTTPTrigger serves the function over HTTP: at /fn/NAME and below, or, with a path, at a route of its own.
type HTTPTrigger struct {
	// Methods are those that it takes, in capitals; none = any. HEAD is served by GET.
	Methods []string `json:"methods,omitempty"`
	// Path is a route, see ParseRoute; "" is /fn/NAME and everything below.
	Path string `json:"path,omitempty"`
	// Host is the name under which the route is served: "api.example.com", "*.example.com" for every name below that one, "" for any. Only with a path.
	Host string `json:"host,omitempty"`
	// Key takes the event's key from the request: "header.NAME", "query.NAME", "params.NAME" of the route, or an expression as in KeyLimit. The Evoke-Key header always wins.
	Key string `json:"key,omitempty"`
	// Auth says who may call; nil = everybody.
	Auth *Auth `json:"auth,omitempty"`
	// CORS lets pages of other origins call; nil = the function answers OPTIONS itself.
	CORS *CORS `json:"cors,omitempty"`
	// Compress sends replies compressed to clients that take them so.
	Compress bool `json:"compress,omitempty"`
}

// CORS says which pages may call a route, https://fetch.spec.whatwg.org/#http-cors-protocol.
type CORS struct {
	// Origins are "https://shop.example", or "*" for all.
	Origins []string `json:"origins"`
	// Methods are those that pages may use; none = those of the trigger.
	Methods []string `json:"methods,omitempty"`
	// Headers are those that pages may send beyond the harmless ones; "*" = any. None = Content-Type.
	Headers []string `json:"headers,omitempty"`
	// Expose are headers of replies that pages may read.
	Expose []string `json:"expose,omitempty"`
	// Credentials lets cookies and the like come along. Not with the origin "*".
	Credentials bool `json:"credentials,omitempty"`
	// MaxAge is how long a browser may keep the answer to a preflight; 0 leaves it to the browser.
	MaxAge Duration `json:"maxAge,omitempty"`
}

// Route is a parsed path of an http trigger. Its segments are compared with those of a request's path one by one, from the left.
type Route struct {
	Segments []Segment
}

// Segment is one part of a route between slashes. The last one of a path that ends in a slash is the empty literal.
type Segment struct {
	// Literal is what a request must have there, decoded; for a parameter it is empty.
	Literal string
	// Param names what a request has there.
	Param string
	// Tail is a parameter for all the rest; only the last segment is one.
	Tail bool
}

// Limits of a route.
const (
	maxRoute    = 512
	maxSegments = 32
)

// reservedPaths begin what the gateway serves itself, beside everything that begins with "/@".
var reservedPaths = [...]string{"fn", "topics", "webhooks"}

var paramRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ParseRoute reads a path such as /orders/{id}/items or /files/{path...}: literal segments, {name} for one segment that is not empty, {name...} for all the rest,
// which may be empty and have slashes.
func ParseRoute(path string) (Route, error) {
	switch {
	case path == "" || path[0] != '/':
		return Route{}, fmt.Errorf("%q is no path: it begins with /, as in /orders/{id}", shortText(path))
	case len(path) > maxRoute:
		return Route{}, fmt.Errorf("the path has %d bytes, the limit is %d", len(path), maxRoute)
	case !utf8.ValidString(path):
		return Route{}, errors.New("the path is not valid UTF-8")
	}
	if i := strings.IndexFunc(path, func(r rune) bool {
		return strings.ContainsRune(`?#%\*`, r) || unicode.IsControl(r) || unicode.IsSpace(r)
	}); i >= 0 {
		r, _ := utf8.DecodeRuneInString(path[i:])
		return Route{}, fmt.Errorf("%q is no path: %q cannot be in it; write what the request has without percent-encoding, {name} for a segment of any kind and {name...} for the rest", shortText(path), r)
	}
	texts := strings.Split(path[1:], "/")
	if len(texts) > maxSegments {
		return Route{}, fmt.Errorf("the path has %d segments, the limit is %d", len(texts), maxSegments)
	}
	r := Route{Segments: make([]Segment, len(texts))}
	for i, text := range texts {
		s, err := parseSegment(text, i+1 == len(texts))
		if err != nil {
			return Route{}, fmt.Errorf("%q is no path: %w", shortText(path), err)
		}
		if s.Param != "" && slices.Contains(r.Params(), s.Param) {
			return Route{}, fmt.Errorf("%q is no path: it has two parameters %s; give each a name of its own", shortText(path), s.Param)
		}
		r.Segments[i] = s
	}
	if first := r.Segments[0].Literal; slices.Contains(reservedPaths[:], first) || strings.HasPrefix(first, "@") {
		return Route{}, fmt.Errorf("%q is taken: /fn/, /topics/, /webhooks/ and /@ are the gateway's own; begin with another segment", shortText(path))
	}
	return r, nil
}

func parseSegment(text string, last bool) (Segment, error) {
	inner, opens := strings.CutPrefix(text, "{")
	inner, closes := strings.CutSuffix(inner, "}")
	switch {
	case text == "" && !last:
		return Segment{}, errors.New("it has two slashes in a row")
	case text == "." || text == "..":
		return Segment{}, fmt.Errorf("no request has the segment %s", text)
	case !strings.ContainsAny(text, "{}"):
		return Segment{Literal: text}, nil
	case !opens || !closes || strings.ContainsAny(inner, "{}"):
		return Segment{}, fmt.Errorf("a parameter is a whole segment, {name}, and %q is not", text)
	}
	name, tail := strings.CutSuffix(inner, "...")
	switch {
	case !paramRule.MatchString(name):
		return Segment{}, fmt.Errorf("the name of a parameter has letters, digits and _ and does not begin with a digit, unlike %q", text)
	case tail && !last:
		return Segment{}, fmt.Errorf("%s takes all the rest, so nothing can follow it", text)
	}
	return Segment{Param: name, Tail: tail}, nil
}

// Params are the names of the parameters in order.
func (r Route) Params() []string {
	var out []string
	for _, s := range r.Segments {
		if s.Param != "" {
			out = append(out, s.Param)
		}
	}
	return out
}

// Shape is the route without the names of its parameters. Of two routes that match the same path and have different shapes one comes before the other; of the same shape, none.
func (r Route) Shape() string {
	var b strings.Builder
	for _, s := range r.Segments {
		b.WriteByte('/')
		switch {
		case s.Tail:
			b.WriteString("{...}")
		case s.Param != "":
			b.WriteString("{}")
		default:
			b.WriteString(s.Literal) // without braces
		}
	}
	return b.String()
}

var hostRule = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckHost says what is wrong with the host of an http trigger.
func CheckHost(host string) error {
	if len(host) > 253 || !hostRule.MatchString(host) {
		return fmt.Errorf("%q is no host: it is a name in lower case without a port, as in api.example.com, or *.example.com for every name below example.com", shortText(host))
	}
	return nil
}

var methodRule = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)

// CheckMethods says what is wrong with the methods of an http trigger.
func CheckMethods(methods []string) error {
	for i, m := range methods {
		switch {
		case !methodRule.MatchString(m) || m == "CONNECT":
			return fmt.Errorf("%q is no method; they are written in capitals: GET, POST", shortText(m))
		case slices.Contains(methods[:i], m):
			return fmt.Errorf("%s is there twice", m)
		}
	}
	return nil
}

// RouteText is how people see what a trigger serves: "POST api.example.com/orders/{id}", or "/fn/NAME".
func (t *HTTPTrigger) RouteText(namespace, function string) string {
	path := t.Path
	if path == "" {
		path = "/fn/" + function
	}
	if namespace != "default" {
		path = "/@" + namespace + path
	}
	if path = t.Host + path; len(t.Methods) > 0 {
		path = strings.Join(t.Methods, ",") + " " + path
	}
	return path
}

func shortText(s string) string {
	const limit = 64
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
)

// request is part 3 of an event, docs/abi.md section 4.
type request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	RawPath string            `json:"rawPath"`
	Route   string            `json:"route"`
	Params  map[string]string `json:"params"`
	Query   [][2]string       `json:"query"`
	Headers [][2]string       `json:"headers"`
}

// requestEvent makes an event of a plain HTTP request.
func (s *Server) requestEvent(r *http.Request, to target, body []byte) (event.Event, error) {
	text, err := requestJSON(r, to.path)
	if err != nil {
		return event.Event{}, fmt.Errorf("encode the request: %w", err)
	}
	e := event.Event{
		ID: s.newID(), Source: to.path, Type: event.HTTPRequestType, Time: s.now().UTC(),
		DataContentType: r.Header.Get("Content-Type"), Request: text,
	}
	if len(body) > 0 {
		e.Data = body
	}
	return e, nil
}

func requestJSON(r *http.Request, prefix string) ([]byte, error) {
	raw := pathBelow(r.URL.EscapedPath(), strings.Count(prefix, "/"))
	path, err := url.PathUnescape(raw)
	if err != nil {
		path = raw // not reached: net/http has decoded the path before
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err = enc.Encode(request{
		Method: r.Method, Path: path, RawPath: raw, Route: prefix + "/*", Params: map[string]string{},
		Query: queryPairs(r.URL.RawQuery), Headers: headerPairs(r),
	})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// pathBelow cuts the first n segments off: what follows them, or "/".
func pathBelow(path string, n int) string {
	for range n {
		path = path[1:]
		i := strings.IndexByte(path, '/')
		if i < 0 {
			return "/"
		}
		path = path[i:]
	}
	return path
}

// queryPairs keeps the order of a query; what does not decode stays as it came.
func queryPairs(query string) [][2]string {
	pairs := [][2]string{}
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		pairs = append(pairs, [2]string{queryDecode(k), queryDecode(v)})
	}
	return pairs
}

func queryDecode(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// headerPairs are the end-to-end headers with lower-case names. net/http does not keep the order of names, so they are sorted, behind host;
// the values of one name stay in order.
func headerPairs(r *http.Request) [][2]string {
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	pairs := [][2]string{{"host", r.Host}}
	for _, name := range names {
		if isHopByHop(name) || namedInConnection(r.Header, name) {
			continue
		}
		for _, v := range r.Header[name] {
			pairs = append(pairs, [2]string{strings.ToLower(name), v})
		}
	}
	return pairs
}

// isHopByHop names the headers that belong to one connection, RFC 9110 section 7.6.1. name is in canonical form.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

func namedInConnection(h http.Header, name string) bool {
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), name) {
				return true
			}
		}
	}
	return false
}

// requestKey takes the key of an event from its request: the Evoke-Key header, else where the trigger looks for it.
func requestKey(r *http.Request, t *api.HTTPTrigger) string {
	if key := r.Header.Get("Evoke-Key"); key != "" {
		return key
	}
	from, name, _ := strings.Cut(t.Key, ".")
	switch from {
	case "header":
		return r.Header.Get(name)
	case "query":
		for _, pair := range queryPairs(r.URL.RawQuery) {
			if pair[0] == name {
				return pair[1]
			}
		}
	}
	return ""
}

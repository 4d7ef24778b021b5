package server

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/wire"
)

// requestEvent makes an event of a plain HTTP request.
func (s *Server) requestEvent(r *http.Request, to target, body []byte) event.Event {
	e := event.Event{
		ID: s.newID(), Source: to.path, Type: event.HTTPRequestType, Time: s.now().UTC(),
		DataContentType: r.Header.Get("Content-Type"), Request: requestPart(r, to),
	}
	if len(body) > 0 {
		e.Data = body
	}
	return e
}

// requestPart is part 3 of the event of a call.
func requestPart(r *http.Request, to target) []byte {
	switch {
	case to.http.Path == "":
		return requestJSON(r, strings.Count(to.path, "/"), to.path+"/*", nil, nil, nil)
	case strings.HasPrefix(to.path, "/@"):
		return requestJSON(r, 1, to.http.Path, to.names, to.params, nil)
	}
	return requestJSON(r, 0, to.http.Path, to.names, to.params, nil)
}

// requestJSON is part 3 of an event, docs/abi.md section 4. above is how many segments of the path come before what the function knows as the path; hidden headers are left
// out, nil = none are.
func requestJSON(r *http.Request, above int, route string, names, params []string, hidden func(name string) bool) []byte {
	raw := pathBelow(r.URL.EscapedPath(), above)
	path, err := url.PathUnescape(raw)
	if err != nil {
		path = raw // not reached: net/http has decoded the path before
	}
	b := make([]byte, 0, 512)
	b = wire.AppendJSON(append(b, `{"method":`...), r.Method)
	b = wire.AppendJSON(append(b, `,"path":`...), path)
	b = wire.AppendJSON(append(b, `,"rawPath":`...), raw)
	b = wire.AppendJSON(append(b, `,"route":`...), route)
	b = append(b, `,"params":{`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(wire.AppendJSON(b, name), ':')
		b = wire.AppendJSON(b, params[i])
	}
	b = append(b, `},"query":[`...)
	for name, value := range queryPairs(r.URL.RawQuery) {
		b = appendPair(b, name, value)
	}
	b = append(b, `],"headers":[`...)
	for name, value := range headerPairs(r, hidden) {
		b = appendPair(b, name, value)
	}
	return append(b, "]}"...)
}

func appendPair(b []byte, name, value string) []byte {
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	b = wire.AppendJSON(append(b, '['), name)
	return append(wire.AppendJSON(append(b, ','), value), ']')
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
func queryPairs(query string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for part := range strings.SplitSeq(query, "&") {
			if part == "" {
				continue
			}
			k, v, _ := strings.Cut(part, "=")
			if !yield(queryDecode(k), queryDecode(v)) {
				return
			}
		}
	}
}

func queryDecode(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// headerPairs are the end-to-end headers with lower-case names. net/http does not keep the order of names, so they are sorted, behind host;
// the values of one name stay in order.
func headerPairs(r *http.Request, hidden func(name string) bool) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		if !yield("host", r.Host) {
			return
		}
		names, ofConnection := make([]string, 0, 32), namedInConnection(r.Header)
		for name := range r.Header {
			if !isHopByHop(name) && !ofConnection[name] && (hidden == nil || !hidden(name)) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			lower := strings.ToLower(name)
			for _, v := range r.Header[name] {
				if !yield(lower, v) {
					return
				}
			}
		}
	}
}

// isHopByHop names the headers that belong to one connection, RFC 9110 section 7.6.1. name is in canonical form.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// namedInConnection are the headers of a request that its Connection header names; they belong to the connection, too. nil = none, as nearly always. What the gateway says of
// the client is not the client's to take away.
func namedInConnection(h http.Header) (names map[string]bool) {
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			option = strings.TrimSpace(option)
			if strings.EqualFold(option, "close") || strings.EqualFold(option, "keep-alive") {
				continue
			}
			if name := http.CanonicalHeaderKey(option); h[name] != nil && name != "X-Forwarded-For" && name != "X-Forwarded-Proto" {
				if names == nil {
					names = map[string]bool{}
				}
				names[name] = true
			}
		}
	}
	return names
}

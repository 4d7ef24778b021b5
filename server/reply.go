package server

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/scheduler"
)

// writeReply answers with what the function replied, docs/abi.md section 5.
func writeReply(c echo.Context, to target, call scheduler.Call, r scheduler.Reply) error {
	h := c.Response().Header()
	var status int
	var err error
	if call.Event.Request != nil {
		status, err = httpReply(h, to, r)
	} else {
		status, err = eventReply(h, call, &r, prefersStructured(c.Request().Header))
	}
	if err != nil {
		clear(h)
		to.share(h, c.Request())
		return &fault{err: errBadReply, invocation: r.Invocation, detail: fmt.Sprintf("function %q replied, but %v", call.Function, err)}
	}
	h.Set("Evoke-Invocation", r.Invocation)
	if r.Kept {
		h.Set("Idempotent-Replayed", "true")
	}
	if !bodyAllowed(status) {
		return c.NoContent(status)
	}
	if h.Get("Content-Type") == "" && len(r.Data) > 0 {
		h.Set("Content-Type", contentType(r.Data))
	}
	data := r.Data
	if to.http.Compress {
		data = compressed(h, c.Request(), status, data)
	}
	if len(data) > 0 || c.Request().Method != http.MethodHead { // a function may leave out what nobody gets; how long it would be is then not known (RFC 9110, 8.6)
		h.Set("Content-Length", strconv.Itoa(len(data)))
	}
	c.Response().WriteHeader(status)
	_, _ = c.Response().Write(data) // a client that does not take its answer has gone
	return nil
}

// httpReply is for plain HTTP requests: the reply's JSON is {"status", "headers"}.
func httpReply(h http.Header, to target, r scheduler.Reply) (status int, err error) {
	set, err := readHead(r.Attributes)
	if err != nil {
		return 0, fmt.Errorf("its JSON is not {\"status\": 200, \"headers\": [[\"name\", \"value\"]]}: %w", err)
	}
	for _, pair := range set.Headers {
		name := http.CanonicalHeaderKey(pair[0])
		if isToken(name) && !isHopByHop(name) && !isOurs(name) && (to.http.CORS == nil || !isCORS(name)) {
			h.Add(name, headerValue(pair[1]))
		}
	}
	if set.Status == nil {
		return defaultStatus(r.Data), nil
	}
	if *set.Status < 200 || *set.Status > 599 {
		return 0, fmt.Errorf("its status is %d, not one of 200 to 599", *set.Status)
	}
	return *set.Status, nil
}

// isOurs names the headers of a reply that a function cannot set.
func isOurs(name string) bool {
	return name == "Content-Length" || name == "Evoke-Invocation" || name == "Idempotent-Replayed"
}

// eventReply is for CloudEvents: the reply's JSON is the attributes; with a type, the reply is a CloudEvent, in binary mode unless the client prefers the other. Then the
// data becomes the whole event.
func eventReply(h http.Header, call scheduler.Call, r *scheduler.Reply, structured bool) (status int, err error) {
	status = defaultStatus(r.Data)
	if r.Attributes == nil {
		return status, nil
	}
	var e event.Event
	if err := e.UnmarshalJSON(r.Attributes); err != nil {
		return 0, fmt.Errorf("its attributes cannot be read: %w", err)
	}
	if e.DataContentType != "" {
		h.Set("Content-Type", headerValue(e.DataContentType))
	}
	if e.Type == "" {
		return status, nil
	}
	if e.ID == "" {
		e.ID = r.Invocation + ".reply"
	}
	if e.Source == "" {
		e.Source = "/ns/" + call.Namespace + "/functions/" + call.Function
	}
	if err := e.Validate(); err != nil {
		return 0, fmt.Errorf("its attributes are not those of a CloudEvent: %w", err)
	}
	if structured {
		if len(r.Data) > 0 {
			e.Data = r.Data
		}
		if r.Data, err = e.MarshalJSON(); err != nil {
			return 0, err
		}
		h.Set("Content-Type", api.EventJSON+"; charset=utf-8")
		return http.StatusOK, nil
	}
	setAttributes(h, &e)
	return http.StatusOK, nil // a CloudEvent without data is still an answer
}

// prefersStructured says that a client names the JSON format among what it accepts, and does not put it behind other types by a lower quality.
func prefersStructured(h http.Header) bool {
	ours, others := 0.0, 0.0
	for _, line := range h["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, quality := acceptedType(part)
			if name == api.EventJSON {
				ours = max(ours, quality)
			} else {
				others = max(others, quality)
			}
		}
	}
	return ours > 0 && ours >= others
}

// acceptedType is one of the types of an Accept header with its quality, RFC 9110 section 12.5.1; what cannot be read is not wanted.
func acceptedType(text string) (name string, quality float64) {
	name, parameters, err := mime.ParseMediaType(text)
	if err != nil {
		return "", 0
	}
	q, has := parameters["q"]
	if !has {
		return name, 1
	}
	if quality, err = strconv.ParseFloat(q, 64); err != nil || quality < 0 || quality > 1 {
		return name, 0
	}
	return name, quality
}

// setAttributes writes the headers of the binary mode.
func setAttributes(h http.Header, e *event.Event) {
	for _, name := range [...]string{"specversion", "id", "source", "type", "subject", "time", "dataschema"} {
		if v, ok := e.Attribute(name); ok {
			h.Set("Ce-"+name, percentEncode(v))
		}
	}
	for _, x := range e.Extensions {
		h.Set("Ce-"+x.Name, percentEncode(x.Value))
	}
}

// percentEncode encodes what the CloudEvents HTTP binding names: all but printable ASCII, and space, double quote and percent.
func percentEncode(v string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(v) {
		if ch := v[i]; ch > 0x20 && ch < 0x7f && ch != '"' && ch != '%' {
			b.WriteByte(ch)
		} else {
			b.Write([]byte{'%', hexDigits[ch>>4], hexDigits[ch&15]})
		}
	}
	return b.String()
}

func defaultStatus(data []byte) int {
	if len(data) == 0 {
		return http.StatusNoContent
	}
	return http.StatusOK
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// contentType is for a reply that does not name its own.
func contentType(data []byte) string {
	switch {
	case json.Valid(data):
		return "application/json"
	case utf8.Valid(data):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// isToken says whether a header name is one, RFC 9110 section 5.6.2.
func isToken(name string) bool {
	for i := range len(name) {
		ch := name[i]
		alphanumeric := '0' <= ch && ch <= '9' || 'a' <= ch && ch <= 'z' || 'A' <= ch && ch <= 'Z'
		if !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(ch)) {
			return false
		}
	}
	return name != ""
}

// headerValue keeps a guest from ending a header line and starting another.
func headerValue(v string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, v)
}

package evokehttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

// Handler makes a function of an http.Handler, which stays as it is: a mux with all its routes and middleware, for instance.
//
//	func init() { evoke.Handle(evokehttp.Handler(mux)) }
//
// The request is what a server of net/http would give to it: Method, URL, Host, Header and Body, PathValue with the names of the trigger's path, RemoteAddr with the address of the client (its port is 0), and a
// context that ends at the deadline of the event. Its path is the one that the function sees, docs/http.md: what follows /fn/NAME, or the whole path of a route.
//
// The response is sent when the handler has returned. Nothing is streamed: the writer is no http.Flusher and no http.Hijacker, and http.NewResponseController says http.ErrNotSupported. A body has at most 1 MiB; a
// Write that would make it larger fails, and the event with it. There are no trailers, and statuses below 200 are not sent.
//
// Whatever its status is, a response ends the event as done: what the handler emitted and wrote becomes real with a 500, too. A panic undoes it; http.ErrAbortHandler does so without a stack in the log. Events that
// are no HTTP requests are rejected.
func Handler(h http.Handler) evoke.Handler {
	if h == nil {
		panic("evokehttp.Handler: the handler is nil")
	}
	return func(ctx context.Context, e *evoke.Event) (evoke.Reply, error) {
		in := e.Request()
		if in == nil {
			return evoke.Reply{}, evoke.Rejectf("event %q of type %q is no HTTP request, and this function is an http.Handler: give it http triggers only, and call it by its URL", e.ID, e.Type)
		}
		w := &writer{header: http.Header{}}
		if err := serve(h, w, request(ctx, e, in)); err != nil {
			return evoke.Reply{}, err
		}
		return w.reply()
	}
}

// Event is the event of a request that Handler made, for its key, its extensions and its attributes; nil for another request.
func Event(r *http.Request) *evoke.Event {
	e, _ := r.Context().Value(eventKey{}).(*evoke.Event)
	return e
}

type eventKey struct{}

var errAborted = errors.New("the handler aborted the response (http.ErrAbortHandler)")

// serve turns the panic that net/http knows into an error. Any other goes on with its stack, which is still there.
func serve(h http.Handler, w *writer, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = errAborted
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

func request(ctx context.Context, e *evoke.Event, in *evoke.Request) *http.Request {
	header := http.Header{}
	for _, h := range in.Headers {
		header.Add(h[0], h[1])
	}
	body := e.Data()
	r := &http.Request{
		Method: in.Method, URL: location(in), Host: header.Get("Host"), Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody, ContentLength: int64(len(body)),
	}
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	delete(header, "Host") // as net/http does
	r.RequestURI = r.URL.RequestURI()
	if client := header.Get("X-Forwarded-For"); client != "" { // the gateway has set it
		r.RemoteAddr = net.JoinHostPort(client, "0")
	}
	for name, value := range in.Params {
		r.SetPathValue(name, value)
	}
	return r.WithContext(context.WithValue(ctx, eventKey{}, e))
}

// location is the URL with the pairs of the query in their order.
func location(in *evoke.Request) *url.URL {
	var query strings.Builder
	for i, pair := range in.QueryPairs {
		if i > 0 {
			query.WriteByte('&')
		}
		query.WriteString(url.QueryEscape(pair[0]) + "=" + url.QueryEscape(pair[1]))
	}
	u := &url.URL{Path: in.Path, RawQuery: query.String()}
	if in.RawPath != in.Path {
		u.RawPath = in.RawPath // a hint, which counts when it is one way to write Path
	}
	return u
}

// writer keeps a response until the handler has returned.
type writer struct {
	header http.Header
	sent   http.Header // as it was when the status was written; nil before
	status int
	body   []byte
	err    error
}

func (w *writer) Header() http.Header { return w.header }

// WriteHeader takes the first status only, as net/http does. Those below 200 are in advance of it, and nobody is there to get them.
func (w *writer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %d", status)) // in the words of net/http
	}
	if w.sent != nil || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if w.sent == nil {
		w.sent = http.Header{}
	}
}

func (w *writer) Write(b []byte) (int, error) {
	if w.sent == nil {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case len(w.body)+len(b) > maxBody:
		w.err = fmt.Errorf("the body of the response is larger than 1 MiB: %w", evoke.ErrTooLarge)
		return 0, w.err
	}
	w.body = append(w.body, b...)
	return len(b), nil
}

// reply is the response, when the handler has returned.
func (w *writer) reply() (evoke.Reply, error) {
	if w.sent == nil {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return evoke.Reply{}, w.err // also when the handler did not look at what Write returned
	}
	if w.status == http.StatusSwitchingProtocols {
		return evoke.Reply{}, errors.New("the handler answered 101: a function cannot switch to another protocol, such as WebSocket")
	}
	_, typed := w.sent["Content-Type"]
	if !typed && len(w.body) > 0 && w.sent.Get("Content-Encoding") == "" {
		w.sent.Set("Content-Type", http.DetectContentType(w.body))
	}
	return evoke.Reply{Status: w.status, Headers: pairs(w.sent), Data: w.body}, nil // to HEAD the gateway says how long the body is, and keeps it
}

// pairs are the headers by name, the values of one name in their order. Those of the connection are the gateway's.
func pairs(header http.Header) (out [][2]string) {
	names := make([]string, 0, len(header))
	for name := range header {
		if !ofTheConnection[name] && !strings.HasPrefix(name, http.TrailerPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range header[name] {
			out = append(out, [2]string{name, v})
		}
	}
	return out
}

//go:build !wasip1

package evokehttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evokehttp"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

// get serves GET / by a handler of net/http.
func get(h http.HandlerFunc) evoketest.Result {
	var rt evoketest.Runtime
	return rt.Serve(evokehttp.Handler(h), evoke.Request{Method: "GET", Path: "/"}, nil)
}

func TestRequestIsAsAServerGivesIt(t *testing.T) {
	t.Parallel()
	seen := false
	h := func(w http.ResponseWriter, r *http.Request) {
		seen = true
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "hello" || r.ContentLength != 5 {
			t.Errorf("body %q, %v, length %d", body, err, r.ContentLength)
		}
		got := []any{
			r.Method, r.Host, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.RequestURI, r.RemoteAddr, r.Proto, r.Header["X-Two"], r.Header.Get("Host"), r.PathValue("id"), r.URL.Query()["x"], r.UserAgent(),
		}
		want := []any{
			"PUT", "shop.example", "/orders/a/b", "/orders/a%2Fb", "x=1&y=a+b&x=%26", "/orders/a%2Fb?x=1&y=a+b&x=%26", "[2001:db8::1]:0", "HTTP/1.1", []string{"a", "b"}, "", "a/b", []string{"1", "&"}, "curl/8",
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if _, ok := r.Context().Deadline(); !ok {
			t.Error("the context has no deadline")
		}
		if e := evokehttp.Event(r); e == nil || e.Type != "dev.evoke.http.request" || e.Key() != "k1" {
			t.Errorf("event %+v", e)
		}
	}
	in := evoke.Request{
		Method: "PUT", Path: "/orders/a/b", RawPath: "/orders/a%2Fb", Route: "/orders/{id}", Params: map[string]string{"id": "a/b"},
		QueryPairs: [][2]string{{"x", "1"}, {"y", "a b"}, {"x", "&"}},
		Headers:    [][2]string{{"host", "shop.example"}, {"evoke-key", "k1"}, {"user-agent", "curl/8"}, {"x-forwarded-for", "2001:db8::1"}, {"x-two", "a"}, {"x-two", "b"}},
	}
	var rt evoketest.Runtime
	got := rt.Serve(evokehttp.Handler(http.HandlerFunc(h)), in, []byte("hello"))
	if got.Verdict != evoketest.Done || got.Status != 200 || len(got.Data) != 0 || !seen {
		t.Errorf("%+v", got)
	}
	if other, _ := http.NewRequest("GET", "/", nil); evokehttp.Event(other) != nil {
		t.Error("a request from elsewhere has an event")
	}
}

func TestResponseIsWhatTheHandlerWrote(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		h       http.HandlerFunc
		status  int
		typ     string
		data    string
		headers [][2]string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, 200, "", "", nil},
		{"a body", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>", "hello") }, 200, "text/html; charset=utf-8", "<html>hello", nil},
		{"a type of its own", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "{}")
		}, 200, "application/json", "{}", nil},
		{"a type that is not to be guessed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "x")
		}, 200, "", "x", nil},
		{"packed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "x")
		}, 200, "", "x", [][2]string{{"Content-Encoding", "gzip"}}},
		{"cookies", func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "1"})
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "2"})
			w.WriteHeader(201)
		}, 201, "", "", [][2]string{{"Set-Cookie", "b=1"}, {"Set-Cookie", "a=2"}}},
		{"headers that come too late, and trailers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", "1")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "7")
			w.WriteHeader(202)
			w.Header().Set("X-A", "2")
			w.WriteHeader(500)
		}, 202, "", "", [][2]string{{"X-A", "1"}}},
		{"headers of the connection", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Length", "99")
			w.WriteHeader(404)
		}, 404, "", "", nil},
		{"in advance", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		}, 202, "", "", nil},
		{"a status without a body", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := fmt.Fprint(w, "x"); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("a body with 204: %v", err)
			}
		}, 204, "", "", nil},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusSeeOther) }, 303, "text/html; charset=utf-8", "<a href=\"/there\">See Other</a>.\n\n",
			[][2]string{{"Location", "/there"}}},
	} {
		got := get(test.h)
		if got.Verdict != evoketest.Done || got.Status != test.status || string(got.Data) != test.data || got.ContentType != test.typ || len(got.Headers)+len(test.headers) > 0 && !reflect.DeepEqual(got.Headers, test.headers) {
			t.Errorf("%s: %+v, data %q", test.name, got, got.Data)
		}
	}
}

// What a function cannot do is said at once, to the handler where net/http has words for it.
func TestWhatAHandlerCannotDo(t *testing.T) {
	t.Parallel()
	got := get(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); ok {
			t.Error("the writer says that it can flush")
		}
		if _, ok := w.(http.Hijacker); ok {
			t.Error("the writer says that it can be hijacked")
		}
		rc := http.NewResponseController(w)
		_, _, hijack := rc.Hijack()
		if err := rc.Flush(); !errors.Is(err, http.ErrNotSupported) || !errors.Is(hijack, http.ErrNotSupported) {
			t.Errorf("flush: %v, hijack: %v", err, hijack)
		}
	})
	if got.Verdict != evoketest.Done {
		t.Errorf("%+v", got)
	}
	for _, test := range []struct {
		name    string
		h       http.HandlerFunc
		verdict evoketest.Verdict
		reason  string
	}{
		{"another protocol", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) },
			evoketest.Failed, "the handler answered 101: a function cannot switch to another protocol, such as WebSocket"},
		{"a body without end", func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<19)) // who looks at this
			}
		}, evoketest.Failed, "the body of the response is larger than 1 MiB: too large"},
		{"aborted", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, evoketest.Failed, "the handler aborted the response (http.ErrAbortHandler)"},
		{"a panic", func(http.ResponseWriter, *http.Request) { panic([]string{"no"}) }, evoketest.Trapped, "panic: [no]"},
		{"no status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) }, evoketest.Trapped, "panic: invalid WriteHeader code 0"},
		{"a status that HTTP does not have", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(700) }, evoketest.Failed, "reply: invalid; a status is 200 to 599"},
	} {
		if got := get(test.h); got.Verdict != test.verdict || got.Reason != test.reason {
			t.Errorf("%s: %s %q, want %s %q", test.name, got.Verdict, got.Reason, test.verdict, test.reason)
		}
	}
}

func TestAHandlerGetsNothingButRequests(t *testing.T) {
	t.Parallel()
	h := func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }
	e := evoke.NewEvent("com.shop.order", nil)
	e.ID = "o1"
	var rt evoketest.Runtime
	got := rt.Deliver(evokehttp.Handler(http.HandlerFunc(h)), e)
	want := `event "o1" of type "com.shop.order" is no HTTP request, and this function is an http.Handler: give it http triggers only, and call it by its URL`
	if got.Verdict != evoketest.Rejected || got.Reason != want {
		t.Errorf("%s %q", got.Verdict, got.Reason)
	}
	defer func() {
		if p := fmt.Sprint(recover()); p != "evokehttp.Handler: the handler is nil" {
			t.Error(p)
		}
	}()
	evokehttp.Handler(nil)
}

// A mux with its routes is a function as it is.
func ExampleHandler() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "order %s", r.PathValue("id")) })

	// In the function it is func init() { evoke.Handle(evokehttp.Handler(mux)) }. Here is its test:
	var rt evoketest.Runtime
	for _, path := range []string{"/orders/7", "/customers/7"} {
		got := rt.Serve(evokehttp.Handler(mux), evoke.Request{Method: "GET", Path: path}, nil)
		fmt.Println(got.Status, string(got.Data))
	}
	// Output:
	// 200 order 7
	// 404 404 page not found
}

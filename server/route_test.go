package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/scheduler"
)

// deployRoutes puts one function with http triggers in force.
func (b *bundle) deployRoutes(ns, function string, triggers ...api.HTTPTrigger) {
	b.t.Helper()
	spec := api.FunctionSpec{Module: b.module()}
	for _, h := range triggers {
		spec.Triggers = append(spec.Triggers, api.TriggerSpec{HTTP: &h})
	}
	if got := b.send("PUT", b.admin+"/api/v1/ns/"+ns+"/apps/"+function, api.App{Functions: map[string]api.FunctionSpec{function: spec}}); got.status != 200 {
		b.t.Fatalf("deploy: %d %s", got.status, got.body)
	}
}

func TestRouteBecomesEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, ns := range []string{"default", "acme"} {
		b.deployRoutes(ns, "orders",
			api.HTTPTrigger{Methods: []string{"POST"}, Path: "/orders/{id}/{rest...}", Key: "params.id"},
			api.HTTPTrigger{Path: "/customers", Key: "data.customer.id"},
			api.HTTPTrigger{Key: "subject"})
	}
	calls := b.replying(scheduler.Reply{Invocation: "inv-1"})
	for prefix, ns := range map[string]string{"": "default", "/@acme": "acme"} {
		if got := b.do("POST", b.gateway+prefix+"/orders/a%2Fb/x/%C3%A9?q=1", "body"); got.status != 204 {
			t.Fatalf("%+v", got)
		}
		c := <-calls
		var r struct {
			Path, RawPath, Route string
			Params               map[string]string
		}
		if err := json.Unmarshal(c.Event.Request, &r); err != nil || r.Path != "/orders/a/b/x/é" || r.RawPath != "/orders/a%2Fb/x/%C3%A9" || r.Route != "/orders/{id}/{rest...}" ||
			fmt.Sprint(r.Params) != "map[id:a/b rest:x/é]" {
			t.Errorf("request %s", c.Event.Request)
		}
		if c.Namespace != ns || c.Trigger != "orders:http" || c.Key != "a/b" || c.Event.Source != prefix+"/fn/orders" || c.Event.Key() != "a/b" {
			t.Errorf("call %+v", c)
		}
	}
	b.do("POST", b.gateway+"/customers", `{"customer":{"id":7}}`)
	if c := <-calls; c.Trigger != "orders:http:2" || c.Key != "7" {
		t.Errorf("key of the data: %+v", c)
	}
	b.do("POST", b.gateway+"/customers", `{"customer":{"id":7}}`, "Evoke-Key", "k")
	if c := <-calls; c.Key != "k" {
		t.Errorf("key of the header: %+v", c)
	}
	b.do("POST", b.gateway+"/fn/orders", "", with("Ce-Subject", "s-1")...)
	if c := <-calls; c.Trigger != "orders:http:3" || c.Key != "s-1" || c.Event.Source != "/a" {
		t.Errorf("key by an expression: %+v", c)
	}
}

func TestRoutesThatAreNotServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployRoutes("default", "orders", api.HTTPTrigger{Methods: []string{"GET", "PUT"}, Path: "/orders/{id}"}, api.HTTPTrigger{Methods: []string{"POST"}},
		api.HTTPTrigger{Path: "/{any...}", Host: "a.example"})
	b.replying(scheduler.Reply{})
	for _, c := range []struct {
		method, path, host string
		status             int
		slug, detail, next string
		allow              string
	}{
		{method: "DELETE", path: "/orders/7", status: 405, slug: "method-not-allowed", detail: "this path does not take DELETE", next: "see the Allow header", allow: "GET, HEAD, PUT"},
		{method: "OPTIONS", path: "/orders/7", status: 405, slug: "method-not-allowed", allow: "GET, HEAD, PUT"},
		{method: "GET", path: "/fn/orders/x", status: 405, slug: "method-not-allowed", allow: "POST"},
		{method: "GET", path: "/orders", status: 404, slug: "unknown-path", detail: "nothing is served at this path", next: "fnctl ls routes"},
		{method: "GET", path: "/orders/", status: 404, slug: "unknown-path"},
		{method: "GET", path: "/@acme/orders/7", status: 404, slug: "unknown-path"},
		{method: "GET", path: "/@acme", status: 404, slug: "unknown-path"},
		{method: "GET", path: "/x/y", status: 404, slug: "unknown-path"},
		{method: "GET", path: "/orders/..", status: 400, slug: "invalid-request", detail: "the path has a segment . or .."},
		{method: "GET", path: "/orders/%2e%2E", status: 400, slug: "invalid-request", detail: "the path has a segment . or .."},
		{method: "POST", path: "/fn/orders/a/./b", status: 400, slug: "invalid-request", detail: "the path has a segment . or .."},
		{method: "GET", path: "/fn/", host: "a.example", status: 404, slug: "unknown-path"}, // reserved, whatever the host's tail takes
		{method: "GET", path: "/fn//x", host: "a.example", status: 404, slug: "unknown-path", detail: "it has no name where one belongs", next: "check the path"},
		{method: "POST", path: "/@/fn/orders", status: 404, slug: "unknown-path", detail: "it has no name where one belongs"},
		{method: "POST", path: "/@/topics/open", status: 404, slug: "unknown-path", detail: "it has no name where one belongs"},
		{method: "GET", path: "/%66n/x", host: "a.example", status: 404, slug: "unknown-path"},
		{method: "GET", path: "/%40acme/x", host: "a.example", status: 404, slug: "unknown-path"},
		{method: "GET", path: "/topics/a/b", host: "a.example", status: 404, slug: "unknown-path"},
		{method: "GET", path: "/topics/a", status: 405, slug: "method-not-allowed", detail: "events are published by POST", allow: "OPTIONS, POST"},
	} {
		got := b.raw(c.method, c.path, c.host)
		p := got.problem(t)
		if p.Status != c.status || !strings.HasSuffix(p.Type, c.slug) || !strings.Contains(p.Detail, c.detail) || !strings.Contains(p.Next, c.next) || got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %+v, Allow %q", c.method, c.path, p, got.header.Get("Allow"))
		}
	}
	for path, host := range map[string]string{"/x//y/": "a.example:8080", "/orders/a..b": "", "/orders/.b": "", "/": "A.EXAMPLE"} {
		if got := b.raw("GET", path, host); got.status != 204 {
			t.Errorf("%s at %s: %d %s", path, host, got.status, got.body)
		}
	}
}

// raw sends a path as it is, which clients would clean.
func (b *bundle) raw(method, path, host string) answer {
	b.t.Helper()
	if host == "" {
		host = "any.example"
	}
	return b.sendBytes(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, path, host))
}

// sendBytes writes to a new connection and reads the answer.
func (b *bundle) sendBytes(request string) answer {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.gateway, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		b.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

func TestRoutesFollowDeploys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	calls := b.replying(scheduler.Reply{})
	at := func(path, want string) {
		t.Helper()
		got := b.do("GET", b.gateway+path, "")
		if want == "" {
			if got.status != 404 {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
			return
		}
		if got.status != 204 {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		if c := <-calls; c.Function != want {
			t.Errorf("%s is served by %s, not by %s", path, c.Function, want)
		}
	}
	at("/a", "")
	b.deployRoutes("default", "one", api.HTTPTrigger{Path: "/a"}, api.HTTPTrigger{Path: "/{x}"})
	at("/a", "one")
	at("/b", "one")
	b.deployRoutes("default", "two", api.HTTPTrigger{Path: "/b"})
	at("/b", "two")
	b.deployRoutes("default", "one", api.HTTPTrigger{Path: "/c"})
	at("/a", "")
	at("/c", "one")
	got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/three", api.App{Functions: map[string]api.FunctionSpec{"three": {Module: b.module(), Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{Path: "/b"}}}}}})
	if p := got.problem(t); p.Status != 409 || !strings.Contains(p.Detail, "trigger three:http would serve /b, which trigger two:http of function two serves") {
		t.Errorf("a route that is taken: %+v", p)
	}
	if got := b.do("DELETE", b.admin+"/api/v1/ns/default/functions/two", ""); got.status != 204 {
		t.Fatalf("%+v", got)
	}
	at("/b", "")
	at("/fn/one", "")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployRoutes("default", "open", api.HTTPTrigger{Path: "/open", Methods: []string{"GET", "PUT"}, CORS: &api.CORS{Origins: []string{"*"}, Headers: []string{"*"}, MaxAge: api.Duration(10 * time.Minute)}})
	b.deployRoutes("default", "shop", api.HTTPTrigger{Path: "/shop", CORS: &api.CORS{Origins: []string{"https://shop.example"}, Methods: []string{"POST"}, Headers: []string{"X-A", "X-B"}, Expose: []string{"X-Out"}, Credentials: true}})
	b.deployRoutes("default", "own", api.HTTPTrigger{Path: "/own"})
	calls := b.replying(scheduler.Reply{Data: []byte("hi"), Attributes: []byte(`{"headers":[["access-control-allow-origin","https://evil.example"],["vary","X-V"]]}`)})
	check := func(method, path string, header []string, status int, want map[string]string) {
		t.Helper()
		got := b.do(method, b.gateway+path, "", header...)
		if got.status != status {
			t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
		}
		for name, value := range want {
			if have := strings.Join(got.header.Values(name), ", "); have != value {
				t.Errorf("%s %s: %s is %q, want %q", method, path, name, have, value)
			}
		}
	}
	preflight := func(origin, method string, more ...string) []string {
		return append([]string{"Origin", origin, "Access-Control-Request-Method", method}, more...)
	}
	check("OPTIONS", "/open", preflight("https://a.example", "PUT", "Access-Control-Request-Headers", "x-one, x-two"), 204, map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "x-one, x-two", "Access-Control-Max-Age": "600",
		"Access-Control-Allow-Credentials": ""})
	check("OPTIONS", "/shop", preflight("https://shop.example", "POST"), 204, map[string]string{
		"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "X-A, X-B", "Access-Control-Allow-Credentials": "true",
		"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"})
	check("OPTIONS", "/shop", preflight("https://evil.example", "POST"), 403, map[string]string{"Access-Control-Allow-Origin": "", "Vary": "Origin"})
	check("OPTIONS", "/open", preflight("https://a.example", "DELETE"), 405, map[string]string{"Access-Control-Allow-Origin": "", "Allow": "GET, HEAD, PUT"})
	if len(calls) != 0 {
		t.Errorf("preflights reached the function: %d", len(calls))
	}
	check("OPTIONS", "/own", preflight("https://a.example", "POST"), 200, map[string]string{"Access-Control-Allow-Origin": "https://evil.example"}) // its own business
	<-calls

	check("GET", "/open", []string{"Origin", "https://a.example"}, 200, map[string]string{"Access-Control-Allow-Origin": "*", "Vary": "X-V"})
	check("POST", "/shop", []string{"Origin", "https://shop.example"}, 200, map[string]string{
		"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "X-Out", "Vary": "Origin, X-V"})
	check("POST", "/shop", []string{"Origin", "https://evil.example"}, 200, map[string]string{"Access-Control-Allow-Origin": "", "Vary": "Origin, X-V"})
	check("POST", "/shop", nil, 200, map[string]string{"Access-Control-Allow-Origin": "", "Vary": "Origin, X-V"})
	// A page can read what went wrong, too.
	b.replying(scheduler.Reply{Attributes: []byte(`{"status":99}`)})
	check("POST", "/shop", []string{"Origin", "https://shop.example"}, 502, map[string]string{"Access-Control-Allow-Origin": "https://shop.example", "Content-Type": "application/problem+json"})
}

func TestCompressedReplies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployRoutes("default", "f", api.HTTPTrigger{Path: "/c", Compress: true}, api.HTTPTrigger{Path: "/plain"})
	long := strings.Repeat("hello ", 1000)
	for name, c := range map[string]struct {
		path, accept, headers, data string
		coding, etag, vary          string
	}{
		"asked for":         {accept: "br;q=1, gzip;q=0.5", headers: `["etag","\"a\""],["content-type","text/html"]`, coding: "gzip", etag: `W/"a"`, vary: "Accept-Encoding"},
		"weak tag":          {accept: "gzip", headers: `["etag","W/\"a\""]`, coding: "gzip", etag: `W/"a"`, vary: "Accept-Encoding"},
		"any":               {accept: "*", coding: "gzip", vary: "Accept-Encoding"},
		"not wanted":        {accept: "*, gzip;q=0", vary: "Accept-Encoding"},
		"other":             {accept: "br", headers: `["etag","\"a\""]`, etag: `"a"`, vary: "Accept-Encoding"},
		"no quality":        {accept: "gzip;q=x", vary: "Accept-Encoding"},
		"not said":          {accept: "identity", vary: "Accept-Encoding"},
		"small":             {accept: "gzip", data: "hi"},
		"compressed by it":  {accept: "gzip", headers: `["content-encoding","br"]`, coding: "br"},
		"no-transform":      {accept: "gzip", headers: `["cache-control","max-age=1, no-transform"]`},
		"a picture":         {accept: "gzip", headers: `["content-type","image/png"]`},
		"a drawing":         {accept: "gzip", headers: `["content-type","image/svg+xml; charset=utf-8"]`, coding: "gzip", vary: "Accept-Encoding"},
		"an archive":        {accept: "gzip", headers: `["content-type","application/zip"]`},
		"a range":           {accept: "gzip", headers: `["content-range","bytes 0-1/2"]`},
		"not switched on":   {path: "/plain", accept: "gzip"},
		"not any shorter":   {accept: "gzip", data: randomText(2000), vary: "Accept-Encoding"},
		"vary of its own":   {accept: "gzip", headers: `["vary","Accept"]`, coding: "gzip", vary: "Accept, Accept-Encoding"},
		"several encodings": {accept: "deflate, x-gzip ; q=1.0", coding: "gzip", vary: "Accept-Encoding"},
	} {
		data := c.data
		if data == "" {
			data = long
		}
		b.replying(scheduler.Reply{Data: []byte(data), Attributes: []byte(`{"headers":[` + c.headers + `]}`)})
		path := c.path
		if path == "" {
			path = "/c"
		}
		for _, method := range []string{"GET", "HEAD"} {
			got := b.do(method, b.gateway+path, "", "Accept-Encoding", c.accept)
			if got.header.Get("Content-Encoding") != c.coding || got.header.Get("Etag") != c.etag || strings.Join(got.header.Values("Vary"), ", ") != c.vary {
				t.Errorf("%s, %s: %d %v", name, method, got.status, got.header)
			}
			if method == "HEAD" {
				continue
			}
			if got.header.Get("Content-Length") != fmt.Sprint(len(got.body)) {
				t.Errorf("%s: Content-Length %s for %d bytes", name, got.header.Get("Content-Length"), len(got.body))
			}
			if c.coding == "gzip" {
				got.body = gunzip(t, got.body)
			}
			if got.body != data {
				t.Errorf("%s: %d bytes came, not the %d of the reply", name, len(got.body), len(data))
			}
		}
	}
}

// randomText is the same each time and cannot be made shorter.
func randomText(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteByte(byte(x))
	}
	return b.String()
}

func gunzip(t *testing.T, text string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func zip(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
		t.Fatal("gzip failed")
	}
	return b.String()
}

func TestAnswersWithoutBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployRoutes("default", "f", api.HTTPTrigger{Path: "/x"})
	for status, want := range map[int]string{200: "5", 204: "", 304: ""} {
		b.replying(scheduler.Reply{Data: []byte("hello"), Attributes: fmt.Appendf(nil, `{"status":%d,"headers":[["etag","\"a\""],["connection","x"],["content-length","99"],["transfer-encoding","x"]]}`, status)})
		for _, method := range []string{"GET", "HEAD"} {
			got := b.do(method, b.gateway+"/x", "")
			if got.status != status || got.header.Get("Content-Length") != want || got.header.Get("Etag") != `"a"` || got.header.Get("Connection") != "" || (got.body != "") != (status == 200 && method == "GET") {
				t.Errorf("%s with status %d: %d %v %q", method, status, got.status, got.header, got.body)
			}
		}
	}
}

// What a HEAD would have brought as a GET has the length that is said, or none is.
func TestLengthOfHead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployRoutes("default", "files", api.HTTPTrigger{})
	for data, want := range map[string]string{"hello": "5", "": ""} {
		b.replying(scheduler.Reply{Data: []byte(data), Attributes: []byte(`{"status":200,"headers":[["content-length","7"]]}`)})
		if got := b.do("HEAD", b.gateway+"/fn/files", ""); got.status != 200 || got.header.Get("Content-Length") != want || got.body != "" {
			t.Errorf("%q: %+v, want the length %q", data, got, want)
		}
	}
	b.replying(scheduler.Reply{Attributes: []byte(`{"status":200}`)})
	if got := b.do("GET", b.gateway+"/fn/files", ""); got.header.Get("Content-Length") != "0" {
		t.Errorf("GET of nothing: %+v", got)
	}
}

func TestCompressedRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{})
	packed := zip(t, "hello")
	// A function gets a body as it came, and the header that says how to read it.
	b.do("POST", b.gateway+"/fn/hello", packed, "Content-Encoding", "gzip")
	if c := <-calls; string(c.Event.Data) != packed || !strings.Contains(string(c.Event.Request), `["content-encoding","gzip"]`) {
		t.Errorf("event %+v", c.Event)
	}
	// The data of a CloudEvent has no encoding of transport.
	b.do("POST", b.gateway+"/fn/hello", packed, with("Content-Encoding", "gzip")...)
	if c := <-calls; string(c.Event.Data) != "hello" {
		t.Errorf("CloudEvent %+v", c.Event)
	}
	for encoding, body := range map[string]string{"gzip": packed, "X-Gzip": packed, "identity": "hello"} {
		if got := b.do("POST", b.gateway+"/topics/orders", body, append(without("Ce-Id"), "Ce-Id", encoding, "Content-Encoding", encoding)...); got.status != 202 {
			t.Errorf("%s: %d %s", encoding, got.status, got.body)
		}
	}
	for _, e := range b.stored("default", "orders") {
		if string(e.Data) != "hello" {
			t.Errorf("stored %+v", e)
		}
	}
	batch := []string{"Content-Type", "application/cloudevents-batch+json", "Content-Encoding", "gzip"}
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		detail string
	}{
		"a bomb":      {zip(t, strings.Repeat(" ", maxBody+1)), batch, 413, "the body is longer than 32 MiB once it is not compressed any more"},
		"large":       {zip(t, strings.Repeat("x", event.MaxSize)), with("Content-Encoding", "gzip"), 413, "the limit is 1048576"},
		"not gzip":    {"hello", with("Content-Encoding", "gzip"), 400, "the body is not gzip, as its Content-Encoding says"},
		"cut":         {packed[:len(packed)-4], with("Content-Encoding", "gzip"), 400, "the gzip body is broken"},
		"other":       {"hello", with("Content-Encoding", "br"), 415, `content encoding "br" is not known here`},
		"one of many": {packed, with("Content-Encoding", "gzip, br"), 415, `content encoding "gzip, br" is not known here`},
	} {
		for _, path := range []string{"/topics/orders", "/fn/hello"} {
			if name == "a bomb" && path != "/topics/orders" {
				continue // a function takes no batch
			}
			if p := b.do("POST", b.gateway+path, c.body, c.header...).problem(t); p.Status != c.status || !strings.Contains(p.Detail, c.detail) || p.Next == "" {
				t.Errorf("%s to %s: %+v", name, path, p)
			}
		}
	}
	if n := b.bodies.held.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

// A client that stops in the middle of its body is told so when its time is over, and holds nothing any more.
func TestStalledBody(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.DrainTimeout = time.Second })
	b.deployShop()
	b.replying(scheduler.Reply{})
	b.bodyTimeout = 50 * time.Millisecond
	for _, path := range []string{"/fn/hello", "/topics/orders"} {
		got := b.sendBytes("POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
		if p := got.problem(t); p.Status != 408 || !strings.HasSuffix(p.Type, "too-slow") || p.Detail != "the body did not arrive in the time that a client gets for it" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	if n := b.bodies.held.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.sendBytes("GET /fn/hello HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 70<<10) + "\r\n\r\n")
	if got.status != 431 || got.body != "431 Request Header Fields Too Large" {
		t.Errorf("%+v", got)
	}
	// The rest of a megabyte is not even read, so it may be the writing that fails.
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, "GET /fn/hello HTTP/1.1\r\nHost: a\r\nX-Long: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 431 {
		t.Errorf("a megabyte: %d", res.StatusCode)
	}
	conn.Close()
	<-written
}

func TestAsyncAndOnceOnRoutes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployRoutes("default", "orders", api.HTTPTrigger{Methods: []string{"POST"}, Path: "/orders/{id}"})
	onces := make(chan string, 2)
	b.call = func(_ context.Context, c scheduler.Call) (scheduler.Reply, error) {
		onces <- c.Once.Key
		return scheduler.Reply{Kept: true, Data: []byte("kept")}, nil
	}
	got := b.do("POST", b.gateway+"/orders/7", "x", "Idempotency-Key", "k-1")
	if got.status != 200 || got.header.Get("Idempotent-Replayed") != "true" || <-onces != "k-1" {
		t.Errorf("once: %+v", got)
	}
	got = b.do("POST", b.gateway+"/orders/8", "x", "Prefer", "respond-async")
	if got.status != 202 || got.header.Get("Preference-Applied") != "respond-async" {
		t.Errorf("async: %+v", got)
	}
	if events := b.stored("default", "_inbox.orders"); len(events) != 1 || !strings.Contains(string(events[0].Request), `"params":{"id":"8"}`) {
		t.Errorf("inbox %+v", events)
	}
}

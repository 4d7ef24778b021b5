package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/scheduler"
)

// A route of one host is reached by that name alone, whatever a request says besides.
func TestForgedHostOnRoutes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployRoutes("default", "shop", api.HTTPTrigger{Path: "/orders", Host: "shop.example"}, api.HTTPTrigger{Path: "/orders", Host: "*.shop.example", Methods: []string{"PUT"}})
	b.replying(scheduler.Reply{})
	for name, c := range map[string]struct {
		line, header string
		status       int
		says         string // of an answer that is not the function's
	}{
		"its name":                               {"GET /orders", "Host: shop.example", 204, ""},
		"with a port, in capitals":               {"GET /orders", "Host: SHOP.example:8443", 204, ""},
		"a name below it":                        {"PUT /orders", "Host: a.b.shop.example", 204, ""},
		"a name below, and a method of the name": {"GET /orders", "Host: a.shop.example", 405, "this path does not take GET"},
		"another name":                           {"GET /orders", "Host: evil.example", 404, "nothing is served at this path"},
		"a name that ends in it":                 {"PUT /orders", "Host: evilshop.example", 404, "nothing is served at this path"},
		"a name that begins with it":             {"GET /orders", "Host: shop.example.evil.example", 404, "nothing is served at this path"},
		"only a dot before it":                   {"PUT /orders", "Host: .shop.example", 404, "nothing is served at this path"},
		"a star":                                 {"PUT /orders", "Host: *.shop.example", 404, "nothing is served at this path"},
		"forwarded":                              {"GET /orders", "Host: evil.example\r\nX-Forwarded-Host: shop.example\r\nForwarded: host=shop.example", 404, "nothing is served at this path"},
		"twice":                                  {"GET /orders", "Host: evil.example\r\nHost: shop.example", 400, "400 Bad Request"},
		"none":                                   {"GET /orders", "Accept: */*", 400, "missing required Host header"},
		"with a path in it":                      {"GET /orders", "Host: shop.example/x", 400, ""},
		"with a user in it":                      {"GET /orders", "Host: evil@shop.example", 400, ""},
		"a target with a host, which counts":     {"GET http://evil.example/orders", "Host: shop.example", 404, "nothing is served at this path"},
	} {
		got := b.sendBytes(c.line + " HTTP/1.1\r\n" + c.header + "\r\nConnection: close\r\n\r\n")
		if got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// Who sends its headers a byte now and then keeps its connection for no longer than others.
func TestStalledHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, side := range []*http.Server{b.Server.gateway, b.Server.admin} {
		if side.ReadHeaderTimeout != headerTimeout || side.IdleTimeout != idleTimeout || side.MaxHeaderBytes != maxHeader {
			t.Errorf("limits %s, %s, %d", side.ReadHeaderTimeout, side.IdleTimeout, side.MaxHeaderBytes)
		}
	}
	short := b.Server.httpServer(b.Server.gatewayRoutes())
	short.ReadHeaderTimeout, short.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- short.Serve(l) }()
	for name, text := range map[string]string{"in a line": "GET /fn/hello HTTP/1.1\r\nHost: a\r\nX-Slow: ", "before anything": "", "between requests": "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || strings.HasPrefix(string(got), "HTTP/1.1 2") { // ends when the server closes it
			t.Errorf("%s: %v %q", name, err, got)
		}
		conn.Close()
	}
	if err := short.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// Headers of one connection are no business of the other side, and what is the gateway's own is not for functions to say.
func TestHeadersOfOneConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	hop := []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Named"}
	var pairs []string
	for _, name := range hop {
		pairs = append(pairs, `["`+strings.ToLower(name)+`","x-named"]`)
	}
	calls := b.replying(scheduler.Reply{Data: []byte("hi"), Attributes: []byte(`{"headers":[["x-kept","1"],["set-cookie","a=1"],["set-cookie","b=2"],` + strings.Join(pairs, ",") + `]}`)})
	header := []string{"X-Kept", "1"}
	for _, name := range hop {
		if name != "Trailer" && name != "Transfer-Encoding" { // a client of Go sends none of its own
			header = append(header, name, "x-named")
		}
	}
	header = append(header, "Connection", "X-Forwarded-For, x-forwarded-proto")
	got := b.do("POST", b.gateway+"/fn/hello", "x", header...)
	if got.status != 200 || got.header.Get("X-Kept") != "1" || strings.Join(got.header.Values("Set-Cookie"), " ") != "a=1 b=2" {
		t.Errorf("%d %v", got.status, got.header)
	}
	request := (<-calls).Event.Request
	for _, kept := range []string{`["x-kept","1"]`, `["x-forwarded-for","127.0.0.1"]`, `["x-forwarded-proto","http"]`} {
		if !bytes.Contains(request, []byte(kept)) {
			t.Errorf("no %s in request %s", kept, request)
		}
	}
	for _, name := range hop {
		if v := got.header.Values(name); name != "X-Named" && len(v) > 0 {
			t.Errorf("the client got %s: %v", name, v)
		}
		if bytes.Contains(request, []byte(`["`+strings.ToLower(name)+`"`)) {
			t.Errorf("the function got %s: %s", name, request)
		}
	}
}

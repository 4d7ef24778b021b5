package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestAdminToken(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.AdminToken = "s3cret" })
	for _, path := range []string{"/api/v1/version", "/metrics"} {
		for name, tt := range map[string]struct {
			header []string
			detail string
		}{
			"none":         {nil, "the request has no bearer token"},
			"wrong":        {[]string{"Authorization", "Bearer s3cre"}, "the bearer token is not the server's"},
			"other scheme": {[]string{"Authorization", "Basic s3cret"}, "the request has no bearer token"},
		} {
			got := b.do("GET", b.admin+path, "", tt.header...)
			p := got.problem(t)
			if p.Status != 401 || p.Detail != tt.detail || !strings.Contains(p.Next, "EVOKE_ADMIN_TOKEN") || got.header.Get("WWW-Authenticate") != `Bearer realm="evoke"` {
				t.Errorf("%s, %s: %+v", path, name, p)
			}
		}
		for _, sent := range []string{"Bearer s3cret", "bearer s3cret", "Bearer  s3cret"} {
			if got := b.do("GET", b.admin+path, "", "Authorization", sent); got.status != 200 {
				t.Errorf("%s with %q: %d %s", path, sent, got.status, got.body)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := b.do("GET", b.admin+path, ""); got.status != 200 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestAdminHostAndOrigin(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.AdminHosts = []string{"evoke.internal", "other.internal:99"} })
	self := strings.TrimPrefix(b.admin, "http://")
	for name, tt := range map[string]struct {
		host, origin string
		status       int
		detail       string
	}{
		"own address":      {host: self, status: 200},
		"localhost":        {host: "LOCALHOST:1234", status: 200},
		"loopback":         {host: "127.0.0.1", status: 200},
		"IPv6 loopback":    {host: "[::1]:8081", status: 200},
		"allowed name":     {host: "evoke.internal:8081", status: 200},
		"allowed port":     {host: "other.internal:99", status: 200},
		"another port":     {host: "other.internal:98", status: 421, detail: `the management API is not served as "other.internal:98"`},
		"rebound name":     {host: "evil.example", status: 421, detail: `the management API is not served as "evil.example"`},
		"name in disguise": {host: "127.0.0.1.evil.example", status: 421, detail: "127.0.0.1.evil.example"},
		"foreign address":  {host: "192.0.2.1:8081", status: 421, detail: "192.0.2.1:8081"},
		"own origin":       {host: self, origin: "http://" + self, status: 200},
		"foreign origin":   {host: self, origin: "https://evil.example", status: 403, detail: `a page of "https://evil.example" may not call the management API`},
		"other port":       {host: "localhost:1", origin: "http://localhost:2", status: 403, detail: `a page of "http://localhost:2"`},
		"no origin":        {host: self, origin: "null", status: 403, detail: `a page of "null"`},
	} {
		header := []string{"Host", tt.host}
		if tt.origin != "" {
			header = append(header, "Origin", tt.origin)
		}
		got := b.do("GET", b.admin+"/api/v1/version", "", header...)
		if got.status != tt.status || !strings.Contains(strings.ReplaceAll(got.body, `\"`, `"`), tt.detail) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestOpenAdminAddressNeedsAToken(t *testing.T) {
	t.Parallel()
	for addr, open := range map[string]bool{"127.0.0.1:0": false, "[::1]:8081": false, "0.0.0.0:8081": true, "[::]:8081": true, "192.0.2.7:8081": true} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if isLoopback(tcp) == open {
			t.Errorf("%s: loopback is %v", addr, !open)
		}
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = New(Options{Admin: l})
	if err == nil || !strings.Contains(err.Error(), "can be reached from outside and no token guards it: set EVOKE_ADMIN_TOKEN, or listen on 127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

func TestOwnAddressOfAnOpenListener(t *testing.T) {
	t.Parallel()
	s := &Server{}
	r, err := http.NewRequest("GET", "http://192.0.2.7:8081/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.hostAllowed(r) {
		t.Error("an address nobody connected to is allowed")
	}
	r = r.WithContext(contextWithLocal(r, "192.0.2.7:8081"))
	if !s.hostAllowed(r) {
		t.Error("the address the client has connected to is refused")
	}
}

func contextWithLocal(r *http.Request, addr string) context.Context {
	tcp := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))
	return context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(tcp))
}

func TestHostHeaders(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"": true, "a": true, "Shop.example": true, "shop.example:8080": true, "127.0.0.1:1": true, "[::1]": true, "[::1]:65535": true, "a_b.example": true, "a:": true,
		"%": false, "a%41": false, "x:abc": false, ":80": false, "a:-1": false, "a:65536": false, "a:+1": false, "a:1:2": false, "::1": false, "[::1": false, "::1]": false, "[1.2.3.4]": false, "[::1%25lo]": false, "[::1]x": false,
		"a/b": false, "a b": false, "a@b": false, "a?": false, "a#": false, "é.example": false, "a\"": false, "[]": false, "]": false,
	} {
		if got := isHost(host); got != want {
			t.Errorf("%q is a host: %t", host, got)
		}
	}
	b := setup(t)
	b.deployShop()
	p := b.do("GET", b.gateway+"/fn/hello", "", "Host", "x:abc").problem(t)
	if p.Status != 400 || p.Detail != `the Host header is no host: "x:abc"` || p.Next != "send the host of the URL, and its port" {
		t.Errorf("%+v", p)
	}
}

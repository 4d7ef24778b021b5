package server

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/scheduler"
)

func trusting(ranges ...string) *Server {
	s := &Server{}
	for _, r := range ranges {
		s.o.TrustedProxies = append(s.o.TrustedProxies, netip.MustParsePrefix(r))
	}
	return s
}

func TestWhereARequestCameFrom(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what, peer string
		trusted    []string
		forwarded  []string // lines of X-Forwarded-For
		want       string
	}{
		{"nobody is trusted", "192.0.2.1:5", nil, []string{"203.0.113.9"}, "192.0.2.1"},
		{"a stranger", "192.0.2.1:5", []string{"10.0.0.0/8"}, []string{"203.0.113.9"}, "192.0.2.1"},
		{"a proxy", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"203.0.113.9"}, "203.0.113.9"},
		{"a proxy that says nothing", "10.1.2.3:5", []string{"10.0.0.0/8"}, nil, "10.1.2.3"},
		{"a client with a story", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"a client with a story about proxies", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"1.1.1.1, 10.9.9.9, 203.0.113.9"}, "203.0.113.9"},
		{"two proxies", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"1.1.1.1, 203.0.113.9, 10.9.9.9"}, "203.0.113.9"},
		{"two lines", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"1.1.1.1", "203.0.113.9 , 10.9.9.9"}, "203.0.113.9"},
		{"only proxies", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"10.0.0.1,10.9.9.9"}, "10.0.0.1"},
		{"rubbish", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"203.0.113.9, unknown"}, "10.1.2.3"},
		{"rubbish before a proxy", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"<script>, 10.9.9.9"}, "10.9.9.9"},
		{"empty", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{""}, "10.1.2.3"},
		{"with ports", "10.1.2.3:5", []string{"10.0.0.0/8"}, []string{"203.0.113.9:1234"}, "203.0.113.9"},
		{"IPv6", "[fd00::1]:5", []string{"fd00::/8"}, []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6 with a port", "[fd00::1]:5", []string{"fd00::/8"}, []string{"[2001:db8::7]:9"}, "2001:db8::7"},
		{"IPv6 in brackets", "[fd00::1]:5", []string{"fd00::/8"}, []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:5", []string{"10.0.0.0/8"}, []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"no address", "@", []string{"10.0.0.0/8"}, []string{"203.0.113.9"}, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.peer
		r.Header["X-Forwarded-For"] = tc.forwarded
		if got := trusting(tc.trusted...).client(r).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
}

func TestFunctionsAreToldTheTruthAboutTheClient(t *testing.T) {
	t.Parallel()
	forged := []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Forwarded-Port", "1", "X-Real-Ip", "203.0.113.9", "Forwarded", "for=203.0.113.9"}
	for what, tc := range map[string]struct {
		trusted, send []string
		want          string
	}{
		"a stranger that forges": {nil, forged, `["x-forwarded-for","127.0.0.1"],["x-forwarded-proto","http"]]`},
		"a stranger":             {nil, nil, `["x-forwarded-for","127.0.0.1"],["x-forwarded-proto","http"]]`},
		"a proxy": {[]string{"127.0.0.0/8"}, forged, `["forwarded","for=203.0.113.9"],["user-agent","t"],["x-forwarded-for","203.0.113.9"],["x-forwarded-host","evil.example"],["x-forwarded-port","1"],` +
			`["x-forwarded-proto","https"],["x-real-ip","203.0.113.9"]]`},
		"a proxy that talks rubbish": {[]string{"127.0.0.0/8"}, []string{"X-Forwarded-Proto", "gopher"}, `["x-forwarded-for","127.0.0.1"],["x-forwarded-proto","http"]]`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *Options) { o.TrustedProxies = trusting(tc.trusted...).o.TrustedProxies })
			calls := b.replying(scheduler.Reply{Data: []byte("hi")})
			b.deployShop()
			if got := b.do("GET", b.gateway+"/fn/hello", "", append(tc.send, "User-Agent", "t", "Accept-Encoding", "identity")...); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if c := <-calls; !strings.HasSuffix(string(c.Event.Request), tc.want+"}") {
				t.Errorf("the function gets %s, want …%s", c.Event.Request, tc.want)
			}
		})
	}
}

func TestAuditNamesTheClientBehindAProxy(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]string{"127.0.0.1/32": "203.0.113.9", "10.0.0.0/8": "127.0.0.1"} {
		b := setup(t, func(o *Options) { o.TrustedProxies = trusting(trusted).o.TrustedProxies })
		if got := b.do("DELETE", b.admin+"/api/v1/ns/default/keys/none", "", "X-Forwarded-For", "203.0.113.9"); got.status != 404 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if got := b.do("GET", b.admin+"/api/v1/audit", ""); !strings.Contains(got.body, `"address":"`+want+`"`) {
			t.Errorf("with %s trusted: %s", trusted, got.body)
		}
	}
}

func FuzzClient(f *testing.F) {
	f.Add("203.0.113.9, [::1]:80", "10.0.0.1,")
	f.Add("::ffff:1.2.3.4%eth0", "\x00")
	s := trusting("10.0.0.0/8", "::1/128")
	f.Fuzz(func(t *testing.T, one, two string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Forwarded-For"] = []string{one, two}
		from := s.client(r)
		if !from.IsValid() || from.Is4In6() || from.Zone() != "" {
			t.Errorf("%q, %q: from %s", one, two, from)
		}
		s.forward(r)
		if got := r.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != from.String() {
			t.Errorf("%q, %q: told of %q, not of %s", one, two, got, from)
		}
	})
}

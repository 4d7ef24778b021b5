package server

import (
	"net/http"
	"net/netip"
	"strings"
)

// forwardHeaders are what proxies say of a request. Anybody can write them, so they are believed of the proxies that the options name, and of nobody else.
var forwardHeaders = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip"}

// isTrusted says whether an address is a proxy's that is believed.
func (s *Server) isTrusted(a netip.Addr) bool {
	for _, p := range s.o.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// peerOf is the other end of the connection; the zero address when it is no address of the internet.
func peerOf(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr().Unmap()
}

// client is where a request came from: the other end of the connection, or, when that is a trusted proxy, whom it got the request from, and so on. What comes
// before the first one that is not trusted is only its own word.
func (s *Server) client(r *http.Request) netip.Addr {
	at := peerOf(r)
	if len(s.o.TrustedProxies) == 0 || !s.isTrusted(at) {
		return at
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var last string
			rest, last, more = cutLast(rest)
			from, ok := parseHop(last)
			if !ok {
				return at
			}
			if at = from; !s.isTrusted(at) {
				return at
			}
		}
	}
	return at
}

// cutLast takes the last of a list with commas; more is false when it was the only one.
func cutLast(list string) (rest, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// parseHop reads an address of X-Forwarded-For. Some proxies write its port, too.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}

// forward makes the headers of proxies true: X-Forwarded-For is the client's address and nothing else, X-Forwarded-Proto what it spoke. The others stay when a trusted
// proxy has sent them.
func (s *Server) forward(r *http.Request) {
	from, proto := hostName(r.RemoteAddr), "http"
	if r.TLS != nil {
		proto = "https"
	}
	if len(s.o.TrustedProxies) > 0 && s.isTrusted(peerOf(r)) {
		from = s.client(r).String()
		if said := r.Header.Get("X-Forwarded-Proto"); said == "http" || said == "https" {
			proto = said
		}
	} else {
		for _, name := range forwardHeaders {
			delete(r.Header, name)
		}
	}
	both := []string{from, proto}
	r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"] = both[:1:1], both[1:]
}

package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// guard lets through who may use an endpoint of the management API. The host check stops pages that point their own name at this address (DNS rebinding),
// the origin check pages that call this address as it is.
func (s *Server) guard(r endpoint) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.checkPage(c.Request()); err != nil {
			return err
		}
		who, err := s.actor(c.Request())
		if err != nil {
			return err
		}
		c.Set(actorKey, who)
		if r.method == http.MethodGet || r.method == http.MethodHead {
			if err := who.may(&r, param(c, "ns")); err != nil {
				return err
			}
			return r.handler(c)
		}
		return s.recorded(c, &r, who)
	}
}

// checkPage refuses what a browser sends for a page of somebody else.
func (s *Server) checkPage(r *http.Request) error {
	if !s.hostAllowed(r) {
		return refuse(errForeignHost, "", "the management API is not served as %q", r.Host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(origin, r.Host) {
		return refuse(errForeignOrigin, "", "a page of %q may not call the management API", origin)
	}
	return nil
}

// hostAllowed accepts loopback names, the address that the client has connected to, and the names of the options.
func (s *Server) hostAllowed(r *http.Request) bool {
	name := hostName(r.Host)
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Unmap().IsLoopback() {
			return true
		}
		local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if ok && local.AddrPort().Addr().Unmap() == ip.Unmap() {
			return true
		}
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	for _, allowed := range s.o.AdminHosts {
		if strings.EqualFold(allowed, r.Host) || strings.EqualFold(hostName(allowed), name) && hostName(allowed) == allowed {
			return true
		}
	}
	return false
}

// isHost says whether a Host header is a name or an address, and perhaps a port, or is not there (RFC 9112 section 3.2). net/http lets much else through, of which
// nobody could make a URL.
func isHost(s string) bool {
	if address, rest, ok := strings.Cut(s, "]"); ok {
		ip, err := netip.ParseAddr(strings.TrimPrefix(address, "["))
		return err == nil && address[0] == '[' && ip.Is6() && ip.Zone() == "" && (rest == "" || isPort(rest))
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~!$&'()*+,;=", c) >= 0:
		default:
			return i > 0 && isPort(s[i:])
		}
	}
	return true
}

// isPort says whether a text is a colon and a port, which may be empty.
func isPort(s string) bool {
	port, ok := strings.CutPrefix(s, ":")
	if !ok || port == "" {
		return ok
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// hostName is a host without its port and without the brackets of IPv6.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// sameOrigin compares a page's origin with the host it calls.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, host)
}

// CheckAdmin refuses an address of the management API that others can reach and that no token guards. New asks it too; who opens more than a listener before
// New asks it first.
func CheckAdmin(admin net.Addr, token string) error {
	if token == "" && !isLoopback(admin) {
		return fmt.Errorf("admin address %s can be reached from outside and no token guards it: set EVOKE_ADMIN_TOKEN, or listen on 127.0.0.1", admin)
	}
	return nil
}

// isLoopback says whether only this machine can reach an address.
func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback() // what is not TCP is a socket in the file system or in memory
}

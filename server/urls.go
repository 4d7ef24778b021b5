package server

import (
	"net"
	"net/http"
	"strings"

	"github.com/evoke-run/evoke/api"
)

// wholeURLs makes URLs of the routes of a deploy, for who asked for it.
func (s *Server) wholeURLs(r *http.Request, d *api.Deployed) {
	base := s.gatewayURL(r)
	for _, f := range d.Functions {
		for i, route := range f.URLs {
			f.URLs[i] = wholeURL(base, route)
		}
	}
}

// gatewayURL is where the gateway is: what the operator says, else the address that it listens on. One that listens on all addresses has the name by which the
// management API was reached.
func (s *Server) gatewayURL(r *http.Request) string {
	if s.o.PublicURL != "" {
		return strings.TrimSuffix(s.o.PublicURL, "/")
	}
	scheme := "http"
	if s.o.GatewayTLS {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.o.Version.Gateway)
	if err != nil {
		return scheme + "://" + s.o.Version.Gateway
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = hostName(r.Host)
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// wholeURL is a route as api.HTTPTrigger.RouteText writes it, "GET,POST api.example.com/orders/{id}", below the URL of a gateway. A route with a host of its own keeps it, and has
// the scheme and the port of the gateway.
func wholeURL(base, route string) string {
	methods, rest, some := strings.Cut(route, " ")
	if !some {
		methods, rest = "", route
	} else {
		methods += " "
	}
	if host, path, _ := strings.Cut(rest, "/"); host != "" {
		scheme, address, _ := strings.Cut(base, "://")
		if _, port, err := net.SplitHostPort(address); err == nil {
			host = net.JoinHostPort(host, port)
		}
		return methods + scheme + "://" + host + "/" + path
	}
	return methods + base + rest
}

// Package fetch makes HTTP requests for functions, and only those that a function's manifest and the operator allow.
//
// A request passes three doors. The target of its URL, and of each redirect, must be in the function's allow list. The name is resolved once, and every address it has must be of
// the internet, or of a network that the operator allows. What comes back is bounded in bytes and time. Connections are kept and shared by all functions of a node: who may
// reach a host by name may use a connection to it, whoever has opened it.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Limits of what is open at once.
const (
	MaxPerFunction = 64
	MaxPerNode     = 2048
)

// Resolver finds the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options of New.
type Options struct {
	// Networks may be reached though they are not the internet. An address that gives the metadata of a machine must be there as a network of its own.
	Networks []netip.Prefix
	// UserAgent is sent when a function says nothing. Default "evoke".
	UserAgent string
	// Resolver, default the system's.
	Resolver Resolver
	// RootCAs verify servers. Default the system's.
	RootCAs *x509.CertPool
}

// Client makes the requests of a node. Its methods may be called by many goroutines.
type Client struct {
	networks  []netip.Prefix
	userAgent string
	resolver  Resolver
	dialer    net.Dialer
	transport *http.Transport
	places    chan struct{}
}

// New makes a client. It keeps connections until Close.
func New(o Options) *Client {
	c := &Client{
		networks: o.Networks, userAgent: o.UserAgent, resolver: o.Resolver, places: make(chan struct{}, MaxPerNode),
		dialer: net.Dialer{KeepAlive: 30 * time.Second},
	}
	if c.userAgent == "" {
		c.userAgent = "evoke"
	}
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	c.transport = &http.Transport{
		Proxy:                  nil, // what the environment says of proxies is for this process and not for functions
		DialContext:            c.dial,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is packed is the guest's to unpack, under its own limits
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: maxHead,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second}, // one that many wait on must not be dead
	}
	return c
}

// Close gives the connections back that nobody uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Function makes the requests of one revision of a function.
type Function struct {
	client *Client
	allow  []api.HTTPTarget
	places chan struct{} // of all revisions
}

// Function is for a revision whose manifest has this allow list. It has one limit together with same, another revision of the function; nil = there is none yet.
func (c *Client) Function(allow []string, same *Function) (*Function, error) {
	f := &Function{client: c}
	if same != nil {
		f.places = same.places
	} else {
		f.places = make(chan struct{}, MaxPerFunction)
	}
	for _, text := range allow {
		t, err := api.ParseHTTPTarget(text)
		if err != nil {
			return nil, fmt.Errorf("allow.http: %w", err)
		}
		f.allow = append(f.allow, t)
	}
	return f, nil
}

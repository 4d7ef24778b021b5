// Package server is the HTTP front: the gateway, where data comes in from outside, and the management API, which is private.
//
// A request goes through track (drain, deadlines, metrics), on the management side through guard (host, origin, token), and ends in one handler.
// A handler returns an error instead of choosing a status; errors.go holds the one table error → answer.
package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/audit"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/triggers"
)

// Sizes of requests in bytes.
const (
	maxBody   = 32 << 20
	maxModule = 64 << 20
	maxHeader = 64 << 10
)

// Times that a slow client gets.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 60 * time.Second // to send a whole body
	moduleTimeout = 10 * time.Minute // to send a module
	writeTimeout  = 60 * time.Second // to take a reply, or one line of a stream
	idleTimeout   = 120 * time.Second
)

// Scheduler runs functions; *scheduler.Scheduler is one.
type Scheduler interface {
	Call(ctx context.Context, c scheduler.Call) (scheduler.Reply, error)
	CheckModule(ctx context.Context, name string, wasm []byte, spec api.FunctionSpec) (kind string, warnings []string, err error)
	WaitInForce(ctx context.Context, revision int64) error
	RolloutCounts(namespace, function string) (api.RolloutCounts, bool)
	RunningCalls(namespace string) []scheduler.RunningCall
	Load(f *api.Function) api.Load
	WaitsFor(i *partition.Invocation) (why string, until time.Time)
	Cancel(ctx context.Context, namespace, invocation, reason string) error
}

// Options of New. All fields without a default are required.
type Options struct {
	// Gateway and Admin are listened on by the caller and closed by Run.
	Gateway, Admin net.Listener
	// AdminToken guards the management API and the metrics. Empty leaves them open, which only a loopback address may be.
	AdminToken string
	// AdminHosts are more names under which the management API may be called, with or without a port.
	AdminHosts []string

	Registry *registry.Registry
	// Secrets are asked for the values of secrets. Default Registry.
	Secrets   Secrets
	Table     *partition.Table
	Scheduler Scheduler
	// Cron fires cron triggers.
	Cron    *triggers.Cron
	History *history.Store
	// Audit gets every change that somebody makes through the management API.
	Audit *audit.Log
	// Metrics takes the server's own metrics and is what /metrics shows.
	Metrics *prometheus.Registry
	// Backup writes everything that is kept to a client. What it wrote is whole when it returns nil.
	Backup func(ctx context.Context, out io.Writer) error
	// Version is answered as it is; an empty Gateway is filled in from the listener.
	Version api.Version
	// PublicURL is where clients find the gateway, "https://fn.example.com". Default: its address, with the scheme that GatewayTLS says.
	PublicURL  string
	GatewayTLS bool
	// Ready answers nil when the node can work, else what it waits for. Default: always ready.
	Ready func() error
	// DrainTimeout is how long requests in flight get after the end of Run's ctx. Default 20s.
	DrainTimeout time.Duration
	// MaxBuffered bounds the bytes of all request bodies held at once; more is answered 429. Default 256 MiB.
	MaxBuffered int64
	// TrustedProxies are the addresses whose X-Forwarded-For and X-Forwarded-Proto are believed. Default none.
	TrustedProxies []netip.Prefix
	// InsecureIssuers are hosts whose tokens may be checked by keys that come over plain HTTP.
	InsecureIssuers []string
	// Now is the time by which tokens end. Default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Server serves the gateway and the management API.
type Server struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	bodies  *bodies
	gate    gate

	gateway, admin *http.Server
	verifier       *auth.Verifier
	keyRates       keyRates
	routes         atomic.Pointer[router]
	routing        sync.Mutex    // held by who makes the next router
	replays        chan struct{} // has room for one: a replay is begun when the one before is known

	// streams ends at the beginning of a drain, requests at its end.
	streams, requests         context.Context
	stopStreams, stopRequests context.CancelCauseFunc

	// Replaced by tests.
	now         func() time.Time
	newID       func() string
	bodyTimeout time.Duration
}

// New prepares a server; Run serves. It refuses an admin address that others can reach and that no token guards.
func New(o Options) (*Server, error) {
	if err := CheckAdmin(o.Admin.Addr(), o.AdminToken); err != nil {
		return nil, err
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Secrets == nil {
		o.Secrets = o.Registry
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 20 * time.Second
	}
	if o.MaxBuffered == 0 {
		o.MaxBuffered = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Version.Gateway == "" {
		o.Version.Gateway = o.Gateway.Addr().String()
	}
	s := &Server{o: o, log: o.Logger, now: o.Now, newID: randomID, bodyTimeout: bodyTimeout, bodies: &bodies{max: o.MaxBuffered}, replays: make(chan struct{}, 1)}
	s.verifier = auth.NewVerifier(auth.VerifierOptions{Insecure: o.InsecureIssuers, Now: o.Now, Logger: o.Logger})
	s.routes.Store(newRouter())
	s.gate.idle = make(chan struct{})
	s.metrics = newMetrics(o.Metrics, s.bodies)
	s.streams, s.stopStreams = context.WithCancelCause(context.Background())
	s.requests, s.stopRequests = context.WithCancelCause(context.Background())
	s.gateway = s.httpServer(s.gatewayRoutes())
	s.admin = s.httpServer(s.adminRoutes())
	return s, nil
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return s.requests },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // broken connections of clients
	}
}

// Run serves until ctx ends and then drains: it accepts nothing more, ends streams at once and waits for the requests in flight up to
// DrainTimeout. It returns nil after a drain, also one that had to cut requests off.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 2) // one value from each server, read below
	go func() { failed <- s.gateway.Serve(s.o.Gateway) }()
	go func() { failed <- s.admin.Serve(s.o.Admin) }()
	var first error
	running := 2
	select {
	case <-ctx.Done():
	case first = <-failed:
		running--
	}
	s.drain()
	errs := []error{first}
	for range running {
		errs = append(errs, <-failed)
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil || errors.Is(err, http.ErrServerClosed) })
	if len(errs) > 0 {
		return fmt.Errorf("serve HTTP: %w", errors.Join(errs...))
	}
	return nil
}

func (s *Server) drain() {
	idle := s.gate.close()
	s.stopStreams(errDraining)
	err := s.shutdown(s.o.DrainTimeout)
	s.stopRequests(errDraining)
	if err != nil {
		s.log.Warn("requests cut off: they did not end in the drain timeout", slog.Duration("timeout", s.o.DrainTimeout))
		_ = s.shutdown(time.Second) // what was cut off gets a moment to answer so
	}
	_ = s.gateway.Close() // nothing left to lose
	_ = s.admin.Close()
	<-idle
	s.verifier.Close()
}

// shutdown closes both listeners and waits until no connection is in use.
func (s *Server) shutdown(timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout, errors.New("drain timeout"))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.admin.Shutdown(ctx) }()
	return errors.Join(s.gateway.Shutdown(ctx), <-done)
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Package node wires one runtime: what starts in which order, and what stops.
//
//	start: lock ─► etcd ─► registry ─► log ─► partitions ─► sandbox ─► scheduler, cron ─► server
//	stop:  server (no new requests) ─► cron ─► scheduler (what runs ends) ─► partitions ─► log ─► registry ─► etcd ─► lock
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/audit"
	"github.com/evoke-run/evoke/embedded"
	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/inflight"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
	"github.com/evoke-run/evoke/server"
	"github.com/evoke-run/evoke/triggers"
)

// Version is the release, set by the linker.
var Version = "0.1.0-dev"

// Node is a runtime that has started: it listens and everything behind the listeners works.
type Node struct {
	config  Config
	log     *slog.Logger
	metrics *prometheus.Registry
	parts   parts

	registry  *registry.Registry
	lead      *registry.Leadership // nil until this node leads
	deposed   chan error           // the table says that another node leads; read by guard
	table     *partition.Table
	scheduler *scheduler.Scheduler
	cron      *triggers.Cron
	history   *history.Store
	inflight  *inflight.File
	disk      *disk
	server    *server.Server

	gateway, admin net.Listener
	closers        []func() error // in order of start
}

// New starts a node. It waits until no other node leads, and holds its data directory until Run ends.
func New(ctx context.Context, c Config, log *slog.Logger) (*Node, error) {
	return newNode(ctx, c, log, parts{})
}

func newNode(ctx context.Context, c Config, log *slog.Logger, p parts) (*Node, error) {
	n := &Node{config: c, log: log, metrics: prometheus.NewRegistry(), parts: p, deposed: make(chan error, 1)}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	l, err := lockDir(n.config.DataDir)
	if err != nil {
		return err
	}
	n.onClose(l.Close)
	if err := n.checkRestored(); err != nil {
		return err
	}
	// A runtime that was killed has left its addresses. Who waits for the file must not find those.
	if err := os.Remove(n.path("addresses.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the addresses of the last start: %w", err)
	}
	if err := n.listen(); err != nil {
		return err
	}
	n.disk = newDisk(n.config.DataDir, n.config.MinFree, n.log)
	n.disk.look() // what follows needs a little space
	if err := n.startRegistry(ctx); err != nil {
		return err
	}
	if n.history, err = history.Open(history.Options{Dir: n.path("history"), Logger: n.log}); err != nil {
		return err
	}
	n.onClose(n.history.Close)
	changes, err := audit.Open(audit.Options{Dir: n.path("audit")})
	if err != nil {
		return err
	}
	n.onClose(changes.Close)
	if n.inflight, err = inflight.Open(n.path("inflight")); err != nil {
		n.log.Warn("attempts that ran when the last process died go unblamed", "err", err)
	}
	n.onClose(n.inflight.Close)
	ready := make(chan struct{}, 1) // set by the table, read by the scheduler
	if err := n.startPartitions(ctx, ready); err != nil {
		return err
	}
	n.checkSecrets(ctx)
	if err := n.startScheduler(ctx, ready); err != nil {
		return err
	}
	n.cron = triggers.New(triggers.Options{Table: n.table, Logger: n.log, Registerer: n.metrics})
	n.server, err = server.New(server.Options{
		Gateway: n.gateway, Admin: n.admin, AdminToken: n.config.AdminToken, AdminHosts: n.config.AdminHosts, InsecureIssuers: n.config.Issuers,
		Registry: n.registry, Secrets: n.registry,
		Table: n.table, Scheduler: n.scheduler, Cron: n.cron,
		History: n.history, Audit: changes, Metrics: n.metrics,
		Version:   api.Version{Version: Version, Go: runtime.Version(), ABI: abi.Module},
		Backup:    n.Backup,
		PublicURL: n.config.PublicURL, GatewayTLS: n.config.TLSCert != "",
		TrustedProxies: n.config.proxies(),
		DrainTimeout:   n.config.Drain, Logger: n.log,
	})
	return err
}

// listen comes early: an address that is in use, or that must not be served, is found before anything is written. Connections wait until Run serves them.
func (n *Node) listen() (err error) {
	if n.gateway, err = net.Listen("tcp", n.config.Listen); err != nil {
		return fmt.Errorf("listen for the gateway: %w; choose another --listen", err)
	}
	n.onClose(closeListener(n.gateway))
	if n.admin, err = net.Listen("tcp", n.config.Admin); err != nil {
		return fmt.Errorf("listen for the management API: %w; choose another --admin", err)
	}
	n.onClose(closeListener(n.admin))
	if n.gateway, err = withTLS(n.gateway, n.config.TLSCert, n.config.TLSKey, n.log); err != nil {
		return fmt.Errorf("TLS of the gateway: %w", err)
	}
	if n.admin, err = withTLS(n.admin, n.config.AdminTLSCert, n.config.AdminTLSKey, n.log); err != nil {
		return fmt.Errorf("TLS of the management API: %w", err)
	}
	return server.CheckAdmin(n.admin.Addr(), n.config.AdminToken)
}

// closeListener: the server has closed it already when it ran.
func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (n *Node) startRegistry(ctx context.Context) error {
	client, err := n.etcdClient(ctx)
	if err != nil {
		return err
	}
	keys, err := n.secretKeys()
	if err != nil {
		return err
	}
	n.registry, err = registry.New(registry.Options{Client: client, ModuleDir: n.path("modules"), SecretKeys: keys, Logger: n.log})
	return err
}

// etcdTimeout is how long an external etcd may take to answer at the start.
const etcdTimeout = 10 * time.Second

func (n *Node) etcdClient(ctx context.Context) (*clientv3.Client, error) {
	if len(n.config.Etcd) == 0 {
		etcd, err := embedded.Start(ctx, embedded.Options{Dir: n.path("etcd"), Logger: n.log})
		if err != nil {
			return nil, err
		}
		n.onClose(etcd.Close)
		return etcd.Client(), nil
	}
	client, err := registry.Dial(n.config.Etcd, etcdTimeout)
	if err != nil {
		return nil, err
	}
	n.onClose(client.Close)
	return client, nil
}

func (n *Node) startScheduler(ctx context.Context, ready <-chan struct{}) error {
	box, err := sandbox.New(ctx, sandbox.Options{
		CacheDir: n.path("cache"), ImageDir: n.path("images"), Compiler: n.config.Compiler, Logger: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose(func() error { return box.Close(context.Background()) })
	client, err := n.fetchClient()
	if err != nil {
		return err
	}
	n.onClose(func() error { client.Close(); return nil })
	n.scheduler = scheduler.New(scheduler.Options{
		Table: n.table, Registry: n.registry, Sandbox: box, Fetch: client, History: n.history, InFlight: n.inflight, Ready: ready,
		Running: n.config.Running, Memory: n.functionMemory(), Drain: n.config.Drain, Logger: n.log, Registerer: n.metrics,
	})
	return nil
}

// functionMemory is what guests may take together: what the configuration says, else three quarters of what this process may have; 0 = nobody knows.
func (n *Node) functionMemory() int64 {
	if n.config.Memory > 0 {
		return n.config.Memory
	}
	return sandbox.SystemMemory() / 4 * 3
}

func (n *Node) path(name string) string { return filepath.Join(n.config.DataDir, name) }

func (n *Node) onClose(f func() error) { n.closers = append(n.closers, f) }

func (n *Node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	return errors.Join(errs...)
}

// fatal ends the process: what cannot be stored or read must not be answered. All that was acknowledged is on disk. No event is to blame.
func (n *Node) fatal(err error) {
	n.inflight.Forgive()
	n.log.Error("stopping at once: the data directory cannot be trusted or written", "data_dir", n.config.DataDir, "err", err)
	os.Exit(1)
}

// Gateway is the address of the gateway, Admin that of the management API.
func (n *Node) Gateway() string { return n.gateway.Addr().String() }

// Admin is the address of the management API.
func (n *Node) Admin() string { return n.admin.Addr().String() }

// Run serves until ctx ends, or until another node leads, which is an ErrDeposed. Then it stops in order and releases everything.
func (n *Node) Run(ctx context.Context) error {
	keep := context.WithoutCancel(ctx)
	watching := stage(keep, func(ctx context.Context) error {
		return n.registry.Run(ctx, func(s *registry.Snapshot) { n.apply(ctx, s) })
	})
	scheduling := stage(keep, n.scheduler.Run)
	firing := stage(keep, n.cron.Run)
	disk := stage(keep, n.disk.run)
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	guarding := stage(keep, func(ctx context.Context) error {
		err := n.guard(ctx)
		if err != nil { // all at once: whoever leads now does the work
			firing.cancel()
			scheduling.cancel()
			stopServing()
		}
		return err
	})
	err := n.serve(serving)
	err = errors.Join(err, firing.stop(), scheduling.stop(), watching.stop(), disk.stop(), guarding.stop())
	n.log.Info("stopped")
	return errors.Join(err, n.close())
}

// serve opens the doors once what the registry wants is in force.
func (n *Node) serve(ctx context.Context) error {
	if err := n.scheduler.WaitInForce(ctx, 1); err != nil {
		return nil // told to stop before it began
	}
	path := n.path("addresses.json")
	if err := writeAddresses(path, n.Gateway(), n.Admin()); err != nil {
		return err
	}
	n.log.Info("ready", "gateway", n.Gateway(), "admin", n.Admin(), "data_dir", n.config.DataDir, "version", Version)
	announced := make(chan struct{})
	unannounced := context.AfterFunc(ctx, func() {
		n.log.Info("stopping: no more requests are taken; waiting for those that run")
		close(announced)
	})
	err := n.server.Run(ctx)
	if !unannounced() {
		<-announced
	}
	n.log.Info("stopping: requests have ended")
	return errors.Join(err, os.Remove(path))
}

func (n *Node) apply(ctx context.Context, s *registry.Snapshot) {
	err := n.scheduler.Apply(ctx, s)
	switch {
	case err == nil:
		n.cron.Apply(s)
	case ctx.Err() == nil:
		n.log.Error("cannot put the registry's state in force; the last one stays", "revision", s.Revision, "err", err)
	}
}

// writeAddresses leaves a file in the data directory, so that whoever started the runtime on port 0 finds it.
func writeAddresses(path, gateway, admin string) error {
	raw, err := json.Marshal(map[string]string{"gateway": gateway, "admin": admin})
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o640); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	return os.Rename(path+".new", path)
}

// running is a stage of the node: a function that runs until it is told to stop.
type running struct {
	cancel context.CancelFunc
	ended  chan error // gets one error
}

func stage(ctx context.Context, run func(context.Context) error) running {
	ctx, cancel := context.WithCancel(ctx)
	r := running{cancel, make(chan error, 1)}
	go func() { r.ended <- run(ctx) }()
	return r
}

// stop waits for the end.
func (r running) stop() error {
	r.cancel()
	return <-r.ended
}

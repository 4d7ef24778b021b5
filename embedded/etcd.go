// Package embedded starts etcd inside this process and hands out an ordinary client for it.
//
// The server listens nowhere, neither on TCP nor on a unix socket: embed takes empty lists of listen addresses, a cluster of one member never
// dials itself, and the client calls the server's functions directly. The advertised address is only a name in the member list.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// MaxTxnOps is how many operations one transaction may have; an app is deployed in one.
const MaxTxnOps = 4096

// ErrInUse is returned by Start for a directory that another Etcd has open, in this process or another.
var ErrInUse = errors.New("in use")

// Options of Start.
type Options struct {
	// Dir holds the server's files. It is created when absent.
	Dir string
	// Logger gets etcd's warnings and errors. Default: none.
	Logger *slog.Logger
}

// Etcd is a running server of one member.
type Etcd struct {
	server *embed.Etcd
	client *clientv3.Client
	lock   *os.File
	close  func() error
}

// Start opens or creates the server in o.Dir and returns when it takes writes. Writes are fsynced before they are acknowledged.
// It returns ErrInUse for a directory that is open elsewhere, and ctx's error when ctx ends first.
func Start(ctx context.Context, o Options) (*Etcd, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		return nil, errors.New("start etcd: no directory given")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	// etcd itself would wait for the lock of its database for ever, and without a word.
	lock, err := lockFile(filepath.Join(o.Dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", o.Dir, err)
	}
	server, err := embed.StartEtcd(config(o))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd in %s: %w", o.Dir, err), lock.Close())
	}
	e := &Etcd{server: server, lock: lock}
	e.close = sync.OnceValue(e.stop)
	select {
	case <-server.Server.ReadyNotify():
	case <-server.Server.StopNotify():
		return nil, errors.Join(fmt.Errorf("start etcd in %s: the server stopped before it was ready", o.Dir), e.Close())
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("start etcd in %s: %w", o.Dir, context.Cause(ctx)), e.Close())
	}
	e.client = v3client.New(server.Server)
	return e, nil
}

// Client returns the client; it works until Close and must not be closed by the caller.
func (e *Etcd) Client() *clientv3.Client { return e.client }

// Close stops the server and waits for it. Calls and watches of the client end with an error.
func (e *Etcd) Close() error { return e.close() }

func (e *Etcd) stop() error {
	var err error
	if e.client != nil {
		err = e.client.Close()
		if errors.Is(err, context.Canceled) {
			err = nil // a client without a connection answers Close with the end of its own context
		}
	}
	e.server.Close()
	return errors.Join(err, e.lock.Close())
}

func config(o Options) *embed.Config {
	c := embed.NewConfig()
	c.Name = "evoke"
	c.Dir = o.Dir
	c.ListenPeerUrls, c.ListenClientUrls = nil, nil
	nowhere := []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}} // tcpmux: nobody listens there, nobody dials it
	c.AdvertisePeerUrls, c.AdvertiseClientUrls = nowhere, nowhere
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(slogCore{logger: o.Logger}))

	// A member alone elects itself after one election timeout; short ticks make that the only wait of a start.
	c.TickMs, c.ElectionMs = 10, 100

	// A deploy is one transaction that holds every spec twice.
	c.MaxTxnOps, c.MaxRequestBytes = MaxTxnOps, 10<<20

	// Memory. Raft keeps the entries since the last snapshot, and some more for slow followers, of which there are none. The database is
	// mapped and populated up to its quota.
	c.SnapshotCount, c.SnapshotCatchUpEntries = 500, 10
	c.QuotaBackendBytes = 512 << 20
	c.MaxWalFiles, c.MaxSnapFiles = 2, 2

	// Old versions of keys serve only watches that fell behind, and those reload when they find them gone.
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, "10m"
	return c
}

// Package registry keeps what should run: functions with their revisions and triggers, topics, secrets, and the bytes of modules.
//
// Metadata lives in etcd, module bytes in files named by their digest. Every write is one compare-and-swap transaction: an app is in force whole
// or not at all. Readers take a Snapshot, an immutable view of everything at one etcd revision, which Run keeps fresh.
//
// Keys, all under Options.Prefix:
//
//	functions/{namespace}/{name}      api.Function: the revision in force, its spec, its triggers with their ids
//	revisions/{namespace}/{name}/{n}  one revision, never changed; n has ten digits, so that keys sort by it
//	topics/{namespace}/{name}         api.Topic
//	secrets/{namespace}/{name}        a secret, its values sealed with a key that is not in etcd
//	tokens/{name}                     Credential of the management API
//	keys/{namespace}/{name}           Credential of data traffic
//	routes/{namespace}/{host}{shape}  who serves the routes of a shape, by method; a deploy claims them
//	next-trigger-id                   the id the next new trigger gets, decimal
//	leaders/now                       who leads the partitions, since when; goes with its lease
//	leaders/last                      the same of the last one who began to lead; stays
//	base                              what epochs and generations count from, decimal; only after a restore
package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Options of New.
type Options struct {
	// Client talks to etcd. It stays the caller's.
	Client *clientv3.Client
	// Prefix of all keys, default "/evoke/v1/".
	Prefix string
	// ModuleDir holds module bytes as files by digest. It is created when absent.
	ModuleDir string
	// SecretKeys seal the secrets. Without any none can be kept.
	SecretKeys *KeyRing
	// Logger, default none.
	Logger *slog.Logger
	// Now gives the times kept in records, default time.Now.
	Now func() time.Time
}

// Registry is what should run. Its methods may be called by many goroutines.
type Registry struct {
	client  *clientv3.Client
	keys    keys
	log     *slog.Logger
	now     func() time.Time
	modules *moduleStore
	keyRing *KeyRing // nil when there is none

	// writing has room for one: writers of this process queue up instead of losing races against each other.
	writing  chan struct{}
	snapshot atomic.Pointer[Snapshot]
}

// New prepares a registry. It reads nothing from etcd; Run does.
func New(o Options) (*Registry, error) {
	if o.Client == nil {
		return nil, errors.New("open registry: no etcd client given")
	}
	if o.ModuleDir == "" {
		return nil, errors.New("open registry: no module directory given")
	}
	if o.Prefix == "" {
		o.Prefix = "/evoke/v1/"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	modules, err := openModules(o.ModuleDir, o.Now())
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return &Registry{
		client:  o.Client,
		keys:    keys{prefix: strings.TrimSuffix(o.Prefix, "/") + "/"},
		log:     o.Logger,
		now:     o.Now,
		modules: modules,
		keyRing: o.SecretKeys,
		writing: make(chan struct{}, 1),
	}, nil
}

// Snapshot is the newest view; nil until Run has loaded the first one, never after.
func (r *Registry) Snapshot() *Snapshot { return r.snapshot.Load() }

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// Run loads everything, then follows etcd; it calls changed with every new snapshot (first the loaded one), one call at a time, until ctx ends. Then
// it returns nil. It looks at levels, not edges: when the watch breaks, or etcd has compacted what it wanted to see, it loads everything again. While
// etcd cannot be reached the last snapshot stays in force.
func (r *Registry) Run(ctx context.Context, changed func(*Snapshot)) error {
	pause := minPause
	for {
		err := r.loadAndFollow(ctx, func(s *Snapshot) {
			pause = minPause
			r.snapshot.Store(s)
			changed(s)
		})
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, rpctypes.ErrCompacted) {
			r.log.Info("registry changes were compacted before they were seen, loading all")
			continue
		}
		r.log.Warn("registry is out of reach, the last known state stays in force", slog.Any("err", err), slog.Duration("retry_in", pause))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		pause = min(2*pause, maxPause)
	}
}

// loadAndFollow returns the reason why it cannot go on.
func (r *Registry) loadAndFollow(ctx context.Context, publish func(*Snapshot)) error {
	resp, err := r.client.Txn(ctx).Then(
		clientv3.OpGet(r.keys.functions(), clientv3.WithPrefix()),
		clientv3.OpGet(r.keys.topics(), clientv3.WithPrefix()),
		clientv3.OpGet(r.keys.base()),
	).Commit()
	if err != nil {
		return fmt.Errorf("load registry: %w", err)
	}
	v := newView(r.keys, r.log)
	if v.base, err = readBase((*clientv3.GetResponse)(resp.Responses[2].GetResponseRange())); err != nil {
		return err
	}
	for _, part := range resp.Responses[:2] {
		for _, kv := range part.GetResponseRange().Kvs {
			v.put(string(kv.Key), kv.Value)
		}
	}
	revision := resp.Header.Revision
	publish(v.snapshot(revision))

	// Ends the watch on the server, too, when this returns before ctx ends.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for resp := range r.client.Watch(ctx, r.keys.prefix, clientv3.WithPrefix(), clientv3.WithRev(revision+1)) {
		if err := resp.Err(); err != nil {
			return fmt.Errorf("watch registry: %w", err)
		}
		if len(resp.Events) == 0 {
			continue
		}
		for _, e := range resp.Events {
			if e.Type == clientv3.EventTypeDelete {
				v.remove(string(e.Kv.Key))
			} else {
				v.put(string(e.Kv.Key), e.Kv.Value)
			}
			revision = e.Kv.ModRevision // not the header's: it may be ahead of a watch that is catching up
		}
		publish(v.snapshot(revision))
	}
	return errors.New("watch registry: the watch ended")
}

// view is the changing state of Run, from which snapshots are made.
type view struct {
	keys      keys
	log       *slog.Logger
	base      uint64
	functions map[id]*api.Function
	topics    map[id]*api.Topic
}

func newView(k keys, log *slog.Logger) *view {
	return &view{keys: k, log: log, functions: map[id]*api.Function{}, topics: map[id]*api.Topic{}}
}

// put takes in a value; keys that no snapshot shows are passed over. A value that cannot be read leaves the one before in force.
func (v *view) put(key string, value []byte) {
	if at, ok := split(v.keys.functions(), key); ok {
		if f, ok := decode[api.Function](v.log, key, value); ok {
			v.functions[at] = f
		}
	} else if at, ok := split(v.keys.topics(), key); ok {
		if t, ok := decode[api.Topic](v.log, key, value); ok {
			v.topics[at] = t
		}
	}
}

func (v *view) remove(key string) {
	if at, ok := split(v.keys.functions(), key); ok {
		delete(v.functions, at)
	} else if at, ok := split(v.keys.topics(), key); ok {
		delete(v.topics, at)
	}
}

func (v *view) snapshot(revision int64) *Snapshot {
	triggers := map[id]*api.Trigger{}
	for at, f := range v.functions {
		for i := range f.Triggers {
			triggers[id{at.namespace, f.Triggers[i].Name}] = &f.Triggers[i]
		}
	}
	return &Snapshot{
		Revision:  revision,
		base:      v.base,
		functions: newIndex(maps.Clone(v.functions)),
		topics:    newIndex(maps.Clone(v.topics)),
		triggers:  newIndex(triggers),
	}
}

func decode[T any](log *slog.Logger, key string, value []byte) (*T, bool) {
	v := new(T)
	if err := json.Unmarshal(value, v); err != nil {
		log.Error("registry has a value that cannot be read, it is left out", slog.String("key", key), slog.Any("err", err))
		return nil, false
	}
	return v, true
}

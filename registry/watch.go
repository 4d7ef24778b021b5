package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/ordered"
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
	all := []clientv3.Op{clientv3.OpGet(r.keys.base())}
	for _, dir := range [...]string{r.keys.functions(), r.keys.topics(), r.keys.secrets(), r.keys.tokens(), r.keys.accessKeys()} {
		all = append(all, clientv3.OpGet(dir, clientv3.WithPrefix()))
	}
	resp, err := r.client.Txn(ctx).Then(all...).Commit()
	if err != nil {
		return fmt.Errorf("load registry: %w", err)
	}
	base, err := readBase((*clientv3.GetResponse)(resp.Responses[0].GetResponseRange()))
	if err != nil {
		return err
	}
	v := &view{keys: r.keys, log: r.log, last: r.Snapshot()}
	var found [][]*mvccpb.KeyValue
	for _, r := range resp.Responses[1:] {
		found = append(found, r.GetResponseRange().Kvs)
	}
	v.reload(base, found...)
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

// view makes snapshots, each from the one before and what has changed since. What is written again and says the same stays the same value, so that nobody takes it for a change.
type view struct {
	keys keys
	log  *slog.Logger
	last *Snapshot // nil before the first

	decoded *api.Function // the last one; nil = none

	functions []ordered.Edit[*api.Function] // since then
	topics    []ordered.Edit[*api.Topic]
	secrets   []ordered.Edit[*secret]

	credentials []ordered.Edit[*Credential]
}

// reload takes in all there is: what is not in it has gone.
func (v *view) reload(base uint64, found ...[]*mvccpb.KeyValue) {
	if v.last == nil {
		v.last = newSnapshot()
	}
	last := *v.last
	last.base = base
	v.last = &last
	there := map[string]bool{}
	for _, kvs := range found {
		for _, kv := range kvs {
			there[string(kv.Key)] = true
			v.put(string(kv.Key), kv.Value)
		}
	}
	for key := range v.last.keys(v.keys) {
		if !there[key] {
			v.remove(key)
		}
	}
}

// keys are those of all values of a snapshot.
func (s *Snapshot) keys(k keys) iter.Seq[string] {
	return func(yield func(string) bool) {
		for f := range s.functions.All() {
			if !yield(k.function(f.Namespace, f.Name)) {
				return
			}
		}
		for t := range s.topics.All() {
			if !yield(k.topic(t.Namespace, t.Name)) {
				return
			}
		}
		for t := range s.secrets.All() {
			if !yield(k.secret(t.Namespace, t.Name)) {
				return
			}
		}
		for c := range s.credentials.byName.All() {
			if !yield(k.prefix + c.at()) {
				return
			}
		}
	}
}

// put takes in a value; keys that no snapshot shows are passed over. A value that cannot be read leaves the one before in force.
func (v *view) put(key string, value []byte) {
	if at, ok := split(v.keys.functions(), key); ok {
		if f, ok := decode[api.Function](v.log, key, value); ok {
			f.Namespace, f.Name = at.namespace, at.name // what the order goes by
			compact(f, v.decoded)
			v.decoded = f
			v.functions = append(v.functions, ordered.Edit[*api.Function]{Value: f})
		}
	} else if at, ok := split(v.keys.topics(), key); ok {
		if t, ok := decode[api.Topic](v.log, key, value); ok {
			t.Namespace, t.Name = at.namespace, at.name
			v.topics = append(v.topics, ordered.Edit[*api.Topic]{Value: t})
		}
	} else if at, ok := split(v.keys.secrets(), key); ok {
		if s, ok := decode[secret](v.log, key, value); ok && len(s.Values) > 0 {
			s.Namespace, s.Name = at.namespace, at.name
			v.secrets = append(v.secrets, ordered.Edit[*secret]{Value: s})
		}
	} else if at := named(strings.TrimPrefix(key, v.keys.prefix)); at != nil {
		c, ok := decode[Credential](v.log, key, value)
		if ok && !c.keepPlace(at) {
			v.log.Error("registry has a value that is not what its key says, it is left out", slog.String("key", key))
		} else if ok {
			v.credentials = append(v.credentials, ordered.Edit[*Credential]{Value: c})
		}
	}
}

func (v *view) remove(key string) {
	if at, ok := split(v.keys.functions(), key); ok {
		v.functions = append(v.functions, ordered.Edit[*api.Function]{Value: &api.Function{Namespace: at.namespace, Name: at.name}, Gone: true})
	} else if at, ok := split(v.keys.topics(), key); ok {
		v.topics = append(v.topics, ordered.Edit[*api.Topic]{Value: &api.Topic{Namespace: at.namespace, Name: at.name}, Gone: true})
	} else if at, ok := split(v.keys.secrets(), key); ok {
		v.secrets = append(v.secrets, ordered.Edit[*secret]{Value: &secret{Namespace: at.namespace, Name: at.name}, Gone: true})
	} else if c := named(strings.TrimPrefix(key, v.keys.prefix)); c != nil {
		v.credentials = append(v.credentials, ordered.Edit[*Credential]{Value: c, Gone: true})
	}
}

func (v *view) snapshot(revision int64) *Snapshot {
	keepEqual(v.last.functions, v.functions)
	keepEqual(v.last.topics, v.topics)
	keepEqual(v.last.secrets, v.secrets)
	s := &Snapshot{
		Revision: revision, base: v.last.base, functions: v.last.functions.With(v.functions...), topics: v.last.topics.With(v.topics...),
		secrets: v.last.secrets.With(v.secrets...), credentials: v.last.credentials.with(v.credentials),
	}
	var moves []ordered.Edit[*api.Function]
	for was, is := range s.functions.Since(v.last.functions) {
		if was != nil {
			moves = append(moves, ordered.Edit[*api.Function]{Value: was, Gone: true})
		}
		if is != nil {
			moves = append(moves, ordered.Edit[*api.Function]{Value: is})
		}
	}
	s.byApp = v.last.byApp.With(moves...)
	v.last, v.functions, v.topics, v.secrets, v.credentials = s, nil, nil, nil, nil
	return s
}

// keepEqual puts the value of before in the place of one that says the same.
func keepEqual[T any](before ordered.Set[*T], edits []ordered.Edit[*T]) {
	for i := range edits {
		e := &edits[i]
		if was, ok := before.Get(e.Value); ok && !e.Gone && reflect.DeepEqual(was, e.Value) {
			e.Value = was
		}
	}
}

// compact lets a function that was just decoded share what it says twice, and what another one, of the same app perhaps, says too: there may be a hundred thousand.
func compact(f, other *api.Function) {
	if other != nil {
		share(&f.Namespace, other.Namespace)
		share(&f.App, other.App)
		share(&f.Kind, other.Kind)
		share(&f.Spec.Module, other.Spec.Module)
	}
	f.Triggers, f.Spec.Triggers = slices.Clone(f.Triggers), slices.Clone(f.Spec.Triggers) // what decoding has grown is up to twice as large
	for i := range f.Triggers {
		t := &f.Triggers[i]
		share(&t.Namespace, f.Namespace)
		share(&t.Function, f.Name)
		for _, kind := range [...]string{"inbox", "http", "topic", "cron", "webhook"} {
			share(&t.Kind, kind)
		}
		if i >= len(f.Spec.Triggers) {
			continue // the inbox
		}
		spec := &f.Spec.Triggers[i]
		if t.HTTP != nil && spec.HTTP != nil && reflect.DeepEqual(t.HTTP, spec.HTTP) {
			t.HTTP = spec.HTTP
		}
		if t.Cron != nil && spec.Cron != nil && *t.Cron == *spec.Cron {
			t.Cron = spec.Cron
		}
		if t.Webhook != nil && spec.Webhook != nil && reflect.DeepEqual(t.Webhook, spec.Webhook) {
			t.Webhook = spec.Webhook
		}
		if t.Topic != nil && spec.Topic != nil && reflect.DeepEqual(t.Topic, spec.Topic) {
			t.Topic = spec.Topic
		}
	}
}

// share makes a text the same in memory as an equal one.
func share(text *string, as string) {
	if *text == as {
		*text = as
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

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

// versioned is a stored value with the etcd revision that wrote it; the zero value stands for a key that does not exist.
type versioned[T any] struct {
	value T
	mod   int64
}

func (v versioned[T]) exists() bool { return v.mod != 0 }

func (v *versioned[T]) orNil() *T {
	if !v.exists() {
		return nil
	}
	return &v.value
}

// state is what a writer has to know of one namespace, read at one revision.
type state struct {
	revision    int64
	functions   map[string]versioned[api.Function] // those that the writer wanted
	topics      map[string]versioned[api.Topic]
	nextTrigger versioned[uint64]
	// lastRevision has the newest revision of functions that were deleted, so that numbers are never used again.
	lastRevision map[string]int
}

// wanted says by a function's name and its record as text whether a writer has to know it. To decode a hundred thousand functions takes a second.
type wanted func(name string, text []byte) bool

func everything(string, []byte) bool { return true }

// only is one function.
func only(function string) wanted {
	return func(name string, _ []byte) bool { return name == function }
}

// ofApp are the functions of an app, those that the spec names, and a few more.
func ofApp(app string, spec api.App) wanted {
	member := []byte(`"app":"` + app + `"`)
	return func(name string, text []byte) bool {
		_, named := spec.Functions[name]
		return named || bytes.Contains(text, member)
	}
}

func (r *Registry) load(ctx context.Context, namespace string, functions wanted) (*state, error) {
	resp, err := r.client.Txn(ctx).Then(
		clientv3.OpGet(r.keys.functionsOf(namespace), clientv3.WithPrefix()),
		clientv3.OpGet(r.keys.topicsOf(namespace), clientv3.WithPrefix()),
		clientv3.OpGet(r.keys.nextTrigger()),
	).Commit()
	if err != nil {
		return nil, fmt.Errorf("read registry: %w", err)
	}
	s := &state{revision: resp.Header.Revision, nextTrigger: versioned[uint64]{value: 1}, lastRevision: map[string]int{}}
	if s.functions, err = decodeAll[api.Function](r.keys.functions(), resp.Responses[0].GetResponseRange().Kvs, functions); err != nil {
		return nil, err
	}
	if s.topics, err = decodeAll[api.Topic](r.keys.topics(), resp.Responses[1].GetResponseRange().Kvs, everything); err != nil {
		return nil, err
	}
	for _, kv := range resp.Responses[2].GetResponseRange().Kvs {
		n, err := strconv.ParseUint(string(kv.Value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read registry key %s: %w", kv.Key, err)
		}
		s.nextTrigger = versioned[uint64]{value: n, mod: kv.ModRevision}
	}
	return s, nil
}

// loadLastRevisions looks for revisions that functions of these names had before they were deleted.
func (r *Registry) loadLastRevisions(ctx context.Context, namespace string, names []string, s *state) error {
	for _, name := range names {
		resp, err := r.client.Get(ctx, r.keys.revisionsOf(namespace, name), append(clientv3.WithLastKey(), clientv3.WithKeysOnly())...)
		if err != nil {
			return fmt.Errorf("read registry: %w", err)
		}
		for _, kv := range resp.Kvs {
			n, err := revisionNumber(string(kv.Key))
			if err != nil {
				return fmt.Errorf("read registry key %s: %w", kv.Key, err)
			}
			s.lastRevision[name] = n
		}
	}
	return nil
}

func decodeAll[T any](dir string, kvs []*mvccpb.KeyValue, which wanted) (map[string]versioned[T], error) {
	out := map[string]versioned[T]{}
	for _, kv := range kvs {
		at, ok := split(dir, string(kv.Key))
		if !ok {
			return nil, fmt.Errorf("read registry key %s: not below %s", kv.Key, dir)
		}
		if !which(at.name, kv.Value) {
			continue
		}
		var v T
		if err := json.Unmarshal(kv.Value, &v); err != nil {
			return nil, fmt.Errorf("read registry key %s: %w", kv.Key, err)
		}
		out[at.name] = versioned[T]{value: v, mod: kv.ModRevision}
	}
	return out, nil
}

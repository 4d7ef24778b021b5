package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
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

// state is what a deploy has to know of its namespace, read at one revision.
type state struct {
	functions   map[string]versioned[api.Function]
	topics      map[string]versioned[api.Topic]
	secrets     map[string]bool // of those that the spec names, the ones that are there
	nextTrigger versioned[uint64]
	// lastRevision has the newest revision of functions that were deleted, so that numbers are never used again.
	lastRevision map[string]int
}

// load reads what a deploy has to know: the functions, topics and secrets that it names, functions that its own invoke among them, and the other functions of its app.
func (r *Registry) load(ctx context.Context, namespace, app string, spec api.App) (*state, error) {
	functions, err := r.appFunctions(ctx, namespace, app, spec.Formerly)
	if err != nil {
		return nil, err
	}
	topics, secrets := map[string]bool{}, map[string]bool{}
	for name := range spec.Topics {
		topics[name] = true
	}
	for name, f := range spec.Functions {
		functions[name] = true
		for _, invoked := range f.Allow.Invoke {
			functions[invoked] = true
		}
		for _, topic := range topicsNamed(f) {
			topics[topic] = true
		}
		for _, secret := range secretsNamed(f) {
			secrets[secret] = true
		}
	}
	ops := []clientv3.Op{clientv3.OpGet(r.keys.nextTrigger())}
	for name := range functions {
		ops = append(ops, clientv3.OpGet(r.keys.function(namespace, name)))
	}
	for name := range topics {
		ops = append(ops, clientv3.OpGet(r.keys.topic(namespace, name)))
	}
	for name := range secrets {
		ops = append(ops, clientv3.OpGet(r.keys.secret(namespace, name), clientv3.WithKeysOnly()))
	}
	resp, err := r.client.Txn(ctx).Then(ops...).Commit()
	if errors.Is(err, rpctypes.ErrTooManyOps) {
		return nil, tooLarge(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read registry: %w", err)
	}
	s := &state{nextTrigger: versioned[uint64]{value: 1}, lastRevision: map[string]int{}, secrets: map[string]bool{}}
	var functionKVs, topicKVs []*mvccpb.KeyValue
	for i, one := range resp.Responses[1:] {
		kvs := one.GetResponseRange().Kvs
		switch {
		case i < len(functions):
			functionKVs = append(functionKVs, kvs...)
		case i < len(functions)+len(topics):
			topicKVs = append(topicKVs, kvs...)
		default:
			for _, kv := range kvs {
				at, _ := split(r.keys.secrets(), string(kv.Key))
				s.secrets[at.name] = true
			}
		}
	}
	if s.functions, err = decodeAll[api.Function](r.keys.functions(), functionKVs); err != nil {
		return nil, err
	}
	if s.topics, err = decodeAll[api.Topic](r.keys.topics(), topicKVs); err != nil {
		return nil, err
	}
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		n, err := strconv.ParseUint(string(kv.Value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read registry key %s: %w", kv.Key, err)
		}
		s.nextTrigger = versioned[uint64]{value: n, mod: kv.ModRevision}
	}
	return s, nil
}

// appFunctions are the functions of apps as far as this node has heard; before it hears anything, all of the namespace are read. A deploy only tells which of them it does
// not name.
func (r *Registry) appFunctions(ctx context.Context, namespace string, apps ...string) (map[string]bool, error) {
	names := map[string]bool{}
	if s := r.Snapshot(); s != nil {
		for _, app := range apps {
			for f := range s.ofApp(namespace, app) {
				names[f.Name] = true
			}
		}
		return names, nil
	}
	all, _, err := r.namespaceFunctions(ctx, namespace)
	for name, f := range all {
		if slices.Contains(apps, f.value.App) {
			names[name] = true
		}
	}
	return names, err
}

// namespaceFunctions reads all functions of a namespace, and says at which revision.
func (r *Registry) namespaceFunctions(ctx context.Context, namespace string) (map[string]versioned[api.Function], int64, error) {
	resp, err := r.client.Get(ctx, r.keys.functionsOf(namespace), clientv3.WithPrefix())
	if err != nil {
		return nil, 0, fmt.Errorf("read registry: %w", err)
	}
	all, err := decodeAll[api.Function](r.keys.functions(), resp.Kvs)
	return all, resp.Header.Revision, err
}

// read reads one value as it is stored; ErrNotFound.
func read[T any](ctx context.Context, client *clientv3.Client, key string) (v versioned[T], err error) {
	resp, err := client.Get(ctx, key)
	if err != nil {
		return v, fmt.Errorf("read registry: %w", err)
	}
	if len(resp.Kvs) == 0 {
		return v, ErrNotFound
	}
	if err := json.Unmarshal(resp.Kvs[0].Value, &v.value); err != nil {
		return v, fmt.Errorf("read registry key %s: %w", key, err)
	}
	v.mod = resp.Kvs[0].ModRevision
	return v, nil
}

// readFunction reads one function; ErrNotFound.
func (r *Registry) readFunction(ctx context.Context, namespace, name string) (versioned[api.Function], error) {
	return read[api.Function](ctx, r.client, r.keys.function(namespace, name))
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

func decodeAll[T any](dir string, kvs []*mvccpb.KeyValue) (map[string]versioned[T], error) {
	out := map[string]versioned[T]{}
	for _, kv := range kvs {
		at, ok := split(dir, string(kv.Key))
		if !ok {
			return nil, fmt.Errorf("read registry key %s: not below %s", kv.Key, dir)
		}
		var v T
		if err := json.Unmarshal(kv.Value, &v); err != nil {
			return nil, fmt.Errorf("read registry key %s: %w", kv.Key, err)
		}
		out[at.name] = versioned[T]{value: v, mod: kv.ModRevision}
	}
	return out, nil
}

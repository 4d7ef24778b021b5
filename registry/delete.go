package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

// DeleteFunction removes a function, its triggers and its revisions. The newest revision's record stays, so that a function of the same name goes on
// counting behind it. It returns the etcd revision at which it holds; ErrNotFound.
func (r *Registry) DeleteFunction(ctx context.Context, namespace, name string) (int64, error) {
	rev, err := r.write(ctx, func() (change, error) {
		f, err := r.readFunction(ctx, namespace, name)
		if err != nil {
			return change{}, err
		}
		p := &plan{deploy: deploy{namespace: namespace}, keys: r.keys}
		key := r.keys.function(namespace, name)
		p.relyOn(key, f.mod)
		p.writes = r.keys.removal(namespace, name, f.value.Revision)
		routes := []claimChange{{function: name, was: claimsOf(name, f.value.Triggers)}}
		claimed, err := r.loadClaims(ctx, namespace, routes)
		if err != nil {
			return change{}, err
		}
		err = p.claim(claimed, routes)
		return change{compares: p.compares, writes: p.writes}, err
	})
	if err != nil {
		return 0, fmt.Errorf("delete function %s in namespace %s: %w", name, namespace, err)
	}
	return rev, nil
}

// removal takes a function away, and its revisions but for the newest.
func (k keys) removal(namespace, name string, newest int) []clientv3.Op {
	return []clientv3.Op{
		clientv3.OpDelete(k.function(namespace, name)),
		clientv3.OpDelete(k.revisionsOf(namespace, name), clientv3.WithRange(k.revision(namespace, name, newest))),
	}
}

// DeleteTopic removes a topic that no trigger and no allow.emit calls by its full name; ErrConflict says which function does. It returns the etcd
// revision at which it holds; ErrNotFound.
func (r *Registry) DeleteTopic(ctx context.Context, namespace, name string) (int64, error) {
	rev, err := r.write(ctx, func() (change, error) {
		key := r.keys.topic(namespace, name)
		t, err := read[api.Topic](ctx, r.client, key)
		if err != nil {
			return change{}, err
		}
		functions, revision, err := r.namespaceFunctions(ctx, namespace)
		if err != nil {
			return change{}, err
		}
		for _, function := range slices.Sorted(maps.Keys(functions)) {
			if slices.Contains(topicsNamed(functions[function].value.Spec), name) {
				return change{}, fmt.Errorf("%w: function %s names it in a trigger or in allow.emit; remove it there first", ErrConflict, function)
			}
		}
		return change{
			compares: []clientv3.Cmp{
				clientv3.Compare(clientv3.ModRevision(key), "=", t.mod),
				// no function may have begun to name it
				clientv3.Compare(clientv3.ModRevision(r.keys.functionsOf(namespace)), "<", revision+1).WithPrefix(),
			},
			writes: []clientv3.Op{clientv3.OpDelete(key)},
		}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("delete topic %s in namespace %s: %w", name, namespace, err)
	}
	return rev, nil
}

package registry

import (
	"context"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

// Revision is a function as it was, or is, in one of the revisions that are kept: what is in force now, with the module and settings of then. ErrNotFound.
func (r *Registry) Revision(ctx context.Context, now *api.Function, n int) (api.Function, error) {
	resp, err := r.client.Get(ctx, r.keys.revision(now.Namespace, now.Name, n))
	if err != nil {
		return api.Function{}, fmt.Errorf("read revision %d of %s: %w", n, now.Name, err)
	}
	if len(resp.Kvs) == 0 {
		return api.Function{}, fmt.Errorf("revision %d of %s: %w", n, now.Name, ErrNotFound)
	}
	var rev revision
	if err := json.Unmarshal(resp.Kvs[0].Value, &rev); err != nil {
		return api.Function{}, fmt.Errorf("read revision %d of %s: %w", n, now.Name, err)
	}
	out := *now
	out.Revision, out.Kind, out.Spec = rev.Revision, rev.Kind, rev.Spec
	return out, nil
}

// KeptRevisions lists the numbers of a function's revisions that are kept, the oldest first.
func (r *Registry) KeptRevisions(ctx context.Context, namespace, function string) ([]int, error) {
	resp, err := r.client.Get(ctx, r.keys.revisionsOf(namespace, function), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, fmt.Errorf("list revisions of %s: %w", function, err)
	}
	var out []int
	for _, kv := range resp.Kvs {
		n, err := revisionNumber(string(kv.Key))
		if err != nil {
			return nil, fmt.Errorf("read registry key %s: %w", kv.Key, err)
		}
		out = append(out, n)
	}
	return out, nil
}

package registry

import (
	"context"
	"encoding/json"
	"fmt"
)

// Seed is the secret that decides the random bytes of a revision's initialisation, the same on every node: 32 bytes. ErrNotFound.
func (r *Registry) Seed(ctx context.Context, namespace, function string, n int) ([]byte, error) {
	resp, err := r.client.Get(ctx, r.keys.revision(namespace, function, n))
	if err != nil {
		return nil, fmt.Errorf("read revision %d of %s: %w", n, function, err)
	}
	if len(resp.Kvs) == 0 {
		return nil, fmt.Errorf("revision %d of %s: %w", n, function, ErrNotFound)
	}
	var rev revision
	if err := json.Unmarshal(resp.Kvs[0].Value, &rev); err != nil {
		return nil, fmt.Errorf("read revision %d of %s: %w", n, function, err)
	}
	return rev.Seed, nil
}

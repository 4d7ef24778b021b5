package registry

import (
	"context"
	"fmt"
)

// Lead announces that a node starts to lead its partitions and returns its epoch: the etcd revision of the announcement, higher than that of any before.
func (r *Registry) Lead(ctx context.Context, node string) (epoch uint64, err error) {
	resp, err := r.client.Put(ctx, r.keys.leader(node), r.now().UTC().Format("2006-01-02T15:04:05Z"))
	if err != nil {
		return 0, fmt.Errorf("announce leader %s: %w", node, err)
	}
	return uint64(resp.Header.Revision), nil
}

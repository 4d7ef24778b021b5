package registry

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Lead announces that a node starts to lead its partitions and returns its epoch, higher than that of any before: the etcd revision of the announcement, counted
// from base when the registry was restored from a backup.
func (r *Registry) Lead(ctx context.Context, node string) (epoch uint64, err error) {
	resp, err := r.client.Txn(ctx).Then(
		clientv3.OpPut(r.keys.leader(node), r.now().UTC().Format("2006-01-02T15:04:05Z")),
		clientv3.OpGet(r.keys.base()),
	).Commit()
	if err != nil {
		return 0, fmt.Errorf("announce leader %s: %w", node, err)
	}
	base, err := readBase((*clientv3.GetResponse)(resp.Responses[1].GetResponseRange()))
	if err != nil {
		return 0, fmt.Errorf("announce leader %s: %w", node, err)
	}
	return base + uint64(resp.Header.Revision), nil
}

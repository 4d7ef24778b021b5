package registry

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Dial connects to an etcd cluster and makes sure within the timeout that it answers. The caller closes the client.
func Dial(urls []string, timeout time.Duration) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: urls, DialTimeout: timeout, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd at %s: %w", strings.Join(urls, ", "), err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if _, err := client.Get(ctx, "evoke"); err != nil {
		_ = client.Close() // the answer is the error
		return nil, fmt.Errorf("etcd at %s does not answer: %w; check --etcd", strings.Join(urls, ", "), err)
	}
	return client, nil
}

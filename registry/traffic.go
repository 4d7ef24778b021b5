package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// SetTraffic says which revisions of a function its events go to; nil = all to the newest. A canary that runs ends with it. It returns the etcd revision at which it holds. *rules.InvalidError: what is wrong
// with the shares. ErrNotFound: no such function, or a revision that is not kept.
func (r *Registry) SetTraffic(ctx context.Context, namespace, function string, traffic []api.Share) (int64, error) {
	traffic = slices.Clone(traffic)
	slices.SortFunc(traffic, func(a, b api.Share) int { return a.Revision - b.Revision })
	if err := rules.Traffic(traffic); err != nil {
		return 0, err
	}
	revision, err := r.write(ctx, func() (change, error) {
		f, err := r.readFunction(ctx, namespace, function)
		if err != nil {
			return change{}, err
		}
		p := &plan{}
		for _, share := range traffic {
			key := r.keys.revision(namespace, function, share.Revision)
			p.compares = append(p.compares, clientv3.Compare(clientv3.CreateRevision(key), ">", 0))
			if _, err := r.Revision(ctx, &f.value, share.Revision); err != nil {
				return change{}, err
			}
		}
		if f.value.Traffic = traffic; len(traffic) == 1 && traffic[0].Revision == f.value.Revision {
			f.value.Traffic = nil
		}
		f.value.Rollout = endedByHand(f.value.Rollout, f.value.Traffic, f.value.Revision, r.now().UTC())
		key := r.keys.function(namespace, function)
		p.relyOn(key, f.mod)
		err = p.put(key, f.value)
		return change{compares: p.compares, writes: p.writes}, err
	})
	if err != nil {
		return 0, fmt.Errorf("set the traffic of function %s in namespace %s: %w", function, namespace, err)
	}
	return revision, nil
}

// Revisions lists the revisions of a function that are kept, the newest first.
func (r *Registry) Revisions(ctx context.Context, f *api.Function) ([]api.Revision, error) {
	resp, err := r.client.Get(ctx, r.keys.revisionsOf(f.Namespace, f.Name), clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	if err != nil {
		return nil, fmt.Errorf("list revisions of %s: %w", f.Name, err)
	}
	out := make([]api.Revision, 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		var rev revision
		if err := json.Unmarshal(kv.Value, &rev); err != nil {
			return nil, fmt.Errorf("read registry key %s: %w", kv.Key, err)
		}
		one := api.Revision{Revision: rev.Revision, Created: rev.Created, Module: rev.Spec.Module, Percent: f.Percent(rev.Revision)}
		if f.Rollout != nil && f.Rollout.Candidate == rev.Revision {
			one.Rollout = f.Rollout
		}
		out = append(out, one)
	}
	return out, nil
}

func trafficText(traffic []api.Share) string {
	var parts []string
	for _, s := range traffic {
		parts = append(parts, fmt.Sprintf("r%d=%d", s.Revision, s.Percent))
	}
	return strings.Join(parts, " ")
}

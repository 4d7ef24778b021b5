package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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

// RevisionNumbers lists those of a function's revisions that are kept, the oldest first.
func (r *Registry) RevisionNumbers(ctx context.Context, namespace, function string) ([]int, error) {
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

// KeptRevisions is how many of a function's newest revisions stay in any case.
const KeptRevisions = 10

// Uses says what a revision of a function is needed for. wanted counts, by revision, what waits to be run by just that one.
func Uses(f *api.Function, revision int, wanted map[int]int) (uses []string) {
	if revision == f.Revision {
		uses = append(uses, "it is the newest")
	}
	if percent := f.Percent(revision); percent > 0 {
		uses = append(uses, fmt.Sprintf("it has %d%% of the traffic", percent))
	}
	if r := f.Rollout; r.Running() && slices.ContainsFunc(r.Good, func(s api.Share) bool { return s.Revision == revision }) {
		uses = append(uses, fmt.Sprintf("the canary of revision %d goes back to it when it fails", r.Candidate))
	}
	switch n := wanted[revision]; {
	case n == 1:
		uses = append(uses, "a redriven event or dead letter waits for it")
	case n > 1:
		uses = append(uses, fmt.Sprintf("%d redriven events and dead letters wait for it", n))
	}
	return uses
}

// Surplus are the kept revisions, sorted, that are neither among the newest nor used.
func Surplus(f *api.Function, kept []int, wanted map[int]int) (out []int) {
	for _, n := range kept[:max(0, len(kept)-KeptRevisions)] {
		if len(Uses(f, n, wanted)) == 0 {
			out = append(out, n)
		}
	}
	return out
}

// DeleteRevision removes a revision that has no uses. ErrNotFound: no such function or revision; ErrInUse, with the uses in the text.
func (r *Registry) DeleteRevision(ctx context.Context, namespace, function string, n int, wanted func() map[int]int) error {
	_, _, err := r.DeleteRevisions(ctx, namespace, function, func(f *api.Function, kept []int) ([]int, error) {
		if !slices.Contains(kept, n) {
			return nil, fmt.Errorf("revision %d: %w", n, ErrNotFound)
		}
		if uses := Uses(f, n, wanted()); len(uses) > 0 {
			return nil, fmt.Errorf("revision %d: %w: %s", n, ErrInUse, strings.Join(uses, ", and "))
		}
		return []int{n}, nil
	})
	return err
}

// DeleteRevisions removes those of a function's kept revisions that choose names; it runs again when someone else was faster. It returns what was removed and the etcd revision
// at which that holds. ErrNotFound, and the errors of choose.
func (r *Registry) DeleteRevisions(ctx context.Context, namespace, function string, choose func(f *api.Function, kept []int) ([]int, error)) (removed []int, revision int64, err error) {
	revision, err = r.write(ctx, func() (change, error) {
		f, err := r.readFunction(ctx, namespace, function)
		if err != nil {
			return change{}, err
		}
		kept, err := r.RevisionNumbers(ctx, namespace, function)
		if err != nil {
			return change{}, err
		}
		if removed, err = choose(&f.value, kept); err != nil || len(removed) == 0 {
			return change{holdsAt: f.mod}, err
		}
		p := &plan{}
		p.relyOn(r.keys.function(namespace, function), f.mod) // nobody gives it traffic meanwhile
		for _, n := range removed {
			p.writes = append(p.writes, clientv3.OpDelete(r.keys.revision(namespace, function, n)))
		}
		return change{compares: p.compares, writes: p.writes}, nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("delete revisions of function %s in namespace %s: %w", function, namespace, err)
	}
	return removed, revision, nil
}

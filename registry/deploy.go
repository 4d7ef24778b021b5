package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// maxRaces is how often a write starts over because someone else wrote in between. There is no pause: a lost race means that the other side won.
const maxRaces = 32

// Deploy puts an app in force, whole or not at all, by one compare-and-swap transaction; kinds has the kind of each function's module. The caller
// has stored the modules and found that they run.
//
// It returns what changed and the etcd revision at which it holds, which Run reaches: a deploy that changes nothing returns the revision that last
// changed something it names. The spec is stored as given; defaults are applied by whoever reads it.
//
// Errors: *rules.InvalidError for a spec that breaks rules; ErrConflict when a function belongs to another app, or when other writers won every race.
func (r *Registry) Deploy(ctx context.Context, namespace, app string, spec api.App, kinds map[string]string) (api.Deployed, int64, error) {
	if err := rules.Deploy(namespace, app, spec, kinds); err != nil {
		return api.Deployed{}, 0, err
	}
	d := deploy{namespace: namespace, app: app, spec: spec, kinds: kinds, now: r.now().UTC(), seed: newSeed}
	var result api.Deployed
	revision, err := r.write(ctx, func() (change, error) {
		s, err := r.load(ctx, namespace, app, spec)
		if err != nil {
			return change{}, err
		}
		if err := r.loadLastRevisions(ctx, namespace, newNames(spec, s), s); err != nil {
			return change{}, err
		}
		p, err := newPlan(d, r.keys, s)
		if err != nil {
			return change{}, err
		}
		routes := d.claimChanges(s)
		claimed, err := r.loadClaims(ctx, namespace, routes)
		if err != nil {
			return change{}, err
		}
		if err := p.claim(claimed, routes); err != nil {
			return change{}, err
		}
		result = p.result
		return change{compares: p.compares, writes: p.writes, holdsAt: p.newest}, nil
	})
	if err != nil {
		return api.Deployed{}, 0, fmt.Errorf("deploy app %s: %w", app, err)
	}
	return result, revision, nil
}

// change is one attempt to write. Without writes there is nothing to do, and holdsAt is the answer.
type change struct {
	compares []clientv3.Cmp
	writes   []clientv3.Op
	holdsAt  int64
}

// Hold lets no writer of this process in while do runs, so that what do reads of the registry stays so. do must not write.
func (r *Registry) Hold(ctx context.Context, do func() error) error {
	select {
	case r.writing <- struct{}{}:
		defer func() { <-r.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return do()
}

// write prepares and commits a change, again when someone else was faster, and returns the revision at which it holds.
func (r *Registry) write(ctx context.Context, prepare func() (change, error)) (int64, error) {
	var revision int64
	err := r.Hold(ctx, func() (err error) {
		revision, err = r.writeHeld(ctx, prepare)
		return err
	})
	return revision, err
}

func (r *Registry) writeHeld(ctx context.Context, prepare func() (change, error)) (int64, error) {
	for range maxRaces {
		c, err := prepare()
		if err != nil {
			return 0, err
		}
		if len(c.writes) == 0 {
			return c.holdsAt, nil
		}
		resp, err := r.client.Txn(ctx).If(c.compares...).Then(c.writes...).Commit()
		if err != nil {
			return 0, tooLarge(err)
		}
		if resp.Succeeded {
			return resp.Header.Revision, nil
		}
	}
	return 0, fmt.Errorf("%w: others changed the registry %d times in between; try again", ErrConflict, maxRaces)
}

// tooLarge turns etcd's refusal of a large transaction into the caller's fault.
func tooLarge(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return &rules.InvalidError{Faults: []api.Fault{{Field: "functions", Problem: "the app has more functions and topics than etcd takes in one transaction; split it into several apps, or raise etcd's --max-txn-ops"}}}
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		return &rules.InvalidError{Faults: []api.Fault{{Field: "functions", Problem: "the app is larger than etcd takes in one transaction; split it into several apps, or raise etcd's --max-request-bytes"}}}
	}
	return fmt.Errorf("write registry: %w", err)
}

func newNames(spec api.App, s *state) []string {
	names := slices.Sorted(maps.Keys(spec.Functions))
	return slices.DeleteFunc(names, func(name string) bool { return s.functions[name].exists() })
}

func newSeed() []byte {
	b := make([]byte, 32)
	rand.Read(b) // never fails: the runtime ends the process first
	return b
}

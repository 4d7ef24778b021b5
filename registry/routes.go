package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// claim says whose a slot is. Claims of routes of one shape are one value in etcd, by method, so that deploys of different apps meet there.
type claim struct {
	Function string `json:"function"`
	Trigger  string `json:"trigger"`
}

type claims map[string]claim

// claimsOf are those that a function has to hold for its triggers. Its own place, /fn/NAME, needs none.
func claimsOf(function string, triggers []api.Trigger) map[rules.Slot]claim {
	out := map[rules.Slot]claim{}
	for _, t := range triggers {
		if t.HTTP != nil && t.HTTP.Path == "" {
			continue
		}
		for _, s := range rules.Slots(function, api.TriggerSpec{HTTP: t.HTTP, Webhook: t.Webhook}) {
			out[s] = claim{function, t.Name}
		}
	}
	return out
}

// claimChange is what a deploy makes of the claims of one function.
type claimChange struct {
	function  string
	was, will map[rules.Slot]claim
}

// touched are the places whose claims change.
func (c *claimChange) touched() (at []string) {
	add := func(a, b map[rules.Slot]claim) {
		for s, claim := range a {
			if b[s] != claim {
				at = append(at, s.At)
			}
		}
	}
	add(c.was, c.will)
	add(c.will, c.was)
	return at
}

// loadClaims reads the claims at the places that the changes touch.
func (r *Registry) loadClaims(ctx context.Context, namespace string, changes []claimChange) (map[string]versioned[claims], error) {
	places := map[string]bool{}
	for i := range changes {
		for _, at := range changes[i].touched() {
			places[at] = true
		}
	}
	if len(places) == 0 {
		return nil, nil
	}
	names := slices.Sorted(maps.Keys(places))
	ops := make([]clientv3.Op, len(names))
	for i, at := range names {
		ops[i] = clientv3.OpGet(r.keys.route(namespace, at))
	}
	resp, err := r.client.Txn(ctx).Then(ops...).Commit()
	if errors.Is(err, rpctypes.ErrTooManyOps) {
		return nil, tooLarge(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read registry: %w", err)
	}
	out := make(map[string]versioned[claims], len(names))
	for i, at := range names {
		var v versioned[claims]
		for _, kv := range resp.Responses[i].GetResponseRange().Kvs {
			if err := json.Unmarshal(kv.Value, &v.value); err != nil {
				return nil, fmt.Errorf("read registry key %s: %w", kv.Key, err)
			}
			v.mod = kv.ModRevision
		}
		if v.value == nil {
			v.value = claims{}
		}
		out[at] = v
	}
	return out, nil
}

// claimChanges are what a deploy makes of the claims of its functions. Those of functions that it removes are free for the others.
func (d deploy) claimChanges(s *state) []claimChange {
	var out []claimChange
	for _, name := range slices.Sorted(maps.Keys(d.spec.Functions)) {
		will := bind(d.namespace, name, d.spec.Functions[name].Triggers, nil, func() uint64 { return 1 }) // for their names
		out = append(out, claimChange{name, claimsOf(name, s.functions[name].value.Triggers), claimsOf(name, will)})
	}
	if d.spec.Prune {
		for _, name := range d.orphans(s) {
			out = append(out, claimChange{function: name, was: claimsOf(name, s.functions[name].value.Triggers)})
		}
	}
	return out
}

// claim changes the claims as the functions want them; ErrConflict names the two triggers that want the same.
func (p *plan) claim(loaded map[string]versioned[claims], changes []claimChange) error {
	for _, c := range changes {
		for s := range c.was {
			if there, ok := loaded[s.At]; ok && there.value[s.Method].Function == c.function {
				delete(there.value, s.Method)
			}
		}
	}
	for _, c := range changes {
		for s, claim := range c.will {
			there, ok := loaded[s.At]
			if !ok {
				continue // stays as it is
			}
			if other, taken := there.value[s.Method]; taken {
				return fmt.Errorf("%w: trigger %s would serve %s, which trigger %s of function %s serves, and neither comes first; change the method, the path or the host of one of them",
					ErrConflict, claim.Trigger, s, other.Trigger, other.Function)
			}
			there.value[s.Method] = claim
		}
	}
	for _, at := range slices.Sorted(maps.Keys(loaded)) {
		there, key := loaded[at], p.keys.route(p.namespace, at)
		p.relyOn(key, there.mod)
		if len(there.value) > 0 {
			if err := p.put(key, there.value); err != nil {
				return err
			}
		} else if there.exists() {
			p.writes = append(p.writes, clientv3.OpDelete(key))
		}
	}
	return nil
}

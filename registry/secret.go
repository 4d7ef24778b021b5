package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// secret is what etcd has under secrets/{namespace}/{name}.
type secret struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Created   time.Time     `json:"created"`
	Updated   time.Time     `json:"updated"`
	Values    []sealedValue `json:"values"` // the newest first; a second one during a rotation
}

// sealedValue is encrypted with a key of the ring, bound to the namespace and name of its secret: in another one's place it cannot be opened.
type sealedValue struct {
	Key    string    `json:"key"`
	Sealed []byte    `json:"sealed"`
	Until  time.Time `json:"until,omitzero"` // of an old value
}

func (s *secret) label() []byte { return []byte("evoke secret 1\x00" + s.Namespace + "/" + s.Name) }

func (s *secret) seal(key sealingKey, value []byte) sealedValue {
	return sealedValue{Key: key.id, Sealed: key.aead.Seal(nil, nil, value, s.label())}
}

// open decrypts a value. The error names the secret and the key.
func (s *secret) open(k *KeyRing, v sealedValue) ([]byte, error) {
	key, ok := k.find(v.Key)
	if !ok {
		return nil, fmt.Errorf("open secret %s in namespace %s: %w: it is sealed with key %s, which is not in %s; add that key there behind the first and restart, or set the secret again",
			s.Name, s.Namespace, ErrNoKey, v.Key, k.place())
	}
	value, err := key.aead.Open(nil, nil, v.Sealed, s.label())
	if err != nil {
		return nil, fmt.Errorf("open secret %s in namespace %s: what is stored was not sealed by key %s for this name; set the secret again", s.Name, s.Namespace, v.Key)
	}
	return value, nil
}

// old is the value before the newest, as long as it counts.
func (s *secret) old(now time.Time) *sealedValue {
	if len(s.Values) > 1 && now.Before(s.Values[1].Until) {
		return &s.Values[1]
	}
	return nil
}

// Secret returns the values of a secret, the newest first: one, or two during a rotation. It asks the snapshot, not etcd. ErrNotFound; ErrNoKey.
func (r *Registry) Secret(namespace, name string) (values [][]byte, err error) {
	snap := r.Snapshot()
	if snap == nil {
		return nil, fmt.Errorf("secret %s in namespace %s: %w", name, namespace, ErrNotFound)
	}
	s, ok := snap.secret(namespace, name)
	if !ok {
		return nil, fmt.Errorf("secret %s in namespace %s: %w", name, namespace, ErrNotFound)
	}
	newest, err := s.open(r.keyRing, s.Values[0])
	if err != nil {
		return nil, err
	}
	values = append(values, newest)
	if old := s.old(r.now()); old != nil {
		if value, err := s.open(r.keyRing, *old); err == nil { // else the start has said so
			values = append(values, value)
		}
	}
	return values, nil
}

// Secrets lists those of a namespace, sorted by name, with who uses them and without their values.
func (r *Registry) Secrets(namespace string) []api.Secret {
	snap := r.Snapshot()
	users := map[string][]string{}
	for _, f := range snap.Functions(namespace) {
		for _, name := range secretsNamed(f.Spec) {
			users[name] = append(users[name], f.Name)
		}
	}
	var list []api.Secret
	for _, s := range inNamespace(snap.secrets, namespace, func(s *secret) string { return s.Namespace }) {
		list = append(list, r.tell(s, users[s.Name]))
	}
	return list
}

// tell is what may be told of a secret.
func (r *Registry) tell(s *secret, users []string) api.Secret {
	out := api.Secret{Namespace: s.Namespace, Name: s.Name, Created: s.Created, Updated: s.Updated, Key: s.Values[0].Key, UsedBy: users}
	if old := s.old(r.now()); old != nil {
		out.OldUntil = old.Until
	}
	if _, err := s.open(r.keyRing, s.Values[0]); err != nil {
		out.Problem = err.Error()
	}
	return out
}

// PutSecret makes a secret or exchanges its value; the one before counts for keepOld longer. It returns the etcd revision at which that holds. ErrNoKey; *rules.InvalidError.
func (r *Registry) PutSecret(ctx context.Context, namespace, name string, value []byte, keepOld time.Duration) (api.Secret, int64, error) {
	if err := rules.Secret(namespace, name, value, keepOld); err != nil {
		return api.Secret{}, 0, err
	}
	var out secret
	revision, err := r.write(ctx, func() (change, error) {
		key, err := r.keyToSealWith(ctx)
		if err != nil {
			return change{}, err
		}
		before, err := read[secret](ctx, r.client, r.keys.secret(namespace, name))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return change{}, err
		}
		out = r.exchanged(key, before.orNil(), secret{Namespace: namespace, Name: name}, value, keepOld)
		p := &plan{}
		p.relyOn(r.keys.secret(namespace, name), before.mod)
		if err := p.put(r.keys.secret(namespace, name), out); err != nil {
			return change{}, err
		}
		return change{compares: p.compares, writes: p.writes}, nil
	})
	if err != nil {
		return api.Secret{}, 0, fmt.Errorf("set secret %s in namespace %s: %w", name, namespace, err)
	}
	return r.tell(&out, nil), revision, nil
}

// exchanged is a secret with a new value. The same value again ends a rotation when keepOld is 0, and changes nothing of it otherwise.
func (r *Registry) exchanged(key sealingKey, before *secret, s secret, value []byte, keepOld time.Duration) secret {
	now := r.now().UTC()
	s.Created, s.Updated = now, now
	s.Values = []sealedValue{s.seal(key, value)}
	if before == nil {
		return s
	}
	s.Created = before.Created
	if keepOld == 0 {
		return s
	}
	if current, err := before.open(r.keyRing, before.Values[0]); err == nil && bytes.Equal(current, value) {
		if old := before.old(now); old != nil {
			s.Values = append(s.Values, *old)
		}
		return s
	}
	old := before.Values[0]
	old.Until = now.Add(keepOld)
	s.Values = append(s.Values, old)
	return s
}

// keyToSealWith makes the first key when there is none. It does not when etcd has secrets already: they were sealed with a key that is missing here, and a second one would make it worse.
func (r *Registry) keyToSealWith(ctx context.Context) (sealingKey, error) {
	if key, ok := r.keyRing.first(); ok {
		return key, nil
	}
	there, err := r.client.Get(ctx, r.keys.secrets(), clientv3.WithPrefix(), clientv3.WithLimit(1))
	if err != nil {
		return sealingKey{}, fmt.Errorf("read registry: %w", err)
	}
	all, err := decodeAll[secret](r.keys.secrets(), there.Kvs)
	if err != nil {
		return sealingKey{}, err
	}
	for _, s := range all {
		return sealingKey{}, fmt.Errorf("%w: secrets that are there were sealed with key %s, which is not in %s; put it there and restart (docs/secrets.md)",
			ErrNoKey, s.value.Values[0].Key, r.keyRing.place())
	}
	key, made, err := r.keyRing.firstOrMade()
	if made {
		r.log.Info("made the key of the secrets; keep a copy, backups do not have it", slog.String("file", r.keyRing.path), slog.String("key", key.id))
	}
	return key, err
}

// DeleteSecret removes a secret that no function names; ErrInUse says which do, and force passes over it. It returns the etcd revision at which it holds; ErrNotFound.
func (r *Registry) DeleteSecret(ctx context.Context, namespace, name string, force bool) (int64, error) {
	revision, err := r.write(ctx, func() (change, error) {
		key := r.keys.secret(namespace, name)
		s, err := read[secret](ctx, r.client, key)
		if err != nil {
			return change{}, err
		}
		p := &plan{}
		p.relyOn(key, s.mod)
		p.writes = append(p.writes, clientv3.OpDelete(key))
		if force {
			return change{compares: p.compares, writes: p.writes}, nil
		}
		functions, revision, err := r.namespaceFunctions(ctx, namespace)
		if err != nil {
			return change{}, err
		}
		for _, function := range slices.Sorted(maps.Keys(functions)) {
			f := functions[function].value
			if err := r.notNaming(ctx, &f, name); err != nil {
				return change{}, err
			}
		}
		// no function may have begun to name it
		p.compares = append(p.compares, clientv3.Compare(clientv3.ModRevision(r.keys.functionsOf(namespace)), "<", revision+1).WithPrefix())
		return change{compares: p.compares, writes: p.writes}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("delete secret %s in namespace %s: %w", name, namespace, err)
	}
	return revision, nil
}

// notNaming is an ErrInUse when one of the revisions that run a function's events names the secret.
func (r *Registry) notNaming(ctx context.Context, f *api.Function, name string) error {
	if slices.Contains(secretsNamed(f.Spec), name) {
		return fmt.Errorf("%w: function %s names it; remove it from its fn.yaml and deploy first, or use --force", ErrInUse, f.Name)
	}
	for _, share := range f.Traffic {
		if share.Revision == f.Revision {
			continue
		}
		older, err := r.Revision(ctx, f, share.Revision)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if slices.Contains(secretsNamed(older.Spec), name) {
			return fmt.Errorf("%w: revision %d of function %s, which has %d%% of the traffic, names it; take its traffic away first, or use --force", ErrInUse, share.Revision, f.Name, share.Percent)
		}
	}
	return nil
}

// secretsNamed lists the secrets that a spec names, for the function and for its webhooks, sorted.
func secretsNamed(s api.FunctionSpec) []string {
	out := slices.Clone(s.Secrets)
	for _, t := range s.Triggers {
		if t.Webhook != nil && t.Webhook.Secret != "" {
			out = append(out, t.Webhook.Secret)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Reseal seals what other keys of the ring have sealed with the first one, so that they can be taken out. It returns how many secrets that were; what cannot be opened is in
// the error and stays as it is.
func (r *Registry) Reseal(ctx context.Context) (resealed int, err error) {
	resp, err := r.client.Get(ctx, r.keys.secrets(), clientv3.WithPrefix())
	if err != nil {
		return 0, fmt.Errorf("read registry: %w", err)
	}
	var errs []error
	for _, kv := range resp.Kvs {
		n, err := r.reseal(ctx, string(kv.Key))
		resealed += n
		errs = append(errs, err)
	}
	return resealed, errors.Join(errs...)
}

func (r *Registry) reseal(ctx context.Context, at string) (resealed int, err error) {
	_, err = r.write(ctx, func() (change, error) {
		resealed = 0
		s, err := read[secret](ctx, r.client, at)
		if errors.Is(err, ErrNotFound) {
			return change{}, nil
		}
		if err != nil {
			return change{}, err
		}
		key, ok := r.keyRing.first()
		for i, v := range s.value.Values {
			value, err := s.value.open(r.keyRing, v)
			if err != nil {
				return change{}, err
			}
			if ok && v.Key != key.id {
				again := s.value.seal(key, value)
				again.Until = v.Until
				s.value.Values[i], resealed = again, 1
			}
		}
		if resealed == 0 {
			return change{}, nil
		}
		p := &plan{}
		p.relyOn(at, s.mod)
		if err := p.put(at, s.value); err != nil {
			return change{}, err
		}
		return change{compares: p.compares, writes: p.writes}, nil
	})
	return resealed, err
}

package registry

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/ordered"
	"github.com/evoke-run/evoke/rules"
)

// Credential is a management token or an API key as it is kept: without its secret, of which there is a hash.
type Credential struct {
	ID   string `json:"id"`
	Hash []byte `json:"hash"`
	// One of them is set.
	Token *api.AccessToken `json:"token,omitempty"`
	Key   *api.Key         `json:"key,omitempty"`
}

// at is the end of its etcd key: tokens belong to no namespace.
func (c *Credential) at() string {
	if c.Token != nil {
		return "tokens/" + c.Token.Name
	}
	return "keys/" + c.Key.Namespace + "/" + c.Key.Name
}

// String is what people call it.
func (c *Credential) String() string {
	if c.Token != nil {
		return fmt.Sprintf("token %q", c.Token.Name)
	}
	return fmt.Sprintf("API key %q in namespace %s", c.Key.Name, c.Key.Namespace)
}

// CreateCredential keeps a new one and returns the etcd revision at which it holds; ErrConflict when there is one of its name, *rules.InvalidError for what breaks rules.
func (r *Registry) CreateCredential(ctx context.Context, c Credential) (int64, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	rev, err := r.write(ctx, func() (change, error) {
		key := r.keys.prefix + c.at()
		there, err := r.client.Get(ctx, key, clientv3.WithKeysOnly())
		if err != nil {
			return change{}, fmt.Errorf("read registry: %w", err)
		}
		if len(there.Kvs) > 0 {
			return change{}, fmt.Errorf("%w: there is one already; choose another name, or revoke that one first", ErrConflict)
		}
		p := plan{keys: r.keys}
		err = p.put(key, c)
		return change{compares: []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)}, writes: p.writes}, err
	})
	if err != nil {
		return 0, fmt.Errorf("create %s: %w", &c, err)
	}
	return rev, nil
}

// DeleteCredential ends one and returns the etcd revision at which that holds; ErrNotFound.
func (r *Registry) DeleteCredential(ctx context.Context, c *Credential) (int64, error) {
	rev, err := r.write(ctx, func() (change, error) {
		key := r.keys.prefix + c.at()
		now, err := read[Credential](ctx, r.client, key)
		if err != nil {
			return change{}, err
		}
		return change{compares: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", now.mod)}, writes: []clientv3.Op{clientv3.OpDelete(key)}}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("revoke %s: %w", c, err)
	}
	return rev, nil
}

func (c *Credential) check() error {
	if c.Token != nil {
		return rules.Token(c.Token)
	}
	return rules.Key(c.Key)
}

// credentials are those of a snapshot, found by name and by id.
type credentials struct {
	byName, byID ordered.Set[*Credential]
}

func newCredentials() credentials {
	return credentials{
		byName: ordered.New(func(a, b *Credential) int { return cmp.Compare(a.at(), b.at()) }),
		byID:   ordered.New(func(a, b *Credential) int { return cmp.Compare(a.ID, b.ID) }),
	}
}

func (c credentials) with(edits []ordered.Edit[*Credential]) credentials {
	if len(edits) == 0 {
		return c
	}
	out := credentials{byName: c.byName.With(edits...)}
	var moves []ordered.Edit[*Credential]
	for was, is := range out.byName.Since(c.byName) {
		if was != nil {
			moves = append(moves, ordered.Edit[*Credential]{Value: was, Gone: true})
		}
		if is != nil {
			moves = append(moves, ordered.Edit[*Credential]{Value: is})
		}
	}
	out.byID = c.byID.With(moves...)
	return out
}

// Credential returns the token or key of an id.
func (s *Snapshot) Credential(id string) (*Credential, bool) {
	return s.credentials.byID.Find(func(c *Credential) int { return cmp.Compare(c.ID, id) })
}

// Token returns the token of a name.
func (s *Snapshot) Token(name string) (*Credential, bool) { return s.credentialAt("tokens/" + name) }

// Key returns the API key of a name.
func (s *Snapshot) Key(namespace, name string) (*Credential, bool) {
	return s.credentialAt("keys/" + namespace + "/" + name)
}

func (s *Snapshot) credentialAt(at string) (*Credential, bool) {
	return s.credentials.byName.Find(func(c *Credential) int { return cmp.Compare(c.at(), at) })
}

// Tokens returns all tokens sorted by name.
func (s *Snapshot) Tokens() []*Credential { return s.credentialsBelow("tokens/") }

// HasTokens says whether there is any.
func (s *Snapshot) HasTokens() bool {
	for c := range s.credentials.byName.From(func(c *Credential) int { return cmp.Compare(c.at(), "tokens/") }) {
		return c.Token != nil
	}
	return false
}

// Keys returns the API keys of a namespace sorted by name.
func (s *Snapshot) Keys(namespace string) []*Credential {
	return s.credentialsBelow("keys/" + namespace + "/")
}

func (s *Snapshot) credentialsBelow(dir string) (list []*Credential) {
	for c := range s.credentials.byName.From(func(c *Credential) int { return cmp.Compare(c.at(), dir) }) {
		if !strings.HasPrefix(c.at(), dir) {
			break
		}
		list = append(list, c)
	}
	return list
}

// keepPlace makes its name what its etcd key says; false when it is of another kind, or has no id.
func (c *Credential) keepPlace(at *Credential) bool {
	switch {
	case c.ID == "" || (c.Token == nil) == (c.Key == nil) || (c.Token == nil) != (at.Token == nil):
		return false
	case c.Token != nil:
		c.Token.Name = at.Token.Name
	default:
		c.Key.Namespace, c.Key.Name = at.Key.Namespace, at.Key.Name
	}
	return true
}

// named makes a credential that has only its place, from the end of an etcd key; nil when it is none's.
func named(at string) *Credential {
	if name, ok := strings.CutPrefix(at, "tokens/"); ok {
		return &Credential{Token: &api.AccessToken{Name: name}}
	}
	if rest, ok := strings.CutPrefix(at, "keys/"); ok {
		namespace, name, _ := strings.Cut(rest, "/")
		return &Credential{Key: &api.Key{Namespace: namespace, Name: name}}
	}
	return nil
}

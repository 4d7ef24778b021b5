package registry

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/ordered"
)

// Snapshot is a consistent view at one etcd revision. It and everything it hands out is shared and must not be changed. It shares what has not changed with the snapshots
// before it.
type Snapshot struct {
	// Revision is the etcd revision up to which the view is complete: every write that returned this revision or a lower one is in it.
	Revision int64

	base        uint64
	functions   ordered.Set[*api.Function]
	byApp       ordered.Set[*api.Function]
	topics      ordered.Set[*api.Topic]
	secrets     ordered.Set[*secret]
	credentials credentials
}

func newSnapshot() *Snapshot {
	return &Snapshot{
		functions: ordered.New(func(a, b *api.Function) int { return idOf(a).compare(idOf(b)) }),
		byApp: ordered.New(func(a, b *api.Function) int {
			return cmp.Or(id{a.Namespace, a.App}.compare(id{b.Namespace, b.App}), cmp.Compare(a.Name, b.Name))
		}),
		topics:      ordered.New(func(a, b *api.Topic) int { return id{a.Namespace, a.Name}.compare(id{b.Namespace, b.Name}) }),
		secrets:     ordered.New(func(a, b *secret) int { return id{a.Namespace, a.Name}.compare(id{b.Namespace, b.Name}) }),
		credentials: newCredentials(),
	}
}

func idOf(f *api.Function) id { return id{f.Namespace, f.Name} }

// Generation orders snapshots, also across a restore from a backup, after which etcd's revisions begin anew.
func (s *Snapshot) Generation() uint64 { return s.base + uint64(s.Revision) }

// Function returns a function.
func (s *Snapshot) Function(namespace, name string) (*api.Function, bool) {
	return s.functions.Find(func(f *api.Function) int { return idOf(f).compare(id{namespace, name}) })
}

// Functions returns the functions of a namespace sorted by name; "" = of all, sorted by namespace first.
func (s *Snapshot) Functions(namespace string) []*api.Function {
	return inNamespace(s.functions, namespace, func(f *api.Function) string { return f.Namespace })
}

// Topic returns a topic. Internal topics are not registered.
func (s *Snapshot) Topic(namespace, name string) (*api.Topic, bool) {
	return s.topics.Find(func(t *api.Topic) int { return id{t.Namespace, t.Name}.compare(id{namespace, name}) })
}

// Topics returns the topics of a namespace sorted by name; "" = of all, sorted by namespace first.
func (s *Snapshot) Topics(namespace string) []*api.Topic {
	return inNamespace(s.topics, namespace, func(t *api.Topic) string { return t.Namespace })
}

func (s *Snapshot) secret(namespace, name string) (*secret, bool) {
	return s.secrets.Find(func(s *secret) int { return id{s.Namespace, s.Name}.compare(id{namespace, name}) })
}

// Trigger returns a trigger by its name, "charge:orders.created", which begins with that of its function. Its Stats are nil.
func (s *Snapshot) Trigger(namespace, name string) (*api.Trigger, bool) {
	function, _, _ := strings.Cut(name, ":")
	if f, ok := s.Function(namespace, function); ok {
		for i := range f.Triggers {
			if f.Triggers[i].Name == name {
				return &f.Triggers[i], true
			}
		}
	}
	return nil, false
}

// Triggers returns the triggers of a namespace sorted by name, inboxes included; "" = of all, sorted by namespace first.
func (s *Snapshot) Triggers(namespace string) (list []*api.Trigger) {
	for _, f := range s.Functions(namespace) {
		for i := range f.Triggers {
			list = append(list, &f.Triggers[i])
		}
	}
	slices.SortFunc(list, func(a, b *api.Trigger) int { return id{a.Namespace, a.Name}.compare(id{b.Namespace, b.Name}) })
	return list
}

// FunctionsSince yields the functions that are not as they were in another snapshot, which may be much older: as they were and as they are, nil where there is none.
// It takes about as long as there are such.
func (s *Snapshot) FunctionsSince(before *Snapshot) iter.Seq2[*api.Function, *api.Function] {
	return s.functions.Since(before.functions)
}

// TopicsSince is FunctionsSince for topics.
func (s *Snapshot) TopicsSince(before *Snapshot) iter.Seq2[*api.Topic, *api.Topic] {
	return s.topics.Since(before.topics)
}

// ofApp yields the functions of an app.
func (s *Snapshot) ofApp(namespace, app string) iter.Seq[*api.Function] {
	return func(yield func(*api.Function) bool) {
		at := id{namespace, app}
		for f := range s.byApp.From(func(f *api.Function) int { return id{f.Namespace, f.App}.compare(at) }) {
			if f.Namespace != namespace || f.App != app || !yield(f) {
				return
			}
		}
	}
}

func inNamespace[T comparable](s ordered.Set[T], namespace string, of func(T) string) []T {
	if namespace == "" {
		return slices.AppendSeq(make([]T, 0, s.Len()), s.All())
	}
	var list []T
	for v := range s.From(func(v T) int { return cmp.Compare(of(v), namespace) }) {
		if of(v) != namespace {
			break
		}
		list = append(list, v)
	}
	return list
}

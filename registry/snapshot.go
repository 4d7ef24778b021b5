package registry

import (
	"cmp"
	"maps"
	"slices"

	"github.com/evoke-run/evoke/api"
)

// Snapshot is a consistent view at one etcd revision. It and everything it hands out is shared and must not be changed.
type Snapshot struct {
	// Revision is the etcd revision up to which the view is complete: every write that returned this revision or a lower one is in it.
	Revision int64

	base      uint64
	functions index[*api.Function]
	topics    index[*api.Topic]
	triggers  index[*api.Trigger]
}

// Generation orders snapshots, also across a restore from a backup, after which etcd's revisions begin anew.
func (s *Snapshot) Generation() uint64 { return s.base + uint64(s.Revision) }

// Function returns a function.
func (s *Snapshot) Function(namespace, name string) (*api.Function, bool) {
	return s.functions.get(namespace, name)
}

// Functions returns the functions of a namespace sorted by name; "" = of all, sorted by namespace first.
func (s *Snapshot) Functions(namespace string) []*api.Function { return s.functions.list(namespace) }

// Topic returns a topic. Internal topics are not registered.
func (s *Snapshot) Topic(namespace, name string) (*api.Topic, bool) {
	return s.topics.get(namespace, name)
}

// Topics returns the topics of a namespace sorted by name; "" = of all, sorted by namespace first.
func (s *Snapshot) Topics(namespace string) []*api.Topic { return s.topics.list(namespace) }

// Trigger returns a trigger by its name, "charge:orders.created". Its Stats are nil.
func (s *Snapshot) Trigger(namespace, name string) (*api.Trigger, bool) {
	return s.triggers.get(namespace, name)
}

// Triggers returns the triggers of a namespace sorted by name, inboxes included; "" = of all, sorted by namespace first.
func (s *Snapshot) Triggers(namespace string) []*api.Trigger { return s.triggers.list(namespace) }

// index finds values by namespace and name, and lists them in that order.
type index[T any] struct {
	byID   map[id]T
	ids    []id // sorted
	sorted []T  // sorted[i] is byID[ids[i]]
}

// newIndex takes the map over.
func newIndex[T any](byID map[id]T) index[T] {
	ids := slices.SortedFunc(maps.Keys(byID), func(a, b id) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	sorted := make([]T, len(ids))
	for i, k := range ids {
		sorted[i] = byID[k]
	}
	return index[T]{byID: byID, ids: ids, sorted: sorted}
}

func (x index[T]) get(namespace, name string) (T, bool) {
	v, ok := x.byID[id{namespace, name}]
	return v, ok
}

func (x index[T]) list(namespace string) []T {
	if namespace == "" {
		return slices.Clip(x.sorted)
	}
	from, _ := slices.BinarySearchFunc(x.ids, namespace, func(k id, ns string) int { return cmp.Compare(k.namespace, ns) })
	to := from
	for to < len(x.ids) && x.ids[to].namespace == namespace {
		to++
	}
	return x.sorted[from:to:to]
}

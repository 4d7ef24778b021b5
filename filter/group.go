package filter

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/ordered"
)

// few is how many entries of a topic are asked one by one.
const few = 8

// group is all entries of one topic, or of one pattern. Most topics have few.
type group[T any] struct {
	scope, pattern string
	few            []*Entry[T] // by id; nil when there are many
	many           *crowd[T]
}

func (g *group[T]) compare(other *group[T]) int { return g.at(other.scope, other.pattern) }

func (g *group[T]) at(scope, pattern string) int {
	return cmp.Or(strings.Compare(g.scope, scope), strings.Compare(g.pattern, pattern))
}

// with is the group after edits of its entries, nil when none is left. like has its scope and pattern. A nil group is an empty one.
func (g *group[T]) with(like *Entry[T], edits []Edit[T]) *group[T] {
	next := &group[T]{scope: like.Scope, pattern: like.Pattern.text}
	switch {
	case g != nil && g.many != nil:
		next.many = g.many.with(edits)
		if next.many.members.Len() <= few/2 {
			for f := range next.many.members.All() {
				next.few = append(next.few, f.entry)
			}
			next.many = nil
		}
	default:
		var old []*Entry[T]
		if g != nil {
			old = g.few
		}
		if next.few = editFew(old, edits); len(next.few) > few {
			all := make([]Edit[T], len(next.few))
			for i, e := range next.few {
				all[i].Entry = e
			}
			next.few, next.many = nil, newCrowd[T]().with(all)
		}
	}
	if len(next.few) == 0 && next.many == nil {
		return nil
	}
	return next
}

func editFew[T any](old []*Entry[T], edits []Edit[T]) []*Entry[T] {
	byID := make(map[uint64]*Entry[T], len(old)+len(edits))
	for _, e := range old {
		byID[e.ID] = e
	}
	for _, e := range edits {
		if e.Gone {
			delete(byID, e.Entry.ID)
		} else {
			byID[e.Entry.ID] = e.Entry
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b *Entry[T]) int { return cmp.Compare(a.ID, b.ID) })
}

// crowd is many entries of one topic. Each stands under the terms of one clause of its filter.
type crowd[T any] struct {
	members    ordered.Set[*filed[T]] // all, by id
	always     ordered.Set[*filed[T]] // those that have no clause, by id
	attributes ordered.Set[*shelf[T]] // by name
	data       ordered.Set[*shelf[T]] // by key
	paths      ordered.Set[*dataPath] // that any of the members may ask for
}

// filed is an entry with the terms that it stands under.
type filed[T any] struct {
	entry *Entry[T]
	terms clause
}

func newCrowd[T any]() *crowd[T] {
	byID := func(a, b *filed[T]) int { return cmp.Compare(a.entry.ID, b.entry.ID) }
	byName := func(a, b *shelf[T]) int { return strings.Compare(a.name, b.name) }
	return &crowd[T]{members: ordered.New(byID), always: ordered.New(byID), attributes: ordered.New(byName), data: ordered.New(byName), paths: newPaths()}
}

// refiling is a change of a crowd on its way.
type refiling[T any] struct {
	*crowd[T]
	members, always []ordered.Edit[*filed[T]]
	shelves         map[shelfName]*shelfEdit[T]
	uses            map[string]int // of paths, by how many more
	texts           map[string]string
	added           map[term]int
}

type shelfName struct {
	data bool
	name string
}

// with is the crowd after edits.
func (c *crowd[T]) with(edits []Edit[T]) *crowd[T] {
	r := &refiling[T]{crowd: c, shelves: map[shelfName]*shelfEdit[T]{}, uses: map[string]int{}, texts: map[string]string{}, added: map[term]int{}}
	last := make(map[uint64]int, len(edits))
	for i, e := range edits {
		last[e.Entry.ID] = i
	}
	for i, e := range edits {
		if last[e.Entry.ID] != i {
			continue
		}
		if was, ok := c.members.Find(func(f *filed[T]) int { return cmp.Compare(f.entry.ID, e.Entry.ID) }); ok {
			r.file(was, true)
		}
		if !e.Gone {
			r.file(&filed[T]{entry: e.Entry, terms: r.choose(e.Entry.Filter)}, false)
		}
	}
	return r.done()
}

// file notes that an entry comes or goes.
func (r *refiling[T]) file(f *filed[T], gone bool) {
	r.members = append(r.members, ordered.Edit[*filed[T]]{Value: f, Gone: gone})
	if len(f.terms) == 0 {
		r.always = append(r.always, ordered.Edit[*filed[T]]{Value: f, Gone: gone})
	}
	for _, t := range f.terms {
		name := shelfName{t.data, t.name}
		if r.shelves[name] == nil {
			r.shelves[name] = &shelfEdit[T]{}
		}
		r.shelves[name].put(t, f, gone)
		if !gone {
			r.added[t]++
		}
	}
	for p := range f.entry.Filter.paths.All() {
		r.texts[p.key] = p.text
		if gone {
			r.uses[p.key]--
		} else {
			r.uses[p.key]++
		}
	}
}

func (r *refiling[T]) done() *crowd[T] {
	next := &crowd[T]{members: r.crowd.members.With(r.members...), always: r.crowd.always.With(r.always...)}
	var attributes, data []ordered.Edit[*shelf[T]]
	for name, edit := range r.shelves {
		is, empty := r.shelf(name).with(name.name, edit)
		e := ordered.Edit[*shelf[T]]{Value: is, Gone: empty}
		if name.data {
			data = append(data, e)
		} else {
			attributes = append(attributes, e)
		}
	}
	next.attributes, next.data = r.attributes.With(attributes...), r.data.With(data...)
	var paths []ordered.Edit[*dataPath]
	for key, more := range r.uses {
		uses := more
		if was, ok := r.paths.Find(func(p *dataPath) int { return strings.Compare(p.key, key) }); ok {
			uses += was.uses
		}
		paths = append(paths, ordered.Edit[*dataPath]{Value: &dataPath{text: r.texts[key], key: key, uses: uses}, Gone: uses == 0})
	}
	next.paths = r.paths.With(paths...)
	return next
}

func (c *crowd[T]) shelf(name shelfName) *shelf[T] {
	set := c.attributes
	if name.data {
		set = c.data
	}
	s, _ := set.Find(func(s *shelf[T]) int { return strings.Compare(s.name, name.name) })
	return s
}

// crowded is from how many entries under a term on it is not asked how many more there are.
const crowded = 64

// choose picks the clause that the fewest others stand under, nil if the filter has none. So of filters that all want the same type and each its own subject, most stand
// under their subject.
func (r *refiling[T]) choose(f *Filter) (best clause) {
	if f.rule == nil {
		return nil
	}
	least := 0
	for _, c := range f.rule.clauses() {
		cost := 0
		for _, t := range c {
			cost += r.cost(t)
		}
		if best == nil || cost < least {
			best, least = c, cost
		}
	}
	return best
}

// cost is about how many events too many a term would bring the filter to.
func (r *refiling[T]) cost(t term) int {
	n := r.added[t]
	if s := r.shelf(shelfName{t.data, t.name}); s != nil {
		n += s.count(t)
	}
	n = 4 * min(n, crowded)
	switch {
	case t.op == termExact || t.op == termRange && t.from == t.to:
		return n
	case t.op == termRange:
		return n + 2
	case t.text == "": // it only has to be there
		return n + 4*crowded
	}
	return n + 1 + 8/len(t.text)
}

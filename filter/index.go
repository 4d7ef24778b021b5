package filter

import (
	"cmp"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/ordered"
)

// Index finds the entries that an event on a topic matches. What that costs grows with the matches and with the logarithm of the entries. It is immutable: With makes
// another one, which shares with it what has not changed.
type Index[T any] struct {
	exact    ordered.Set[*group[T]] // of topics without wildcards
	patterns *token[T]              // of those with; nil for none. The first token of a pattern is its scope
}

// Entry is one filter on one topic pattern. It must not be changed once it is in an index.
type Entry[T any] struct {
	Scope   string // topics of other scopes are other topics
	Pattern Pattern
	ID      uint64 // tells entries of the same scope and pattern apart
	Filter  *Filter
	Value   T
}

// Edit is one change of an index.
type Edit[T any] struct {
	Entry *Entry[T] // takes the place of the one of the same scope, pattern and id, if there is one
	Gone  bool      // that one leaves; Filter and Value do not matter
}

// NewIndex is an index without entries.
func NewIndex[T any]() *Index[T] {
	return &Index[T]{exact: ordered.New((*group[T]).compare)}
}

// With is the index after the edits, of which the last one counts for each entry.
func (x *Index[T]) With(edits ...Edit[T]) *Index[T] {
	byGroup := slices.Clone(edits)
	slices.SortStableFunc(byGroup, func(a, b Edit[T]) int { return a.Entry.compare(b.Entry) })
	next := &Index[T]{patterns: x.patterns}
	var exact []ordered.Edit[*group[T]]
	for len(byGroup) > 0 {
		first := byGroup[0].Entry
		n := 1
		for n < len(byGroup) && byGroup[n].Entry.compare(first) == 0 {
			n++
		}
		mine := byGroup[:n]
		byGroup = byGroup[n:]
		if first.Pattern.Wildcard() {
			next.patterns = next.patterns.with(first.tokens(), func(g *group[T]) *group[T] { return g.with(first, mine) })
			continue
		}
		was, _ := x.exact.Find(func(g *group[T]) int { return g.at(first.Scope, first.Pattern.text) })
		if is := was.with(first, mine); is != nil {
			exact = append(exact, ordered.Edit[*group[T]]{Value: is})
		} else if was != nil {
			exact = append(exact, ordered.Edit[*group[T]]{Value: was, Gone: true})
		}
	}
	next.exact = x.exact.With(exact...)
	return next
}

func (e *Entry[T]) compare(other *Entry[T]) int {
	return cmp.Or(strings.Compare(e.Scope, other.Scope), strings.Compare(e.Pattern.text, other.Pattern.text))
}

// Topic is what an index has for one topic.
type Topic[T any] struct {
	group  *group[T]   // of the topic itself; nil for none
	groups []*group[T] // of patterns that match it
}

// Topic finds the entries whose pattern matches a topic.
func (x *Index[T]) Topic(scope, topic string) (t Topic[T]) {
	t.group, _ = x.exact.Find(func(g *group[T]) int { return g.at(scope, topic) })
	if x.patterns != nil {
		t.groups = x.patterns.find(scope, topic, nil)
	}
	return t
}

// Empty says that nobody wants events of the topic.
func (t Topic[T]) Empty() bool { return t.group == nil && len(t.groups) == 0 }

// each calls yield with the groups until it says no.
func (t Topic[T]) each(yield func(*group[T]) bool) {
	if t.group != nil && !yield(t.group) {
		return
	}
	for _, g := range t.groups {
		if !yield(g) {
			return
		}
	}
}

// Looks says whether there is a filter that looks at events.
func (t Topic[T]) Looks() bool {
	for g := range t.each {
		if g.many != nil || slices.ContainsFunc(g.few, func(e *Entry[T]) bool { return e.Filter.rule != nil }) {
			return true
		}
	}
	return false
}

// Match returns the entries that an event on the topic matches, by their ids. The event may be nil if no filter looks at it.
func (t Topic[T]) Match(e *event.Event) []*Entry[T] {
	var matched []*Entry[T]
	if !t.Looks() {
		for g := range t.each {
			matched = append(matched, g.few...)
		}
	} else {
		m := matching[T]{view: view{event: e}}
		m.run(t)
		matched = m.matched
	}
	slices.SortFunc(matched, func(a, b *Entry[T]) int { return cmp.Compare(a.ID, b.ID) })
	return matched
}

// matching is one event on its way through the groups of its topic.
type matching[T any] struct {
	view    view
	matched []*Entry[T]

	candidates []*filed[T]
	room       [16]*filed[T] // for the first of them
	twice      bool          // there may be candidates that were found more than once
}

// run tells the view at once what all groups may ask the data for, which then is read in one pass.
func (m *matching[T]) run(t Topic[T]) {
	for g := range t.each {
		for _, e := range g.few {
			m.want(e.Filter.paths)
		}
		if g.many != nil {
			m.want(g.many.paths)
		}
	}
	for g := range t.each {
		for _, e := range g.few {
			m.ask(e)
		}
		if g.many != nil {
			m.askMany(g.many)
		}
	}
}

func (m *matching[T]) want(paths ordered.Set[*dataPath]) {
	if paths.Len() > 0 {
		m.view.wanted = append(m.view.wanted, paths)
	}
}

func (m *matching[T]) ask(e *Entry[T]) {
	if e.Filter.rule == nil || e.Filter.rule.match(&m.view) {
		m.matched = append(m.matched, e)
	}
}

func (m *matching[T]) askMany(c *crowd[T]) {
	m.candidates, m.twice = m.room[:0], false
	c.find(m)
	if m.twice {
		slices.SortFunc(m.candidates, func(a, b *filed[T]) int { return cmp.Compare(a.entry.ID, b.entry.ID) })
		m.candidates = slices.Compact(m.candidates)
	}
	m.matched = slices.Grow(m.matched, len(m.candidates))
	for _, f := range m.candidates {
		m.ask(f.entry)
	}
}

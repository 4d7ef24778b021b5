package filter

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/evoke-run/evoke/ordered"
)

// shelf has the entries that stand under a term about one field.
type shelf[T any] struct {
	name                  string
	exact, prefix, suffix ordered.Set[posting[T]] // by text and id
	ranges                *span[T]
}

// posting is an entry under a text.
type posting[T any] struct {
	text  string
	filed *filed[T]
}

func comparePostings[T any](a, b posting[T]) int {
	return cmp.Or(strings.Compare(a.text, b.text), cmp.Compare(a.filed.entry.ID, b.filed.entry.ID))
}

// shelfEdit is a change of a shelf.
type shelfEdit[T any] struct {
	texts  [3][]ordered.Edit[posting[T]] // by termOp
	ranges []*span[T]
	gone   []*span[T]
}

func (e *shelfEdit[T]) put(t term, f *filed[T], gone bool) {
	if t.op != termRange {
		e.texts[t.op] = append(e.texts[t.op], ordered.Edit[posting[T]]{Value: posting[T]{t.text, f}, Gone: gone})
		return
	}
	s := &span[T]{from: t.from, to: t.to, max: t.to, filed: f}
	if gone {
		e.gone = append(e.gone, s)
	} else {
		e.ranges = append(e.ranges, s)
	}
}

// with is the shelf after a change, and whether nothing is on it. A nil shelf is an empty one.
func (s *shelf[T]) with(name string, e *shelfEdit[T]) (next *shelf[T], empty bool) {
	next = &shelf[T]{name: name}
	if s != nil {
		*next = *s
	} else {
		none := ordered.New(comparePostings[T])
		next.exact, next.prefix, next.suffix = none, none, none
	}
	next.exact, next.prefix, next.suffix = next.exact.With(e.texts[termExact]...), next.prefix.With(e.texts[termPrefix]...), next.suffix.With(e.texts[termSuffix]...)
	for _, r := range e.gone {
		next.ranges = next.ranges.without(r)
	}
	for _, r := range e.ranges {
		next.ranges = next.ranges.with(r)
	}
	return next, next.exact.Len()+next.prefix.Len()+next.suffix.Len() == 0 && next.ranges == nil
}

// count is how many entries stand under a term, as far as it matters.
func (s *shelf[T]) count(t term) (n int) {
	more := func(*filed[T]) bool { n++; return n < crowded }
	switch t.op {
	case termExact:
		same(s.exact, t.text, more)
	case termPrefix:
		same(s.prefix, t.text, more)
	case termSuffix:
		same(s.suffix, t.text, more)
	default:
		s.ranges.stab(min(max(t.from, -1e300), 1e300), more)
	}
	return n
}

// same yields the entries under just this text, until yield says no.
func same[T any](set ordered.Set[posting[T]], text string, yield func(*filed[T]) bool) {
	for p := range set.From(func(p posting[T]) int { return strings.Compare(p.text, text) }) {
		if p.text != text || !yield(p.filed) {
			return
		}
	}
}

// beginnings yields the entries under every text with which another one begins. Each step looks for the next longer one that may be there.
func beginnings[T any](set ordered.Set[posting[T]], text string, yield func(*filed[T])) {
	for n := 0; n <= len(text); {
		from := text[:n]
		n = len(text) + 1
		for p := range set.From(func(p posting[T]) int { return strings.Compare(p.text, from) }) {
			if strings.HasPrefix(text, p.text) {
				yield(p.filed)
				from = p.text
				continue
			}
			// What stands here is behind all beginnings of text that are no longer than what the two have in common. Longer ones may follow if it is before text itself.
			if c := common(p.text, text); c < len(text) && c < len(p.text) && p.text[c] < text[c] {
				n = c + 1
			}
			break
		}
	}
}

func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// find adds the entries under terms that are true of a text.
func (s *shelf[T]) find(m *matching[T], text string) {
	if s.exact.Len() > 0 {
		same(s.exact, text, m.candidate)
	}
	if s.prefix.Len() > 0 {
		beginnings(s.prefix, text, m.add)
	}
	if s.suffix.Len() > 0 {
		beginnings(s.suffix, reversed(text), m.add)
	}
}

func (m *matching[T]) add(f *filed[T]) { m.candidate(f) }

func (m *matching[T]) candidate(f *filed[T]) bool {
	m.candidates = append(m.candidates, f)
	m.twice = m.twice || len(f.terms) > 1
	return true
}

// find adds the members of a crowd that the event may match.
func (c *crowd[T]) find(m *matching[T]) {
	for f := range c.always.All() {
		m.candidate(f)
	}
	c.eachAttribute(&m.view, func(s *shelf[T], text string) {
		s.find(m, text)
		if s.ranges != nil {
			if n, ok := attributeNumber(text); ok {
				s.ranges.stab(n, m.candidate)
			}
		}
	})
	if c.data.Len() > 0 {
		c.eachDatum(&m.view, func(s *shelf[T], d datum) {
			m.twice = m.twice || d.kind == listKind
			if !d.hasText() {
				beginnings(s.prefix, "", m.add) // it is there, at least
			}
			d.any(func(d datum) bool {
				if d.hasText() {
					s.find(m, d.text)
				}
				if d.kind == numberKind {
					s.ranges.stab(d.number, m.candidate)
				}
				return false
			})
		})
	}
}

// attributeNumber is the number that CESQL may take a text for.
func attributeNumber(text string) (float64, bool) {
	switch text {
	case "true":
		return 1, true
	case "false":
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return float64(n), err == nil
}

// manyNames is from how many shelves on they are looked for by what the event has, instead of the other way round.
const manyNames = 16

func (c *crowd[T]) eachAttribute(v *view, yield func(*shelf[T], string)) {
	if c.attributes.Len() <= manyNames {
		for s := range c.attributes.All() {
			if text, ok := v.event.Attribute(s.name); ok {
				yield(s, text)
			}
		}
		return
	}
	look := func(name string) {
		s := c.shelf(shelfName{name: name})
		if s == nil {
			return
		}
		if text, ok := v.event.Attribute(name); ok {
			yield(s, text)
		}
	}
	for _, name := range [...]string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"} {
		look(name)
	}
	for _, x := range v.event.Extensions {
		look(x.Name)
	}
}

func (c *crowd[T]) eachDatum(v *view, yield func(*shelf[T], datum)) {
	if !v.walked {
		v.walk()
	}
	if c.data.Len() <= manyNames {
		for s := range c.data.All() {
			if d, ok := v.found.get(s.name); ok {
				yield(s, d)
			}
		}
		return
	}
	for _, f := range v.found.list {
		if s := c.shelf(shelfName{data: true, name: f.key}); s != nil {
			yield(s, f.datum)
		}
	}
}

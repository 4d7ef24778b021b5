package filter

import (
	"strings"

	"github.com/evoke-run/evoke/ordered"
)

// token is a place in the patterns with wildcards, and a tree of what follows it. Trees are never changed; they share nodes.
type token[T any] struct {
	text string
	here *group[T]              // of the pattern that ends here
	rest *group[T]              // of the one that goes on with >
	any  *token[T]              // behind *
	next ordered.Set[*token[T]] // behind any other token, by text
}

func newToken[T any](text string) *token[T] {
	return &token[T]{text: text, next: ordered.New(func(a, b *token[T]) int { return strings.Compare(a.text, b.text) })}
}

// tokens are those of the pattern behind its scope.
func (e *Entry[T]) tokens() []string {
	return append([]string{e.Scope}, strings.Split(e.Pattern.text, ".")...)
}

// with is the tree after a change of the group of one pattern, nil when nothing is left. A nil tree is an empty one.
func (t *token[T]) with(pattern []string, change func(*group[T]) *group[T]) *token[T] {
	next := newToken[T]("")
	if t != nil {
		*next = *t
	}
	switch {
	case len(pattern) == 0:
		next.here = change(next.here)
	case pattern[0] == ">":
		next.rest = change(next.rest)
	case pattern[0] == "*":
		next.any = next.any.with(pattern[1:], change)
	default:
		was := next.child(pattern[0])
		is := was.with(pattern[1:], change)
		if is == nil {
			next.next = next.next.With(ordered.Edit[*token[T]]{Value: newToken[T](pattern[0]), Gone: true})
			break
		}
		is.text = pattern[0] // it is new
		next.next = next.next.With(ordered.Edit[*token[T]]{Value: is})
	}
	if next.here == nil && next.rest == nil && next.any == nil && next.next.Len() == 0 {
		return nil
	}
	return next
}

func (t *token[T]) child(text string) *token[T] {
	c, _ := t.next.Find(func(c *token[T]) int { return strings.Compare(c.text, text) })
	return c
}

// find adds the groups of all patterns that match a topic, by the rules of Pattern.Match.
func (t *token[T]) find(scope, topic string, found []*group[T]) []*group[T] {
	if c := t.child(scope); c != nil {
		return c.match(topic, found)
	}
	return found
}

func (t *token[T]) match(topic string, found []*group[T]) []*group[T] {
	have, rest, more := strings.Cut(topic, ".")
	if have == "" {
		return found
	}
	if t.rest != nil && !Internal(topic) {
		found = append(found, t.rest)
	}
	var next [2]*token[T]
	if have[0] != '_' {
		next[0] = t.any
	}
	next[1] = t.child(have)
	for _, c := range next {
		switch {
		case c == nil:
		case more:
			found = c.match(rest, found)
		case c.here != nil:
			found = append(found, c.here)
		}
	}
	return found
}

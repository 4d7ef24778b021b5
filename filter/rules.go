package filter

import (
	"fmt"
	"strings"
)

// texts is what exact, prefix and suffix do with one text.
type texts uint8

const (
	exact texts = iota
	prefix
	suffix
)

func (t texts) match(text, want string) bool {
	switch t {
	case prefix:
		return strings.HasPrefix(text, want)
	case suffix:
		return strings.HasSuffix(text, want)
	}
	return text == want
}

// say puts it in words.
func (t texts) say(want string) string {
	verb := "is"
	switch t {
	case prefix:
		verb = "begins with"
	case suffix:
		verb = "ends with"
	}
	return fmt.Sprintf("%s %q", verb, want)
}

// textRule is one pair of exact, prefix or suffix.
type textRule struct {
	field field
	op    texts
	want  string
}

func (r *textRule) match(v *view) bool {
	return r.field.any(v, func(text string) bool { return r.op.match(text, r.want) })
}

func (r *textRule) clauses() []clause { return []clause{{textTerm(r.field, r.op, r.want)}} }

func (r *textRule) paths(yield func(*dataPath)) { r.field.paths(yield) }

func (f field) paths(yield func(*dataPath)) {
	if f.path != nil {
		yield(f.path)
	}
}

// placed is a rule and where it stands in the one around it.
type placed struct {
	at string
	rule
}

// allRule is a list, a map with several pairs, and the dialect all.
type allRule []placed

func (r allRule) match(v *view) bool {
	for _, p := range r {
		if !p.match(v) {
			return false
		}
	}
	return true
}

func (r allRule) clauses() (out []clause) {
	for _, p := range r {
		out = both(out, p.clauses())
	}
	return out
}

func (r allRule) paths(yield func(*dataPath)) {
	for _, p := range r {
		p.paths(yield)
	}
}

type anyRule []placed

func (r anyRule) match(v *view) bool {
	for _, p := range r {
		if p.match(v) {
			return true
		}
	}
	return false
}

func (r anyRule) clauses() (out []clause) {
	for i, p := range r {
		if i == 0 {
			out = p.clauses()
		} else {
			out = either(out, p.clauses())
		}
	}
	return out
}

func (r anyRule) paths(yield func(*dataPath)) { allRule(r).paths(yield) }

type notRule struct{ placed }

func (r notRule) match(v *view) bool { return !r.placed.match(v) }

// clauses: that something is not so says nothing about where to look.
func (r notRule) clauses() []clause { return nil }

// unplaced is a rule that stands at the place of the one around it.
func unplaced(r rule) placed { return placed{rule: r} }

// all makes one rule of several. One alone needs none around it.
func all(rules []placed) rule {
	if len(rules) == 1 {
		return within{rules[0]}
	}
	return allRule(rules)
}

// within is a single rule at a place.
type within struct{ placed }

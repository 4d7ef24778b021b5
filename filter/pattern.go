package filter

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// dataRule is one path of the dialect data: at least one of its patterns must fit.
type dataRule struct {
	field    field
	patterns []dataPattern
}

func (r *dataRule) match(v *view) bool {
	d, ok := v.data(r.field.path)
	for _, p := range r.patterns {
		if p.match(d, ok) {
			return true
		}
	}
	return false
}

func (r *dataRule) clauses() []clause {
	var c clause
	for _, p := range r.patterns {
		t, ok := p.term(r.field)
		if !ok || len(c) == maxTerms {
			return nil
		}
		c = append(c, t)
	}
	return []clause{c}
}

func (r *dataRule) paths(yield func(*dataPath)) { yield(r.field.path) }

// dataPattern is what the data may have at a path: all parts of it must be true of one value.
type dataPattern struct {
	at    string
	parts []dataPart
}

func (p dataPattern) match(d datum, ok bool) bool {
	if !ok {
		return p.all(datum{}, false)
	}
	if d.kind == listKind && p.all(d, true) {
		return true
	}
	return d.any(func(d datum) bool { return p.all(d, true) })
}

func (p dataPattern) all(d datum, ok bool) bool {
	for _, part := range p.parts {
		if !part.match(d, ok) {
			return false
		}
	}
	return true
}

// term is of the first part that has one.
func (p dataPattern) term(f field) (term, bool) {
	for _, part := range p.parts {
		if t, ok := part.term(f); ok {
			return t, true
		}
	}
	return term{}, false
}

func (p dataPattern) say() string {
	words := make([]string, len(p.parts))
	for i, part := range p.parts {
		words[i] = part.say()
	}
	return strings.Join(words, " and ")
}

// dataPart is one thing about a value; ok is false when there is none at the path.
type dataPart interface {
	match(d datum, ok bool) bool
	term(field) (term, bool)
	say() string
}

// textPart is prefix, suffix, and exact with a string.
type textPart struct {
	op   texts
	want string
}

func (p textPart) match(d datum, ok bool) bool {
	return ok && d.kind == stringKind && p.op.match(d.text, p.want)
}
func (p textPart) term(f field) (term, bool) { return textTerm(f, p.op, p.want), true }
func (p textPart) say() string               { return p.op.say(p.want) }

// wordPart is true, false or null.
type wordPart struct {
	kind kind
	text string
}

func (p wordPart) match(d datum, ok bool) bool { return ok && d.kind == p.kind && d.text == p.text }

func (p wordPart) term(f field) (term, bool) {
	if p.kind == nullKind {
		return existsTerm(f), true
	}
	return textTerm(f, exact, p.text), true
}

func (p wordPart) say() string {
	if p.kind == nullKind {
		return "is null"
	}
	return "is " + p.text
}

// numberPart is a number that must be there.
type numberPart struct {
	text  string
	value float64
}

// match compares whole numbers digit by digit: a float does not tell large ones apart.
func (p numberPart) match(d datum, ok bool) bool {
	if !ok || d.kind != numberKind || d.number != p.value {
		return false
	}
	a, errA := strconv.ParseInt(p.text, 10, 64)
	b, errB := strconv.ParseInt(d.text, 10, 64)
	return errA != nil || errB != nil || a == b
}

func (p numberPart) term(f field) (term, bool) { return rangeTerm(f, p.value, p.value), true }
func (p numberPart) say() string               { return "is " + p.text }

// rangePart is numeric: what lies between two bounds, either of which may be infinite.
type rangePart struct {
	from, to         float64
	fromOpen, toOpen bool // the bound itself is out
	text             string
}

func (p rangePart) match(d datum, ok bool) bool {
	if !ok || d.kind != numberKind {
		return false
	}
	n := d.number
	return !(n < p.from || p.fromOpen && n == p.from || n > p.to || p.toOpen && n == p.to)
}

func (p rangePart) term(f field) (term, bool) { return rangeTerm(f, p.from, p.to), true }
func (p rangePart) say() string               { return "is a number " + p.text }

// empty says whether no number is in it.
func (p rangePart) empty() bool {
	return p.from > p.to || p.from == p.to && (p.fromOpen || p.toOpen)
}

// bound narrows the range by one comparison. It answers false for an operator that it does not know.
func (p *rangePart) bound(operator string, n float64, text string) bool {
	switch operator {
	case "=":
		p.atLeast(n, false)
		p.atMost(n, false)
	case ">":
		p.atLeast(n, true)
	case ">=":
		p.atLeast(n, false)
	case "<":
		p.atMost(n, true)
	case "<=":
		p.atMost(n, false)
	default:
		return false
	}
	if p.text != "" {
		p.text += " and "
	}
	p.text += fmt.Sprintf("%s %s", operator, text)
	return true
}

func (p *rangePart) atLeast(n float64, open bool) {
	if n > p.from || n == p.from && open {
		p.from, p.fromOpen = n, open
	}
}

func (p *rangePart) atMost(n float64, open bool) {
	if n < p.to || n == p.to && open {
		p.to, p.toOpen = n, open
	}
}

func newRange() rangePart { return rangePart{from: math.Inf(-1), to: math.Inf(1)} }

// existsPart is whether there is something at the path, null included.
type existsPart bool

func (p existsPart) match(_ datum, ok bool) bool { return ok == bool(p) }

func (p existsPart) term(f field) (term, bool) { return existsTerm(f), bool(p) }

func (p existsPart) say() string {
	if p {
		return "is there"
	}
	return "is not there"
}

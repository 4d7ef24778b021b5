package filter

import (
	"math"
	"slices"
)

// A clause is a condition without which a filter cannot match: at least one of its terms is true of every event that it matches. The index looks events up by the terms
// of one clause of a filter, so a clause may be weaker than what it comes from, and never stronger.
type clause []term

// term is something about one field that can be looked up.
type term struct {
	data bool
	name string // of the attribute, or dataPath.key
	op   termOp
	text string // of a suffix backwards
	from float64
	to   float64
}

type termOp uint8

const (
	termExact termOp = iota
	termPrefix
	termSuffix
	termRange // a number from from to to
)

const (
	maxTerms   = 64 // of a clause; a longer one is no help
	maxClauses = 16 // of a filter; which of them is looked up does not matter for what matches
)

func (f field) term() term {
	if f.path != nil {
		return term{data: true, name: f.path.key}
	}
	return term{name: f.attribute}
}

func textTerm(f field, op texts, want string) term {
	t := f.term()
	t.text = want
	switch op {
	case prefix:
		t.op = termPrefix
	case suffix:
		t.op, t.text = termSuffix, reversed(want)
	}
	return t
}

func rangeTerm(f field, from, to float64) term {
	t := f.term()
	t.op, t.from, t.to = termRange, from, to
	return t
}

// existsTerm: every text begins with nothing.
func existsTerm(f field) term { return textTerm(f, prefix, "") }

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// both are the clauses of two things that must be true.
func both(a, b []clause) []clause {
	out := slices.Concat(a, b)
	return out[:min(len(out), maxClauses)]
}

// either are the clauses of two things of which one must be true.
func either(a, b []clause) (out []clause) {
	for _, x := range a {
		for _, y := range b {
			if len(x)+len(y) <= maxTerms && len(out) < maxClauses {
				out = append(out, slices.Concat(x, y))
			}
		}
	}
	return out
}

var (
	least = math.Inf(-1)
	most  = math.Inf(1)
)

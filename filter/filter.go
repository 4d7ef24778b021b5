// Package filter decides which events a trigger gets: CESQL expressions, filters of the CloudEvents Subscriptions API, patterns for JSON data, topic patterns, and an
// index that finds the ones an event matches among a hundred thousand.
//
//	Parse ─► Filter: rules          Match asks the rules, Explain says what each of them found
//	            │ clauses: what an event must have, or the filter cannot match
//	            ▼
//	         Index                  looks the event's own attributes and data up, and asks only the filters that this leaves
//
// Filters, patterns and indexes are immutable; all their methods may be called by many goroutines at once.
package filter

import (
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/ordered"
)

// Filter is a parsed filter. It sees the attributes and extensions of an event, and the fields of its data when that is JSON.
type Filter struct {
	text  string
	rule  rule                   // nil = every event
	paths ordered.Set[*dataPath] // everything the rule asks the data for
}

// rule is a part of a filter.
type rule interface {
	match(*view) bool
	// clauses are what must be true of an event that matches.
	clauses() []clause
	// explain is match with the reasons. at is where the rule stands in the filter.
	explain(v *view, at string) Explanation
	// paths calls yield with every path into the data that match may ask for.
	paths(yield func(*dataPath))
}

// Match says whether the event passes.
func (f *Filter) Match(e *event.Event) bool {
	if f.rule == nil {
		return true
	}
	return f.rule.match(f.view(e))
}

func (f *Filter) view(e *event.Event) *view {
	v := &view{event: e}
	if f.paths.Len() > 0 {
		v.wanted = append(v.wanted, f.paths)
	}
	return v
}

// String returns the text the filter was parsed from; "" matches everything.
func (f *Filter) String() string { return f.text }

func newFilter(text string, r rule) *Filter {
	f := &Filter{text: text, rule: r}
	var paths []*dataPath
	r.paths(func(p *dataPath) { paths = append(paths, p) })
	if len(paths) > 0 {
		f.paths = newPaths(paths...)
	}
	return f
}

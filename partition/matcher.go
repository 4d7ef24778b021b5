package partition

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/ordered"
)

// matcher decides which triggers an event is for. It is immutable and shared by all partitions.
type matcher struct {
	exact    ordered.Set[*rule] // by namespace, topic and id
	patterns ordered.Set[*rule] // those with wildcards, by namespace and id
}

type rule struct {
	trigger  *Trigger
	pattern  filter.Pattern
	filter   *filter.Filter
	priority *filter.Value // nil = all events have the same
}

func newMatcher() *matcher {
	return &matcher{
		exact: ordered.New(func(a, b *rule) int {
			return cmp.Or(a.compare(b.trigger.Namespace, b.trigger.Topic), cmp.Compare(a.trigger.ID, b.trigger.ID))
		}),
		patterns: ordered.New(func(a, b *rule) int {
			return cmp.Or(cmp.Compare(a.trigger.Namespace, b.trigger.Namespace), cmp.Compare(a.trigger.ID, b.trigger.ID))
		}),
	}
}

func (r *rule) compare(namespace, topic string) int {
	return cmp.Or(cmp.Compare(r.trigger.Namespace, namespace), cmp.Compare(r.trigger.Topic, topic))
}

// with is the matcher after the difference between two sets of triggers.
func (m *matcher) with(changes iter.Seq2[*Trigger, *Trigger]) (*matcher, error) {
	var exact, patterns []ordered.Edit[*rule]
	edit := func(r *rule, gone bool) {
		to := &exact
		if r.pattern.Wildcard() {
			to = &patterns
		}
		*to = append(*to, ordered.Edit[*rule]{Value: r, Gone: gone})
	}
	for was, is := range changes {
		if was != nil {
			pattern, err := filter.ParsePattern(was.Topic)
			if err != nil {
				return nil, err
			}
			edit(&rule{trigger: was, pattern: pattern}, true)
		}
		if is != nil {
			r, err := newRule(is)
			if err != nil {
				return nil, err
			}
			edit(r, false)
		}
	}
	return &matcher{exact: m.exact.With(exact...), patterns: m.patterns.With(patterns...)}, nil
}

func newRule(t *Trigger) (*rule, error) {
	pattern, err := filter.ParsePattern(t.Topic)
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.Name, err)
	}
	f, err := filter.Parse(t.Filter)
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.Name, err)
	}
	r := &rule{trigger: t, pattern: pattern, filter: f}
	if t.Priority != "" {
		if r.priority, err = filter.ParseNumber(t.Priority); err != nil {
			return nil, fmt.Errorf("priority of trigger %s: %w", t.Name, err)
		}
	}
	return r, nil
}

// match sets the triggers of an event.
func (m *matcher) match(e *storedEvent) error {
	e.triggers, e.ranks = e.triggers[:0], nil
	var decoded *event.Event
	var priorities map[uint64]*filter.Value
	ask := func(r *rule) error {
		if decoded == nil {
			d, err := event.Decode(e.event)
			if err != nil {
				return err
			}
			decoded = &d
		}
		if !r.filter.Match(decoded) {
			return nil
		}
		if e.triggers = append(e.triggers, r.trigger.ID); r.priority != nil {
			if priorities == nil {
				priorities = map[uint64]*filter.Value{}
			}
			priorities[r.trigger.ID] = r.priority
		}
		return nil
	}
	for r := range m.exact.From(func(r *rule) int { return r.compare(e.namespace, e.topic) }) {
		if r.compare(e.namespace, e.topic) != 0 {
			break
		}
		if err := ask(r); err != nil {
			return err
		}
	}
	for r := range m.patterns.From(func(r *rule) int { return cmp.Compare(r.trigger.Namespace, e.namespace) }) {
		if r.trigger.Namespace != e.namespace {
			break
		}
		if !r.pattern.Match(e.topic) {
			continue
		}
		if err := ask(r); err != nil {
			return err
		}
	}
	slices.Sort(e.triggers)
	if priorities == nil {
		return nil
	}
	e.ranks = make([]int8, len(e.triggers))
	for n, id := range e.triggers {
		if p := priorities[id]; p != nil {
			e.ranks[n] = rankOf(p, decoded)
		}
	}
	return nil
}

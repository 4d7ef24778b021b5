package partition

import (
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
)

// matcher decides which triggers an event is for. It is immutable and shared by all partitions.
type matcher struct {
	exact    map[string][]rule // by namespace, zero byte, topic
	patterns map[string][]rule // by namespace: those with wildcards
}

type rule struct {
	id       uint64
	pattern  filter.Pattern
	filter   *filter.Filter
	priority *filter.Value // nil = all events have the same
}

func newMatcher(triggers []Trigger) (*matcher, error) {
	m := &matcher{exact: map[string][]rule{}, patterns: map[string][]rule{}}
	for _, t := range triggers {
		pattern, err := filter.ParsePattern(t.Topic)
		if err != nil {
			return nil, fmt.Errorf("trigger %s: %w", t.Name, err)
		}
		f, err := filter.Parse(t.Filter)
		if err != nil {
			return nil, fmt.Errorf("trigger %s: %w", t.Name, err)
		}
		r := rule{id: t.ID, pattern: pattern, filter: f}
		if t.Priority != "" {
			if r.priority, err = filter.ParseNumber(t.Priority); err != nil {
				return nil, fmt.Errorf("priority of trigger %s: %w", t.Name, err)
			}
		}
		if !pattern.Wildcard() {
			key := topicKey(t.Namespace, t.Topic)
			m.exact[key] = append(m.exact[key], r)
			continue
		}
		m.patterns[t.Namespace] = append(m.patterns[t.Namespace], r)
	}
	return m, nil
}

func topicKey(namespace, topic string) string { return namespace + "\x00" + topic }

// match sets the triggers of an event.
func (m *matcher) match(e *storedEvent) error {
	exact, patterns := m.exact[topicKey(e.namespace, e.topic)], m.patterns[e.namespace]
	if len(exact) == 0 && len(patterns) == 0 {
		return nil
	}
	decoded, err := event.Decode(e.event)
	if err != nil {
		return err
	}
	e.triggers, e.ranks = e.triggers[:0], nil
	var priorities map[uint64]*filter.Value
	matched := func(r *rule) {
		if e.triggers = append(e.triggers, r.id); r.priority != nil {
			if priorities == nil {
				priorities = map[uint64]*filter.Value{}
			}
			priorities[r.id] = r.priority
		}
	}
	for i := range exact {
		if exact[i].filter.Match(&decoded) {
			matched(&exact[i])
		}
	}
	for i := range patterns {
		if r := &patterns[i]; r.pattern.Match(e.topic) && r.filter.Match(&decoded) {
			matched(r)
		}
	}
	slices.Sort(e.triggers)
	if priorities == nil {
		return nil
	}
	e.ranks = make([]int8, len(e.triggers))
	for n, id := range e.triggers {
		if p := priorities[id]; p != nil {
			e.ranks[n] = rankOf(p, &decoded)
		}
	}
	return nil
}

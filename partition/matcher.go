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
	id      uint64
	pattern filter.Pattern
	filter  *filter.Filter
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
	e.triggers = e.triggers[:0]
	for _, r := range exact {
		if r.filter.Match(&decoded) {
			e.triggers = append(e.triggers, r.id)
		}
	}
	for _, r := range patterns {
		if r.pattern.Match(e.topic) && r.filter.Match(&decoded) {
			e.triggers = append(e.triggers, r.id)
		}
	}
	slices.Sort(e.triggers)
	return nil
}

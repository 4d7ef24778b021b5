package partition

import (
	"fmt"
	"iter"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
)

// matcher decides which triggers an event is for. It is immutable and shared by all partitions.
type matcher struct{ index *filter.Index[rule] }

// rule is what an event gets from a trigger that it matches.
type rule struct {
	trigger  *Trigger
	priority *filter.Value // nil = all events have the same
}

func newMatcher() *matcher { return &matcher{filter.NewIndex[rule]()} }

// with is the matcher after the difference between two sets of triggers.
func (m *matcher) with(changes iter.Seq2[*Trigger, *Trigger]) (*matcher, error) {
	var edits []filter.Edit[rule]
	for was, is := range changes {
		if was != nil {
			pattern, err := filter.ParsePattern(was.Topic)
			if err != nil {
				return nil, err
			}
			edits = append(edits, filter.Edit[rule]{Entry: &filter.Entry[rule]{Scope: was.Namespace, Pattern: pattern, ID: was.ID}, Gone: true})
		}
		if is != nil {
			entry, err := newEntry(is)
			if err != nil {
				return nil, err
			}
			edits = append(edits, filter.Edit[rule]{Entry: entry})
		}
	}
	return &matcher{m.index.With(edits...)}, nil
}

func newEntry(t *Trigger) (*filter.Entry[rule], error) {
	pattern, err := filter.ParsePattern(t.Topic)
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.Name, err)
	}
	f, err := filter.Parse(t.Filter)
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.Name, err)
	}
	r := rule{trigger: t}
	if t.Priority != "" {
		if r.priority, err = filter.ParseNumber(t.Priority); err != nil {
			return nil, fmt.Errorf("priority of trigger %s: %w", t.Name, err)
		}
	}
	return &filter.Entry[rule]{Scope: t.Namespace, Pattern: pattern, ID: t.ID, Filter: f, Value: r}, nil
}

// match sets the triggers of an event.
func (m *matcher) match(e *storedEvent) error {
	e.triggers, e.ranks = e.triggers[:0], nil
	topic := m.index.Topic(e.namespace, e.topic)
	if topic.Empty() {
		return nil
	}
	var decoded *event.Event
	if topic.Looks() {
		d, err := event.Decode(e.event)
		if err != nil {
			return err
		}
		decoded = &d
	}
	matched := topic.Match(decoded)
	for _, entry := range matched {
		e.triggers = append(e.triggers, entry.ID)
	}
	return e.setRanks(matched, decoded)
}

// setRanks sets the ranks that an event has for those of its triggers that have a priority. decoded is the event, nil if nobody had to see it.
func (e *storedEvent) setRanks(triggers []*filter.Entry[rule], decoded *event.Event) error {
	for n, entry := range triggers {
		if entry.Value.priority == nil {
			continue
		}
		if decoded == nil {
			d, err := event.Decode(e.event)
			if err != nil {
				return err
			}
			decoded = &d
		}
		if e.ranks == nil {
			e.ranks = make([]int8, len(triggers))
		}
		e.ranks[n] = rankOf(entry.Value.priority, decoded)
	}
	return nil
}

package partition

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/evoke-run/evoke/ordered"
)

// TriggerSet is a set of triggers to be put in force. It is immutable and shares what it has in common with the set that it was made from, so that a change of one of a
// hundred thousand costs little here and in every partition.
type TriggerSet struct {
	definitions *definitions
	triggers    ordered.Set[*Trigger] // by id
	matcher     *matcher
}

// NoTriggers is the empty set, to begin with.
func (t *Table) NoTriggers() *TriggerSet { return noTriggers(t.definitions) }

func noTriggers(d *definitions) *TriggerSet {
	return &TriggerSet{
		definitions: d, matcher: newMatcher(),
		triggers: ordered.New(func(a, b *Trigger) int { return cmp.Compare(a.ID, b.ID) }),
	}
}

// With is the set with some triggers put in the place of those of the same ids, if there are any, and others removed. The error says what is wrong with a trigger.
func (s *TriggerSet) With(put []Trigger, remove []uint64) (*TriggerSet, error) {
	shared := make([]*Trigger, len(put))
	for i := range put {
		shared[i] = s.definitions.share(&put[i])
	}
	return s.with(shared, remove)
}

// with takes definitions as they are shared.
func (s *TriggerSet) with(put []*Trigger, remove []uint64) (*TriggerSet, error) {
	edits := make([]ordered.Edit[*Trigger], 0, len(put)+len(remove))
	for _, id := range remove {
		edits = append(edits, ordered.Edit[*Trigger]{Value: &Trigger{ID: id}, Gone: true})
	}
	for _, t := range put {
		edits = append(edits, ordered.Edit[*Trigger]{Value: t})
	}
	next := &TriggerSet{definitions: s.definitions, triggers: s.triggers.With(edits...)}
	var err error
	next.matcher, err = s.matcher.with(next.triggers.Since(s.triggers))
	if err != nil {
		return nil, err
	}
	return next, nil
}

// Match answers the ids of the triggers that an event is for, in its binary form.
func (s *TriggerSet) Match(namespace, topic string, event []byte) ([]uint64, error) {
	e := storedEvent{namespace: namespace, topic: topic, event: event}
	err := s.matcher.match(&e)
	return e.triggers, err
}

// SetTriggers is PutInForce for a list of all triggers.
func (t *Table) SetTriggers(ctx context.Context, generation uint64, triggers []Trigger) error {
	set, err := t.NoTriggers().With(triggers, nil)
	if err != nil {
		return err
	}
	return t.PutInForce(ctx, generation, set)
}

// PutInForce makes just these triggers in force and returns when every partition has applied it. generation orders calls; it is the registry's revision.
func (t *Table) PutInForce(ctx context.Context, generation uint64, set *TriggerSet) error {
	done := make([]chan result, len(t.parts))
	d := difference{to: set}
	for i, p := range t.parts {
		var err error
		if done[i], err = p.setTriggers(generation, &d); err != nil {
			return err
		}
	}
	for i, p := range t.parts {
		if done[i] == nil {
			continue
		}
		if _, err := p.wait(ctx, done[i]); err != nil {
			return err
		}
	}
	return nil
}

// difference is what makes one set of triggers the other, in the order of their ids. Partitions nearly always have the same in force, and then it is made once.
type difference struct {
	from, to *TriggerSet // from is nil before it was made

	put    []*Trigger
	texts  [][]byte // of put
	remove []uint64
}

func (d *difference) since(from *TriggerSet) {
	if d.from == from {
		return
	}
	d.from, d.put, d.texts, d.remove = from, nil, nil, nil
	for was, is := range d.to.triggers.Since(from.triggers) {
		if is == nil {
			d.remove = append(d.remove, was.ID)
			continue
		}
		text := marshalTrigger(is)
		if was != nil && string(marshalTrigger(was)) == string(text) {
			continue
		}
		d.put, d.texts = append(d.put, is), append(d.texts, text)
	}
}

func marshalTrigger(t *Trigger) []byte {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // a struct of strings and numbers always marshals
	}
	return text
}

// setTriggers appends the difference between what is in force and what is wanted, as a barrier between matches. A nil channel means there is none, or that
// something newer is in force.
func (p *partition) setTriggers(generation uint64, d *difference) (chan result, error) {
	p.appendMu.Lock()
	defer p.appendMu.Unlock()
	if generation < p.newest {
		return nil, nil
	}
	d.since(p.inForce.Load())
	if len(d.put) == 0 && len(d.remove) == 0 {
		p.inForce.Store(d.to)
		p.newest = generation
		return nil, nil
	}
	done, err := p.appendLocked(&controlRecord{generation: generation, put: d.texts, remove: d.remove})
	if err == nil {
		p.inForce.Store(d.to)
		p.newest = generation
		p.noteReplays(d)
	}
	return done, err
}

// noteReplays keeps in mind which triggers were replayed. The definition in force does not say it for ever.
func (p *partition) noteReplays(d *difference) {
	for _, t := range d.put {
		if t.Replay != nil {
			p.replayed[t.ID] = true
		}
	}
	for _, id := range d.remove {
		delete(p.replayed, id) // should it come again, it is new
	}
}

// triggersInForce needs mu. like is a set that it may be equal to: then it is that one.
func (p *partition) triggersInForce(like *TriggerSet) (*TriggerSet, error) {
	var list []*Trigger
	for _, t := range p.machine.triggers {
		if !t.gone {
			list = append(list, t.Trigger)
		}
	}
	slices.SortFunc(list, func(a, b *Trigger) int { return cmp.Compare(a.ID, b.ID) })
	if like != nil && slices.Equal(list, slices.Collect(like.triggers.All())) {
		return like, nil
	}
	return noTriggers(p.table.definitions).with(list, nil)
}

// Equal says whether two sets would put the same in force.
func (s *TriggerSet) Equal(other *TriggerSet) bool {
	d := difference{to: other}
	d.since(s)
	return len(d.put)+len(d.remove) == 0
}

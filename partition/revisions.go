package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
)

// What the partitions know of revisions of functions: which ones waiting events and dead letters must have, what a revision gave up on, and what runs.

// WantedRevisions counts, by revision, the events that wait or are dead letters and must be run by it: someone at the dead-letter desk said so.
func (t *Table) WantedRevisions(namespace, function string) map[int]int {
	out := map[int]int{}
	for _, p := range t.parts {
		p.mu.Lock()
		for _, tr := range p.machine.triggers {
			if tr.gone || tr.Trigger.Namespace != namespace || tr.Trigger.Function != function {
				continue
			}
			for _, s := range tr.special {
				if s.revision != 0 {
					out[s.revision]++
				}
			}
		}
		p.mu.Unlock()
	}
	return out
}

// GivenUpBy lists up to n dead letters of a function's triggers whose last attempt a revision made. Their events are not read.
func (t *Table) GivenUpBy(namespace, function string, revision, n int) ([]LetterID, error) {
	var out []LetterID
	for _, p := range t.parts {
		for _, trigger := range p.triggersOf(namespace, function) {
			prefix := p.machine.store.key(keyDeadLetter, trigger)
			err := scanRange(t.db, prefix, prefixEnd(prefix), func(key, value []byte) error {
				if len(key) != len(prefix)+8 {
					return fmt.Errorf("dead letter of trigger %d has a key of the wrong length", trigger)
				}
				id := ID{Partition: p.index, Trigger: trigger, Offset: binary.BigEndian.Uint64(key[len(prefix):])}
				d, err := readDeadLetter(value)
				if err != nil {
					return fmt.Errorf("dead letter %s: %w", id, err)
				}
				if last := len(d.attempts) - 1; last >= 0 && d.attempts[last].Revision == revision {
					if len(out) == n {
						return errEnough
					}
					out = append(out, LetterID{id, d.generation})
				}
				return nil
			})
			if errors.Is(err, errEnough) {
				return out, nil
			}
			if err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

func (p *partition) triggersOf(namespace, function string) (ids []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, t := range p.machine.triggers {
		if !t.gone && t.Trigger.Namespace == namespace && t.Trigger.Function == function {
			ids = append(ids, id)
		}
	}
	return ids
}

// Handed names one attempt that was handed out.
type Handed struct {
	ID
	Generation uint32
	Attempt    int
}

// HandedOut are the attempts of a function's events that were taken and are not settled.
func (t *Table) HandedOut(namespace, function string) map[Handed]struct{} {
	out := map[Handed]struct{}{}
	for _, p := range t.parts {
		maps.Copy(out, p.handedOut(namespace, function))
	}
	return out
}

func (p *partition) handedOut(namespace, function string) map[Handed]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[Handed]struct{}{}
	for id, f := range p.ready.feeds {
		if f.trigger.Trigger.Namespace != namespace || f.trigger.Trigger.Function != function {
			continue
		}
		for offset := range f.running {
			if at := f.trigger.at(offset); f.trigger.pending.has(offset) {
				out[Handed{ID{Partition: p.index, Trigger: id, Offset: offset}, at.generation, at.attempts + 1}] = struct{}{}
			}
		}
	}
	return out
}

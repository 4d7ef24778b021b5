package partition

import (
	"fmt"

	"github.com/evoke-run/evoke/wire"
)

// redriveAsRecord makes dead letters pending again as someone at the dead-letter desk wants them: run by a revision of choice, or with an edited event. An edited
// event is stored with the record, for its trigger alone: in no topic, matched by nobody.
//
// Of a trigger that is replayed, it is a record of another kind: the generation is above all that events of the trigger have had. The next one of the event might be that
// of a replay which has yet to come by the event, and then two invocations would have one name.
type redriveAsRecord struct {
	letters []letterAs
	edited  []storedEvent // of the letters that say so, in their order
	above   bool
}

// letterAs is one dead letter of a redriveAsRecord.
type letterAs struct {
	letter
	revision uint64 // 0 = the one in force
	edited   bool
}

func (r *redriveAsRecord) kind() kind {
	if r.above {
		return kindRedriveAbove
	}
	return kindRedriveAs
}
func (r *redriveAsRecord) events() []storedEvent { return r.edited }
func (r *redriveAsRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, uint64(len(r.letters)))
	for _, l := range r.letters {
		b = wire.AppendUvarint(b, l.trigger)
		b = wire.AppendUvarint(b, l.offset)
		b = wire.AppendUvarint(b, uint64(l.generation))
		b = wire.AppendUvarint(b, l.revision)
		b = append(b, boolByte(l.edited))
	}
	return appendStoredEvents(b, r.edited)
}

func readRedriveAs(r *wire.Reader, k kind) *redriveAsRecord {
	return &redriveAsRecord{
		above: k == kindRedriveAbove,
		letters: readList(r, func(r *wire.Reader) letterAs {
			return letterAs{
				letter:   letter{trigger: r.Uvarint(), offset: r.Uvarint(), generation: uint32(r.Uvarint())},
				revision: r.Uvarint(), edited: r.U8() == 1,
			}
		}),
		edited: readList(r, readStoredEvent),
	}
}

// special is what the desk said of an event that it redrove. It stays with the event until that is done or discarded; the zero value is an ordinary event.
type special struct {
	source     uint64 // where the edited event is; 0 = the event is as it came
	generation uint32 // which began with the edited event
	revision   int    // that runs it; 0 = the one in force
}

func (s special) append(b []byte) []byte {
	b = wire.AppendU64(b, s.source)
	b = wire.AppendUvarint(b, uint64(s.generation))
	return wire.AppendUvarint(b, uint64(s.revision))
}

func readSpecial(b []byte) (special, error) {
	r := wire.NewReader(b)
	s := special{source: r.U64(), generation: uint32(r.Uvarint()), revision: int(r.Uvarint())}
	return s, r.Close()
}

// at is where the bytes of an event are that was stored at offset.
func (s special) at(offset uint64) uint64 {
	if s.source != 0 {
		return s.source
	}
	return offset
}

func (m *machine) applyRedriveAs(offset uint64, r *redriveAsRecord) (result, error) {
	var res result
	next := offset // where the next edited event is
	for _, l := range r.letters {
		source := uint64(0)
		if l.edited {
			if next-offset >= uint64(len(r.edited)) {
				return result{}, fmt.Errorf("%w: it says that %d events are edited and has fewer", errDamaged, next-offset+1)
			}
			source = next
			next++
		}
		ok := m.redrive(l.letter, r.above, func(s special, generation uint32) special {
			s.revision = int(l.revision)
			if l.edited {
				s.source, s.generation = source, generation
			}
			return s
		})
		res.letter(ok)
	}
	return res, nil
}

// letter notes what became of the next dead letter of a record.
func (r *result) letter(changed bool) {
	r.letters = append(r.letters, changed)
	if changed {
		r.count++
	}
}

// redrive makes a dead letter pending again, if it is one of that generation: in its next one, or in one above all that the trigger's events have had.
func (m *machine) redrive(l letter, above bool, change func(s special, generation uint32) special) bool {
	t, d, ok := m.takeLetter(l)
	if !ok || t.gone {
		return false
	}
	next := l.generation + 1
	if above {
		next = max(next, t.position.generation+1)
	}
	t.pending.add(l.offset)
	m.setProgress(t, l.offset, progress{generation: next}, d.attempts)
	m.raiseGeneration(t, next)
	m.setSpecial(t, l.offset, change(t.special[l.offset], next))
	m.changed(changeRedrive, t, l.offset)
	m.dropLetter(t, l.offset)
	return true
}

func (m *machine) setSpecial(t *trigger, offset uint64, s special) {
	key := m.store.key(keySpecial, t.ID, offset)
	switch {
	case s != special{}:
		if t.special == nil {
			t.special = map[uint64]special{}
		}
		t.special[offset] = s
		m.store.put(key, s.append(nil))
	case t.special[offset] != special{}:
		delete(t.special, offset)
		m.store.keep(m.store.batch.Delete(key, nil))
	}
}

func (m *machine) loadSpecial() error {
	return scan(m.store.db, m.store.key(keySpecial), func(rest, value []byte) error {
		t, offset, err := m.ofTrigger(rest)
		if err != nil {
			return err
		}
		s, err := readSpecial(value)
		if err != nil {
			return fmt.Errorf("what the desk said of event %d of trigger %d: %w", offset, t.ID, err)
		}
		if t.special == nil {
			t.special = map[uint64]special{}
		}
		t.special[offset] = s
		return nil
	})
}

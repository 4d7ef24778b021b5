package partition

import (
	"fmt"

	"github.com/evoke-run/evoke/wire"
)

// matchedRecord says which events of a stretch of the past are for a trigger: one step of a run (position).
type matchedRecord struct {
	noEvents
	trigger    uint64
	generation uint32   // of the run
	definition uint64   // offset of the control record under which the filter was asked
	from, upTo uint64   // the stretch, without upTo
	offsets    []uint64 // that match, ascending
	later      []heldBack
}

// heldBack is an event of the past whose time had not come when the leader looked.
type heldBack struct {
	offset    uint64
	notBefore int64
}

func (d *matchedRecord) kind() kind {
	if len(d.later) > 0 {
		return kindMatchedLater
	}
	return kindMatched
}
func (d *matchedRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, d.trigger)
	b = wire.AppendUvarint(b, uint64(d.generation))
	b = wire.AppendUvarint(b, d.definition)
	b = wire.AppendUvarint(b, d.from)
	b = wire.AppendUvarint(b, d.upTo)
	b = wire.AppendUvarint(b, uint64(len(d.offsets)))
	last := d.from
	for _, offset := range d.offsets {
		b = wire.AppendUvarint(b, offset-last)
		last = offset
	}
	if len(d.later) == 0 {
		return b
	}
	b = wire.AppendUvarint(b, uint64(len(d.later)))
	last = d.from
	for _, l := range d.later {
		b = wire.AppendU64(wire.AppendUvarint(b, l.offset-last), uint64(l.notBefore))
		last = l.offset
	}
	return b
}

func readMatched(r *wire.Reader, k kind) *matchedRecord {
	d := &matchedRecord{
		trigger: r.Uvarint(), generation: uint32(r.Uvarint()), definition: r.Uvarint(), from: r.Uvarint(), upTo: r.Uvarint(),
	}
	last := d.from
	d.offsets = readList(r, func(r *wire.Reader) uint64 {
		last += r.Uvarint()
		return last
	})
	if k == kindMatchedLater {
		last = d.from
		d.later = readList(r, func(r *wire.Reader) heldBack {
			last += r.Uvarint()
			return heldBack{last, int64(r.U64())}
		})
	}
	return d
}

// applyMatched makes the events of the record pending and the run go on behind them. What is pending already, or is a dead letter, is left alone. A step that
// is not the next one of the trigger's first run, or that asked an older filter, is stale.
func (m *machine) applyMatched(d *matchedRecord) (result, error) {
	t := m.triggers[d.trigger]
	if t == nil || len(t.position.runs) == 0 {
		return result{outcome: Stale}, nil
	}
	r := &t.position.runs[0]
	if d.generation != r.generation || d.definition != t.position.definition || d.from != r.next {
		return result{outcome: Stale}, nil
	}
	if d.upTo <= d.from || d.upTo > r.end {
		return result{}, fmt.Errorf("%w: a step from %d to %d of a run that ends at %d", errDamaged, d.from, d.upTo, r.end)
	}
	notBefore := map[uint64]int64{}
	for _, l := range d.later {
		notBefore[l.offset] = l.notBefore
	}
	var res result
	for _, offset := range d.offsets {
		if offset < d.from || offset >= d.upTo {
			return result{}, fmt.Errorf("%w: offset %d in a step from %d to %d", errDamaged, offset, d.from, d.upTo)
		}
		if m.handOut(t, offset, d.generation) {
			if at := notBefore[offset]; at > m.clock {
				p := t.at(offset)
				p.next = at
				m.setProgress(t, offset, p, nil)
			}
			res.count++
		}
	}
	t.position.advance(d.upTo, res.count)
	m.savePosition(t)
	m.work.catchUp = m.work.catchUp || len(t.position.runs) > 0
	m.changed(changeTrigger, t, 0) // its limit may have moved
	return res, nil
}

// handOut makes an event of the past pending, unless it is pending, a dead letter, or below what the log has.
func (m *machine) handOut(t *trigger, offset uint64, generation uint32) bool {
	if t.pending.has(offset) || offset < m.floor { // its bytes may be gone
		return false
	}
	if t.dead > 0 {
		if _, dead := m.store.get(m.store.key(keyDeadLetter, t.ID, offset)); dead {
			return false
		}
	}
	t.pending.add(offset)
	if generation > 0 {
		t.again.add(generation, offset)
	}
	m.changed(changeAdded, t, offset)
	return true
}

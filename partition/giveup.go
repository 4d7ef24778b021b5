package partition

import (
	"github.com/evoke-run/evoke/wire"
)

// gaveUpRecord is the last attempt of an event that becomes a dead letter, where a settle says too little: the event's key parks, or a copy of it is
// published with it.
type gaveUpRecord struct {
	trigger, offset uint64
	generation      uint32
	attempt         Attempt
	parks           bool
	lane            uint64  // of the key that parks
	effects         effects // events only: an attempt that failed has written nothing
}

func (*gaveUpRecord) kind() kind              { return kindGaveUp }
func (g *gaveUpRecord) events() []storedEvent { return g.effects.own }
func (g *gaveUpRecord) brings() *effects      { return &g.effects }
func (g *gaveUpRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, g.trigger)
	b = wire.AppendUvarint(b, g.offset)
	b = wire.AppendUvarint(b, uint64(g.generation))
	b = g.attempt.append(b)
	b = append(b, boolByte(g.parks))
	b = wire.AppendU64(b, g.lane)
	return g.effects.append(b)
}

func readGaveUp(r *wire.Reader) *gaveUpRecord {
	return &gaveUpRecord{
		trigger: r.Uvarint(), offset: r.Uvarint(), generation: uint32(r.Uvarint()),
		attempt: readAttempt(r), parks: r.U8() == 1, lane: r.U64(), effects: readEffects(r),
	}
}

// gaveUp makes the record of a settle that gives up: a settle, unless the key parks or events go with it.
func (t *Table) gaveUp(d *Delivery, s *settleRecord, n Next, e Effects) body {
	s.next = nextDeadLetter
	key := d.Event.Key()
	parks := d.Trigger.parks() && key != "" && !n.GoOn
	if !parks && len(e.Emits) == 0 {
		return s
	}
	g := &gaveUpRecord{trigger: s.trigger, offset: s.offset, generation: s.generation, attempt: s.attempt, parks: parks}
	if parks {
		g.lane = laneOf(key)
	}
	if len(e.Emits) > 0 {
		g.effects = t.effects(t.parts[d.ID.Partition], scopeOf(d), Effects{Emits: e.Emits})
	}
	return g
}

func (m *machine) applyGaveUp(offset uint64, g *gaveUpRecord) (result, error) {
	res, err := m.applySettle(offset, &settleRecord{
		trigger: g.trigger, offset: g.offset, generation: g.generation, attempt: g.attempt, next: nextDeadLetter,
	})
	if err != nil || res.outcome != Applied {
		return res, err
	}
	if t := m.triggers[g.trigger]; g.parks && t.Trigger.parks() {
		m.park(t, g.lane, g.offset)
	}
	return res, m.takeEffects(offset, &g.effects)
}

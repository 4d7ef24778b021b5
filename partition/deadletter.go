package partition

import (
	"fmt"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// deadLetter is what the state keeps of an event given up on; its bytes are in the log.
type deadLetter struct {
	generation uint32
	time       int64
	attempts   []Attempt
}

func (d *deadLetter) append(b []byte) []byte {
	b = wire.AppendUvarint(b, uint64(d.generation))
	b = wire.AppendU64(b, uint64(d.time))
	return appendAttempts(b, d.attempts)
}

func readDeadLetter(b []byte) (deadLetter, error) {
	r := wire.NewReader(b)
	d := deadLetter{generation: uint32(r.Uvarint()), time: int64(r.U64()), attempts: readList(&r, readAttempt)}
	return d, r.Close()
}

func (d *deadLetter) when() time.Time { return time.UnixMilli(d.time).UTC() }

func (m *machine) applyRedrive(r *redriveRecord) result {
	var res result
	for _, l := range r.letters {
		res.letter(m.redrive(l, false, func(s special, _ uint32) special { return special{source: s.source, generation: s.generation} }))
	}
	return res
}

func (m *machine) applyDiscard(r *discardRecord) result {
	var res result
	for _, l := range r.letters {
		t, _, ok := m.takeLetter(l)
		if ok {
			m.forgetLetter(t, l.offset)
		}
		res.letter(ok)
	}
	return res
}

func (m *machine) takeLetter(l letter) (*trigger, deadLetter, bool) {
	t := m.triggers[l.trigger]
	if t == nil {
		return nil, deadLetter{}, false
	}
	value, ok := m.store.get(m.store.key(keyDeadLetter, l.trigger, l.offset))
	if !ok {
		return nil, deadLetter{}, false
	}
	d, err := readDeadLetter(value)
	if err != nil {
		m.store.err = fmt.Errorf("dead letter %d of trigger %d: %w", l.offset, l.trigger, err)
	}
	return t, d, err == nil && d.generation == l.generation
}

// forgetLetter lets a dead letter go for good, and with it what held its key.
func (m *machine) forgetLetter(t *trigger, offset uint64) {
	m.unpark(t, offset)
	m.setSpecial(t, offset, special{})
	m.dropLetter(t, offset)
}

// dropLetter takes an event out of the dead letters.
func (m *machine) dropLetter(t *trigger, offset uint64) {
	m.store.del(m.store.key(keyDeadLetter, t.ID, offset))
	t.dead--
	t.oldest.removed(offset)
	m.forgetGone(t)
}

// forgetGone removes a trigger that is out of force once nobody can ask for its dead letters.
func (m *machine) forgetGone(t *trigger) {
	if t.gone && t.dead == 0 {
		delete(m.triggers, t.ID)
		m.store.del(m.store.key(keyTrigger, t.ID))
	}
}

package partition

import (
	"encoding/json"
	"fmt"
)

func (m *machine) applyControl(offset uint64, c *controlRecord) error {
	if c.generation < m.generation {
		return nil
	}
	m.generation = c.generation
	for _, text := range c.put {
		if err := m.putTrigger(offset, text); err != nil {
			return err
		}
	}
	for _, id := range c.remove {
		if t := m.triggers[id]; t != nil && !t.gone {
			m.removeTrigger(m.own(t))
		}
	}
	return nil
}

func (m *machine) putTrigger(offset uint64, text []byte) error {
	def, err := m.definitions.read(text)
	if err != nil {
		return fmt.Errorf("%w: trigger: %w", errDamaged, err)
	}
	t := m.triggers[def.ID]
	first := t == nil || t.gone
	switch {
	case (t == nil || t.shared) && def.Start == nil && def.Replay == nil:
		t = &def.idle
	case first || t.shared: // a new one in the eyes of ready, which may hear of its end and its beginning at once
		fresh := &trigger{}
		if t != nil { // its dead letters are still here
			fresh.dead, fresh.oldest, fresh.special = t.dead, t.oldest, t.special
		}
		t = fresh
	}
	m.triggers[def.ID] = t
	if !t.shared {
		t.Trigger = &def.Trigger
	}
	if !t.parks() {
		m.unparkAll(t)
	}
	m.store.set(m.store.key(keyTrigger, def.ID), append([]byte{0}, text...))
	m.positionTrigger(offset, t, first)
	m.changed(changeTrigger, t, 0)
	return nil
}

// removeTrigger drops what was pending; dead letters stay until someone discards them.
func (m *machine) removeTrigger(t *trigger) {
	m.work.dropped += t.pending.count
	m.unparkAll(t)
	for offset := range t.special { // dead letters are only looked at from now on, but as they are
		if t.pending.has(offset) {
			m.setSpecial(t, offset, special{})
		}
	}
	for offset := range t.ranks {
		m.setRank(t, offset, 0)
	}
	for offset := range t.progress {
		m.store.del(m.store.key(keyProgress, t.ID, offset))
	}
	t.pending.drop(m.store, keyPending, t.ID)
	m.dropPosition(t)
	m.forgetDue(t.ID)
	t.pending, t.progress, t.gone = pending{}, nil, true
	text, err := json.Marshal(t.Trigger)
	m.store.keep(err)
	m.store.set(m.store.key(keyTrigger, t.ID), append([]byte{1}, text...))
	m.changed(changeTrigger, t, 0)
	m.forgetGone(t)
}

package partition

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// ClassExpired is the class of a dead letter that no attempt made: its event waited longer than its topic keeps events (docs/retention.md).
const ClassExpired = "expired"

// verdictFailed is sdk/abi's Failed.
const verdictFailed = 1

// applyExpire forgets events by range, without a look at them: what is removed does not depend on how records are grouped. What a trigger has to look through
// yet stays.
func (m *machine) applyExpire(e *expireRecord) result {
	held := m.heldFrom()
	for _, t := range e.topics {
		t.before = min(t.before, held)
		m.store.keep(m.store.batch.DeleteRange(m.store.indexKey(t.namespace, t.topic, 0), m.store.indexKey(t.namespace, t.topic, t.before), nil))
		key := m.store.horizonKey(t.namespace, t.topic)
		if old, ok := m.store.get(key); !ok || readU64(old) < t.before {
			m.store.set(key, wire.AppendU64(nil, t.before))
		}
	}
	return result{count: len(e.topics)}
}

// applyLapse gives up on pending events that have had their time.
func (m *machine) applyLapse(l *lapseRecord) (result, error) {
	var res result
	for _, at := range l.letters {
		t := m.triggers[at.trigger]
		if t == nil || !t.pending.has(at.offset) {
			continue
		}
		p := t.at(at.offset)
		if p.generation != at.generation {
			continue
		}
		last := Attempt{Number: p.attempts + 1, Start: time.UnixMilli(m.clock).UTC(), Verdict: verdictFailed, Class: ClassExpired, Error: l.reason}
		if err := m.giveUp(t, &settleRecord{offset: at.offset, attempt: last}, p); err != nil {
			return res, err
		}
		res.count++
	}
	return res, nil
}

// applyTrim raises the floor: no record may make anything need the log below it from now on.
func (m *machine) applyTrim(t *trimRecord) {
	if t.before > m.floor && t.before <= m.next {
		m.floor = t.before
		m.store.put(m.store.key(keyFloor), wire.AppendU64(nil, m.floor))
	}
}

func (m *machine) loadFloor() error {
	value, ok := m.store.get(m.store.key(keyFloor))
	if !ok {
		return m.store.err
	}
	if len(value) != 8 {
		return errors.New("the floor of the log has the wrong length")
	}
	m.floor = readU64(value)
	return nil
}

// readU64 reads what wire.AppendU64 wrote; anything else is 0.
func readU64(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

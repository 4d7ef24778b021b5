package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/evoke-run/evoke/wire"
)

// load reads the state as the last commit left it.
func (m *machine) load() error {
	value, ok := m.store.get(m.store.key(keyMeta))
	if !ok {
		return m.store.err
	}
	if err := m.readMeta(value); err != nil {
		return err
	}
	return errors.Join(
		m.loadTriggers(), m.loadPending(), m.loadProgress(), m.loadPositions(), m.loadAgain(), m.countDeadLetters(), m.loadDedup(), m.loadParked(), m.loadSpecial(), m.loadFloor(), m.loadReplies(), m.loadRates(), m.loadRanks(), m.loadDue(),
	)
}

func (m *machine) loadTriggers() error {
	return scan(m.store.db, m.store.key(keyTrigger), func(_, value []byte) error {
		if len(value) == 0 {
			return errors.New("empty trigger")
		}
		def, err := m.definitions.read(value[1:])
		if err != nil {
			return fmt.Errorf("read trigger: %w", err)
		}
		if m.triggers[def.ID] = &def.idle; value[0] == 1 {
			m.own(&def.idle).gone = true
		}
		return nil
	})
}

func (m *machine) loadPending() error {
	return scan(m.store.db, m.store.key(keyPending), func(rest, value []byte) error {
		t, id, err := m.ofTrigger(rest)
		if err != nil {
			return err
		}
		return t.pending.load(id, value)
	})
}

func (m *machine) loadProgress() error {
	return scan(m.store.db, m.store.key(keyProgress), func(rest, value []byte) error {
		t, offset, err := m.ofTrigger(rest)
		if err != nil {
			return err
		}
		p, _, err := readProgress(value)
		put(&t.progress, offset, p)
		return err
	})
}

func (m *machine) countDeadLetters() error {
	return scan(m.store.db, m.store.key(keyDeadLetter), func(rest, _ []byte) error {
		t, _, err := m.ofTrigger(rest)
		if err != nil {
			return err
		}
		t.dead++
		return nil
	})
}

func (m *machine) loadDedup() error {
	return scan(m.store.db, m.store.key(keyDedup), func(rest, value []byte) error {
		if len(rest) != 8 {
			return errors.New("deduplication journal has a key of the wrong length")
		}
		return m.dedup.load(binary.BigEndian.Uint64(rest), value)
	})
}

// ofTrigger reads the trigger and the second field of a key.
func (m *machine) ofTrigger(rest []byte) (*trigger, uint64, error) {
	if len(rest) != 16 {
		return nil, 0, errors.New("state key has the wrong length")
	}
	id := binary.BigEndian.Uint64(rest)
	t := m.triggers[id]
	if t == nil {
		return nil, 0, fmt.Errorf("state names trigger %d, which is not there", id)
	}
	return m.own(t), binary.BigEndian.Uint64(rest[8:]), nil
}

const metaVersion = 1

func (m *machine) appendMeta(b []byte) []byte {
	b = append(b, metaVersion)
	for _, v := range [...]uint64{m.next, m.epoch, m.seq, uint64(m.clock), m.generation, uint64(len(m.sent))} {
		b = wire.AppendU64(b, v)
	}
	for i := range m.sent {
		b = wire.AppendU64(wire.AppendU64(wire.AppendU64(b, m.sent[i]), m.arrived[i]), m.received[i])
	}
	return b
}

func (m *machine) readMeta(b []byte) error {
	r := wire.NewReader(b)
	if v := r.U8(); v != metaVersion && r.Err() == nil {
		return fmt.Errorf("state version %d is unknown, this program reads %d: a newer one wrote it", v, metaVersion)
	}
	m.next, m.epoch, m.seq, m.clock, m.generation = r.U64(), r.U64(), r.U64(), int64(r.U64()), r.U64()
	if n := r.U64(); n != uint64(len(m.sent)) && r.Err() == nil {
		return fmt.Errorf("the data directory has %d partitions, not %d; their number is fixed when the directory is made", n, len(m.sent))
	}
	for i := range m.sent {
		m.sent[i], m.arrived[i], m.received[i] = r.U64(), r.U64(), r.U64()
	}
	return r.Close()
}

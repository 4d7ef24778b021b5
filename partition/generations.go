package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// generations are the pending offsets that replays handed out again, by generation: one bit each, so that a replay of millions costs as little as their first
// time. An offset is in one set at most; in none, its generation is 0 or stands in its progress.
type generations map[uint32]*pending

// at is the progress of a pending offset, also of one that has not run in its generation.
func (t *trigger) at(offset uint64) progress {
	if p, ok := t.progress[offset]; ok {
		return p
	}
	return progress{generation: t.again.of(offset)}
}

func (g generations) of(offset uint64) uint32 {
	for generation, set := range g {
		if set.has(offset) {
			return generation
		}
	}
	return 0
}

func (g *generations) add(generation uint32, offset uint64) {
	g.remove(offset)
	if *g == nil {
		*g = generations{}
	}
	set := (*g)[generation]
	if set == nil {
		set = &pending{}
		(*g)[generation] = set
	}
	set.add(offset)
}

func (g generations) remove(offset uint64) {
	for _, set := range g {
		set.remove(offset)
	}
}

// flush writes what changed and forgets empty sets.
func (g generations) flush(s *store, trigger uint64) {
	for generation, set := range g {
		set.flush(s, keyAgain, trigger, uint64(generation))
		if set.count == 0 {
			delete(g, generation)
		}
	}
}

// drop deletes what is stored of a trigger.
func (g generations) drop(s *store, trigger uint64) {
	for generation, set := range g {
		set.drop(s, keyAgain, trigger, uint64(generation))
	}
}

func (m *machine) loadAgain() error {
	return scan(m.store.db, m.store.key(keyAgain), func(rest, value []byte) error {
		if len(rest) != 24 {
			return errors.New("generation has a key of the wrong length")
		}
		t, err := m.triggerAt(rest[:8])
		if err != nil {
			return err
		}
		generation := uint32(binary.BigEndian.Uint64(rest[8:]))
		if t.again == nil {
			t.again = generations{}
		}
		if t.again[generation] == nil {
			t.again[generation] = &pending{}
		}
		return t.again[generation].load(binary.BigEndian.Uint64(rest[16:]), value)
	})
}

// triggerAt reads the key of a trigger.
func (m *machine) triggerAt(key []byte) (*trigger, error) {
	if len(key) != 8 {
		return nil, errors.New("state key has the wrong length")
	}
	t := m.triggers[binary.BigEndian.Uint64(key)]
	if t == nil {
		return nil, fmt.Errorf("state names trigger %d, which is not there", binary.BigEndian.Uint64(key))
	}
	return m.own(t), nil
}

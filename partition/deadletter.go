package partition

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/evoke-run/evoke/event"
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
		t, d, ok := m.takeLetter(l)
		if !ok || t.gone {
			continue
		}
		t.pending.add(l.offset)
		m.setProgress(t, l.offset, progress{generation: l.generation + 1}, d.attempts)
		m.raiseGeneration(t, l.generation+1)
		m.changed(changeRedrive, t, l.offset)
		m.dropLetter(t, l.offset)
		res.count++
	}
	return res
}

func (m *machine) applyDiscard(r *discardRecord) result {
	var res result
	for _, l := range r.letters {
		if t, _, ok := m.takeLetter(l); ok {
			m.dropLetter(t, l.offset)
			res.count++
		}
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

func (m *machine) dropLetter(t *trigger, offset uint64) {
	m.store.del(m.store.key(keyDeadLetter, t.ID, offset))
	t.dead--
	m.forgetGone(t)
}

// forgetGone removes a trigger that is out of force once nobody can ask for its dead letters.
func (m *machine) forgetGone(t *trigger) {
	if t.gone && t.dead == 0 {
		delete(m.triggers, t.ID)
		m.store.del(m.store.key(keyTrigger, t.ID))
	}
}

// DeadLetters yields the dead letters of a namespace, by partition, trigger and offset. trigger 0 means all.
func (t *Table) DeadLetters(namespace string, trigger uint64, yield func(DeadLetter) error) error {
	for _, p := range t.parts {
		prefix := p.machine.store.key(keyDeadLetter)
		if trigger != 0 {
			prefix = p.machine.store.key(keyDeadLetter, trigger)
		}
		err := scan(t.db, prefix, func(rest, value []byte) error {
			id := ID{Partition: p.index, Trigger: trigger, Offset: binary.BigEndian.Uint64(rest[len(rest)-8:])}
			if trigger == 0 {
				id.Trigger = binary.BigEndian.Uint64(rest)
			}
			def, ok := p.triggerOf(id.Trigger)
			if !ok || def.Namespace != namespace {
				return nil
			}
			letter, err := p.readLetter(id, def, value)
			if err != nil {
				return err
			}
			return yield(letter)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DeadLetter returns one; ErrNotFound when there is none of that id.
func (t *Table) DeadLetter(id ID) (DeadLetter, error) {
	if id.Partition >= t.count {
		return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, ErrNotFound)
	}
	p := t.parts[id.Partition]
	value, ok, err := read(t.db, p.machine.store.key(keyDeadLetter, id.Trigger, id.Offset))
	if err != nil {
		return DeadLetter{}, err
	}
	def, known := p.triggerOf(id.Trigger)
	if !ok || !known {
		return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, ErrNotFound)
	}
	return p.readLetter(id, def, value)
}

func (p *partition) triggerOf(id uint64) (Trigger, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.machine.triggers[id]; t != nil {
		return t.Trigger, true
	}
	return Trigger{}, false
}

func (p *partition) readLetter(id ID, def Trigger, value []byte) (DeadLetter, error) {
	d, err := readDeadLetter(bytes.Clone(value))
	if err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, err)
	}
	out := DeadLetter{ID: id, Trigger: def, Generation: d.generation, Time: d.when(), Attempts: d.attempts}
	err = p.readEvents([]uint64{id.Offset}, func(_ uint64, _ time.Time, e storedEvent) error {
		var err error
		out.Topic = e.topic
		out.Event, err = event.Decode(bytes.Clone(e.event))
		return err
	})
	return out, err
}

// Redrive makes dead letters pending again: same event, same trigger, next generation, attempts from 0. It returns how many there were; those that are gone, or
// whose trigger is, do not count.
func (t *Table) Redrive(ctx context.Context, ids []ID) (int, error) {
	return t.changeLetters(ctx, ids, func(l []letter) body { return &redriveRecord{letters: l} })
}

// Discard forgets dead letters; the reason stays in the log.
func (t *Table) Discard(ctx context.Context, ids []ID, reason string) (int, error) {
	return t.changeLetters(ctx, ids, func(l []letter) body { return &discardRecord{reason: reason, letters: l} })
}

// maxLetters is how many dead letters one record names.
const maxLetters = 4096

func (t *Table) changeLetters(ctx context.Context, ids []ID, record func([]letter) body) (int, error) {
	letters := map[int][]letter{}
	for _, id := range ids {
		d, err := t.DeadLetter(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		letters[id.Partition] = append(letters[id.Partition], letter{trigger: id.Trigger, offset: id.Offset, generation: d.Generation})
	}
	changed := 0
	for partition, list := range letters {
		for part := range slices.Chunk(list, maxLetters) {
			res, err := t.parts[partition].do(ctx, record(part))
			if err != nil {
				return changed, err
			}
			changed += res.count
		}
	}
	return changed, nil
}

package partition

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/wire"
)

// Firing is one due time of a trigger that fires by a schedule, or a run by hand. Schedules and clocks are whoever calls Fire's.
type Firing struct {
	Trigger         uint64
	Namespace, Name string // of the trigger; its name is the key of its events
	Topic           string // that it alone is bound to

	// Due is a due time, which counts once: it and all before it have passed then. Zero = by hand.
	Due time.Time
	// Alone stores nothing when an earlier event of the trigger is still pending; the due time has passed all the same.
	Alone bool
	// Event is what is stored; nil = the due time passes without one.
	Event *event.Event
}

// Fired says what became of a firing. Applied: it is stored, and ID is that of its delivery. Stale: its due time has passed before, or its trigger is not in force.
// Overlaps: see Firing.Alone.
type Fired struct {
	Outcome Outcome
	ID      ID
}

// cronRecord is a firing. The leader has computed its due time; apply only compares it.
type cronRecord struct {
	trigger uint64
	due     int64 // 0 = by hand
	alone   bool
	stored  []storedEvent // one, or none
}

func (*cronRecord) kind() kind              { return kindCron }
func (c *cronRecord) events() []storedEvent { return c.stored }
func (c *cronRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, c.trigger)
	b = wire.AppendU64(b, uint64(c.due))
	b = append(b, boolByte(c.alone))
	return appendStoredEvents(b, c.stored)
}

func readCron(r *wire.Reader) *cronRecord {
	return &cronRecord{trigger: r.Uvarint(), due: int64(r.U64()), alone: r.U8() == 1, stored: readList(r, readStoredEvent)}
}

// applyCron is the judge of a firing: a due time that is not behind the last one of its trigger has been, whoever says so again.
func (m *machine) applyCron(offset uint64, c *cronRecord) result {
	t := m.triggers[c.trigger]
	if t == nil || t.gone || c.due != 0 && c.due <= m.due[c.trigger] {
		return result{outcome: Stale}
	}
	if c.due != 0 {
		m.due[c.trigger] = c.due
		m.store.set(m.store.key(keyDue, c.trigger), wire.AppendU64(nil, uint64(c.due)))
	}
	if c.alone && t.pending.count > 0 {
		return result{outcome: Overlaps}
	}
	res := result{}
	for i := range c.stored {
		m.storeEvent(offset+uint64(i), &c.stored[i])
		res.stored = append(res.stored, Stored{Offset: offset + uint64(i)})
	}
	return res
}

// forgetDue is for a trigger taken out of force.
func (m *machine) forgetDue(trigger uint64) {
	if _, ok := m.due[trigger]; ok {
		delete(m.due, trigger)
		m.store.del(m.store.key(keyDue, trigger))
	}
}

func (m *machine) loadDue() error {
	return scan(m.store.db, m.store.key(keyDue), func(rest, value []byte) error {
		if len(rest) != 8 || len(value) != 8 {
			return errors.New("a last due time has an entry of the wrong length")
		}
		m.due[binary.BigEndian.Uint64(rest)] = int64(binary.LittleEndian.Uint64(value))
		return nil
	})
}

// LastDue is the last due time of a trigger that has passed; zero = none has.
func (t *Table) LastDue(trigger uint64) time.Time {
	for _, p := range t.parts {
		p.mu.Lock()
		due := p.machine.due[trigger] // in the partition of its key only
		p.mu.Unlock()
		if due != 0 {
			return time.UnixMilli(due)
		}
	}
	return time.Time{}
}

// Fire stores what is due, in the order of the list, and returns when all of it is durable and applied. After an error any of it may be stored; to fire again is safe, but
// for what is fired by hand.
func (t *Table) Fire(ctx context.Context, list []Firing) ([]Fired, error) {
	if t.opts.Admit != nil {
		if err := t.opts.Admit(); err != nil {
			return nil, err
		}
	}
	type part struct {
		p    *partition
		done chan result
	}
	parts := make([]part, 0, len(list))
	for i := range list {
		f := &list[i]
		p := t.place(f.Namespace, f.Name, "", "")
		done, err := p.append(f.record())
		if err != nil {
			return nil, fmt.Errorf("fire trigger %s: %w", f.Name, err)
		}
		parts = append(parts, part{p, done})
	}
	out := make([]Fired, len(list))
	for i, w := range parts {
		res, err := w.p.wait(ctx, w.done)
		if err != nil {
			return nil, fmt.Errorf("fire trigger %s: %w", list[i].Name, err)
		}
		out[i].Outcome = res.outcome
		for _, s := range res.stored {
			out[i].ID = ID{Partition: w.p.index, Offset: s.Offset, Trigger: list[i].Trigger}
		}
	}
	return out, nil
}

func (f *Firing) record() *cronRecord {
	c := &cronRecord{trigger: f.Trigger, alone: f.Alone}
	if !f.Due.IsZero() {
		c.due = f.Due.UnixMilli()
	}
	if f.Event != nil {
		c.stored = []storedEvent{{namespace: f.Namespace, topic: f.Topic, event: f.Event.AppendBinary(nil)}}
	}
	return c
}

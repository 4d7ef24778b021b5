package partition

import (
	"fmt"
	"math"

	"github.com/evoke-run/evoke/wire"
)

// Range is a part of what is stored. The zero value is all of it.
type Range struct {
	From  []uint64 `json:"from,omitempty"`  // by partition: the first offset; nil = from the beginning
	Since int64    `json:"since,omitempty"` // stored not before, unix milliseconds; 0 = no bound
	To    []uint64 `json:"to,omitempty"`    // by partition: the first offset behind it; nil = to the control record that begins it
	Until int64    `json:"until,omitempty"` // stored before, unix milliseconds; 0 = no bound
}

// Replay hands the events of a range to a trigger again.
type Replay struct {
	ID uint64 `json:"id"` // grows with each replay of the trigger
	Range
}

// position is what a trigger has to do with the past. A trigger that starts at the head and was never replayed has none.
//
// Each run is a range that the trigger has yet to look through; the first in the list is at work. The leader reads the next stretch of its range, asks the filter
// outside apply, and appends a matched record; apply makes the events pending and moves the run on, so a crash goes on where the last record ended. A run ends at
// the control record that began it: from there on the trigger matches by itself, so each event comes once.
type position struct {
	definition uint64 // offset of the control record that last defined the trigger while it had runs
	generation uint32 // highest that an event of the trigger has had
	replay     uint64 // the last one begun
	replayed   uint64 // events that it has handed out
	runs       []pastRun
}

// pastRun is one range that a trigger has yet to look through.
type pastRun struct {
	generation   uint32 // of what it hands out; 0 = the start of the trigger
	next, end    uint64 // offsets still to look through, without end
	since, until int64  // stored not before and before; until 0 = no bound
}

// limit is the first offset that may not be handed out yet. A trigger that starts in the past works in offset order, so that no event overtakes an earlier one
// of its key: what comes in waits until the past before it is known.
func (p *position) limit() uint64 {
	if len(p.runs) > 0 && p.runs[0].generation == 0 {
		return p.runs[0].next
	}
	return math.MaxUint64
}

// heldFrom is the first offset that a run still has to look at: what retention may not pass. MaxUint64 = none.
func (p *position) heldFrom() uint64 {
	first := uint64(math.MaxUint64)
	for _, r := range p.runs {
		first = min(first, r.next)
	}
	return first
}

// heldFrom is the first offset that a run of any trigger still has to look at.
func (m *machine) heldFrom() uint64 {
	first := uint64(math.MaxUint64)
	for _, t := range m.triggers {
		first = min(first, t.position.heldFrom())
	}
	return first
}

// advance moves the first run on to offset; n events were handed out on the way.
func (p *position) advance(offset uint64, n int) {
	r := &p.runs[0]
	if r.generation > 0 {
		p.replayed += uint64(n)
	}
	if r.next = offset; r.next >= r.end {
		p.runs = p.runs[1:]
	}
}

func (p *position) begin(r pastRun) {
	if r.next < r.end {
		p.runs = append(p.runs, r)
	}
}

// positionTrigger begins what the new definition of a trigger asks of the past, up to the control record at offset. first: it was not in force before.
func (m *machine) positionTrigger(offset uint64, t *trigger, first bool) {
	p := &t.position
	had := len(p.runs) > 0
	if first && t.Start != nil {
		p.begin(t.Start.run(int(m.store.prefix), offset, 0))
	}
	replay := t.Replay != nil && t.Replay.ID > p.replay
	if replay {
		p.generation++
		p.replay, p.replayed = t.Replay.ID, 0
		p.begin(t.Replay.run(int(m.store.prefix), offset, p.generation))
	}
	if len(p.runs) > 0 {
		p.definition = offset
		m.work.catchUp = true
	}
	if had || replay || len(p.runs) > 0 {
		m.savePosition(t)
	}
}

// run is the part of a range in a partition, up to the offset end.
func (r *Range) run(partition int, end uint64, generation uint32) pastRun {
	out := pastRun{generation: generation, next: 1, end: end, since: r.Since, until: r.Until}
	if partition < len(r.From) {
		out.next = max(1, r.From[partition])
	}
	if partition < len(r.To) {
		out.end = min(end, r.To[partition])
	}
	return out
}

// raiseGeneration keeps generations unique: a replay takes the next above all that there were.
func (m *machine) raiseGeneration(t *trigger, generation uint32) {
	if generation > t.position.generation {
		t.position.generation = generation
		m.savePosition(t)
	}
}

func (m *machine) savePosition(t *trigger) {
	m.store.set(m.store.key(keyPosition, t.ID), t.position.append(nil))
}

// dropPosition is for a trigger taken out of force.
func (m *machine) dropPosition(t *trigger) {
	m.store.del(m.store.key(keyPosition, t.ID))
	t.again.drop(m.store, t.ID)
	t.position, t.again = position{}, nil
}

func (m *machine) loadPositions() error {
	return scan(m.store.db, m.store.key(keyPosition), func(rest, value []byte) error {
		t, err := m.triggerAt(rest)
		if err != nil {
			return err
		}
		if t.position, err = readPosition(value); err != nil {
			return fmt.Errorf("position of trigger %d: %w", t.ID, err)
		}
		return nil
	})
}

func (p *position) append(b []byte) []byte {
	for _, v := range [...]uint64{p.definition, uint64(p.generation), p.replay, p.replayed, uint64(len(p.runs))} {
		b = wire.AppendUvarint(b, v)
	}
	for _, r := range p.runs {
		for _, v := range [...]uint64{uint64(r.generation), r.next, r.end, uint64(r.since), uint64(r.until)} {
			b = wire.AppendUvarint(b, v)
		}
	}
	return b
}

func readPosition(b []byte) (position, error) {
	r := wire.NewReader(b)
	p := position{definition: r.Uvarint(), generation: uint32(r.Uvarint()), replay: r.Uvarint(), replayed: r.Uvarint()}
	p.runs = readList(&r, func(r *wire.Reader) pastRun {
		return pastRun{generation: uint32(r.Uvarint()), next: r.Uvarint(), end: r.Uvarint(), since: int64(r.Uvarint()), until: int64(r.Uvarint())}
	})
	return p, r.Close()
}

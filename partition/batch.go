package partition

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/wire"
)

// Batch lets a trigger hand out several events in one delivery: those of one partition that have failed never.
type Batch struct {
	Size int `json:"size"` // at most so many events, at least 2
	// Window is how long, in milliseconds, an event waits for others to fill its batch; 0 = what is there goes at once.
	Window int64 `json:"window,omitempty"`
}

// maxBatchBytes is how many bytes of events a batch has, unless its first event alone has more: as many as one event may have, so that whoever takes many deliveries holds no
// more memory for batches.
const maxBatchBytes = event.MaxSize

// batchRecord settles all events of a batch as done, with what their one attempt emitted: all of it happens, or nothing.
type batchRecord struct {
	trigger uint64
	settled []batchEntry // offsets ascend
	attempt Attempt      // its number is that of the first entry
	effects effects
}

// batchEntry names an attempt of one event.
type batchEntry struct {
	offset     uint64
	generation uint32
	number     int
}

func (*batchRecord) kind() kind              { return kindBatch }
func (r *batchRecord) events() []storedEvent { return r.effects.own }
func (r *batchRecord) brings() *effects      { return &r.effects }
func (r *batchRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, r.trigger)
	b = wire.AppendUvarint(b, uint64(len(r.settled)))
	last := uint64(0)
	for _, e := range r.settled {
		b = wire.AppendUvarint(b, e.offset-last)
		b = wire.AppendUvarint(b, uint64(e.generation))
		b = wire.AppendUvarint(b, uint64(e.number))
		last = e.offset
	}
	b = r.attempt.append(b)
	return r.effects.append(b)
}

func readBatch(r *wire.Reader) *batchRecord {
	b := &batchRecord{trigger: r.Uvarint()}
	last := uint64(0)
	b.settled = readList(r, func(r *wire.Reader) batchEntry {
		last += r.Uvarint()
		return batchEntry{offset: last, generation: uint32(r.Uvarint()), number: int(r.Uvarint())}
	})
	b.attempt, b.effects = readAttempt(r), readEffects(r)
	return b
}

// SettleBatch stores that all events of a delivery are done, with the effects of the attempt. Stale: one of them was settled before, or its trigger is gone; then nothing
// happened, and those that still wait can be given back by Release.
func (t *Table) SettleBatch(ctx context.Context, d *Delivery, a Attempt, e Effects) (Outcome, error) {
	record := &batchRecord{trigger: d.ID.Trigger, attempt: a}
	for one := range d.All() {
		record.settled = append(record.settled, batchEntry{one.ID.Offset, one.Generation, one.Attempt})
	}
	slices.SortFunc(record.settled, func(a, b batchEntry) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(record.settled); i++ {
		if record.settled[i].offset == record.settled[i-1].offset { // apply would take the log for damaged
			return 0, fmt.Errorf("settle a batch: event %d of partition %d is in it twice", record.settled[i].offset, d.ID.Partition)
		}
	}
	p := t.parts[d.ID.Partition]
	record.effects = t.effects(p, stateScope{namespace: d.Trigger.Namespace, function: d.Trigger.Function}, e)
	res, err := p.do(ctx, record)
	if err == nil {
		t.metrics.settled(nextSettled, false, res.outcome, len(record.settled))
	}
	return res.outcome, err
}

func (m *machine) applyBatch(offset uint64, b *batchRecord) (result, error) {
	t := m.triggers[b.trigger]
	last := uint64(0)
	for _, e := range b.settled {
		if e.offset <= last {
			return result{}, fmt.Errorf("%w: offset %d of a batch comes after %d", errDamaged, e.offset, last)
		}
		last = e.offset
	}
	for _, e := range b.settled {
		if _, ok := m.attempted(t, e.offset, e.generation, e.number); !ok {
			return result{outcome: Stale}, nil
		}
	}
	if !m.current(&b.effects) {
		return result{outcome: Conflict}, nil
	}
	for _, e := range b.settled {
		m.done(t, e.offset)
	}
	return result{}, m.takeEffects(offset, &b.effects)
}

// limitBatch makes the taken events one delivery. Those that are too many bytes for it are given back.
func (p *partition) limitBatch(taken []Delivery) []Delivery {
	if len(taken) == 0 {
		return nil
	}
	n, size := 0, 0
	for ; n < len(taken); n++ {
		if size += taken[n].Event.Size(); n > 0 && size > maxBatchBytes {
			break
		}
	}
	for i := len(taken) - 1; i >= n; i-- { // each goes to the front
		p.release(taken[i].ID)
	}
	taken[0].More = taken[1:n]
	return taken[:1:1] // what is appended behind it must not be in More
}

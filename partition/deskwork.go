package partition

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog"
)

// Redriving says how a dead letter is to be tried again.
type Redriving struct {
	Letter   LetterID
	Revision int          // that must run it; 0 = the one in force
	Edited   *event.Event // valid, instead of the event; nil = the event as it is. Its key must be that of the event
}

// LetterOutcome is what became of a wish for one dead letter.
type LetterOutcome int

// Outcomes. Gone: there is no such dead letter any more, or it is of another generation. Orphaned: its trigger is out of force, so that nobody could run it. KeyChanged: the
// edited event has another key; the key decides partition, order and state, so it would be another event.
const (
	LetterChanged LetterOutcome = iota
	LetterGone
	LetterOrphaned
	LetterKeyChanged
)

// RedriveAs makes dead letters pending again: same trigger, next generation, attempts from 0. The outcomes are in the order of the list, also with an error; what was not
// reached is Gone.
func (t *Table) RedriveAs(ctx context.Context, list []Redriving) ([]LetterOutcome, error) {
	out := slices.Repeat([]LetterOutcome{LetterGone}, len(list))
	batches := map[int]*redriveBatch{}
	for i := range list {
		w := &list[i]
		d, err := t.DeadLetter(w.Letter.ID)
		switch {
		case errors.Is(err, ErrNotFound) || err == nil && d.Generation != w.Letter.Generation:
			continue
		case err != nil:
			return out, err
		case d.TriggerGone:
			out[i] = LetterOrphaned
			continue
		case w.Edited != nil && w.Edited.Key() != d.Event.Key():
			out[i] = LetterKeyChanged
			continue
		}
		b := batches[w.Letter.Partition]
		if b == nil || b.full(w) {
			if b != nil {
				if err := t.redriveBatch(ctx, w.Letter.Partition, b, out); err != nil {
					return out, err
				}
			}
			b = &redriveBatch{}
			batches[w.Letter.Partition] = b
		}
		b.add(i, w, &d)
	}
	for partition, b := range batches {
		if err := t.redriveBatch(ctx, partition, b, out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// redriveBatch is a record in the making.
type redriveBatch struct {
	redriveAsRecord
	indexes []int // in the caller's list
	size    int
}

func (b *redriveBatch) full(w *Redriving) bool {
	return len(b.letters) >= maxLetters || w.Edited != nil && b.size > 0 && b.size+w.Edited.Size() > eventlog.MaxRecord/2
}

func (b *redriveBatch) add(i int, w *Redriving, d *DeadLetter) {
	l := letterAs{letter: letter{trigger: w.Letter.Trigger, offset: w.Letter.Offset, generation: w.Letter.Generation}, revision: uint64(w.Revision)}
	if w.Edited != nil {
		l.edited = true
		raw := w.Edited.AppendBinary(make([]byte, 0, w.Edited.Size()))
		b.edited = append(b.edited, storedEvent{namespace: d.Trigger.Namespace, topic: d.Topic, event: raw})
		b.size += len(raw)
	}
	b.letters = append(b.letters, l)
	b.indexes = append(b.indexes, i)
}

// record is of the oldest kind that can say it.
func (b *redriveBatch) record(replayed func(trigger uint64) bool) body {
	plain := &redriveRecord{}
	for _, l := range b.letters {
		b.above = b.above || replayed(l.trigger)
	}
	for _, l := range b.letters {
		if l.revision != 0 || l.edited || b.above {
			return &b.redriveAsRecord
		}
		plain.letters = append(plain.letters, l.letter)
	}
	return plain
}

func (t *Table) redriveBatch(ctx context.Context, partition int, b *redriveBatch, out []LetterOutcome) error {
	p := t.parts[partition]
	done, err := p.appendRedrive(b)
	if err != nil {
		return fmt.Errorf("redrive: %w", err)
	}
	res, err := p.wait(ctx, done)
	if err != nil {
		return fmt.Errorf("redrive: %w", err)
	}
	setOutcomes(out, b.indexes, res.letters)
	return nil
}

// appendRedrive asks under the lock that orders records: a replay that comes before the redrive must be known.
func (p *partition) appendRedrive(b *redriveBatch) (chan result, error) {
	p.appendMu.Lock()
	defer p.appendMu.Unlock()
	return p.appendLocked(b.record(func(trigger uint64) bool { return p.replayed[trigger] }))
}

func setOutcomes(out []LetterOutcome, indexes []int, changed []bool) {
	for i, ok := range changed {
		if ok {
			out[indexes[i]] = LetterChanged
		}
	}
}

// maxLetters is how many dead letters one record names.
const maxLetters = 4096

// DiscardLetters forgets dead letters; the reason stays in the log. A key that one of them parked goes on. The outcomes are as those of RedriveAs.
func (t *Table) DiscardLetters(ctx context.Context, list []LetterID, reason string) ([]LetterOutcome, error) {
	out := slices.Repeat([]LetterOutcome{LetterGone}, len(list))
	indexes := map[int][]int{}
	for i, l := range list {
		if l.Partition < t.count {
			indexes[l.Partition] = append(indexes[l.Partition], i)
		}
	}
	for partition, all := range indexes {
		for part := range slices.Chunk(all, maxLetters) {
			record := &discardRecord{reason: reason}
			for _, i := range part {
				record.letters = append(record.letters, letter{trigger: list[i].Trigger, offset: list[i].Offset, generation: list[i].Generation})
			}
			res, err := t.parts[partition].do(ctx, record)
			if err != nil {
				return out, fmt.Errorf("discard: %w", err)
			}
			setOutcomes(out, part, res.letters)
		}
	}
	return out, nil
}

// Redrive is RedriveAs of dead letters as they are now. It returns how many there were.
func (t *Table) Redrive(ctx context.Context, ids []ID) (int, error) {
	var list []Redriving
	for _, id := range ids {
		l, err := t.current(id)
		if err != nil {
			return 0, err
		}
		list = append(list, Redriving{Letter: l})
	}
	out, err := t.RedriveAs(ctx, list)
	return changedOf(out), err
}

// Discard is DiscardLetters of dead letters as they are now. It returns how many there were.
func (t *Table) Discard(ctx context.Context, ids []ID, reason string) (int, error) {
	var list []LetterID
	for _, id := range ids {
		l, err := t.current(id)
		if err != nil {
			return 0, err
		}
		list = append(list, l)
	}
	out, err := t.DiscardLetters(ctx, list, reason)
	return changedOf(out), err
}

// current is the generation of a dead letter now; of none, one that cannot be.
func (t *Table) current(id ID) (LetterID, error) {
	d, err := t.DeadLetter(id)
	if errors.Is(err, ErrNotFound) {
		return LetterID{id, ^uint32(0)}, nil
	}
	return LetterID{id, d.Generation}, err
}

func changedOf(out []LetterOutcome) (n int) {
	for _, o := range out {
		if o == LetterChanged {
			n++
		}
	}
	return n
}

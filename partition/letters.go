package partition

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/wire"
)

// LetterQuery selects dead letters of a namespace. Zero fields select all.
type LetterQuery struct {
	Namespace string
	Trigger   uint64
	Since     time.Time // given up then or later
	Before    time.Time // given up before
	Parked    bool      // only those whose key stands still
	Filter    *filter.Filter
}

// LetterID names a dead letter of one generation: what was seen, and not what the same event may have become since.
type LetterID struct {
	ID
	Generation uint32
}

// sight is a dead letter without its event and attempts.
type sight struct {
	LetterID
	time int64 // when it was given up, in unix milliseconds
}

// newer is the order of lists: the newest first, those of one millisecond by id.
func (s sight) newer(o sight) int {
	return cmp.Or(cmp.Compare(o.time, s.time), s.ID.compare(o.ID))
}

// compare orders ids as the state holds them.
func (id ID) compare(o ID) int {
	return cmp.Or(cmp.Compare(id.Partition, o.Partition), cmp.Compare(id.Trigger, o.Trigger), cmp.Compare(id.Offset, o.Offset))
}

// maxRead is how many events one query reads to find those that its filter lets through.
const maxRead = 10_000

// Newest lists up to n dead letters, the newest first, from behind the one that page names on; the zero page is the beginning. more says that there may be others,
// behind the last one looked at, which is what next names.
func (t *Table) Newest(q LetterQuery, page LetterPage, n int) (list []DeadLetter, next LetterPage, more bool, err error) {
	look := n
	if q.Filter != nil {
		look = max(n, maxRead)
	}
	var seen []sight
	keep := func() {
		slices.SortFunc(seen, sight.newer)
		more = more || len(seen) > look
		seen = seen[:min(look, len(seen))]
	}
	err = t.scanLetters(q, ID{}, func(s sight) error {
		if page.Time.IsZero() || (sight{LetterID{ID: page.ID}, page.Time.UnixMilli()}).newer(s) < 0 {
			seen = append(seen, s)
		}
		if len(seen) >= 2*look+1024 { // keeps memory small without sorting at every one
			keep()
		}
		return nil
	})
	keep()
	for i := 0; i < len(seen) && err == nil; i++ {
		if len(list) == n {
			return list, next, true, nil
		}
		next = LetterPage{Time: time.UnixMilli(seen[i].time).UTC(), ID: seen[i].ID}
		var d DeadLetter
		if d, err = t.DeadLetter(seen[i].ID); errors.Is(err, ErrNotFound) {
			err = nil // gone since it was seen
		} else if err == nil && (q.Filter == nil || q.Filter.Match(&d.Event)) {
			list = append(list, d)
		}
	}
	return list, next, more, err
}

// LetterPage is a place in a list of dead letters, the newest first.
type LetterPage struct {
	Time time.Time
	ID   ID
}

// Walk lists up to n dead letters that q selects, by partition, trigger and offset, from behind the id after on; the zero id is the beginning. more says that there may
// be others, behind next.
func (t *Table) Walk(q LetterQuery, after ID, n int) (list []LetterID, next ID, more bool, err error) {
	read := 0
	err = t.scanLetters(q, after, func(s sight) error {
		if len(list) == n || read == maxRead {
			more = true
			return errEnough
		}
		next = s.ID
		if q.Filter != nil {
			read++
			d, err := t.DeadLetter(s.ID)
			if errors.Is(err, ErrNotFound) || err == nil && !q.Filter.Match(&d.Event) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		list = append(list, s.LetterID)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, next, more, err
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// Clock is the time of the newest record.
func (t *Table) Clock() time.Time {
	var newest int64
	for _, p := range t.parts {
		p.mu.Lock()
		newest = max(newest, p.machine.clock)
		p.mu.Unlock()
	}
	return time.UnixMilli(newest).UTC()
}

// DeadLetters yields all dead letters of a namespace, by partition, trigger and offset. trigger 0 means all.
func (t *Table) DeadLetters(namespace string, trigger uint64, yield func(DeadLetter) error) error {
	return t.scanLetters(LetterQuery{Namespace: namespace, Trigger: trigger}, ID{}, func(s sight) error {
		d, err := t.DeadLetter(s.ID)
		if errors.Is(err, ErrNotFound) {
			return nil // gone since it was seen
		}
		if err != nil {
			return err
		}
		return yield(d)
	})
}

// scanLetters yields what q selects, but for its filter, behind an id, in the order of the state.
func (t *Table) scanLetters(q LetterQuery, after ID, yield func(sight) error) error {
	for _, p := range t.parts[min(after.Partition, len(t.parts)):] {
		from := ID{Partition: p.index, Trigger: q.Trigger}
		if after.Partition == p.index {
			from = after
		}
		if err := p.scanLetters(q, from, yield); err != nil {
			return err
		}
	}
	return nil
}

func (p *partition) scanLetters(q LetterQuery, after ID, yield func(sight) error) error {
	s := p.machine.store
	prefix := s.key(keyDeadLetter)
	end := prefixEnd(prefix)
	if q.Trigger != 0 {
		end = prefixEnd(s.key(keyDeadLetter, q.Trigger))
		after.Trigger = max(after.Trigger, q.Trigger)
	}
	var def Trigger
	known := false
	return scanRange(p.table.db, s.key(keyDeadLetter, after.Trigger, after.Offset+1), end, func(key, value []byte) error {
		rest := key[len(prefix):]
		if len(rest) != 16 {
			return errors.New("dead letter has a key of the wrong length")
		}
		id := ID{Partition: p.index, Trigger: binary.BigEndian.Uint64(rest), Offset: binary.BigEndian.Uint64(rest[8:])}
		if def.ID != id.Trigger || !known {
			def, known = p.triggerOf(id.Trigger)
		}
		r := wire.NewReader(value)
		found := sight{LetterID{id, uint32(r.Uvarint())}, int64(r.U64())}
		if r.Err() != nil {
			return fmt.Errorf("dead letter %s: %w", id, r.Err())
		}
		at := time.UnixMilli(found.time)
		switch {
		case !known || def.Namespace != q.Namespace, !q.Since.IsZero() && at.Before(q.Since), !q.Before.IsZero() && !at.Before(q.Before):
			return nil
		case q.Parked && !p.isParked(id):
			return nil
		}
		return yield(found)
	})
}

// scanRange calls yield with every committed key from one on, up to an end that is left out.
func scanRange(db *pebble.DB, from, end []byte, yield func(key, value []byte) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return fmt.Errorf("scan state: %w", err)
	}
	for it.First(); it.Valid(); it.Next() {
		if err := yield(it.Key(), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("scan state: %w", err)
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
	out, known := p.letterOf(id)
	if !ok || !known {
		return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, ErrNotFound)
	}
	d, err := readDeadLetter(value)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, err)
	}
	out.Generation, out.Time, out.Attempts = d.generation, d.when(), d.attempts
	out.Topic, out.Event, err = p.readEvent(out.source)
	if vanished(err) {
		return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, ErrNotFound)
	}
	return out, err
}

// letterOf is what memory has of a dead letter.
func (p *partition) letterOf(id ID) (DeadLetter, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.machine.triggers[id.Trigger]
	if t == nil {
		return DeadLetter{}, false
	}
	as := t.special[id.Offset]
	d := DeadLetter{ID: id, Trigger: *t.Trigger, TriggerGone: t.gone, EditedAt: as.generation, source: as.at(id.Offset)}
	if lane, ok := t.parked.heads[id.Offset]; ok {
		d.Parked, d.Behind = true, p.ready.behind(id.Trigger, lane)
	}
	return d, true
}

// Original is the event of a dead letter as it came, before anyone edited it.
func (t *Table) Original(d *DeadLetter) (event.Event, error) {
	_, e, err := t.parts[d.ID.Partition].readEvent(d.ID.Offset)
	return e, err
}

// Event is one that Publish has stored, as it came; ErrNotFound when its topic has not kept it.
func (t *Table) Event(at Stored) (event.Event, error) {
	_, e, err := t.parts[at.Partition].readEvent(at.Offset)
	if vanished(err) {
		return event.Event{}, fmt.Errorf("event at offset %d of partition %d: %w", at.Offset, at.Partition, ErrNotFound)
	}
	return e, err
}

func (p *partition) readEvent(offset uint64) (topic string, out event.Event, err error) {
	err = p.readEvents([]uint64{offset}, func(_ uint64, _ time.Time, e storedEvent) error {
		var err error
		topic = e.topic
		out, err = event.Decode(bytes.Clone(e.event))
		return err
	})
	return topic, out, err
}

func (p *partition) triggerOf(id uint64) (Trigger, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.machine.triggers[id]; t != nil {
		return *t.Trigger, true
	}
	return Trigger{}, false
}

func (p *partition) isParked(id ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.machine.triggers[id.Trigger]
	return t != nil && t.parked.isHead(id.Offset)
}

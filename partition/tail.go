package partition

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/wire"
)

// Cursor is a position in all topics: the next offset of each partition. The zero value is the beginning.
type Cursor struct{ next []uint64 }

func (c Cursor) at(partition int) uint64 {
	if partition < len(c.next) {
		return c.next[partition]
	}
	return 0
}

// Head is the position behind everything that is applied now.
func (t *Table) Head() Cursor {
	c := Cursor{next: make([]uint64, t.count)}
	for i, p := range t.parts {
		p.mu.Lock()
		c.next[i] = p.machine.next
		p.mu.Unlock()
	}
	return c
}

// entry is one line of the topic index.
type entry struct {
	partition int
	offset    uint64
	time      int64
}

// Tail yields the stored events of a topic from the cursor on, oldest first, and returns the cursor behind them. Events stored before since are left out (zero =
// none); with limit > 0 only the newest limit of the rest come. ErrExpired when retention has removed events behind the cursor.
func (t *Table) Tail(namespace, topic string, from Cursor, since time.Time, limit int, yield func(TopicRecord) error) (Cursor, error) {
	head := t.Head()
	if err := t.reaches(from, namespace, topic); err != nil {
		return from, err
	}
	var entries []entry
	for i, p := range t.parts {
		list, err := t.index(p, namespace, topic, span64{from.at(i), head.next[i]}, since, limit)
		if err != nil {
			return from, err
		}
		entries = append(entries, list...)
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	if limit > 0 && len(entries) > limit {
		entries = entries[len(entries)-limit:]
	}
	at := before(entries, head)
	for _, e := range entries {
		at.next[e.partition] = e.offset + 1
		if err := t.yieldEntry(e, topic, at, yield); err != nil && !vanished(err) {
			return from, err
		}
	}
	return head, nil
}

// span64 is a range of offsets, without its end.
type span64 struct{ from, end uint64 }

// index lists a partition's entries of a topic, newest first.
func (t *Table) index(p *partition, namespace, topic string, r span64, since time.Time, limit int) ([]entry, error) {
	s := p.machine.store
	it, err := t.db.NewIter(&pebble.IterOptions{
		LowerBound: s.indexKey(namespace, topic, r.from), UpperBound: s.indexKey(namespace, topic, r.end),
	})
	if err != nil {
		return nil, fmt.Errorf("read index of topic %s: %w", topic, err)
	}
	var list []entry
	for it.Last(); it.Valid() && (limit == 0 || len(list) < limit); it.Prev() {
		v := wire.NewReader(it.Value())
		e := entry{partition: p.index, offset: binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:]), time: int64(v.U64())}
		if !since.IsZero() && e.time < since.UnixMilli() {
			break
		}
		list = append(list, e)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("read index of topic %s: %w", topic, err)
	}
	return list, nil
}

func (t *Table) yieldEntry(e entry, topic string, at Cursor, yield func(TopicRecord) error) error {
	return t.parts[e.partition].readEvents([]uint64{e.offset}, func(offset uint64, stored time.Time, se storedEvent) error {
		ev, err := event.Decode(bytes.Clone(se.event))
		if err != nil {
			return err
		}
		return yield(TopicRecord{Partition: e.partition, Offset: offset, Time: stored, Topic: topic, Event: ev, Position: at.clone()})
	})
}

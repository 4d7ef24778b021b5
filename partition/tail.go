package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
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
	size      uint32 // of the event
	offset    uint64
	time      int64
	notBefore int64 // of one that was held back when it was stored
}

// Tail yields the stored events of a topic from the cursor on, oldest first, and returns the cursor behind them. Events stored before since are left out (zero =
// none); with limit > 0 only the newest limit of the rest come. ErrExpired when retention has removed events behind the cursor.
func (t *Table) Tail(namespace, topic string, from Cursor, since time.Time, limit int, yield func(TopicRecord) error) (Cursor, error) {
	head := t.Head()
	if err := t.reaches(from, namespace, topic); err != nil {
		return from, err
	}
	lists, errs := make([][]entry, t.count), make([]error, t.count)
	var readers sync.WaitGroup
	for i, p := range t.parts {
		readers.Go(func() {
			lists[i], errs[i] = t.index(p, namespace, topic, span64{from.at(i), head.next[i]}, since, limit)
		})
	}
	readers.Wait()
	if err := errors.Join(errs...); err != nil {
		return from, err
	}
	entries := merge(lists)
	if limit > 0 && len(entries) > limit {
		entries = entries[len(entries)-limit:]
	}
	at := before(entries, head)
	for len(entries) > 0 {
		n := together(entries)
		if err := t.yieldEntries(entries[:n], topic, at, yield); err != nil {
			return from, err
		}
		entries = entries[n:]
	}
	return head, nil
}

// span64 is a range of offsets, without its end.
type span64 struct{ from, end uint64 }

// merge makes one list of the partitions' lists, which are sorted.
func merge(lists [][]entry) []entry {
	if len(lists) == 1 {
		return lists[0]
	}
	a, b := merge(lists[:len(lists)/2]), merge(lists[len(lists)/2:])
	out := make([]entry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].time <= b[0].time { // a's partitions come first
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// index lists a partition's entries of a topic, oldest first; the newest ones where there is a limit.
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
		e := entry{partition: p.index, offset: binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:]), time: int64(v.U64()), size: v.U32()}
		if !since.IsZero() && e.time < since.UnixMilli() {
			break
		}
		list = append(list, e)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("read index of topic %s: %w", topic, err)
	}
	slices.Reverse(list)
	return list, nil
}

// readTogether is how many bytes of events Tail reads before it yields them.
const readTogether = 4 << 20

// together is how many of the entries are read together, at least one.
func together(entries []entry) int {
	size, n := 0, 0
	for n < len(entries) && (n == 0 || size+int(entries[n].size) <= readTogether) {
		size += int(entries[n].size)
		n++
	}
	return n
}

// yieldEntries reads entries partition by partition, because neighbours in a log cost little, and yields them in their order. Those that retention has removed
// meanwhile are left out.
func (t *Table) yieldEntries(entries []entry, topic string, at Cursor, yield func(TopicRecord) error) error {
	records := make([]TopicRecord, len(entries))
	indexes := make([][]int, t.count) // by partition
	for i, e := range entries {
		indexes[e.partition] = append(indexes[e.partition], i)
	}
	errs := make([]error, t.count)
	var readers sync.WaitGroup
	for i, p := range t.parts {
		if len(indexes[i]) > 0 {
			readers.Go(func() { errs[i] = p.readEntries(entries, indexes[i], records) })
		}
	}
	readers.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, e := range entries {
		at.next[e.partition] = e.offset + 1
		r := &records[i]
		if r.Offset == 0 {
			continue
		}
		r.Topic, r.Position = topic, at.clone()
		if err := yield(*r); err != nil {
			return err
		}
	}
	return nil
}

// readEntries fills the records at indexes with the partition's events of the entries there.
func (p *partition) readEntries(entries []entry, indexes []int, records []TopicRecord) error {
	offsets := make([]uint64, len(indexes))
	for n, i := range indexes {
		offsets[n] = entries[i].offset
	}
	for len(offsets) > 0 {
		done := 0
		err := p.readEvents(offsets, func(offset uint64, stored time.Time, e storedEvent) error {
			r := &records[indexes[done]]
			done++
			var err error
			r.Partition, r.Offset, r.Time = p.index, offset, stored
			r.Event, err = event.Decode(bytes.Clone(e.event))
			return err
		})
		if err == nil {
			return nil
		}
		if !vanished(err) {
			return err
		}
		offsets, indexes = offsets[done+1:], indexes[done+1:]
	}
	return nil
}

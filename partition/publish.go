package partition

import (
	"context"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/evoke-run/evoke/event"
)

// maxGroup is how many bytes of events one publish record takes, well below what a driver must take.
const maxGroup = 4 << 20

// Publish stores events of a topic and returns when all of them are durable and applied. The events are valid: event.Validate said so. After an
// error any of them may be stored; repeating is safe, because they are known by source and id.
func (t *Table) Publish(ctx context.Context, namespace, topic string, events []event.Event) ([]Stored, error) {
	if t.opts.Admit != nil {
		if err := t.opts.Admit(); err != nil {
			return nil, err
		}
	}
	if len(events) == 1 {
		return t.publishOne(ctx, namespace, topic, &events[0])
	}
	groups := map[*partition][]int{}
	var order []*partition // as the events come, so that the same call does the same again
	for i := range events {
		e := &events[i]
		p := t.place(namespace, e.Key(), e.Source, e.ID)
		if groups[p] == nil {
			order = append(order, p)
		}
		groups[p] = append(groups[p], i)
	}
	out := make([]Stored, len(events))
	type part struct {
		p       *partition
		indexes []int
		done    chan result
	}
	var parts []part
	for _, p := range order {
		for indexes := groups[p]; len(indexes) > 0; {
			record, n := publishPart(namespace, topic, events, indexes)
			done, err := p.append(record)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part{p, indexes[:n], done})
			indexes = indexes[n:]
		}
	}
	for _, w := range parts {
		res, err := w.p.wait(ctx, w.done)
		if err != nil {
			return nil, err
		}
		for i, s := range res.stored {
			out[w.indexes[i]] = s
		}
	}
	t.metrics.publishedEvents(out)
	return out, nil
}

// publishOne is Publish of what most requests bring, without what it takes to sort many.
func (t *Table) publishOne(ctx context.Context, namespace, topic string, e *event.Event) ([]Stored, error) {
	p := t.place(namespace, e.Key(), e.Source, e.ID)
	res, err := p.do(ctx, &publishRecord{origin: originOutside, stored: []storedEvent{newStored(namespace, topic, e)}})
	if err != nil {
		return nil, err
	}
	t.metrics.publishedEvents(res.stored)
	return res.stored, nil
}

func newStored(namespace, topic string, e *event.Event) storedEvent {
	return storedEvent{namespace: namespace, topic: topic, notBefore: notBefore(e), event: e.AppendBinary(make([]byte, 0, e.Size()))}
}

// publishPart builds a record of as many events as fit.
func publishPart(namespace, topic string, events []event.Event, indexes []int) (*publishRecord, int) {
	record := &publishRecord{origin: originOutside}
	size := 0
	for n, i := range indexes {
		s := events[i].Size()
		if n > 0 && size+s > maxGroup {
			return record, n
		}
		size += s
		record.stored = append(record.stored, newStored(namespace, topic, &events[i]))
	}
	return record, len(indexes)
}

// place returns the partition of a key, or of an event without one.
func (t *Table) place(namespace, key, source, id string) *partition {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(namespace) // a hash never fails
	_, _ = d.WriteString("\x00")
	if key != "" {
		_, _ = d.WriteString(key)
	} else {
		_, _ = d.WriteString(source)
		_, _ = d.WriteString("\x00")
		_, _ = d.WriteString(id)
	}
	hi, _ := bits.Mul64(d.Sum64(), uint64(t.count))
	return t.parts[hi]
}

// hashRange is the range of hashes that place sends to a partition, both ends inclusive.
func hashRange(index, count int) (first, last uint64) {
	bound := func(i uint64) uint64 { // ⌈i · 2⁶⁴ / count⌉
		q, r := bits.Div64(i, 0, uint64(count))
		if r > 0 {
			q++
		}
		return q
	}
	if index > 0 {
		first = bound(uint64(index))
	}
	last = ^uint64(0)
	if index < count-1 {
		last = bound(uint64(index)+1) - 1
	}
	return first, last
}

package partition

import (
	"container/heap"
	"fmt"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/wire"
)

// An event has a rank for a trigger with a priority: the leader asks the expression when it matches, as it asks filters, and the record keeps the answer. Of those that
// wait, the ones of higher rank come first, and those of one rank in the order in which they came. Nearly all events have rank 0 and cost nothing.

// maxRank bounds ranks, and -maxRank too.
const maxRank = 100

// rankOf asks a priority; an event that has none of it has rank 0.
func rankOf(priority *filter.Value, e *event.Event) int8 {
	n, _ := priority.Number(e)
	return int8(max(-maxRank, min(maxRank, n)))
}

// rank is that of the event for its nth trigger.
func (e *storedEvent) rank(n int) int8 {
	if e.ranks == nil {
		return 0
	}
	return e.ranks[n]
}

// recordRank is one that is not 0: of an event for one of its triggers, both counted from 0.
type recordRank struct {
	event, trigger uint64
	rank           int8
}

func ranksOf(events []storedEvent) (out []recordRank) {
	for i := range events {
		for n, rank := range events[i].ranks {
			if rank != 0 {
				out = append(out, recordRank{uint64(i), uint64(n), rank})
			}
		}
	}
	return out
}

func appendRanks(b []byte, ranks []recordRank) []byte {
	b = wire.AppendUvarint(b, uint64(len(ranks)))
	for _, r := range ranks {
		b = append(wire.AppendUvarint(wire.AppendUvarint(b, r.event), r.trigger), byte(r.rank))
	}
	return b
}

func readRanks(r *wire.Reader, events []storedEvent) error {
	for _, one := range readList(r, func(r *wire.Reader) recordRank { return recordRank{r.Uvarint(), r.Uvarint(), int8(r.U8())} }) {
		if one.event >= uint64(len(events)) || one.trigger >= uint64(len(events[one.event].triggers)) {
			return fmt.Errorf("%w: a rank for trigger %d of event %d", errDamaged, one.trigger, one.event)
		}
		e := &events[one.event]
		if e.ranks == nil {
			e.ranks = make([]int8, len(e.triggers))
		}
		e.ranks[one.trigger] = one.rank
	}
	return nil
}

// setRank keeps the rank of a pending event; 0 forgets it.
func (m *machine) setRank(t *trigger, offset uint64, rank int8) {
	key := m.store.key(keyRank, t.ID, offset)
	if rank == 0 {
		if _, ok := t.ranks[offset]; ok {
			delete(t.ranks, offset)
			m.store.del(key)
		}
		return
	}
	if t.ranks == nil {
		t.ranks = map[uint64]int8{}
	}
	t.ranks[offset] = rank
	m.store.set(key, []byte{byte(rank)})
}

func (m *machine) loadRanks() error {
	return scan(m.store.db, m.store.key(keyRank), func(rest, value []byte) error {
		t, offset, err := m.ofTrigger(rest)
		if err != nil {
			return err
		}
		if len(value) != 1 {
			return fmt.Errorf("a rank has %d bytes", len(value))
		}
		if t.ranks == nil {
			t.ranks = map[uint64]int8{}
		}
		t.ranks[offset] = int8(value[0])
		return nil
	})
}

// ranked are the pending offsets of a feed that have a rank and were not looked at, the first to be handed out at the front.
type ranked []rankedOffset

type rankedOffset struct {
	rank   int8
	offset uint64
}

func (h ranked) Len() int { return len(h) }
func (h ranked) Less(i, j int) bool {
	return h[i].rank > h[j].rank || h[i].rank == h[j].rank && h[i].offset < h[j].offset
}
func (h ranked) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *ranked) Push(x any)   { *h = append(*h, x.(rankedOffset)) }
func (h *ranked) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// rankUp enters an offset that became pending.
func (f *feed) rankUp(offset uint64) {
	if rank := f.trigger.ranks[offset]; rank != 0 {
		heap.Push(&f.ranked, rankedOffset{rank, offset})
	}
}

// takeRanked returns the first offset of the ranks that come before those without, or of those that come behind.
func (f *feed) takeRanked(before bool, now int64) (offset uint64, ok bool) {
	for len(f.ranked) > 0 && (f.ranked[0].rank > 0) == before && f.ranked[0].offset < f.trigger.position.limit() {
		first := heap.Pop(&f.ranked).(rankedOffset)
		offset := first.offset
		if !f.trigger.pending.has(offset) || f.trigger.ranks[offset] != first.rank || f.taken(offset) || f.early[offset] { // settled, and perhaps pending anew
			continue
		}
		if offset >= f.scan {
			if f.early == nil {
				f.early = map[uint64]bool{}
			}
			f.early[offset] = true
		}
		if !f.waits(offset, now) {
			return offset, true
		}
	}
	return 0, false
}

// looked says whether an offset was looked at: below the scan, or before it came by.
func (f *feed) looked(offset uint64) bool { return offset < f.scan || f.early[offset] }

// taken says whether somebody has an offset, or has set it aside.
func (f *feed) taken(offset uint64) bool {
	_, running := f.running[offset]
	_, aside := f.aside[offset]
	return running || aside
}

package partition

import (
	"fmt"
	"slices"
	"testing/synctest"

	"github.com/evoke-run/evoke/eventlog"
)

// simStore is what the disk holds of one partition, and what may still reach it: the log as the worst driver that keeps its contract would have it.
type simStore struct {
	next    uint64
	records []simOnDisk
	orphans [][]eventlog.Record // of nodes that died before they heard: any of them may still come, in their order, or never
	copies  []eventlog.Record   // stored once, to be stored again some time
	cut     uint64              // some node has trimmed it below this offset, for all
}

// simOnDisk is a stored record, and what the model reads in it.
type simOnDisk struct {
	eventlog.Record
	read simRecord
}

func (s *simStore) store(r eventlog.Record, gap int) {
	r.Offset = max(s.next, 1) + uint64(gap)
	s.next = r.Offset + uint64(r.Span)
	s.records = append(s.records, simOnDisk{r, simDecode(r.Data)})
}

func (r *simOnDisk) end() uint64 { return r.Offset + uint64(r.Span) }

// simLog is one node's eventlog.Log. Nothing happens by itself: steps of the simulation store what was appended and deliver what is stored.
type simLog struct {
	node   *simNode
	apply  []func([]eventlog.Record)
	at     []int               // per partition: how many stored records were delivered
	flight [][]eventlog.Record // appended, not stored
	heard  []uint64            // the highest epoch that the table was told of
	began  []uint64            // where the table followed from
	behind bool                // a state is older than what is left of the log
}

var _ eventlog.Log = (*simLog)(nil)

func newSimLog(n *simNode, partitions int) *simLog {
	return &simLog{
		node: n, apply: make([]func([]eventlog.Record), partitions), at: make([]int, partitions), flight: make([][]eventlog.Record, partitions),
		heard: make([]uint64, partitions), began: make([]uint64, partitions),
	}
}

// Append implements eventlog.Log.
func (l *simLog) Append(partition int, span uint32, data []byte) {
	l.node.world.mu.Lock()
	defer l.node.world.mu.Unlock()
	if (l.heard[partition] > l.node.epoch || l.node.lost) && l.node.world.broken == "" {
		l.node.world.wrong = append(l.node.world.wrong, fmt.Sprintf("epoch %d appends to partition %d, knows of epoch %d, lost its lease: %t", l.node.epoch, partition, l.heard[partition], l.node.lost))
	}
	if !l.node.dead {
		l.flight[partition] = append(l.flight[partition], eventlog.Record{Span: span, Data: data})
	}
}

// Follow implements eventlog.Log. The model of the node begins where its state begins.
func (l *simLog) Follow(partition int, from uint64, apply func([]eventlog.Record)) (stop func(), err error) {
	l.began[partition] = from
	stored := l.node.world.stores[partition].records
	model := l.node.world.newModel(partition)
	n := 0
	for ; n < len(stored) && stored[n].end() <= from; n++ {
		model.apply(stored[n].Offset, &stored[n].read)
	}
	if n < len(stored) && stored[n].end() <= l.node.world.stores[partition].cut {
		l.behind = true
		return nil, fmt.Errorf("%w: what is below offset %d", eventlog.ErrTrimmed, l.node.world.stores[partition].cut)
	}
	if model.next != from {
		return nil, fmt.Errorf("the state of partition %d is at offset %d, between records", partition, from)
	}
	l.node.models[partition], l.apply[partition], l.at[partition] = model, apply, n
	for l.at[partition] < len(stored) {
		group := l.take(partition, 1+l.node.world.rng.IntN(8), 0)
		apply(group)
		l.told(partition, group)
	}
	return func() { l.apply[partition] = nil }, nil
}

// take moves on by n stored records and gives them, behind the last again of those before.
func (l *simLog) take(partition, n, again int) (group []eventlog.Record) {
	stored := l.node.world.stores[partition].records
	at := l.at[partition]
	end := min(len(stored), at+n)
	for _, r := range stored[max(0, at-again):end] {
		group = append(group, r.Record)
	}
	for _, r := range stored[at:end] {
		l.node.models[partition].apply(r.Offset, &r.read)
	}
	l.at[partition] = end
	return group
}

// deliver hands on what take gives. What retention appended comes alone, and then everything stands still again: whoever waits for its result appends more then, and
// should two do so at once, a run would not follow from its seed.
func (l *simLog) deliver(partition, n, again int) {
	group := l.take(partition, n, again)
	for len(group) > 0 {
		k := 1
		for k < len(group) && !simOfRetention(group[k]) && !simOfRetention(group[0]) {
			k++
		}
		l.told(partition, group[:k])
		l.apply[partition](group[:k])
		synctest.Wait()
		group = group[k:]
	}
}

// told notes what a table hears of.
func (l *simLog) told(partition int, group []eventlog.Record) {
	l.node.world.mu.Lock()
	defer l.node.world.mu.Unlock()
	for _, r := range group {
		if rec := simDecode(r.Data); rec.kind == 1 {
			l.heard[partition] = max(l.heard[partition], rec.epoch)
		}
	}
}

// simOfRetention says whether a record is an expire, a lapse, or a discard.
func simOfRetention(r eventlog.Record) bool { return slices.Contains([]byte{7, 10, 11}, r.Data[5]) }

// die moves what was not stored to where it may still come from.
func (l *simLog) die() {
	for p := range l.flight {
		if len(l.flight[p]) > 0 {
			s := l.node.world.stores[p]
			s.orphans = append(s.orphans, l.flight[p])
		}
	}
	l.flight = nil
}

// Read implements eventlog.Log.
func (l *simLog) Read(partition int, from uint64, yield func(eventlog.Record) bool) error {
	stored := l.node.world.stores[partition].records
	if cut := l.node.world.stores[partition].cut; from < cut {
		return fmt.Errorf("%w: the oldest record has offset %d", eventlog.ErrTrimmed, cut)
	}
	first, _ := slices.BinarySearchFunc(stored, from, func(r simOnDisk, from uint64) int {
		if r.end() <= from {
			return -1
		}
		return 1
	})
	for _, r := range stored[first:] {
		if !yield(r.Record) {
			break
		}
	}
	return nil
}

// Trim implements eventlog.Log. A record that owns the offset before stays.
func (l *simLog) Trim(partition int, before uint64) error {
	w := l.node.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if floor := l.node.models[partition].floor; before > floor {
		w.wrong = append(w.wrong, fmt.Sprintf("epoch %d cuts partition %d below %d, the floor is %d", l.node.epoch, partition, before, floor))
	}
	w.stores[partition].cut = max(w.stores[partition].cut, before)
	return nil
}

// Close implements eventlog.Log.
func (l *simLog) Close() error { return nil }

package partition

import (
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/eventlog"
)

// simStore is what the disk holds of one partition, and what may still reach it: the log as the worst driver that keeps its contract would have it.
type simStore struct {
	next    uint64
	records []simOnDisk
	orphans [][]eventlog.Record // of nodes that died before they heard: any of them may still come, in their order, or never
	copies  []eventlog.Record   // stored once, to be stored again some time
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
}

var _ eventlog.Log = (*simLog)(nil)

func newSimLog(n *simNode, partitions int) *simLog {
	return &simLog{
		node: n, apply: make([]func([]eventlog.Record), partitions), at: make([]int, partitions), flight: make([][]eventlog.Record, partitions),
	}
}

// Append implements eventlog.Log.
func (l *simLog) Append(partition int, span uint32, data []byte) {
	l.node.world.mu.Lock()
	defer l.node.world.mu.Unlock()
	if !l.node.dead {
		l.flight[partition] = append(l.flight[partition], eventlog.Record{Span: span, Data: data})
	}
}

// Follow implements eventlog.Log. The model of the node begins where its state begins.
func (l *simLog) Follow(partition int, from uint64, apply func([]eventlog.Record)) error {
	stored := l.node.world.stores[partition].records
	model := l.node.world.newModel(partition)
	n := 0
	for ; n < len(stored) && stored[n].end() <= from; n++ {
		model.apply(stored[n].Offset, &stored[n].read)
	}
	if model.next != from {
		return fmt.Errorf("the state of partition %d is at offset %d, between records", partition, from)
	}
	l.node.models[partition], l.apply[partition], l.at[partition] = model, apply, n
	for l.at[partition] < len(stored) {
		l.deliver(partition, 1+l.node.world.rng.IntN(8), 0)
	}
	return nil
}

// deliver hands on the next n stored records, and the last again of those that were handed on before.
func (l *simLog) deliver(partition, n, again int) {
	stored := l.node.world.stores[partition].records
	at := l.at[partition]
	end := min(len(stored), at+n)
	var group []eventlog.Record
	for _, r := range stored[max(0, at-again):end] {
		group = append(group, r.Record)
	}
	for _, r := range stored[at:end] {
		l.node.models[partition].apply(r.Offset, &r.read)
	}
	l.at[partition] = end
	if len(group) > 0 {
		l.apply[partition](group)
	}
}

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

// Trim implements eventlog.Log.
func (l *simLog) Trim(int, uint64) error { return nil }

// Close implements eventlog.Log.
func (l *simLog) Close() error { return nil }

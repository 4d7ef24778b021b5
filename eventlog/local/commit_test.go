package local

import (
	"testing"

	"github.com/evoke-run/evoke/eventlog"
)

// mailboxes makes a log that only has mailboxes.
func mailboxes(n int) *Log {
	l := &Log{}
	for i := range n {
		l.parts = append(l.parts, &partition{id: i, next: 1})
	}
	return l
}

func (l *Log) postSizes(partition int, sizes ...int) {
	for _, n := range sizes {
		l.parts[partition].post(eventlog.Record{Span: 2, Data: make([]byte, n)})
	}
}

func TestGroupIsBounded(t *testing.T) {
	t.Parallel()
	l := mailboxes(3)
	for p := range 3 {
		l.postSizes(p, maxGroup/2, maxGroup/2, maxGroup/2)
	}
	records, first := 0, 0
	for range 9 {
		group, next := l.gather(first)
		first = next
		size := 0
		for _, c := range group {
			for _, r := range c.records {
				size += len(r.Data)
				records++
			}
		}
		if size > maxGroup {
			t.Errorf("a group has %d bytes, want at most %d", size, maxGroup)
		}
	}
	if records != 9 {
		t.Errorf("%d records came out, want 9", records)
	}
	if next := l.parts[2].next; next != 7 {
		t.Errorf("next offset is %d after three records of span 2, want 7", next)
	}
}

func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	l := mailboxes(3)
	l.postSizes(1, 3<<20) // fits in no group with others
	first, seen := 0, false
	for range 2 {
		l.postSizes(0, 100) // always something before it
		l.postSizes(2, 100)
		group, next := l.gather(first)
		first = next
		for _, c := range group {
			seen = seen || c.p.id == 1
		}
	}
	if !seen {
		t.Error("a large record waits for ever while other partitions are busy")
	}
}

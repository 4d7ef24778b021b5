package local

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/eventlog"
)

// maxGroup is how many bytes of records one commit takes; a single larger record goes alone. Above half a memory table pebble would make a flush of
// every batch, which costs half the throughput.
const maxGroup = 2 << 20

// partition is the write side of one partition.
type partition struct {
	id      int
	durable atomic.Uint64 // offset behind the last durable record; Read stops there
	next    uint64        // offset of the next record; only the committer uses it after Open

	mu  sync.Mutex
	box []eventlog.Record // appended, not yet taken; without offsets

	// following is held while followers hear of a group: who joins or leaves does so between two groups.
	following sync.Mutex
	followers []*follower
}

func (p *partition) post(r eventlog.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.box = append(p.box, r)
}

// take empties the mailbox as far as budget bytes reach, at least one record when atLeastOne; more says that something is left. The caller owns
// what it gets.
func (p *partition) take(budget int, atLeastOne bool) (records []eventlog.Record, size int, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.box) && (size+len(p.box[n].Data) <= budget || atLeastOne && n == 0) {
		size += len(p.box[n].Data)
		n++
	}
	if n == len(p.box) {
		records, p.box = p.box, nil
		return records, size, false
	}
	records = append(records, p.box[:n]...)
	clear(p.box[:n])
	p.box = p.box[n:]
	return records, size, true
}

// chunk is the share of one partition in a group.
type chunk struct {
	p       *partition
	records []eventlog.Record
}

// commitLoop is the committer. It returns when the log is closed and the mailboxes are empty, or when the log failed.
func (l *Log) commitLoop() {
	defer close(l.done)
	first := 0
	for {
		group, next := l.gather(first)
		first = next
		if len(group) > 0 {
			if !l.commit(group) {
				return
			}
			continue
		}
		select {
		case <-l.wake:
		case <-l.stop:
			// Appends that came before Close are in the mailboxes by now.
			if group, _ := l.gather(first); len(group) == 0 {
				return
			} else if !l.commit(group) {
				return
			}
		}
	}
}

// gather takes a group out of the mailboxes, beginning with the partition first, and gives the records their offsets. The next group begins with the
// partition that had to leave something behind, so that none starves, not even one whose record fits in no group with others.
func (l *Log) gather(first int) (group []chunk, next int) {
	budget, next := maxGroup, first
	for i := range l.parts {
		p := l.parts[(first+i)%len(l.parts)]
		records, size, more := p.take(budget, len(group) == 0)
		if more && next == first {
			next = p.id
		}
		if len(records) > 0 {
			p.number(records)
			group = append(group, chunk{p, records})
			budget -= size
		}
	}
	return group, next
}

// number gives records the next offsets.
func (p *partition) number(records []eventlog.Record) {
	for i := range records {
		records[i].Offset = p.next
		p.next += uint64(records[i].Span)
	}
}

// commit stores a group and delivers it; false when the log failed.
func (l *Log) commit(group []chunk) bool {
	start := time.Now()
	err := l.store(group)
	if err != nil {
		l.failure.set(fmt.Errorf("commit: %w", err))
	}
	if l.failure.err() != nil {
		return false
	}
	l.metrics.committed(group, time.Since(start))
	for _, c := range group {
		c.p.deliver(c.records)
	}
	return true
}

// store returns when the group is on stable storage.
func (l *Log) store(group []chunk) error {
	size := 0
	for _, c := range group {
		size += frameSize(c.records) + keySize + 16
	}
	batch := l.db.NewBatchWithSize(size)
	for _, c := range group {
		op := batch.SetDeferred(keySize, frameSize(c.records))
		putKey(op.Key, c.p.id, c.records[0].Offset)
		putFrame(op.Value, op.Key, c.records)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	if err := l.db.Apply(batch, pebble.Sync); err != nil {
		return err
	}
	return batch.Close()
}

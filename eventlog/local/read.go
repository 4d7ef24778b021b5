package local

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/eventlog"
)

// Read implements eventlog.Log. It returns eventlog.ErrTrimmed when the record that owned from is gone.
func (l *Log) Read(partition int, from uint64, yield func(eventlog.Record) bool) error {
	if err := l.users.enter(); err != nil {
		return fmt.Errorf("read partition %d: %w", partition, err)
	}
	defer l.users.leave()
	p := l.parts[partition]
	err := l.scan(p, from, p.durable.Load(), func(_ []byte, records []eventlog.Record) bool {
		for _, r := range ownersOf(from, records) {
			if !yield(r) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("read partition %d from %d: %w", partition, from, err)
	}
	return nil
}

// ownersOf drops the records that lie wholly below from.
func ownersOf(from uint64, records []eventlog.Record) []eventlog.Record {
	for len(records) > 0 && records[0].Offset+uint64(records[0].Span) <= from {
		records = records[1:]
	}
	return records
}

// scan calls visit with the frames of a partition below the offset end, which are durable, beginning with the one that owns from, until visit answers false.
func (l *Log) scan(p *partition, from, end uint64, visit func(frame []byte, records []eventlog.Record) bool) (err error) {
	if err := l.failure.err(); err != nil {
		return err
	}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: logKey(p.id, 0), UpperBound: logKey(p.id, end)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	found := seek(it, p.id, from)
	if found {
		if _, first, err := splitKey(it.Key()); err == nil && from < first && first > 1 {
			return fmt.Errorf("%w: the oldest record has offset %d", eventlog.ErrTrimmed, first)
		}
	}
	for ; found; found = it.Next() {
		frame, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		records, err := parseFrame(it.Key(), frame)
		if err != nil {
			return l.damaged(it.Key(), err)
		}
		if !visit(frame, records) {
			return nil
		}
	}
	return it.Error()
}

// seek moves to the frame that owns offset, or else to the first of the partition.
func seek(it *pebble.Iterator, partition int, offset uint64) bool {
	if offset < math.MaxUint64 && it.SeekLT(logKey(partition, offset+1)) {
		return true
	}
	if offset == math.MaxUint64 {
		return it.Last()
	}
	return it.Error() == nil && it.First()
}

// damaged says where a value is that cannot be read.
func (l *Log) damaged(key []byte, why error) error {
	partition, offset, err := splitKey(key)
	if err != nil {
		return fmt.Errorf("event log %s is damaged: %w", l.dir, err)
	}
	return fmt.Errorf("event log %s is damaged: partition %d, the records from offset %d on: %w; restore the directory from a backup",
		l.dir, partition, offset, why)
}

// Trim implements eventlog.Log. It drops whole groups and always keeps the last one.
func (l *Log) Trim(partition int, before uint64) error {
	if err := l.users.enter(); err != nil {
		return fmt.Errorf("trim partition %d: %w", partition, err)
	}
	defer l.users.leave()
	if err := l.trim(l.parts[partition], before); err != nil {
		return fmt.Errorf("trim partition %d below %d: %w", partition, before, err)
	}
	return nil
}

func (l *Log) trim(p *partition, before uint64) error {
	if err := l.failure.err(); err != nil {
		return err
	}
	keep, err := l.firstToKeep(p, before)
	if keep == nil || err != nil {
		return err
	}
	// Not synced: a trim that a crash undoes is done again by the next one.
	if err := l.db.DeleteRange(logKey(p.id, 0), keep, pebble.NoSync); err != nil {
		return err
	}
	return l.failure.err()
}

// firstToKeep is the key of the group that owns the offset before, or of the last one; nil when there is nothing below it.
func (l *Log) firstToKeep(p *partition, before uint64) (key []byte, err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: logKey(p.id, 0), UpperBound: logKey(p.id, p.durable.Load())})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if seek(it, p.id, before) {
		key = bytes.Clone(it.Key())
		if !it.Prev() {
			key = nil
		}
	}
	return key, it.Error()
}

// recoverOffsets finds the next offset of every partition from its last value.
func (l *Log) recoverOffsets() error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: logKey(0, 0), UpperBound: keyAfter(MaxPartitions - 1)})
	if err != nil {
		return err
	}
	defer it.Close() //nolint:errcheck // its error is checked before
	if it.Last() {
		switch partition, _, err := splitKey(it.Key()); {
		case err != nil:
			return l.damaged(it.Key(), err)
		case partition >= len(l.parts):
			return fmt.Errorf("it holds records of partition %d, but only %d partitions are configured; the number cannot be lowered",
				partition, len(l.parts))
		}
	}
	for _, p := range l.parts {
		if err := l.recoverNext(it, p); err != nil {
			return err
		}
		p.durable.Store(p.next)
	}
	return it.Error()
}

func (l *Log) recoverNext(it *pebble.Iterator, p *partition) error {
	if !it.SeekLT(keyAfter(p.id)) || bytes.Compare(it.Key(), logKey(p.id, 0)) < 0 {
		return it.Error()
	}
	frame, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	records, err := parseFrame(it.Key(), frame)
	if err != nil {
		return l.damaged(it.Key(), err)
	}
	last := records[len(records)-1]
	p.next = last.Offset + uint64(last.Span)
	return nil
}

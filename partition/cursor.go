package partition

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Offsets are the next offsets of the partitions, as Range.From takes them.
func (c Cursor) Offsets() []uint64 { return c.next }

func (c Cursor) clone() Cursor { return Cursor{next: slices.Clone(c.next)} }

// before is the position in front of a list of entries in the order of the tail: in each partition its first entry, else the head.
func before(entries []entry, head Cursor) Cursor {
	c := head.clone()
	for _, e := range entries {
		c.next[e.partition] = min(c.next[e.partition], e.offset)
	}
	return c
}

// directoryKey is beside the partitions, whose numbers are lower.
func directoryKey() []byte { return []byte{0xff, 0xff, 'I'} }

// directoryID reads the number that tells data directories apart, and makes one in a new directory.
func directoryID(db *pebble.DB) (uint64, error) {
	value, ok, err := read(db, directoryKey())
	if err != nil {
		return 0, err
	}
	if !ok {
		value = make([]byte, 8)
		rand.Read(value) // never fails: the runtime ends the process first
		if err := writeDirectoryID(db, binary.BigEndian.Uint64(value), pebble.Sync); err != nil {
			return 0, err
		}
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("the id of the data directory has %d bytes, not 8", len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

func writeDirectoryID(db *pebble.DB, id uint64, how *pebble.WriteOptions) error {
	if err := db.Set(directoryKey(), binary.BigEndian.AppendUint64(nil, id), how); err != nil {
		return fmt.Errorf("write the id of the data directory: %w", err)
	}
	return nil
}

// Directory tells data directories apart: offsets mean nothing in another one.
func (t *Table) Directory() uint64 { return t.directory }

// CheckOffsets says what is wrong with offsets that someone brought from outside, one for each partition.
func (t *Table) CheckOffsets(offsets []uint64) error {
	if len(offsets) != t.count {
		return fmt.Errorf("it has %d offsets, the data directory has %d partitions", len(offsets), t.count)
	}
	for i, next := range t.Head().next {
		if offsets[i] > next {
			return fmt.Errorf("its offset %d is behind the end of partition %d, which is %d: the data directory is older than the token", offsets[i], i, next)
		}
	}
	return nil
}

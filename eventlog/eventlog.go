// Package eventlog is the contract of the durable log under a partition. Drivers live in folders beside this file and all pass eventlogtest.
package eventlog

import "errors"

// MaxRecord is the largest record in bytes.
const MaxRecord = 8 << 20

// ErrTrimmed is returned by Read for an offset that Trim has removed.
var ErrTrimmed = errors.New("trimmed from the log")

// Record is one entry of a partition's log. It owns the offsets Offset to Offset+Span-1.
type Record struct {
	Offset uint64
	Span   uint32
	Data   []byte
}

// Importer is a Log that can take over what another log held: a backup, or a partition of another node.
type Importer interface {
	// Import stores records of a partition at the offsets they have. They are in order and lie behind everything that the partition holds. It is only called
	// before Follow, and returns when they are on stable storage. Later appends go behind them.
	Import(partition int, records []Record) error
}

// Log is the durable log of all partitions that live on this node.
//
// Offsets start at 1, grow, and may have gaps. A driver may store a record twice (two offsets, the same bytes), and may store one whose caller has
// long given up; it never stores a record of a partition unless everything appended to that partition before is stored before it. Records carry their
// own checks and identities; a driver does not look into them.
//
// A driver that cannot store a record stops for good: it calls the Fatal function of its options and delivers nothing more.
type Log interface {
	// Append hands over a record that owns span offsets (≥ 1). It does not wait for the disk: the record comes back through the callback of
	// Follow when it is on stable storage. Calls for one partition must come one after the other; their order is the order of the log.
	// The driver owns data from here on.
	Append(partition int, span uint32, data []byte)

	// Follow calls apply with every stored record of the partition whose Offset+Span > from, in order, and then with every record that becomes
	// durable later, until the log is closed. It returns when what was stored at the time of the call has been applied. apply is never called
	// twice at the same time for one partition, must not block, and may keep the Data it got. Follow is called once per partition, before Append.
	Follow(partition int, from uint64, apply func([]Record)) error

	// Read calls yield with stored records in order, beginning with the one that owns the offset from or, in a gap, the next; it stops after the
	// last stored record or when yield answers false. Data is only valid inside yield.
	Read(partition int, from uint64, yield func(Record) bool) error

	// Trim removes the records that lie wholly below the offset before. It may keep some of them for a while.
	Trim(partition int, before uint64) error

	// Close waits for what was appended and releases the log.
	Close() error
}

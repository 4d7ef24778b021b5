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
	// before anybody follows, and returns when they are on stable storage. Later appends go behind them.
	Import(partition int, records []Record) error
}

// Log is the durable log of partitions. Several nodes may share one: each follows it, and any of them may append.
//
// Offsets start at 1, grow, and may have gaps. A driver may store a record twice (two offsets, the same bytes), and may store one whose caller has
// long given up; it never stores a record of a partition unless everything appended to that partition before is stored before it. Records carry their
// own checks and identities; a driver does not look into them.
//
// A driver that cannot store a record stops for good: it calls the Fatal function of its options and delivers nothing more.
type Log interface {
	// Append hands over a record that owns span offsets (≥ 1). It does not wait for the disk: the record comes back through the callbacks of
	// Follow when it is on stable storage, and is stored whether anybody follows or not. One node's calls for a partition come one after the
	// other; their order is kept, and those of several nodes lie between each other in any way. The driver owns data from here on.
	Append(partition int, span uint32, data []byte)

	// Follow calls apply with every stored record of the partition whose Offset+Span > from, in order, and then with every record that becomes
	// durable later, until stop is called or the log is closed. It returns when all that was stored has been applied. It returns ErrTrimmed when
	// the record that owned from has been removed: apply would miss records.
	//
	// Any number may follow a partition, from where they like; each hears of all of it, in the same order. One apply is never called twice at the
	// same time, must not block, for that holds up all of the log, and may keep the records it got but not change them: others get the same.
	//
	// stop returns when apply does not run and will not run again; apply must not call it. A second call does nothing.
	Follow(partition int, from uint64, apply func([]Record)) (stop func(), err error)

	// Read calls yield with stored records in order, beginning with the one that owns the offset from or, in a gap, the next; it stops after the
	// last stored record or when yield answers false. Data is only valid inside yield.
	Read(partition int, from uint64, yield func(Record) bool) error

	// Trim removes the records that lie wholly below the offset before. It may keep some of them for a while.
	Trim(partition int, before uint64) error

	// Close waits for what was appended and releases the log.
	Close() error
}

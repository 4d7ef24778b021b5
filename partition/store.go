package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Keys of the state. Every key begins with the partition (u16) and one of these bytes; numbers in keys are big-endian, so that they sort.
const (
	keyMeta       = 'M' // → applied offset, epoch, sequence, clock, generation, cursors
	keyTrigger    = 'C' // trigger → Trigger as JSON
	keyPending    = 'U' // trigger, chunk → bitmap of 1,024 offsets
	keyProgress   = 'R' // trigger, offset → attempts so far
	keyDeadLetter = 'X' // trigger, offset → attempts and when it was given up
	keyDedup      = 'D' // offset → identities that came in with the group of records at that offset
	keyOutbox     = 'O' // receiver, sequence → offset and index of the event in the log
	keyState      = 'S' // function, key, name → version, value
	keyPosition   = 'B' // trigger → what of the past it has to look through, newest generation and replay
	keyAgain      = 'G' // trigger, generation, chunk → bitmap: pending offsets that a replay handed out again
	keyIndex      = 'I' // namespace, topic, offset → time, length, and of one that was held back the time until then
	keyParked     = 'K' // trigger, lane → head, when it was given up
	keySpecial    = 'E' // trigger, offset → where its edited event is, and which revision must run it
	keyHorizon    = 'H' // namespace, topic → offset below which retention has removed the topic's events
	keyFloor      = 'F' // → offset below which nothing needs the log
	keyReply      = 'A' // call → when it was kept, request, reply
	keyReplyOrder = 'Q' // offset of its record → when it was kept, call
	keyRank       = 'P' // trigger, offset → rank of a pending event that has one
	keyRate       = 'W' // rate → when it is as if nothing had begun under it
	keyDue        = 'L' // trigger → the last due time that has passed
)

// store is the state of one partition in pebble. Writes gather in a batch, which commit makes visible to all and which get sees before.
// A read that fails poisons the store: commit reports it, and the partition stops.
type store struct {
	db     *pebble.DB
	prefix uint16
	batch  *pebble.Batch
	fresh  map[string][]byte // what set and del changed since the last commit; nil = deleted
	err    error
}

func newStore(db *pebble.DB, partition int) *store {
	return &store{db: db, prefix: uint16(partition), batch: db.NewBatch(), fresh: map[string][]byte{}}
}

// keyOf begins a key that will grow by some bytes.
func (s *store) keyOf(kind byte, more int) []byte {
	k := make([]byte, 3, 3+more)
	binary.BigEndian.PutUint16(k, s.prefix)
	k[2] = kind
	return k
}

// key builds a key; fields follow in order.
func (s *store) key(kind byte, fields ...uint64) []byte {
	k := s.keyOf(kind, 8*len(fields))
	for _, f := range fields {
		k = binary.BigEndian.AppendUint64(k, f)
	}
	return k
}

// stateKey separates its parts by length, because a key of an event may hold any byte.
func (s *store) stateKey(scope stateScope, name string) []byte {
	k := s.keyOf(keyState, 3*binary.MaxVarintLen64+len(scope.namespace)+len(scope.function)+len(scope.key)+len(name))
	for _, part := range [...]string{scope.namespace, scope.function, scope.key} {
		k = binary.AppendUvarint(k, uint64(len(part)))
		k = append(k, part...)
	}
	return append(k, name...)
}

// indexKey: names have no zero byte, so it ends them.
func (s *store) indexKey(namespace, topic string, offset uint64) []byte {
	k := append(s.keyOf(keyIndex, len(namespace)+1+len(topic)+1+8), namespace...)
	k = append(append(k, 0), topic...)
	return binary.BigEndian.AppendUint64(append(k, 0), offset)
}

func (s *store) horizonKey(namespace, topic string) []byte {
	return append(append(append(s.key(keyHorizon), namespace...), 0), topic...)
}

func (s *store) get(key []byte) ([]byte, bool) {
	if v, ok := s.fresh[string(key)]; ok {
		return v, v != nil
	}
	v, ok, err := read(s.db, key)
	if err != nil {
		s.err = errors.Join(s.err, err)
	}
	return v, ok
}

// read gets a committed value; any goroutine may call it.
func read(db *pebble.DB, key []byte) ([]byte, bool, error) {
	v, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read state: %w", err)
	}
	v = slices.Clone(v)
	return v, true, closer.Close()
}

func (s *store) set(key, value []byte) {
	s.fresh[string(key)] = value
	s.put(key, value)
}

func (s *store) del(key []byte) {
	s.fresh[string(key)] = nil
	s.keep(s.batch.Delete(key, nil))
}

// put writes a value that get never asks for.
func (s *store) put(key, value []byte) { s.keep(s.batch.Set(key, value, nil)) }

// keep remembers the first error; commit reports it.
func (s *store) keep(err error) {
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("write state: %w", err)
	}
}

// commit does not wait for the disk: the log is durable, and what of the state is lost with the machine is applied again from there.
func (s *store) commit() error {
	if s.err != nil {
		return s.err
	}
	if err := s.batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("commit state: %w", err)
	}
	s.batch.Reset()
	clear(s.fresh)
	return nil
}

// scan calls yield with every committed key that begins with prefix, without that prefix, in order. The value is only valid inside yield.
func scan(db *pebble.DB, prefix []byte, yield func(rest, value []byte) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return fmt.Errorf("scan state: %w", err)
	}
	for it.First(); it.Valid(); it.Next() {
		if err := yield(it.Key()[len(prefix):], it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("scan state: %w", err)
	}
	return nil
}

// prefixEnd is the first key behind all that begin with prefix.
func prefixEnd(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

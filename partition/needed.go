package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/wire"
)

// needed is the lowest offset of a partition's log that its state points to; with nothing to point to, the first that is not applied, which is also returned.
func needed(r pebble.Reader, s *store) (lowest, applied uint64, err error) {
	value, closer, err := r.Get(s.key(keyMeta))
	if errors.Is(err, pebble.ErrNotFound) {
		return 1, 1, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read state: %w", err)
	}
	meta := wire.NewReader(value)
	meta.U8() // version, which load has checked
	applied = meta.U64()
	lowest = applied
	note := func(offset uint64) { lowest = min(lowest, offset) }
	err = errors.Join(closer.Close(),
		eachTopic(r, s, func(at topicStart) error { note(at.first); return nil }),
		eachFirst(r, s.key(keyDeadLetter), func(offset uint64, _ []byte) error { note(offset); return nil }),
		eachFirst(r, s.key(keyPending), func(chunk uint64, words []byte) error { return firstOfChunk(chunk, words, note) }),
		eachFirst(r, s.key(keyOutbox), func(_ uint64, value []byte) error {
			at := wire.NewReader(value)
			note(at.U64()) // offsets grow with the sequence
			return at.Err()
		}))
	return lowest, applied, err
}

// eachFirst yields the first entry for each value of the first number behind prefix: its second number and its value.
func eachFirst(r pebble.Reader, prefix []byte, yield func(second uint64, value []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	for ok := it.First(); ok; {
		if len(it.Key()) != len(prefix)+16 {
			return errors.Join(errors.New("state key has the wrong length"), it.Close())
		}
		if err := yield(binary.BigEndian.Uint64(it.Key()[len(prefix)+8:]), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
		behind := prefixEnd(it.Key()[:len(prefix)+8])
		ok = behind != nil && it.SeekGE(behind)
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	return nil
}

// firstOfChunk notes the lowest offset of a bitmap.
func firstOfChunk(chunk uint64, words []byte, note func(uint64)) error {
	if len(words) != 8*chunkWords {
		return fmt.Errorf("bitmap chunk %d has %d bytes, not %d", chunk, len(words), 8*chunkWords)
	}
	for w := range chunkWords {
		if b := binary.LittleEndian.Uint64(words[8*w:]); b != 0 {
			note(chunk<<chunkBits | uint64(w)<<6 | uint64(bits.TrailingZeros64(b)))
			return nil
		}
	}
	return nil
}

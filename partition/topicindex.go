package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// topicStart is the oldest event of a topic in a partition's index.
type topicStart struct {
	name  TopicName
	first uint64
	time  int64 // when it was stored
}

// eachTopic yields the topics that a partition has events of. It steps over the events, so that it costs the same for one as for millions.
func eachTopic(r pebble.Reader, s *store, yield func(topicStart) error) error {
	prefix := s.key(keyIndex)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return fmt.Errorf("read topic index: %w", err)
	}
	for ok := it.First(); ok; {
		namespace, rest, found := bytes.Cut(it.Key()[len(prefix):], []byte{0})
		topic, offset, found2 := bytes.Cut(rest, []byte{0})
		if !found || !found2 || len(offset) != 8 || len(it.Value()) < 8 {
			return errors.Join(errors.New("topic index has an entry of the wrong form"), it.Close())
		}
		at := topicStart{TopicName{string(namespace), string(topic)}, binary.BigEndian.Uint64(offset), int64(readU64(it.Value()[:8]))}
		if err := yield(at); err != nil {
			return errors.Join(err, it.Close())
		}
		behind := s.indexKey(at.name.Namespace, at.name.Name, 0)[:len(prefix)+len(namespace)+1+len(topic)]
		ok = it.SeekGE(append(behind, 1)) // names have no byte as low as this
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read topic index: %w", err)
	}
	return nil
}

// indexOffset is the offset at the end of an index key.
func indexOffset(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

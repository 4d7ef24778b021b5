package partition

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// identity stands for (namespace, topic, source, id). 128 bits of SHA-256 cannot be made to collide by who chooses ids, so a hit needs no look at the
// stored event, which would be I/O inside apply.
type identity [16]byte

func identify(namespace, topic string, source, id []byte) identity {
	b := make([]byte, 0, 256)
	for _, part := range [...][]byte{[]byte(namespace), []byte(topic), source} {
		b = append(append(b, part...), 0)
	}
	sum := sha256.Sum256(append(b, id...))
	return identity(sum[:16])
}

// dedup remembers which events came in, by record time, in memory and as one journal entry for each group of records.
type dedup struct {
	window  int64 // milliseconds
	limit   int
	seen    map[identity]uint64
	entries []dedupEntry // oldest first
	fresh   int          // how many of the newest are in no journal page yet
	journal []journalPage
	early   int // entries dropped before their time because of limit, since the last look
}

type dedupEntry struct {
	identity identity
	offset   uint64
	time     int64
}

// journalPage is one journal entry and how many of its identities are still remembered.
type journalPage struct {
	key  uint64
	left int
}

const dedupEntrySize = 16 + 8 + 8

func newDedup(window time.Duration, limit int) *dedup {
	return &dedup{window: window.Milliseconds(), limit: limit, seen: map[identity]uint64{}}
}

// first returns the offset at which an identity came in first.
func (d *dedup) first(i identity) (offset uint64, ok bool) {
	offset, ok = d.seen[i]
	return offset, ok
}

func (d *dedup) add(e dedupEntry) {
	d.seen[e.identity] = e.offset
	d.entries = append(d.entries, e)
	d.fresh++
}

// expire forgets what is older than the window at the time now, and the oldest beyond the limit. It runs before each record, not for each group: groups
// are cut by chance, and a replay must judge alike.
func (d *dedup) expire(s *store, now int64) {
	n := 0
	for n < len(d.entries) {
		old := d.entries[n].time <= now-d.window
		if !old && len(d.entries)-n <= d.limit {
			break
		}
		if !old {
			d.early++
		}
		delete(d.seen, d.entries[n].identity)
		n++
	}
	d.entries = d.entries[n:]
	for n > 0 && len(d.journal) > 0 {
		page := &d.journal[0]
		used := min(n, page.left)
		n -= used
		if page.left -= used; page.left > 0 {
			break
		}
		s.keep(s.batch.Delete(s.key(keyDedup, page.key), nil))
		d.journal = d.journal[1:]
	}
	d.fresh -= n
}

// flush writes what came since the last flush as the journal page of the group of records that begins at offset.
func (d *dedup) flush(s *store, offset uint64) {
	if d.fresh == 0 {
		return
	}
	value := make([]byte, 0, dedupEntrySize*d.fresh)
	for _, e := range d.entries[len(d.entries)-d.fresh:] {
		value = append(value, e.identity[:]...)
		value = wire.AppendU64(value, e.offset)
		value = wire.AppendU64(value, uint64(e.time))
	}
	s.put(s.key(keyDedup, offset), value)
	d.journal = append(d.journal, journalPage{key: offset, left: d.fresh})
	d.fresh = 0
}

// takeEarly returns how many identities were forgotten before their time since the last call.
func (d *dedup) takeEarly() int {
	n := d.early
	d.early = 0
	return n
}

func (d *dedup) load(key uint64, value []byte) error {
	if len(value)%dedupEntrySize != 0 {
		return fmt.Errorf("deduplication journal at offset %d has %d bytes", key, len(value))
	}
	d.journal = append(d.journal, journalPage{key: key, left: len(value) / dedupEntrySize})
	for len(value) > 0 {
		r := wire.NewReader(value[16:dedupEntrySize])
		e := dedupEntry{identity: identity(value[:16]), offset: r.U64(), time: int64(r.U64())}
		d.seen[e.identity] = e.offset
		d.entries = append(d.entries, e)
		value = value[dedupEntrySize:]
	}
	return nil
}

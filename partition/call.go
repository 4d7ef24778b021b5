package partition

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// Once names a synchronous call that its client may repeat and that happens once: for 24 hours the call has one reply within its function and event key.
type Once struct {
	Key     string   // the client's, at most MaxOnceKey bytes
	Request [16]byte // stands for what the client asked for; another request under the same key is its mistake
}

// KeptReply is what a call under a Once has brought.
type KeptReply struct {
	Request [16]byte
	Reply   []byte // of whoever has made it
}

const (
	// MaxOnceKey is how many bytes a key of a Once has at most, MaxKeptReply how many a reply.
	MaxOnceKey, MaxKeptReply = 255, 64 << 10

	replyAge   = 24 * time.Hour
	replyLimit = 64 << 10 // replies a partition
)

// callRecord is what a call under a Once did, and its reply.
type callRecord struct {
	invocation string
	once       Once
	reply      []byte
	effects    effects
}

func (*callRecord) kind() kind              { return kindCall }
func (c *callRecord) events() []storedEvent { return c.effects.own }
func (c *callRecord) brings() *effects      { return &c.effects }
func (c *callRecord) append(b []byte) []byte {
	b = wire.AppendBytes(b, c.invocation)
	b = wire.AppendBytes(b, c.once.Key)
	b = append(b, c.once.Request[:]...)
	b = wire.AppendBytes(b, c.reply)
	return c.effects.append(b)
}

func readCall(r *wire.Reader) *callRecord {
	c := &callRecord{invocation: r.String(), once: Once{Key: r.String()}}
	for i := range c.once.Request {
		c.once.Request[i] = r.U8()
	}
	c.reply, c.effects = r.Bytes(), readEffects(r)
	return c
}

// replies remembers which calls have a reply, oldest first. The replies themselves are only in the store.
type replies []replyEntry

type replyEntry struct {
	offset uint64 // of the record
	time   int64
	id     identity
}

// identifyCall stands for a key within a function and an event key.
func identifyCall(s stateScope, key string) identity {
	h := sha256.New()
	for _, part := range [...]string{s.namespace, s.function, s.key, key} {
		h.Write(wire.AppendBytes(nil, part))
	}
	return identity(h.Sum(nil)[:16])
}

func (s *store) replyKey(id identity) []byte { return append(s.key(keyReply), id[:]...) }

// applyCall makes a call's effects real with its reply, unless the same call has one.
func (m *machine) applyCall(offset uint64, c *callRecord) (result, error) {
	m.expireReplies()
	id := identifyCall(stateScope{c.effects.namespace, c.effects.function, c.effects.key}, c.once.Key)
	if _, ok := m.store.get(m.store.replyKey(id)); ok {
		return result{outcome: Answered}, nil
	}
	if !m.current(&c.effects) {
		return result{outcome: Conflict}, nil
	}
	e := replyEntry{offset, m.clock, id}
	m.replies = append(m.replies, e)
	value := append(wire.AppendU64(nil, uint64(e.time)), c.once.Request[:]...)
	m.store.set(m.store.replyKey(id), append(value, c.reply...))
	m.store.put(m.store.key(keyReplyOrder, offset), append(wire.AppendU64(nil, uint64(e.time)), id[:]...))
	return result{}, m.takeEffects(offset, &c.effects)
}

// expireReplies forgets what is a day old, and the oldest beyond the limit.
func (m *machine) expireReplies() {
	n := 0
	for ; n < len(m.replies); n++ {
		old := m.replies[n]
		if old.time > m.clock-m.replyAge && len(m.replies)-n < replyLimit { // one more is to come
			break
		}
		m.store.del(m.store.replyKey(old.id))
		m.store.del(m.store.key(keyReplyOrder, old.offset))
	}
	m.replies = m.replies[n:]
}

func (m *machine) loadReplies() error {
	return scan(m.store.db, m.store.key(keyReplyOrder), func(rest, value []byte) error {
		if len(rest) != 8 || len(value) != 8+len(identity{}) {
			return errors.New("the order of replies has an entry of the wrong length")
		}
		m.replies = append(m.replies, replyEntry{binary.BigEndian.Uint64(rest), int64(binary.LittleEndian.Uint64(value)), identity(value[8:])})
		return nil
	})
}

// KeptReply looks for the reply that a call has had already. It stays for 24 hours at least.
func (t *Table) KeptReply(s Scope, key string) (reply KeptReply, ok bool, err error) {
	p := t.placeOnce(s, key)
	value, ok, err := read(t.db, p.machine.store.replyKey(identifyCall(s.state(), key)))
	if err != nil || !ok {
		return KeptReply{}, false, err
	}
	const head = 8 + len(reply.Request)
	if len(value) < head {
		return KeptReply{}, false, fmt.Errorf("read a kept reply: %w", wire.ErrTruncated)
	}
	return KeptReply{Request: [16]byte(value[8:head]), Reply: value[head:]}, true, nil
}

// PerformOnce stores the reply and effects of a synchronous call and returns when they are applied. Answered: the call has a reply already, and nothing happened.
func (t *Table) PerformOnce(ctx context.Context, s Scope, invocation string, once Once, reply []byte, e Effects) (Outcome, error) {
	if len(reply) > MaxKeptReply {
		return 0, fmt.Errorf("%w: the reply has %d bytes, the limit of one that is kept is %d", ErrTooLarge, len(reply), MaxKeptReply)
	}
	p := t.placeOnce(s, once.Key)
	res, err := p.do(ctx, &callRecord{invocation: invocation, once: once, reply: reply, effects: t.effects(p, s.state(), e)})
	return res.outcome, err
}

// placeOnce: a call without an event key has no state, and is where all that repeat it look.
func (t *Table) placeOnce(s Scope, key string) *partition {
	return t.place(s.Namespace, s.Key, s.Function, key)
}

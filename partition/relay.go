package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/wire"
)

// relay carries events from the partition that emitted them to the one that owns their key. Between two partitions they keep their order: the sender numbers
// them, the receiver ignores what it has seen, and the sender forgets them when it hears that they have arrived.
type relay struct {
	table *Table

	mu      sync.Mutex
	running bool
	queue   []outgoing
	news    map[pair]uint64 // newest sequence known to have arrived and not yet recorded by the sender

	wake chan struct{} // written by send and arrived, read by run
}

type pair struct{ from, to int }

// outgoing is an outbox entry of a partition.
type outgoing struct {
	from int
	send
}

func newRelay(t *Table) *relay {
	return &relay{table: t, news: map[pair]uint64{}, wake: make(chan struct{}, 1)}
}

// start lets send and arrived in. Before, they come from the replay, and resume finds in the state whatever is still to be done.
func (r *relay) start() {
	r.mu.Lock()
	r.running = true
	r.mu.Unlock()
}

func (r *relay) send(from int, sends []send) {
	r.mu.Lock()
	if r.running {
		for _, s := range sends {
			r.queue = append(r.queue, outgoing{from, s})
		}
	}
	r.mu.Unlock()
	wake(r.wake)
}

// arrived takes all that came with one group of records, so that each sender is told once.
func (r *relay) arrived(to int, list []arrival) {
	r.mu.Lock()
	for _, a := range list {
		if p := (pair{int(a.from), to}); r.running {
			r.news[p] = max(r.news[p], a.seq)
		}
	}
	r.mu.Unlock()
	wake(r.wake)
}

// run delivers until the table is closed. What is on its way then is found again by resume.
func (r *relay) run() {
	for {
		select {
		case <-r.wake:
		case <-r.table.closed:
			return
		}
		r.mu.Lock()
		queue, news := r.queue, r.news
		r.queue, r.news = nil, map[pair]uint64{}
		r.mu.Unlock()
		for _, o := range queue {
			r.deliver(o)
		}
		for p, seq := range news {
			r.append(p.from, &deliveredRecord{to: uint64(p.to), seq: seq})
		}
	}
}

func (r *relay) deliver(o outgoing) {
	due, err := storedNotBefore(o.event.event)
	if err != nil {
		r.table.opts.Fatal(fmt.Errorf("relay to partition %d: %w", o.event.to, err)) // it was encoded before it was stored: damage
		return
	}
	r.append(int(o.event.to), &publishRecord{
		origin: originOutbox, from: uint64(o.from), seq: o.seq,
		stored: []storedEvent{{namespace: o.event.namespace, topic: o.event.topic, notBefore: due, event: o.event.event}},
	})
}

// append does not wait for the result: the arrival, or the next start, says what became of it.
func (r *relay) append(partition int, b body) {
	if _, err := r.table.parts[partition].append(b); err != nil && !errors.Is(err, ErrDeposed) { // the leader has the outbox, too
		r.table.opts.Fatal(fmt.Errorf("relay to partition %d: %w", partition, err)) // the event was checked before it was stored: our bug, or damage
	}
}

// resume queues what the outbox of a partition still holds.
func (r *relay) resume(p *partition) error {
	return scan(r.table.db, p.machine.store.key(keyOutbox), func(rest, value []byte) error {
		if len(rest) != 16 {
			return errors.New("outbox key has the wrong length")
		}
		at := wire.NewReader(value)
		offset, index := at.U64(), at.Uvarint()
		if err := at.Close(); err != nil {
			return fmt.Errorf("outbox entry: %w", err)
		}
		e, err := p.readForeign(offset, int(index))
		if err != nil {
			return err
		}
		r.queue = append(r.queue, outgoing{p.index, send{seq: binary.BigEndian.Uint64(rest[8:]), event: e}})
		wake(r.wake)
		return nil
	})
}

// readForeign reads an event for another partition from the record that emitted it.
func (p *partition) readForeign(offset uint64, index int) (foreignEvent, error) {
	var found *foreignEvent
	var inner error
	err := p.log.Read(p.index, offset, func(rec eventlog.Record) bool {
		var b body
		if _, b, inner = decodeRecord(append([]byte(nil), rec.Data...)); inner != nil || rec.Offset != offset {
			return false
		}
		if b, ok := b.(bringer); ok && index < len(b.brings().foreign) {
			found = &b.brings().foreign[index]
		}
		return false
	})
	if err = errors.Join(err, inner); err != nil {
		return foreignEvent{}, fmt.Errorf("read outbox of partition %d: %w", p.index, err)
	}
	if found == nil {
		return foreignEvent{}, fmt.Errorf("read outbox of partition %d: %w: no event %d at offset %d", p.index, errDamaged, index, offset)
	}
	return *found, nil
}

package partition

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/evoke-run/evoke/wire"
)

// parks says whether a key of the trigger stands still when its head is given up on.
func (t *Trigger) parks() bool { return t.Order == "key" && t.OnFailure == "park" }

// laneOf is the lane of a key. Parked lanes are in the log and in the state, so it is for ever what it is; two keys of one lane wait for each other.
func laneOf(key string) uint64 { return xxhash.Sum64String(key) }

// parked are the lanes of a trigger that stand still, each behind one event, its head: a dead letter, or that one redriven and not settled yet. The zero value
// is ready to use.
type parked struct {
	lanes map[uint64]parkedLane
	heads map[uint64]uint64 // offset of the head → its lane
}

type parkedLane struct {
	head  uint64
	since int64 // when the head was given up the last time
}

func (p *parked) isHead(offset uint64) bool {
	_, ok := p.heads[offset]
	return ok
}

func (p *parked) add(lane uint64, l parkedLane) {
	if p.lanes == nil {
		p.lanes, p.heads = map[uint64]parkedLane{}, map[uint64]uint64{}
	}
	p.lanes[lane], p.heads[l.head] = l, lane
}

// park holds a lane for the event that was just given up; a head that was redriven holds it already. A lane has one head: a second one, possible only for events that
// ran before the trigger became ordered, is an ordinary dead letter.
func (m *machine) park(t *trigger, lane, offset uint64) {
	if p, held := t.parked.lanes[lane]; held && p.head != offset {
		return
	}
	l := parkedLane{head: offset, since: m.clock}
	t.parked.add(lane, l)
	m.store.put(m.store.key(keyParked, t.ID, lane), wire.AppendU64(wire.AppendU64(nil, l.head), uint64(l.since)))
	m.changed(changeParked, t, offset)
}

// unpark lets the lane of a head go on; nothing happens when the offset is no head.
func (m *machine) unpark(t *trigger, offset uint64) {
	lane, ok := t.parked.heads[offset]
	if !ok {
		return
	}
	delete(t.parked.heads, offset)
	delete(t.parked.lanes, lane)
	m.store.keep(m.store.batch.Delete(m.store.key(keyParked, t.ID, lane), nil))
	m.changed(changeUnparked, t, offset)
}

// unparkAll is for a trigger that parks no more, or is gone.
func (m *machine) unparkAll(t *trigger) {
	for offset := range t.parked.heads {
		m.unpark(t, offset)
	}
}

func (m *machine) loadParked() error {
	return scan(m.store.db, m.store.key(keyParked), func(rest, value []byte) error {
		t, lane, err := m.ofTrigger(rest)
		if err != nil {
			return err
		}
		if len(value) != 16 {
			return fmt.Errorf("parked lane of trigger %d has %d bytes, not 16", t.ID, len(value))
		}
		t.parked.add(lane, parkedLane{head: binary.LittleEndian.Uint64(value), since: int64(binary.LittleEndian.Uint64(value[8:]))})
		return nil
	})
}

// holdParked gives the lanes that stand still to their heads, before any other event of their keys is looked at.
func (f *feed) holdParked() {
	for hash, l := range f.trigger.parked.lanes {
		f.hold(hash, l.head)
	}
}

// hold makes an offset the owner of a lane. Whoever owned it and runs comes to the end of its attempt; one that only waits for its time queues again.
func (f *feed) hold(hash, offset uint64) {
	l := f.lanes[hash]
	if l == nil {
		l = &lane{owner: offset}
		put(&f.lanes, hash, l)
	}
	if f.headFirst(hash, l, 0); l.owner == offset {
		put(&f.owns, offset, hash)
	}
}

// headFirst gives a lane that stands still to its head, unless another event of it runs; claimed is one that only asks whether it may.
func (f *feed) headFirst(hash uint64, l *lane, claimed uint64) {
	p, held := f.trigger.parked.lanes[hash]
	if _, running := f.running[l.owner]; !held || l.owner == p.head || running && l.owner != claimed {
		return
	}
	delete(f.owns, l.owner)
	l.put(queued{l.owner, f.trigger.at(l.owner).generation}, true)
	f.giveToHead(hash, l)
}

func (f *feed) absorbParked(c change) {
	hash, held := f.trigger.parked.heads[c.offset]
	switch {
	case held:
		f.hold(hash, c.offset)
	case !f.trigger.pending.has(c.offset): // else it runs or will, and its lane goes on when it is settled
		f.release(c.offset)
	}
}

// giveToHead hands a lane that stands still to its head, when another owned it until now.
func (f *feed) giveToHead(hash uint64, l *lane) bool {
	p, ok := f.trigger.parked.lanes[hash]
	if !ok {
		return false
	}
	l.owner = p.head
	put(&f.owns, p.head, hash)
	if p.head < f.scan && f.trigger.pending.has(p.head) { // else the scan comes by it
		f.due = append(f.due, p.head)
	}
	return true
}

// behind is how many events have been found waiting for a lane.
func (r *ready) behind(trigger, hash uint64) int {
	f := r.feeds[trigger]
	if f == nil || f.lanes[hash] == nil {
		return 0
	}
	return len(f.lanes[hash].queue)
}

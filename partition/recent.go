package partition

import (
	"bytes"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog"
)

// recentBytes is how much a partition keeps of events that triggers may take soon.
const recentBytes = 1 << 20

// recent holds events that were just applied, or read ahead of what was asked for, so that a trigger that keeps up, or works through a backlog in
// order, does not read the log event by event. The oldest leave first. It follows from the log: losing it costs a read.
type recent struct {
	events map[uint64]recentEvent
	order  []uint64 // as they came
	bytes  int
}

type recentEvent struct {
	stored time.Time
	topic  string
	event  []byte
}

// overhead is about what an entry takes beside its event.
const overhead = 128

func newRecent() *recent { return &recent{events: map[uint64]recentEvent{}} }

func (r *recent) add(offset uint64, e recentEvent) {
	if _, ok := r.events[offset]; ok {
		return
	}
	r.events[offset] = e
	r.order = append(r.order, offset)
	r.bytes += len(e.event) + overhead
	n := 0
	for ; r.bytes > recentBytes && n < len(r.order)-1; n++ {
		r.bytes -= len(r.events[r.order[n]].event) + overhead
		delete(r.events, r.order[n])
	}
	r.order = r.order[n:] // append makes it anew when its memory ends, so a step costs the same however much is kept
}

// fill gives a candidate its event if it is there.
func (r *recent) fill(c *candidate) (bool, error) {
	e, ok := r.events[c.source]
	if !ok {
		return false, nil
	}
	var err error
	c.Topic, c.Stored = e.topic, e.stored
	c.Event, err = event.Decode(e.event) // nobody writes to what is kept here
	return true, err
}

// readAhead reads the log from an offset on and keeps what triggers wait for, up to half of what is kept at all.
func (p *partition) readAhead(trigger, from uint64) error {
	type found struct {
		offset uint64
		recentEvent
	}
	var list []found
	var inner error
	size := 0
	err := p.log.Read(p.index, from, func(rec eventlog.Record) bool {
		var h header
		var b body
		if h, b, inner = decodeRecord(rec.Data); inner != nil {
			return false
		}
		for i, e := range b.events() {
			if offset := rec.Offset + uint64(i); offset >= from && (len(e.triggers) > 0 || p.waits(trigger, offset)) {
				list = append(list, found{offset, recentEvent{time.UnixMilli(h.time), e.topic, bytes.Clone(e.event)}})
				size += len(e.event) + overhead
			}
		}
		return size < recentBytes/2
	})
	if err == nil {
		err = inner
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range list {
		p.recent.add(f.offset, f.recentEvent)
	}
	return err
}

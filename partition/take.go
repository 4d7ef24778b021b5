package partition

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog"
)

// pickTogether is how many events are picked, read and claimed in one step of a take.
const pickTogether = 128

// take returns up to n deliveries of a trigger that have their turn. Less than n means that it has no more, or that another node leads.
func (p *partition) take(trigger uint64, n int) ([]Delivery, error) {
	if !p.acts() {
		return nil, nil
	}
	p.takeMu.Lock()
	defer p.takeMu.Unlock()
	defer p.wakeTimers()
	var out []Delivery
	for len(out) < n {
		picked, batch := p.pick(trigger, min(n-len(out), pickTogether), p.table.takerNow())
		if len(picked) == 0 {
			break
		}
		err := p.readPicked(picked)
		var taken []Delivery
		if err == nil {
			taken = p.claim(trigger, picked)
		}
		clear(picked) // its memory is used again, and must not hold their events until then
		if err != nil {
			return out, err
		}
		if batch {
			taken = p.limitBatch(taken)
		}
		if out == nil {
			out = taken
		} else {
			out = append(out, taken...)
		}
	}
	return out, nil
}

func (t *Table) takerNow() int64 {
	now := time.Now().UnixMilli()
	if t.opts.behind != nil {
		now -= t.opts.behind()
	}
	return now
}

// claim returns those of the picked events whose keys are free; the others queue behind their key.
func (p *partition) claim(trigger uint64, picked []candidate) (out []Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.ready.feeds[trigger]
	if f == nil {
		return nil // taken out of force meanwhile
	}
	out = slices.Grow(out, len(picked))
	for i := range picked {
		c := &picked[i]
		switch mine := f.claim(c.ID.Offset, c.Event.Key()); {
		case !mine && !c.waiting:
			delete(f.running, c.ID.Offset)
		case mine && !c.waiting && f.trigger.Paused: // since it was picked
			p.ready.unpick(trigger, c.ID.Offset)
		case mine && !c.waiting:
			out = append(out, c.Delivery)
		}
	}
	p.ready.note(f)
	return out
}

// candidate is a picked event on its way to become a delivery.
type candidate struct {
	Delivery
	waiting bool
	filled  bool   // it has its event
	source  uint64 // where its event is
}

// pick marks what may run next: up to n events, or those of one batch.
func (p *partition) pick(trigger uint64, n int, now int64) (picked []candidate, batch bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.ready.feeds[trigger]
	if f == nil {
		return nil, false
	}
	if batch = f.trigger.Batch != nil; batch {
		n = f.trigger.Batch.Size
	}
	picked = p.picked[:0]
	for len(picked) < n {
		offset, waiting, ok := f.pick(now)
		if !ok {
			break
		}
		at, as := f.trigger.at(offset), f.trigger.special[offset]
		if alone := at.attempts > 0 || as.revision != 0; batch && alone && !waiting {
			if len(picked) > 0 {
				f.unpick(offset)
				break
			}
			n = 1
		}
		c := candidate{waiting: waiting, source: as.at(offset), Delivery: Delivery{
			ID:         ID{Partition: p.index, Offset: offset, Trigger: trigger},
			Generation: at.generation, Revision: as.revision, Attempt: at.attempts + 1, Trigger: *f.trigger.Trigger,
		}}
		if at.first > 0 {
			c.First = time.UnixMilli(at.first)
		}
		picked = append(picked, c)
	}
	p.ready.note(f)
	p.picked = picked
	return picked, batch
}

// readPicked fills in the events: those at hand, then what reading ahead from the first missing one brings, then the rest one by one.
func (p *partition) readPicked(picked []candidate) error {
	missing, err := p.fillRecent(picked)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := p.readAhead(missing[0].ID.Trigger, missing[0].source); err != nil {
		return fmt.Errorf("read events of partition %d: %w", p.index, err)
	}
	at := map[uint64]*candidate{}
	var offsets []uint64
	for i := range picked {
		at[picked[i].source] = &picked[i]
	}
	if missing, err = p.fillRecent(picked); err != nil {
		return err
	}
	for _, c := range missing {
		offsets = append(offsets, c.source)
	}
	return p.readEvents(offsets, func(offset uint64, stored time.Time, e storedEvent) error {
		c := at[offset]
		var err error
		c.Topic, c.Stored = e.topic, stored
		c.Event, err = event.Decode(slices.Clone(e.event))
		return err
	})
}

// fillRecent returns the candidates that are not at hand, by offset.
func (p *partition) fillRecent(picked []candidate) (missing []*candidate, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range picked {
		if picked[i].filled {
			continue
		}
		if picked[i].filled, err = p.recent.fill(&picked[i]); err != nil {
			return nil, fmt.Errorf("read event of partition %d: %w", p.index, err)
		}
		if !picked[i].filled {
			missing = append(missing, &picked[i])
		}
	}
	slices.SortFunc(missing, func(a, b *candidate) int { return cmp.Compare(a.source, b.source) })
	return missing, nil
}

// closeTo is how many offsets readEvents would rather read over than seek.
const closeTo = 64

// readEvents yields the events at sorted offsets. e shares the log's memory.
func (p *partition) readEvents(offsets []uint64, yield func(offset uint64, stored time.Time, e storedEvent) error) error {
	for len(offsets) > 0 {
		before := len(offsets)
		var inner error
		err := p.log.Read(p.index, offsets[0], func(rec eventlog.Record) bool {
			end := rec.Offset + uint64(rec.Span)
			if end <= offsets[0] {
				return offsets[0]-end < closeTo
			}
			var h header
			var b body
			if h, b, inner = decodeRecord(rec.Data); inner != nil {
				return false
			}
			for len(offsets) > 0 && offsets[0] < end {
				events, i := b.events(), offsets[0]-rec.Offset
				if offsets[0] < rec.Offset || i >= uint64(len(events)) {
					inner = fmt.Errorf("%w: no event at offset %d", errDamaged, offsets[0])
					return false
				}
				if inner = yield(offsets[0], time.UnixMilli(h.time), events[i]); inner != nil {
					return false
				}
				offsets = offsets[1:]
			}
			return len(offsets) > 0 && offsets[0]-end < closeTo
		})
		if err == nil {
			err = inner
		}
		if err == nil && len(offsets) == before {
			err = fmt.Errorf("%w: the log ends before offset %d", errDamaged, offsets[0])
		}
		if err != nil {
			return fmt.Errorf("read event of partition %d: %w", p.index, err)
		}
	}
	return nil
}

// release gives a delivery back that did not run to a verdict.
func (p *partition) release(id ID) {
	p.mu.Lock()
	p.ready.unpick(id.Trigger, id.Offset)
	p.mu.Unlock()
	p.wakeTimers()
}

// aside is what a taken event waits for that partitions do not know of.
type aside struct {
	why   string
	until time.Time // zero = nobody knows
}

func (p *partition) setAside(id ID, a aside) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.ready.feeds[id.Trigger]
	if f == nil {
		return false
	}
	if _, running := f.running[id.Offset]; !running {
		return false
	}
	delete(f.running, id.Offset)
	if f.aside == nil {
		f.aside = map[uint64]aside{}
	}
	f.aside[id.Offset] = a
	return true
}

func (p *partition) resume(id ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.ready.feeds[id.Trigger]
	if f == nil {
		return false
	}
	if _, ok := f.aside[id.Offset]; !ok {
		return false
	}
	delete(f.aside, id.Offset)
	f.due = append(f.due, id.Offset)
	p.ready.note(f)
	return true
}

// wakeTimers is for whoever may have begun to wait for a time without a record applied.
func (p *partition) wakeTimers() {
	p.mu.Lock()
	earlier := p.ready.takeEarlier()
	p.mu.Unlock()
	if earlier {
		wake(p.table.timerWake)
	}
}

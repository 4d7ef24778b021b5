package partition

import "time"

// What a feed does besides going ahead: pauses, batches that fill, the limit of a trigger that starts in the past, and events that became pending again behind its scan.

// hasWork says whether pick would find something.
func (f *feed) hasWork() bool {
	switch {
	case f.trigger.Paused:
		return false
	case len(f.due) > 0 || f.again != nil || len(f.ranked) > 0:
		return true
	case f.gather.open || f.trigger.pending.count <= f.passed:
		return false
	case len(f.trigger.position.runs) == 0:
		return true
	}
	offset, ok := f.trigger.pending.next(f.scan)
	return ok && offset < f.trigger.position.limit()
}

// gather is the batch that new events of a trigger wait for. What comes due, is redriven or tried again does not wait.
type gather struct {
	open  bool  // the batch may still fill
	until int64 // when it goes as it is; 0 = no new event has been seen
}

// gather opens a batch for the first new event, and closes it when it is full or has waited long enough.
func (r *ready) gather(f *feed) {
	b := f.trigger.Batch
	if b == nil || b.Window == 0 {
		f.gather = gather{}
		return
	}
	fresh := f.trigger.pending.count - f.passed
	if fresh > 0 && f.gather.until == 0 {
		f.gather.until = time.Now().UnixMilli() + b.Window
		r.schedule(timer{at: f.gather.until, trigger: f.trigger.ID})
	}
	f.gather.open = fresh < b.Size && r.fired < f.gather.until // by its timer, and not by a clock that may be set back behind it
}

func (f *feed) addAgain(offset uint64) {
	if f.again == nil {
		f.again = &pending{}
	}
	f.again.add(offset)
}

// takeAgain returns the lowest offset behind the scan that nobody has looked at since it became pending anew; waiting as in pick.
func (f *feed) takeAgain(now int64) (offset uint64, waiting, ok bool) {
	for f.again != nil {
		if offset, ok = f.again.next(0); !ok {
			f.again = nil
			return 0, false, false
		}
		if f.again.remove(offset); f.again.count == 0 {
			f.again = nil
		}
		_, running := f.running[offset]
		if running || !f.trigger.pending.has(offset) {
			continue
		}
		waiting = f.waits(offset, now)
		if !waiting || f.trigger.Order == "key" {
			return offset, waiting, true
		}
	}
	return 0, false, false
}

// waits says whether an event is pending for a trigger.
func (p *partition) waits(trigger, offset uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.machine.triggers[trigger]
	return t != nil && t.pending.has(offset)
}

package partition

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// ReplayCount is what a replay finds in a range.
type ReplayCount struct {
	Events      int // to hand out again
	Pending     int // of the range, left alone because the trigger has not settled them
	DeadLetters int // of the range, left alone: redrive them
}

// Replayed tells how far a replay of a trigger is: how many events it has handed out, and whether it is through in all partitions.
func (t *Table) Replayed(trigger, id uint64) (events int, finished bool) {
	finished = true
	for _, p := range t.parts {
		p.mu.Lock()
		if tr := p.machine.triggers[trigger]; tr != nil {
			at := &tr.position
			if at.replay == id {
				events += int(at.replayed)
			}
			finished = finished && at.replay >= id && len(at.runs) == 0
		}
		p.mu.Unlock()
	}
	return events, finished
}

// CountReplay says what a replay of the range would find now. It changes nothing.
func (t *Table) CountReplay(def Trigger, r Range) (ReplayCount, error) {
	var total ReplayCount
	for _, p := range t.parts {
		p.mu.Lock()
		end := p.machine.next
		p.mu.Unlock()
		set, err := t.stored(p, &def, r.run(p.index, end, 1))
		if err != nil {
			return ReplayCount{}, err
		}
		for from, more := uint64(0), true; more; {
			var offsets []uint64
			if offsets, more = set.list(from, t.opts.step); more {
				from = offsets[len(offsets)-1] + 1
			}
			if offsets, err = p.matching(def.Filter, offsets); err != nil {
				return ReplayCount{}, err
			}
			if err := p.countReplay(def.ID, offsets, &total); err != nil {
				return ReplayCount{}, err
			}
		}
	}
	return total, nil
}

func (p *partition) countReplay(trigger uint64, offsets []uint64, total *ReplayCount) error {
	for _, offset := range offsets {
		if p.waits(trigger, offset) {
			total.Pending++
			continue
		}
		_, dead, err := read(p.table.db, p.machine.store.key(keyDeadLetter, trigger, offset))
		if err != nil {
			return fmt.Errorf("count events to replay: %w", err)
		}
		if dead {
			total.DeadLetters++
		} else {
			total.Events++
		}
	}
	return nil
}

// positionGauges count triggers, which every partition knows alike.
func (t *Table) positionGauges() []prometheus.Collector {
	gauge := func(name, help string, has func(*trigger) bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(t.countTriggers(has)) })
	}
	return []prometheus.Collector{
		gauge("evoke_paused_triggers", "Triggers that are paused.", func(tr *trigger) bool { return tr.Paused && !tr.gone }),
		gauge("evoke_catching_up_triggers", "Triggers that look through stored events, at their start or for a replay.",
			func(tr *trigger) bool { return len(tr.position.runs) > 0 }),
	}
}

// countTriggers counts those for which it is so in any partition.
func (t *Table) countTriggers(has func(*trigger) bool) int {
	ids := map[uint64]struct{}{}
	for _, p := range t.parts {
		p.mu.Lock()
		for id, tr := range p.machine.triggers {
			if has(tr) {
				ids[id] = struct{}{}
			}
		}
		p.mu.Unlock()
	}
	return len(ids)
}

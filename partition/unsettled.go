package partition

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/evoke-run/evoke/filter"
)

// interests are the triggers that have pending events, by what they are bound to.
type interests struct {
	applied  uint64 // what has come since is not in it
	exact    map[TopicName][]uint64
	patterns map[string][]interest // by namespace: those with wildcards
}

type interest struct {
	pattern filter.Pattern
	trigger uint64
}

func (k *keeper) findInterests() interests {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := interests{k.machine.next, map[TopicName][]uint64{}, map[string][]interest{}}
	for id, t := range k.machine.triggers {
		if t.gone || t.pending.count == 0 {
			continue
		}
		if p, err := filter.ParsePattern(t.Topic); err == nil && p.Wildcard() {
			out.patterns[t.Namespace] = append(out.patterns[t.Namespace], interest{p, id})
			continue
		}
		name := TopicName{t.Namespace, t.Topic}
		out.exact[name] = append(out.exact[name], id)
	}
	return out
}

// in lists the triggers that may have pending events of a topic.
func (i interests) in(name TopicName) []uint64 {
	ids := slices.Clone(i.exact[name])
	for _, p := range i.patterns[name.Namespace] {
		if p.pattern.Match(name.Name) {
			ids = append(ids, p.trigger)
		}
	}
	slices.Sort(ids)
	return ids
}

// nextPending is a trigger's first pending offset from one on, with its progress.
func (k *keeper) nextPending(trigger, from uint64) (offset uint64, at progress, running, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.machine.triggers[trigger]
	if t == nil {
		return 0, progress{}, false, false
	}
	if offset, ok = t.pending.next(from); !ok {
		return 0, progress{}, false, false
	}
	if f := k.ready.feeds[trigger]; f != nil {
		_, running = f.running[offset]
	}
	return offset, t.at(offset), running, true
}

// eachPending yields a trigger's pending events of a topic below an offset until yield answers false; then stopped, when there is one, hears of the event.
func (k *keeper) eachPending(trigger uint64, at topicStart, before uint64, yield func(uint64, progress) bool, stopped func(offset uint64, stored int64)) error {
	for from := at.first; ; {
		offset, progress, running, ok := k.nextPending(trigger, from)
		if !ok || offset >= before {
			return nil
		}
		from = offset + 1
		// A trigger with wildcards waits for other topics, too.
		entry, ours, err := read(k.table.db, k.machine.store.indexKey(at.name.Namespace, at.name.Name, offset))
		if err != nil {
			return err
		}
		if !ours || running && stopped == nil {
			continue
		}
		if !yield(offset, progress) {
			if stopped != nil && len(entry) >= 8 {
				stopped(offset, int64(readU64(entry[:8])))
			}
			return nil
		}
	}
}

// lapse gives up on a trigger's pending events of a topic below an offset, but not on those that run now or wait for the time they were sent for.
func (k *keeper) lapse(ctx context.Context, trigger uint64, at topicStart, before uint64, keep time.Duration) error {
	reason := fmt.Sprintf("not settled within %s, the retention of topic %s", keep, at.name.Name)
	total := 0
	for full := true; full; {
		record := &lapseRecord{reason: reason}
		err := k.eachPending(trigger, at, before, func(offset uint64, p progress) bool {
			if p.attempts > 0 || p.next <= k.now.UnixMilli() {
				record.letters = append(record.letters, letter{trigger: trigger, offset: offset, generation: p.generation})
			}
			at.first = offset + 1
			return len(record.letters) < maxLetters
		}, nil)
		if err != nil {
			return err
		}
		if len(record.letters) == 0 {
			break
		}
		res, err := k.do(ctx, record)
		if err != nil {
			return err
		}
		total += res.count
		full = len(record.letters) == maxLetters
	}
	if total > 0 {
		def, _ := k.triggerOf(trigger) // without a name when it has just gone
		k.table.metrics.lapsed.Add(float64(total))
		k.table.opts.Logger.Warn("events were not settled within the retention of their topic and are dead letters now",
			"trigger", def.Name, "topic", at.name.Name, "partition", k.index, "events", total)
	}
	return nil
}

package partition

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/wire"
)

// step is what the first run of a trigger has to do next.
type step struct {
	trigger    Trigger
	definition uint64
	run        pastRun
}

// stepKey names the candidates of a run: another definition may have another topic.
type stepKey struct {
	partition  int
	trigger    uint64
	definition uint64
	generation uint32
}

// catchUp looks through the past for triggers, outside apply. It keeps nothing that the state and the index do not have.
type catchUp struct {
	table      *Table
	candidates map[stepKey]*candidates
}

// candidates are the events of a run whose topic is the trigger's.
type candidates struct {
	pending
	later map[uint64]int64 // of those, the ones that were held back: until when
}

// heldBack lists the ones among some offsets whose time has not come.
func (c *candidates) heldBack(offsets []uint64, now int64) (out []heldBack) {
	if len(c.later) == 0 {
		return nil
	}
	for _, offset := range offsets {
		if at := c.later[offset]; at > now {
			out = append(out, heldBack{offset, at})
		}
	}
	return out
}

// runCatchUp appends matched records until the table is closed.
func (t *Table) runCatchUp() {
	c := &catchUp{table: t, candidates: map[stepKey]*candidates{}}
	for {
		more, err := c.round()
		if err != nil && !t.isClosed() {
			t.opts.Fatal(fmt.Errorf("look through stored events for a trigger: %w", err))
			return
		}
		if more {
			continue
		}
		clear(c.candidates)
		select {
		case <-t.catchWake:
		case <-t.closed:
			return
		}
	}
}

// round makes one step in every partition that has a run, all with one fsync, and says whether there was any.
func (c *catchUp) round() (more bool, err error) {
	type waiting struct {
		p    *partition
		done chan result
	}
	var all []waiting
	for _, p := range c.table.parts {
		s, ok := p.nextStep()
		if !ok {
			continue
		}
		record, err := c.look(p, s)
		if err != nil {
			return false, err
		}
		done, err := p.append(record)
		if errors.Is(err, ErrDeposed) {
			continue
		}
		if err != nil {
			return false, err
		}
		all = append(all, waiting{p, done})
	}
	for _, w := range all {
		if _, err := w.p.wait(context.Background(), w.done); err != nil { // the table has been closed, or another leads now and goes on
			c.table.opts.Logger.Info("stopped looking through stored events", "partition", w.p.index, "err", err)
			return false, nil
		}
	}
	return len(all) > 0, nil
}

// nextStep is of the trigger with the lowest id that has a run.
func (p *partition) nextStep() (step, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first *trigger
	for _, t := range p.machine.triggers {
		if len(t.position.runs) > 0 && (first == nil || t.ID < first.ID) {
			first = t
		}
	}
	if first == nil {
		return step{}, false
	}
	return step{*first.Trigger, first.position.definition, first.position.runs[0]}, true
}

// look builds the record of a step.
func (c *catchUp) look(p *partition, s step) (*matchedRecord, error) {
	key := stepKey{p.index, s.trigger.ID, s.definition, s.run.generation}
	set := c.candidates[key]
	fresh := set == nil
	if fresh {
		var err error
		if set, err = c.table.stored(p, &s.trigger, s.run); err != nil {
			return nil, err
		}
		maps.DeleteFunc(c.candidates, func(k stepKey, _ *candidates) bool { return k.partition == p.index })
		c.candidates[key] = set
	}
	record := &matchedRecord{
		trigger: s.trigger.ID, generation: s.run.generation, definition: s.definition, from: s.run.next, upTo: s.run.end,
	}
	offsets, more := set.list(s.run.next, c.table.opts.step)
	if more {
		record.upTo = offsets[len(offsets)-1] + 1
	}
	var err error
	record.offsets, err = p.matching(s.trigger.Filter, offsets)
	if errors.Is(err, eventlog.ErrTrimmed) && !fresh { // events were removed since the index was read
		delete(c.candidates, key)
		return c.look(p, s)
	}
	record.later = set.heldBack(record.offsets, time.Now().UnixMilli())
	return record, err
}

// list returns up to n members from an offset on, and whether there are more.
func (p *pending) list(from uint64, n int) (offsets []uint64, more bool) {
	for {
		offset, ok := p.next(from)
		if !ok {
			return offsets, false
		}
		if len(offsets) == n {
			return offsets, true
		}
		offsets = append(offsets, offset)
		from = offset + 1
	}
}

// stored is the set of events of a run whose topic is the trigger's, from the index.
func (t *Table) stored(p *partition, def *Trigger, r pastRun) (*candidates, error) {
	set := &candidates{later: map[uint64]int64{}}
	pattern, err := filter.ParsePattern(def.Topic)
	if err != nil {
		return nil, fmt.Errorf("trigger %s: %w", def.Name, err)
	}
	topics := []string{def.Topic}
	if pattern.Wildcard() {
		if topics, err = t.topicsLike(p, def.Namespace, pattern); err != nil {
			return nil, err
		}
	}
	for _, topic := range topics {
		err := t.scanIndex(p, def.Namespace, topic, span64{r.next, r.end}, func(e entry) error {
			if e.time >= r.since && (r.until == 0 || e.time < r.until) {
				set.add(e.offset)
				if e.notBefore > 0 {
					set.later[e.offset] = e.notBefore
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	clear(set.dirty) // nobody writes it
	return set, nil
}

// scanIndex yields the entries of a topic, oldest first, until the table is closed.
func (t *Table) scanIndex(p *partition, namespace, topic string, r span64, yield func(entry) error) error {
	s := p.machine.store
	it, err := t.db.NewIter(&pebble.IterOptions{LowerBound: s.indexKey(namespace, topic, r.from), UpperBound: s.indexKey(namespace, topic, r.end)})
	if err != nil {
		return fmt.Errorf("read index of topic %s: %w", topic, err)
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		v := wire.NewReader(it.Value())
		e := entry{partition: p.index, offset: binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:]), time: int64(v.U64()), size: v.U32()}
		if len(v.Rest()) > 0 {
			e.notBefore = int64(v.U64())
		}
		err = yield(e)
		if t.isClosed() {
			err = ErrClosed
		}
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return fmt.Errorf("read index of topic %s: %w", topic, err)
	}
	return nil
}

// topicsLike lists the topics of the index that a pattern matches, with one seek each.
func (t *Table) topicsLike(p *partition, namespace string, pattern filter.Pattern) ([]string, error) {
	prefix := append(append(p.machine.store.key(keyIndex), namespace...), 0)
	it, err := t.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var topics []string
	for ok := it.First(); ok && !t.isClosed(); {
		name, _, _ := bytes.Cut(it.Key()[len(prefix):], []byte{0})
		topic := string(name)
		if pattern.Match(topic) {
			topics = append(topics, topic)
		}
		ok = it.SeekGE(append(append(slices.Clip(prefix), topic...), 1))
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return topics, nil
}

// matching are the offsets whose events pass a filter.
func (p *partition) matching(text string, offsets []uint64) ([]uint64, error) {
	if text == "" || len(offsets) == 0 {
		return offsets, nil
	}
	f, err := filter.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	var out []uint64
	err = p.readEvents(offsets, func(offset uint64, _ time.Time, e storedEvent) error {
		decoded, err := event.Decode(e.event)
		if err == nil && f.Match(&decoded) {
			out = append(out, offset)
		}
		return err
	})
	return out, err
}

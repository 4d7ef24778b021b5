package partition

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// This file is what the model knows of keys that stand still and of dead letters that somebody edits: docs/log.md section 4, "gave up", "redrive as" and "lane".

// simLane is a lane that stands still.
type simLane struct {
	head  uint64
	since int64 // when the head was given up the last time
}

// simSpecial is what somebody wants of a dead letter, the zero value nothing.
type simSpecial struct {
	source     uint64 // where the edited event is
	generation uint64 // that began with it
	revision   uint64
}

func (t *simTrigger) parks() bool { return t.Order == "key" && t.OnFailure == "park" }

// release lets the lane of a head go on.
func (t *simTrigger) release(offset uint64) {
	for lane, l := range t.lanes {
		if l.head == offset {
			delete(t.lanes, lane)
		}
	}
}

// behind says whether an event stands behind the head of its lane.
func (t *simTrigger) behind(offset uint64, key string) bool {
	l, held := t.lanes[xxhash.Sum64String(key)]
	return held && key != "" && l.head != offset
}

// wish changes what somebody wants of an event.
func (t *simTrigger) wish(offset uint64, change func(*simSpecial)) {
	w := t.special[offset]
	if change(&w); w == (simSpecial{}) {
		delete(t.special, offset)
	} else {
		t.special[offset] = w
	}
}

func (s *simState) parkNoMore(t *simTrigger) {
	if !t.parks() && s.holds("parks no more") {
		clear(t.lanes)
	}
}

func (s *simState) gaveUp(offset uint64, rec *simRecord) {
	before := len(s.said[rec.attempt.class])
	rec.next = 2
	s.settle(offset, rec)
	if said := s.said[rec.attempt.class]; said[before] != "applied" {
		return
	}
	t := s.triggers[rec.trigger]
	if rec.parks && s.broken == "" && rec.lane != xxhash.Sum64String(s.events[rec.offset].key) {
		s.found("event %d of key %q parks lane %x", rec.offset, s.events[rec.offset].key, rec.lane)
	}
	l, held := t.lanes[rec.lane]
	if rec.parks && (t.parks() || !s.holds("who parks")) && (!held || l.head == rec.offset || !s.holds("one head")) {
		t.lanes[rec.lane] = simLane{rec.offset, s.clock}
	}
	s.take(offset, rec.effects)
}

func (s *simState) redriveAs(offset uint64, rec *simRecord) {
	count, next := 0, offset
	var letters [][3]uint64
	for _, l := range rec.as {
		letters = append(letters, [3]uint64{l[0], l[1], l[2]})
		source := uint64(0)
		if l[4] == 1 {
			source = next
			s.edited[source] = simStored{rec.events[source-offset], s.clock, -1}
			next++
		}
		if !s.again([3]uint64{l[0], l[1], l[2]}, rec.kind == 17) {
			continue
		}
		count++
		s.triggers[l[0]].wish(l[1], func(w *simSpecial) {
			if s.holds("revision") {
				w.revision = l[3]
			}
			if source > 0 && s.holds("edited") {
				w.source, w.generation = source, s.triggers[l[0]].pending[l[1]].generation
			}
		})
	}
	if next != offset+uint64(len(rec.events)) {
		s.found("a redrive names %d edited events and has %d", next-offset, len(rec.events))
	}
	s.say(fmt.Sprint("redrive ", letters), fmt.Sprint(count))
}

// eventOf is the event that a trigger gets for an offset.
func (s *simState) eventOf(t *simTrigger, offset uint64) simStored {
	if w := t.special[offset]; w.source > 0 {
		return s.edited[w.source]
	}
	return s.events[offset]
}

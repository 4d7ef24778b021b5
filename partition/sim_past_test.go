package partition

import (
	"maps"
	"slices"
)

// This file is what the model knows of triggers that start in the past or are replayed: docs/log.md section 4, "run" and "matched".

// simPast is what a trigger has yet to look through.
type simPast struct {
	runs       []simPastRun
	definition uint64             // offset of the last control that put the trigger while it had a run
	highest    uint64             // generation that its events have had
	replay     uint64             // the last one that began
	replayed   int                // how many events it has handed out
	had        map[[2]uint64]bool // offset, generation: invocations that there were
}

type simPastRun struct {
	generation   uint64
	next, end    uint64
	since, until int64
}

// waits makes an event pending. An invocation, which is an offset and a generation, is there once.
func (s *simState) waits(t *simTrigger, offset uint64, p *simPending) {
	name := [2]uint64{offset, p.generation}
	if t.had[name] && s.broken == "" {
		s.found("invocation %d of trigger %d in generation %d comes again", offset, t.ID, p.generation)
	}
	if t.had == nil {
		t.had = map[[2]uint64]bool{}
	}
	t.had[name], t.pending[offset] = true, p
}

// beginRuns: a trigger that is new and has a start gets a run, and so does one whose replay is a later one.
func (s *simState) beginRuns(t *simTrigger, offset uint64, fresh bool) {
	if t.Start != nil && fresh {
		s.beginRun(t, t.Start, offset, 0)
	}
	if t.Replay != nil && (t.Replay.ID > t.replay || !s.holds("replay once")) {
		if s.holds("replay generation") {
			t.highest++
		}
		t.replay, t.replayed = t.Replay.ID, 0
		s.beginRun(t, &t.Replay.Range, offset, t.highest)
	}
	if len(t.runs) > 0 {
		t.definition = offset
	}
}

func (s *simState) beginRun(t *simTrigger, r *Range, offset, generation uint64) {
	run := simPastRun{generation: generation, next: 1, end: offset, since: r.Since, until: r.Until}
	if len(r.From) > 0 && s.holds("run begins at from") {
		run.next = max(1, r.From[s.partition])
	}
	if len(r.To) > 0 && s.holds("run ends at to") {
		run.end = min(run.end, r.To[s.partition])
	}
	if run.next < run.end {
		t.runs = append(t.runs, run)
	}
}

func (s *simState) matched(_ uint64, rec *simRecord) {
	t := s.triggers[rec.trigger]
	if t == nil || len(t.runs) == 0 {
		return
	}
	r := &t.runs[0]
	if s.holds("run generation") && rec.generation != r.generation || s.holds("definition") && rec.definition != t.definition ||
		s.holds("run goes on") && rec.from != r.next {
		return
	}
	s.checkLook(t, r, rec)
	for _, offset := range rec.offsets {
		_, dead := t.dead[offset]
		if s.holds("pending stay") && t.pending[offset] != nil || s.holds("dead letters stay") && dead || s.holds("below the floor") && offset < s.floor {
			continue
		}
		p := &simPending{generation: r.generation, byRun: true}
		for _, l := range rec.later {
			if l[0] == offset && int64(l[1]) > s.clock && s.holds("held back in the past") {
				p.next = int64(l[1])
			}
		}
		s.waits(t, offset, p)
		if r.generation > 0 {
			t.replayed++
		}
	}
	if r.next = rec.upTo; r.next >= r.end {
		t.runs = slices.Delete(t.runs, 0, 1)
	}
}

// checkLook: a step of a run names exactly the events of its stretch that are stored, of the time, and for the trigger as it is now.
func (s *simState) checkLook(t *simTrigger, r *simPastRun, rec *simRecord) {
	if s.broken != "" {
		return
	}
	var want []uint64
	for _, offset := range slices.Sorted(maps.Keys(s.index)) {
		e := s.events[offset]
		inTime := e.time >= r.since && (r.until == 0 || e.time < r.until)
		if offset >= rec.from && offset < rec.upTo && inTime && simMatches(t.Trigger, e.simEvent) {
			want = append(want, offset)
		}
	}
	for _, offset := range rec.offsets {
		e := s.events[offset]
		told := slices.ContainsFunc(rec.later, func(l [2]uint64) bool { return l[0] == offset && int64(l[1]) == e.notBefore })
		if e.notBefore > rec.time && e.notBefore > e.time && !told {
			s.found("trigger %d gets offset %d, which is held back until %d", t.ID, offset, e.notBefore)
		}
	}
	got := slices.DeleteFunc(slices.Clone(rec.offsets), func(offset uint64) bool { return offset < s.floor }) // it may have been looked for before a trim
	if rec.upTo <= rec.from || rec.upTo > r.end || !slices.Equal(got, want) {
		s.found("trigger %d looked from %d to %d and took %v, there are %v; the run is %+v", t.ID, rec.from, rec.upTo, rec.offsets, want, *r)
	}
}

// held is the first offset that a run still has to look at.
func (s *simState) held() uint64 {
	first := ^uint64(0)
	for _, t := range s.triggers {
		for _, r := range t.runs {
			first = min(first, r.next)
		}
	}
	return first
}

// limit is the first offset that a trigger may not have yet: one that starts in the past works in the order of its topic.
func (t *simTrigger) limit() uint64 {
	if len(t.runs) > 0 && t.runs[0].generation == 0 {
		return t.runs[0].next
	}
	return ^uint64(0)
}

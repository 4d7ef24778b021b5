package partition

import (
	"fmt"
	"maps"
	"slices"
)

// This file is what the model knows of attempts, their effects, and dead letters: docs/log.md section 4, "settle", "effects", "redrive", "discard" and "delivered".

func (s *simState) settle(offset uint64, rec *simRecord) {
	about := rec.attempt.class
	t := s.triggers[rec.trigger]
	if t == nil || t.pending[rec.offset] == nil {
		s.say(about, "stale")
		return
	}
	p := t.pending[rec.offset]
	if s.holds("generation") && rec.generation != p.generation || s.holds("attempt") && rec.attempt.number != p.attempts+1 {
		s.say(about, "stale")
		return
	}
	switch rec.next {
	case 1:
		s.retry(p, rec)
	case 2:
		if about != simOutOfOrder {
			s.checkOrder(t, rec.offset)
		}
		s.giveUp(t, rec.offset, rec.attempt)
	default:
		if !s.current(rec.effects) {
			s.say(about, "conflict")
			return
		}
		s.checkOrder(t, rec.offset)
		delete(t.pending, rec.offset)
		s.finish(t, rec.offset)
		s.take(offset, rec.effects)
	}
	s.say(about, "applied")
}

func (s *simState) giveUp(t *simTrigger, offset uint64, last simAttempt) {
	p := t.pending[offset]
	t.dead[offset] = simDead{p.generation, s.clock, append(slices.Clone(p.past), last)}
	delete(t.pending, offset)
}

// finish is for an event that is done or discarded: the lane that it held goes on, and what somebody wanted of it is forgotten.
func (s *simState) finish(t *simTrigger, offset uint64) {
	if s.holds("lane goes on") {
		t.release(offset)
	}
	if s.holds("done is forgotten") {
		delete(t.special, offset)
	}
}

func (s *simState) retry(p *simPending, rec *simRecord) {
	if p.attempts == 0 || !s.holds("first attempt") {
		p.first = rec.attempt.start
	}
	p.attempts, p.next, p.byRun = p.attempts+1, rec.retryAt, false
	p.past = append(slices.Clone(p.past), rec.attempt)
}

// checkOrder: an event whose attempt ends was the first of its key. What was redriven or replayed is out of order by decision.
func (s *simState) checkOrder(t *simTrigger, offset uint64) {
	if p := t.pending[offset]; t.Order == "key" && p.generation == 0 && s.events[offset].key != "" {
		for before, q := range t.pending {
			if before < offset && q.generation == 0 && s.events[before].key == s.events[offset].key {
				s.found("trigger %d settled offset %d before %d of the same key %s", t.ID, offset, before, s.events[offset].key)
			}
		}
	}
}

func (s *simState) performed(offset uint64, rec *simRecord) {
	if !s.current(rec.effects) {
		s.say(rec.invocation, "conflict")
		return
	}
	s.take(offset, rec.effects)
	s.say(rec.invocation, "applied")
}

func (s *simState) current(e simEffects) bool {
	return s.unchanged(e.scope, e.reads) && s.joined(e)
}

func (s *simState) unchanged(scope [3]string, reads []simRead) bool {
	for _, r := range reads {
		if s.holds("conflict") && s.state[[4]string{scope[0], scope[1], scope[2], r.name}].version != r.version {
			return false
		}
	}
	return true
}

func (s *simState) take(offset uint64, e simEffects) {
	s.write(offset, e.scope, e.writes)
	for _, j := range e.joints {
		if s.holds("joint writes") {
			s.write(offset, [3]string{e.scope[0], j.function, e.scope[2]}, j.writes)
		}
	}
	for _, f := range e.foreign {
		s.sent[f.to]++
		if !s.holds("outbox once") {
			s.sent[f.to]++
		}
		s.outbox[[2]uint64{f.to, s.sent[f.to]}] = simSent{f, offset}
		s.sentTo[f.to] = append(s.sentTo[f.to], f.event.topic+" "+f.event.id)
		s.emitted = append(s.emitted, f.event.topic+" "+f.event.id)
	}
	for _, o := range e.own {
		s.emitted = append(s.emitted, o.topic+" "+o.id)
	}
	s.store(offset, e.own, -1)
}

func (s *simState) write(offset uint64, scope [3]string, writes []simWrite) {
	for _, w := range writes {
		key := [4]string{scope[0], scope[1], scope[2], w.name}
		if w.del {
			delete(s.state, key)
			continue
		}
		version := offset
		if !s.holds("state version") {
			version++
		}
		s.state[key] = simEntry{version, w.value}
	}
}

func (s *simState) redrive(_ uint64, rec *simRecord) {
	count := 0
	for _, l := range rec.letters {
		if s.again(l, false) {
			count++
			s.triggers[l[0]].wish(l[1], func(w *simSpecial) {
				if s.holds("in force again") {
					w.revision = 0
				}
			})
		}
	}
	s.say(fmt.Sprint("redrive ", rec.letters), fmt.Sprint(count))
}

// again makes a dead letter pending in its next generation, or in one above all that the trigger's events have had.
func (s *simState) again(l [3]uint64, above bool) bool {
	t := s.triggers[l[0]]
	d, ok := s.letter(l)
	if !ok || t.gone {
		return false
	}
	p := &simPending{generation: l[2] + 1, past: d.past}
	if !s.holds("next generation") {
		p.generation--
	}
	if above && s.holds("above all") {
		p.generation = max(p.generation, t.highest+1)
	}
	s.waits(t, l[1], p)
	t.highest = max(t.highest, p.generation)
	delete(t.dead, l[1])
	return true
}

func (s *simState) discard(_ uint64, rec *simRecord) {
	count := 0
	for _, l := range rec.letters {
		if d, ok := s.letter(l); ok {
			s.checkKept(rec, l[0], d)
			t := s.triggers[l[0]]
			delete(t.dead, l[1])
			s.finish(t, l[1])
			s.forgetGone(t)
			count++
		}
	}
	s.say(fmt.Sprint("discard ", rec.letters), fmt.Sprint(count))
}

func (s *simState) letter(l [3]uint64) (simDead, bool) {
	t := s.triggers[l[0]]
	if t == nil {
		return simDead{}, false
	}
	d, ok := t.dead[l[1]]
	return d, ok && (d.generation == l[2] || !s.holds("generation of dead letters"))
}

// forgetGone: a trigger that is out of force is known as long as it has dead letters.
func (s *simState) forgetGone(t *simTrigger) {
	if t.gone && len(t.dead) == 0 {
		delete(s.triggers, t.ID)
	}
}

func (s *simState) delivered(_ uint64, rec *simRecord) {
	if s.holds("delivered") && rec.peerSeq <= s.arrived[rec.peer] {
		return
	}
	s.arrived[rec.peer] = rec.peerSeq
	maps.DeleteFunc(s.outbox, func(k [2]uint64, _ simSent) bool { return k[0] == rec.peer && k[1] <= rec.peerSeq })
}

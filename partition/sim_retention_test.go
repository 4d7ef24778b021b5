package partition

import (
	"slices"
	"strings"
	"time"
)

// This file is what the model knows of retention: docs/log.md section 4, "expire", "lapse" and "trim", and what docs/retention.md lets a leader remove.

// simRetention is how long things stay, little enough for a run.
var simRetention = Retention{
	Topics: map[TopicName]TopicRetention{
		{"default", "a"}: {Keep: 40 * time.Second}, {"default", "b"}: {Keep: 70 * time.Second, DeadLetter: true}, {"default", "nobody"}: {Keep: 20 * time.Second},
		{"default", "out"}: {Keep: 30 * time.Second}, {"default", "out.x"}: {Keep: 50 * time.Second, DeadLetter: true}, {"default", "out.y"}: {Keep: 10 * time.Second},
	},
	DeadLetters: simKeepLetters(),
}

func simKeepLetters() map[uint64]time.Duration {
	keep := map[uint64]time.Duration{}
	for id := range uint64(1000) {
		keep[id] = []time.Duration{50 * time.Second, 100 * time.Second, 20 * time.Second, 2 * time.Minute, 90 * time.Second}[id%5]
	}
	return keep
}

// simLongestKeep is longer than anything stays.
const simLongestKeep = 2 * time.Minute

func (s *simState) expire(_ uint64, rec *simRecord) {
	held := s.held()
	for _, x := range rec.topics {
		before := x.before
		if s.holds("runs hold") {
			before = min(before, held)
		}
		for offset := range s.index {
			if e := s.events[offset]; offset < before && e.namespace == x.namespace && e.topic == x.topic {
				s.checkOld(rec, offset)
				delete(s.index, offset)
			}
		}
		if name := [2]string{x.namespace, x.topic}; before > s.horizon[name] || !s.holds("horizon only rises") {
			s.horizon[name] = before
		}
	}
}

// checkOld: retention removes what has had its time, and nothing that a trigger has to settle and has had to since the event came.
func (s *simState) checkOld(rec *simRecord, offset uint64) {
	e := s.events[offset]
	if keep := simRetention.Topics[TopicName{e.namespace, e.topic}].Keep; e.time > rec.time-keep.Milliseconds() && s.broken == "" {
		s.found("event %d of topic %s is removed after %d ms, it is kept for %s", offset, e.topic, rec.time-e.time, keep)
	}
	for id, t := range s.triggers {
		if p := t.pending[offset]; p != nil && p.stored && s.broken == "" {
			s.found("event %d of topic %s is removed and trigger %d has not settled it", offset, e.topic, id)
		}
	}
}

func (s *simState) lapse(_ uint64, rec *simRecord) {
	for _, l := range rec.letters {
		t := s.triggers[l[0]]
		if t == nil || t.pending[l[1]] == nil || s.holds("lapse generation") && t.pending[l[1]].generation != l[2] {
			continue
		}
		s.checkLapse(rec, t, l[1])
		class := "expired"
		if !s.holds("class of a lapse") {
			class = "lapsed"
		}
		s.giveUp(t, l[1], simAttempt{number: t.pending[l[1]].attempts + 1, start: s.clock, verdict: 1, class: class, text: rec.reason})
	}
}

// checkLapse: only topics that want it so give up what is old, and not before its own time.
func (s *simState) checkLapse(rec *simRecord, t *simTrigger, offset uint64) {
	p, e := t.pending[offset], s.events[offset]
	policy := simRetention.Topics[TopicName{e.namespace, e.topic}]
	if s.broken == "" && (!policy.DeadLetter || e.time > rec.time-policy.Keep.Milliseconds() || p.attempts == 0 && p.next > rec.time) {
		s.found("event %d of topic %s, stored at %d and due at %d, lapses at %d", offset, e.topic, e.time, p.next, rec.time)
	}
}

// checkKept: dead letters that nobody discards stay for their time.
func (s *simState) checkKept(rec *simRecord, trigger uint64, d simDead) {
	if keep := simRetention.DeadLetters[trigger]; strings.HasPrefix(rec.reason, "kept for") && d.time > rec.time-keep.Milliseconds() && s.broken == "" {
		s.found("a dead letter of trigger %d is removed after %d ms, it is kept for %s", trigger, rec.time-d.time, keep)
	}
}

func (s *simState) trim(_ uint64, rec *simRecord) {
	if s.holds("floor only rises") && rec.before <= s.floor || s.holds("floor is applied") && rec.before > s.next {
		return
	}
	s.floor = rec.before
	if lowest := s.needed(); lowest < s.floor && s.broken == "" {
		s.found("trimmed below %d, offset %d is needed", s.floor, lowest)
	}
}

// needed is the lowest offset that something needs: the topic index, what is pending or dead, the outbox, and what replaces an event.
func (s *simState) needed() uint64 {
	lowest := s.next
	for offset := range s.index {
		lowest = min(lowest, offset)
	}
	for _, o := range s.outbox {
		lowest = min(lowest, o.offset)
	}
	for _, t := range s.triggers {
		for offset := range t.pending {
			lowest = min(lowest, offset)
		}
		for offset := range t.dead {
			lowest = min(lowest, offset)
		}
		for _, w := range t.special {
			if w.source > 0 {
				lowest = min(lowest, w.source)
			}
		}
	}
	return lowest
}

// check is what is always so.
func (s *simState) check() {
	if s.broken != "" {
		return
	}
	if lowest := s.needed(); lowest < s.floor {
		s.found("the floor is %d, offset %d is needed", s.floor, lowest)
	}
	for id, t := range s.triggers {
		if t.gone && len(t.pending)+len(t.lanes)+len(t.runs) > 0 {
			s.found("trigger %d is out of force and has %d pending, %d lanes, %d runs", id, len(t.pending), len(t.lanes), len(t.runs))
		}
		waits := func(offset uint64) bool {
			_, dead := t.dead[offset]
			return dead || t.pending[offset] != nil
		}
		for offset := range t.pending {
			if _, dead := t.dead[offset]; dead {
				s.found("event %d is pending and a dead letter of trigger %d", offset, id)
			}
		}
		for lane, l := range t.lanes {
			if !waits(l.head) || !t.parks() {
				s.found("lane %x of trigger %d stands still behind event %d, which waits for nothing", lane, id, l.head)
			}
		}
		for offset := range t.special {
			if !waits(offset) {
				s.found("trigger %d remembers a wish for event %d, which is gone", id, offset)
			}
		}
		if slices.ContainsFunc(t.runs, func(r simPastRun) bool { return r.next >= r.end }) {
			s.found("trigger %d has a run that is through: %+v", id, t.runs)
		}
	}
}

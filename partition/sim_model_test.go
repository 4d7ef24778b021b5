package partition

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// simState is one partition as docs/log.md sections 1 and 4 describe it: plain maps, everything kept, nothing clever. It is the yardstick for machine and shares
// no code with it.
type simState struct {
	partition, partitions uint64
	window                int64
	limit                 int

	next, epoch, seq, generation uint64
	clock                        int64
	triggers                     map[uint64]*simTrigger
	seen                         []simSeen // oldest first
	received, sent, arrived      map[uint64]uint64
	outbox                       map[[2]uint64]simSent  // receiver, sequence
	state                        map[[4]string]simEntry // namespace, function, key, name
	events                       map[uint64]simStored   // by offset: all that were ever stored
	order                        []uint64               // their offsets
	edited                       map[uint64]simStored   // by offset: what somebody wrote in the place of an event
	index                        map[uint64]bool        // offsets of the topic index
	horizon                      map[[2]string]uint64   // namespace, topic
	floor                        uint64
	replies                      map[[4]string]simReply // namespace, function, event key, key of the call
	rates                        map[string]simRate

	said     map[string][]string // what became of a record, by something only it has
	emitted  []string            // topic and id of events that settles and effects made real
	sentTo   map[uint64][]string // those for others, in order
	findings []string            // rules that a leader broke
	broken   string              // the rule that a mutant of this model leaves out
}

type simTrigger struct {
	Trigger
	gone    bool
	pending map[uint64]*simPending
	dead    map[uint64]simDead
	simPast
	lanes   map[uint64]simLane    // that stand still
	special map[uint64]simSpecial // what somebody wants of some of the pending and dead
	due     int64                 // the last due time that has passed
}

type simPending struct {
	generation, attempts uint64
	first, next          int64
	past                 []simAttempt
	rank                 int64
	stored               bool // since it was stored
	byRun                bool // a run handed it out, and nothing has happened to it since
}

type simSent struct {
	simForeign
	offset uint64 // of the record that emitted it
}

type simDead struct {
	generation uint64
	time       int64
	past       []simAttempt
}

type simSeen struct {
	who    [4]string
	offset uint64
	time   int64
}

type simEntry struct {
	version uint64
	value   string
}

type simStored struct {
	simEvent
	time int64
	from int // sender, -1 for outside and own ones
}

func newSimState(partition, partitions int, window int64, limit int) *simState {
	return &simState{
		partition: uint64(partition), partitions: uint64(partitions), window: window, limit: limit, next: 1,
		triggers: map[uint64]*simTrigger{}, received: map[uint64]uint64{}, sent: map[uint64]uint64{}, arrived: map[uint64]uint64{},
		outbox: map[[2]uint64]simSent{}, state: map[[4]string]simEntry{}, events: map[uint64]simStored{}, said: map[string][]string{},
		sentTo: map[uint64][]string{}, edited: map[uint64]simStored{}, index: map[uint64]bool{}, horizon: map[[2]string]uint64{}, replies: map[[4]string]simReply{}, rates: map[string]simRate{},
	}
}

// holds says whether a rule is in this model; a mutant leaves one out.
func (s *simState) holds(rule string) bool { return s.broken != rule }

func (s *simState) found(format string, args ...any) {
	s.findings = append(s.findings, fmt.Sprintf(format, args...))
}

func (s *simState) say(about, what string) {
	if about != "" {
		s.said[about] = append(s.said[about], what)
	}
}

// simRules says what each kind does to the state. A new kind is a line here and one in simBodies.
var simRules = map[byte]func(*simState, uint64, *simRecord){
	1:  func(*simState, uint64, *simRecord) {}, // a lead of the current epoch: nothing
	2:  (*simState).publish,
	3:  (*simState).settle,
	4:  (*simState).performed,
	5:  (*simState).matched,
	6:  (*simState).redrive,
	7:  (*simState).discard,
	8:  (*simState).delivered,
	9:  (*simState).control,
	10: (*simState).expire,
	11: (*simState).lapse,
	12: (*simState).trim,
	13: (*simState).gaveUp,
	14: (*simState).redriveAs,
	15: (*simState).settleBatch,
	16: (*simState).calledOnce,
	17: (*simState).redriveAs,
	18: (*simState).admit,
	19: (*simState).matched,
	20: (*simState).fire,
}

// apply follows sections 1.3, 1.4 and 4.
func (s *simState) apply(offset uint64, rec *simRecord) {
	s.next = offset + max(1, uint64(len(rec.events)))
	if rec.kind == 1 && (rec.epoch > s.epoch || !s.holds("lead") && rec.epoch != s.epoch) {
		s.epoch, s.seq = rec.epoch, rec.seq
		s.tick(rec)
		s.checkLead(rec)
		return
	}
	if s.holds("epoch") && rec.epoch != s.epoch || s.holds("sequence") && rec.seq <= s.seq {
		s.ignored(rec)
		return
	}
	if rec.seq != s.seq+1 && s.broken == "" {
		s.found("epoch %d goes from sequence %d to %d", rec.epoch, s.seq, rec.seq)
	}
	s.seq = rec.seq
	s.tick(rec)
	s.checkMatches(rec)
	simRules[rec.kind](s, offset, rec)
}

func (s *simState) tick(rec *simRecord) {
	if rec.time < s.clock && rec.kind != 1 && s.broken == "" { // a lead is written before its writer knows what it follows
		s.found("a record of epoch %d has time %d, the one before %d", rec.epoch, rec.time, s.clock)
	}
	s.clock = max(s.clock, rec.time)
}

func (s *simState) ignored(rec *simRecord) {
	for _, e := range rec.events {
		if rec.kind == 2 && rec.origin == 0 {
			s.say(e.data, "ignored")
		}
	}
	switch rec.kind {
	case 3, 13, 15:
		s.say(rec.attempt.class, "ignored")
	case 4, 16:
		s.say(rec.invocation, "ignored")
	}
}

func (s *simState) publish(offset uint64, rec *simRecord) {
	if rec.origin == 1 {
		if s.holds("outbox sequence") && rec.peerSeq <= s.received[rec.peer] {
			return
		}
		s.received[rec.peer] = rec.peerSeq
		s.store(offset, rec.events, int(rec.peer))
		return
	}
	s.forget()
	for i, e := range rec.events {
		who := [4]string{e.namespace, e.topic, e.source, e.id}
		at := slices.IndexFunc(s.seen, func(o simSeen) bool { return o.who == who })
		if s.holds("dedup") && at >= 0 {
			s.say(e.data, fmt.Sprint("duplicate ", s.seen[at].offset))
			continue
		}
		s.say(e.data, fmt.Sprint("stored ", offset+uint64(i)))
		s.seen = append(s.seen, simSeen{who, offset + uint64(i), s.clock})
		s.store(offset+uint64(i), []simEvent{e}, -1)
	}
}

func (s *simState) forget() {
	s.seen = slices.DeleteFunc(s.seen, func(o simSeen) bool { return s.holds("dedup window") && o.time <= s.clock-s.window })
	if over := len(s.seen) - s.limit; over > 0 && s.holds("dedup limit") {
		s.seen = slices.Clone(s.seen[over:])
	}
}

// remembered are the offsets of a list that is forgotten as far as the next publish would.
func (s *simState) remembered(list []simSeen) (offsets []uint64) {
	for i, o := range list {
		if o.time > s.clock-s.window && i >= len(list)-s.limit {
			offsets = append(offsets, o.offset)
		}
	}
	return offsets
}

func (s *simState) store(offset uint64, events []simEvent, from int) {
	for i, e := range events {
		at := offset + uint64(i)
		s.events[at], s.index[at] = simStored{e, s.clock, from}, true
		s.order = append(s.order, at)
		for n, id := range e.triggers {
			t := s.triggers[id]
			if t == nil || t.gone || n > 0 && !s.holds("every trigger") {
				continue
			}
			p := &simPending{stored: true}
			if s.holds("rank") {
				p.rank = e.ranks[id]
			}
			if e.notBefore > s.clock && s.holds("not before") {
				p.next = e.notBefore
			}
			s.waits(t, at, p)
		}
	}
}

func (s *simState) control(offset uint64, rec *simRecord) {
	if s.holds("control generation") && rec.generation < s.generation {
		return
	}
	s.generation = rec.generation
	for _, text := range rec.put {
		var def Trigger
		if err := json.Unmarshal([]byte(text), &def); err != nil {
			panic(err)
		}
		t := s.triggers[def.ID]
		if t == nil {
			t = &simTrigger{
				gone: true, pending: map[uint64]*simPending{}, dead: map[uint64]simDead{}, lanes: map[uint64]simLane{}, special: map[uint64]simSpecial{},
			}
			s.triggers[def.ID] = t
		}
		fresh := t.gone
		t.Trigger, t.gone = def, false
		s.parkNoMore(t)
		s.beginRuns(t, offset, fresh)
	}
	for _, id := range rec.remove {
		if t := s.triggers[id]; t != nil && s.holds("remove") {
			s.takeOut(t)
		}
	}
}

// takeOut: what was pending is dropped, and so is what the trigger had to look through. Dead letters stay as they are.
func (s *simState) takeOut(t *simTrigger) {
	for offset := range t.pending {
		delete(t.special, offset)
	}
	clear(t.pending)
	clear(t.lanes)
	t.simPast, t.gone = simPast{}, true
	if s.holds("due is of who is in force") {
		t.due = 0
	}
	s.forgetGone(t)
}

// checkMatches is section 1.5: what is stored was matched against the triggers that are in force where the record stands.
func (s *simState) checkMatches(rec *simRecord) {
	for _, e := range rec.events {
		var want []uint64
		for _, id := range slices.Sorted(maps.Keys(s.triggers)) {
			t := s.triggers[id]
			if !t.gone && simMatches(t.Trigger, e) {
				want = append(want, id)
			}
		}
		if rec.kind == 14 || rec.kind == 17 { // edited events are for the trigger that gave them up
			want = nil
		}
		for _, id := range want {
			if rank := simRank(s.triggers[id].Trigger, e); rank != e.ranks[id] && s.broken == "" {
				s.found("event %s of topic %s has rank %d for trigger %d, its priority says %d", e.id, e.topic, e.ranks[id], id, rank)
			}
		}
		if !slices.Equal(e.triggers, want) && s.broken == "" {
			s.found("event %s of topic %s is for triggers %v, in force are %v", e.id, e.topic, e.triggers, want)
		}
	}
}

// simRank knows the priorities that the simulation uses: type = 'x', and the length of the source less something.
func simRank(t Trigger, e simEvent) int64 {
	switch {
	case t.Priority == "" || t.Priority == simPriority && e.kind != "x" || t.Priority == simOtherPriority && e.key == "":
		return 0
	case t.Priority == simPriority:
		return 1
	}
	return int64(len(e.key)) - 1
}

// simMatches knows the patterns and filters that the simulation uses: names, "x.*", and type = 'y'.
func simMatches(t Trigger, e simEvent) bool {
	topic := t.Topic == e.topic
	if front, ok := strings.CutSuffix(t.Topic, "*"); ok {
		rest, found := strings.CutPrefix(e.topic, front)
		topic = found && !strings.Contains(rest, ".")
	}
	return topic && t.Namespace == e.namespace && (t.Filter == "" || t.Filter == "type = '"+e.kind+"'")
}

// checkLead is section 2: partition i of n owns the hashes h with ⌊h · n / 2⁶⁴⌋ = i.
func (s *simState) checkLead(rec *simRecord) {
	for _, h := range [...]uint64{rec.firstH, rec.lastH} {
		if owner, _ := bits.Mul64(h, s.partitions); owner != s.partition {
			s.found("a lead of partition %d claims hash %x of %d", s.partition, h, owner)
		}
	}
	if rec.index != s.partition || rec.partitions != s.partitions {
		s.found("a lead of partition %d of %d says %d of %d", s.partition, s.partitions, rec.index, rec.partitions)
	}
}

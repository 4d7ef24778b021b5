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
	outbox                       map[[2]uint64]simForeign // receiver, sequence
	state                        map[[4]string]simEntry   // namespace, function, key, name
	events                       map[uint64]simStored     // by offset: the topic index and the log in one
	order                        []uint64                 // their offsets

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
}

type simPending struct {
	generation, attempts uint64
	first, next          int64
	past                 []simAttempt
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
		outbox: map[[2]uint64]simForeign{}, state: map[[4]string]simEntry{}, events: map[uint64]simStored{}, said: map[string][]string{},
		sentTo: map[uint64][]string{},
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
	1: func(*simState, uint64, *simRecord) {}, // a lead of the current epoch: nothing
	2: (*simState).publish,
	3: (*simState).settle,
	4: (*simState).performed,
	6: (*simState).redrive,
	7: (*simState).discard,
	8: (*simState).delivered,
	9: (*simState).control,
}

// apply follows sections 1.3, 1.4 and 4.
func (s *simState) apply(offset uint64, rec *simRecord) {
	s.next = offset + max(1, uint64(len(rec.events)))
	if rec.kind == 1 && rec.epoch > s.epoch {
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
	case 3:
		s.say(rec.attempt.class, "ignored")
	case 4:
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
		s.events[at] = simStored{e, s.clock, from}
		s.order = append(s.order, at)
		for n, id := range e.triggers {
			t := s.triggers[id]
			if t == nil || t.gone || n > 0 && !s.holds("every trigger") {
				continue
			}
			p := &simPending{}
			if e.notBefore > s.clock && s.holds("not before") {
				p.next = e.notBefore
			}
			t.pending[at] = p
		}
	}
}

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
		t.dead[rec.offset] = simDead{p.generation, s.clock, append(slices.Clone(p.past), rec.attempt)}
		s.leave(t, rec.offset)
	default:
		if !s.current(rec.effects) {
			s.say(about, "conflict")
			return
		}
		s.leave(t, rec.offset)
		s.take(offset, rec.effects)
	}
	s.say(about, "applied")
}

func (s *simState) retry(p *simPending, rec *simRecord) {
	if p.attempts == 0 || !s.holds("first attempt") {
		p.first = rec.attempt.start
	}
	p.attempts, p.next = p.attempts+1, rec.retryAt
	p.past = append(slices.Clone(p.past), rec.attempt)
}

// leave takes an event out of the pending ones, and checks that its key's order held: nothing of the same key that came before still waits. What was redriven
// is out of order by decision.
func (s *simState) leave(t *simTrigger, offset uint64) {
	if p := t.pending[offset]; t.Order == "key" && p.generation == 0 && s.events[offset].key != "" {
		for before, q := range t.pending {
			if before < offset && q.generation == 0 && s.events[before].key == s.events[offset].key {
				s.found("trigger %d settled offset %d before %d of the same key %s", t.ID, offset, before, s.events[offset].key)
			}
		}
	}
	delete(t.pending, offset)
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
	for _, r := range e.reads {
		if s.holds("conflict") && s.state[[4]string{e.scope[0], e.scope[1], e.scope[2], r.name}].version != r.version {
			return false
		}
	}
	return true
}

func (s *simState) take(offset uint64, e simEffects) {
	for _, w := range e.writes {
		key := [4]string{e.scope[0], e.scope[1], e.scope[2], w.name}
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
	for _, f := range e.foreign {
		s.sent[f.to]++
		if !s.holds("outbox once") {
			s.sent[f.to]++
		}
		s.outbox[[2]uint64{f.to, s.sent[f.to]}] = f
		s.sentTo[f.to] = append(s.sentTo[f.to], f.event.topic+" "+f.event.id)
		s.emitted = append(s.emitted, f.event.topic+" "+f.event.id)
	}
	for _, o := range e.own {
		s.emitted = append(s.emitted, o.topic+" "+o.id)
	}
	s.store(offset, e.own, -1)
}

func (s *simState) redrive(_ uint64, rec *simRecord) {
	count := 0
	for _, l := range rec.letters {
		t := s.triggers[l[0]]
		d, ok := s.letter(l)
		if !ok || t.gone {
			continue
		}
		p := &simPending{generation: l[2] + 1, past: d.past}
		if !s.holds("next generation") {
			p.generation--
		}
		t.pending[l[1]] = p
		s.drop(t, l[1])
		count++
	}
	s.say(fmt.Sprint("redrive ", rec.letters), fmt.Sprint(count))
}

func (s *simState) discard(_ uint64, rec *simRecord) {
	count := 0
	for _, l := range rec.letters {
		if _, ok := s.letter(l); ok {
			s.drop(s.triggers[l[0]], l[1])
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

func (s *simState) drop(t *simTrigger, offset uint64) {
	delete(t.dead, offset)
	s.forgetGone(t)
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
	maps.DeleteFunc(s.outbox, func(k [2]uint64, _ simForeign) bool { return k[0] == rec.peer && k[1] <= rec.peerSeq })
}

func (s *simState) control(_ uint64, rec *simRecord) {
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
			t = &simTrigger{pending: map[uint64]*simPending{}, dead: map[uint64]simDead{}}
			s.triggers[def.ID] = t
		}
		t.Trigger, t.gone = def, false
	}
	for _, id := range rec.remove {
		if t := s.triggers[id]; t != nil && s.holds("remove") {
			t.gone = true
			clear(t.pending)
			s.forgetGone(t)
		}
	}
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
		if !slices.Equal(e.triggers, want) && s.broken == "" {
			s.found("event %s of topic %s is for triggers %v, in force are %v", e.id, e.topic, e.triggers, want)
		}
	}
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

package partition

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/wire"
)

// machine is the state of one partition and the only code that changes it: apply, record by record, in offset order (docs/log.md section 4). It has no
// clock, no random, no filter, and reads nothing but its own state. Two machines that applied the same records are equal.
type machine struct {
	store *store

	next        uint64 // the first offset that is not applied
	epoch, seq  uint64
	leader      string // node of that epoch; "" when it is not known since the state was loaded
	clock       int64  // time of the newest record
	generation  uint64
	triggers    map[uint64]*trigger
	definitions *definitions
	touched     map[uint64]*trigger // changed since the last flush
	dedup       *dedup
	sent        []uint64 // per receiver: the last outbox sequence given out
	arrived     []uint64 // per receiver: the last that it has applied
	received    []uint64 // per sender: the last that was applied here
	floor       uint64   // nothing needs the log below it
	replies     replies  // of calls that happen once
	replyAge    int64    // how long they are kept, in milliseconds
	rates       rates
	due         map[uint64]int64 // by trigger: the last due time that has passed

	// What the records since the last flush mean for others; flush hands it out.
	work workList
}

// trigger is one that is in force, or was while its dead letters still wait. As long as nothing has happened to it in any partition, all have the same one, which is not
// changed: whoever changes it takes own.
type trigger struct {
	*Trigger // shared, see definitions
	gone     bool
	shared   bool
	pending  pending
	progress map[uint64]progress // of pending offsets that failed, were redriven, or wait for a time
	room     room                // of progress
	dead     int
	oldest   oldest // of the dead
	parked   parked
	ranks    map[uint64]int8    // of pending offsets; 0 is not among them
	special  map[uint64]special // what the desk said of some of the pending and dead
	position position
	again    generations
}

// progress of a pending event. Attempts with their errors stay on disk.
type progress struct {
	generation uint32
	attempts   int   // finished ones of this generation
	first      int64 // start of the first
	next       int64 // not before; 0 = at once
}

// workList is what apply has to tell: changes for the dispatcher, events for other partitions, news for the senders of arrived events.
type workList struct {
	changes  []change
	matched  []matchedEvent
	sends    []send
	arrivals []arrival
	dropped  int  // pending events of triggers taken out of force
	catchUp  bool // a trigger has something of the past to look through
}

// matchedEvent is an event that triggers wait for.
type matchedEvent struct {
	offset uint64
	recentEvent
}

// change of one pending event, or with offset 0 of a whole trigger.
type change struct {
	kind    changeKind
	timed   bool // with changeSettled: it waited for a time, or had
	trigger uint64
	offset  uint64
}

type changeKind uint8

const (
	changeAdded    changeKind = iota // is pending now
	changeSettled                    // is not pending any more
	changeRetry                      // failed; progress says when it is due
	changeRedrive                    // is pending again
	changeTrigger                    // trigger put in force or taken out
	changeParked                     // was given up, and its key stands still
	changeUnparked                   // its key goes on
)

// send is an outbox entry on its way to another partition.
type send struct {
	seq   uint64
	event foreignEvent
}

// arrival says that the outbox of a sender was applied here up to a sequence.
type arrival struct{ from, seq uint64 }

// result is what apply says of a record to whoever appended it.
type result struct {
	ignored bool // stale epoch or sequence: nothing happened, another leader is in charge
	closed  bool // not applied while the partition was open
	outcome Outcome
	at      int64    // admit: when the next may begin, or this one; unix nanoseconds
	stored  []Stored // publish, by event
	count   int      // redrive and discard
	letters []bool   // the same, by letter: whether it was changed
}

func newMachine(s *store, partitions int, dedup *dedup) *machine {
	return &machine{
		store: s, next: 1, replyAge: replyAge.Milliseconds(), dedup: dedup, rates: newRates(), due: map[uint64]int64{}, triggers: map[uint64]*trigger{}, definitions: newDefinitions(), touched: map[uint64]*trigger{},
		sent: make([]uint64, partitions), arrived: make([]uint64, partitions), received: make([]uint64, partitions),
	}
}

// apply judges one record. An error means that the log is damaged or newer than this program.
func (m *machine) apply(rec eventlog.Record) (header, result, error) {
	h, b, err := decodeRecord(rec.Data)
	if err != nil {
		return header{}, result{}, err
	}
	if rec.Span != span(b) {
		return header{}, result{}, fmt.Errorf("%w: it owns %d offsets, not %d", errDamaged, rec.Span, span(b))
	}
	m.next = rec.Offset + uint64(rec.Span)
	if lead, ok := b.(*leadRecord); ok && h.epoch > m.epoch {
		m.epoch, m.leader, m.seq, m.clock = h.epoch, lead.node, h.seq, max(m.clock, h.time)
		return h, result{}, nil
	}
	if h.epoch != m.epoch || h.seq <= m.seq {
		return h, result{ignored: true}, nil
	}
	m.seq, m.clock = h.seq, max(m.clock, h.time)
	res, err := m.applyBody(rec.Offset, b)
	return h, res, err
}

func (m *machine) applyBody(offset uint64, b body) (result, error) {
	switch b := b.(type) {
	case *publishRecord:
		return m.applyPublish(offset, b)
	case *settleRecord:
		return m.applySettle(offset, b)
	case *effectsRecord:
		if !m.current(&b.effects) {
			return result{outcome: Conflict}, nil
		}
		return result{}, m.takeEffects(offset, &b.effects)
	case *matchedRecord:
		return m.applyMatched(b)
	case *redriveRecord:
		return m.applyRedrive(b), nil
	case *redriveAsRecord:
		return m.applyRedriveAs(offset, b)
	case *callRecord:
		return m.applyCall(offset, b)
	case *batchRecord:
		return m.applyBatch(offset, b)
	case *admitRecord:
		return m.applyAdmit(b)
	case *cronRecord:
		return m.applyCron(offset, b), nil
	case *gaveUpRecord:
		return m.applyGaveUp(offset, b)
	case *discardRecord:
		return m.applyDiscard(b), nil
	case *deliveredRecord:
		m.applyDelivered(b)
	case *controlRecord:
		return result{}, m.applyControl(offset, b)
	case *expireRecord:
		return m.applyExpire(b), nil
	case *lapseRecord:
		return m.applyLapse(b)
	case *trimRecord:
		m.applyTrim(b)
	}
	return result{}, nil // a lead that lost
}

func (m *machine) applyPublish(offset uint64, p *publishRecord) (result, error) {
	if p.origin == originOutbox {
		return result{}, m.applyArrival(offset, p)
	}
	m.dedup.expire(m.store, m.clock)
	res := result{stored: make([]Stored, len(p.stored))}
	for i := range p.stored {
		e, at := &p.stored[i], offset+uint64(i)
		id, source, err := event.Identity(e.event)
		if err != nil {
			return result{}, fmt.Errorf("%w: %w", errDamaged, err)
		}
		who := identify(e.namespace, e.topic, source, id)
		if first, ok := m.dedup.first(who); ok {
			res.stored[i] = Stored{Offset: first, Duplicate: true}
			continue
		}
		m.dedup.add(dedupEntry{identity: who, offset: at, time: m.clock})
		m.storeEvent(at, e)
		res.stored[i] = Stored{Offset: at}
	}
	return res, nil
}

// applyArrival takes an event of another partition's outbox. One that was here before is reported again: its sender may not know.
func (m *machine) applyArrival(offset uint64, p *publishRecord) error {
	if p.from >= uint64(len(m.received)) {
		return fmt.Errorf("%w: event from partition %d of %d", errDamaged, p.from, len(m.received))
	}
	defer func() { m.work.arrivals = append(m.work.arrivals, arrival{p.from, m.received[p.from]}) }()
	if p.seq <= m.received[p.from] {
		return nil
	}
	m.received[p.from] = p.seq
	m.storeAll(offset, p.stored)
	return nil
}

func (m *machine) storeAll(offset uint64, events []storedEvent) {
	for i := range events {
		m.storeEvent(offset+uint64(i), &events[i])
	}
}

// storeEvent enters an event, whose bytes are in the log at offset, into the index and makes it pending for the triggers it matched.
func (m *machine) storeEvent(offset uint64, e *storedEvent) {
	value := wire.AppendU32(wire.AppendU64(make([]byte, 0, 20), uint64(m.clock)), uint32(len(e.event)))
	if e.notBefore > m.clock {
		value = wire.AppendU64(value, uint64(e.notBefore))
	}
	m.store.put(m.store.indexKey(e.namespace, e.topic, offset), value)
	if len(e.triggers) > 0 {
		m.work.matched = append(m.work.matched, matchedEvent{offset, recentEvent{time.UnixMilli(m.clock), e.topic, e.event}})
	}
	for n, id := range e.triggers {
		t := m.triggers[id]
		if t == nil || t.gone {
			continue
		}
		t = m.own(t)
		t.pending.add(offset)
		m.setRank(t, offset, e.rank(n))
		if e.notBefore > m.clock {
			m.setProgress(t, offset, progress{next: e.notBefore}, nil)
		}
		m.changed(changeAdded, t, offset)
	}
}

// own returns a trigger that this machine may change.
func (m *machine) own(t *trigger) *trigger {
	if t.shared {
		t = &trigger{Trigger: t.Trigger}
		m.triggers[t.ID] = t
	}
	return t
}

func (m *machine) changed(k changeKind, t *trigger, offset uint64) {
	if !t.shared {
		m.touched[t.ID] = t
	} else if k != changeTrigger {
		panic(fmt.Sprintf("trigger %d is changed for all partitions", t.ID)) // nobody has taken own
	}
	m.work.changes = append(m.work.changes, change{kind: k, trigger: t.ID, offset: offset})
}

func (m *machine) applySettle(offset uint64, s *settleRecord) (result, error) {
	t := m.triggers[s.trigger]
	p, ok := m.attempted(t, s.offset, s.generation, s.attempt.Number)
	if !ok {
		return result{outcome: Stale}, nil
	}
	switch s.next {
	case nextRetry:
		return result{}, m.retry(t, s, p)
	case nextDeadLetter:
		return result{}, m.giveUp(t, s, p)
	}
	if !m.current(&s.effects) {
		return result{outcome: Conflict}, nil
	}
	m.done(t, s.offset)
	return result{}, m.takeEffects(offset, &s.effects)
}

// attempted says how far a pending event is, if the attempt is the next one that may settle it. t is nil for a trigger that is gone.
func (m *machine) attempted(t *trigger, offset uint64, generation uint32, number int) (p progress, ok bool) {
	if t == nil || !t.pending.has(offset) {
		return progress{}, false
	}
	p = t.at(offset)
	return p, generation == p.generation && number == p.attempts+1
}

// done settles a pending event for good.
func (m *machine) done(t *trigger, offset uint64) {
	m.settled(t, offset)
	m.unpark(t, offset)
	m.setSpecial(t, offset, special{})
}

func (m *machine) settled(t *trigger, offset uint64) {
	t.pending.remove(offset)
	t.again.remove(offset)
	m.setRank(t, offset, 0)
	at, ok := t.progress[offset]
	if ok {
		delete(t.progress, offset)
		m.store.del(m.store.key(keyProgress, t.ID, offset))
	}
	m.changed(changeSettled, t, offset)
	m.work.changes[len(m.work.changes)-1].timed = at.next > 0
}

func (m *machine) retry(t *trigger, s *settleRecord, p progress) error {
	past, err := m.attempts(t, s.offset)
	if err != nil {
		return err
	}
	if p.attempts == 0 {
		p.first = s.attempt.Start.UnixMilli()
	}
	p.attempts++
	p.next = s.retryAt
	m.setProgress(t, s.offset, p, append(past, s.attempt))
	m.changed(changeRetry, t, s.offset)
	return nil
}

func (m *machine) giveUp(t *trigger, s *settleRecord, p progress) error {
	past, err := m.attempts(t, s.offset)
	if err != nil {
		return err
	}
	d := deadLetter{generation: p.generation, time: m.clock, attempts: append(past, s.attempt)}
	m.store.set(m.store.key(keyDeadLetter, t.ID, s.offset), d.append(nil))
	t.oldest.added(s.offset, m.clock, t.dead == 0)
	t.dead++
	m.settled(t, s.offset)
	return nil
}

// attempts are the finished ones of all generations.
func (m *machine) attempts(t *trigger, offset uint64) ([]Attempt, error) {
	if _, ok := t.progress[offset]; !ok {
		return nil, nil
	}
	value, ok := m.store.get(m.store.key(keyProgress, t.ID, offset))
	if !ok {
		return nil, nil // the store holds its error
	}
	_, attempts, err := readProgress(value)
	return attempts, err
}

func (m *machine) setProgress(t *trigger, offset uint64, p progress, attempts []Attempt) {
	put(&t.progress, offset, p)
	m.store.set(m.store.key(keyProgress, t.ID, offset), p.append(nil, attempts))
}

// current says whether every state entry that was read or written is still as the invocation saw it.
func (m *machine) current(e *effects) bool {
	return m.currentReads(stateScope{e.namespace, e.function, e.key}, e.reads) && m.currentJoint(e)
}

func (m *machine) currentReads(scope stateScope, reads []StateRead) bool {
	for _, r := range reads {
		version := uint64(0)
		if value, ok := m.store.get(m.store.stateKey(scope, r.Name)); ok {
			version = binary.LittleEndian.Uint64(value)
		}
		if version != r.Version {
			return false
		}
	}
	return true
}

func (m *machine) takeEffects(offset uint64, e *effects) error {
	m.write(offset, stateScope{e.namespace, e.function, e.key}, e.writes)
	for i := range e.joints {
		m.write(offset, stateScope{e.namespace, e.joints[i].function, e.key}, e.joints[i].writes)
	}
	for i := range e.foreign {
		f := e.foreign[i]
		if f.to >= uint64(len(m.sent)) {
			return fmt.Errorf("%w: event for partition %d of %d", errDamaged, f.to, len(m.sent))
		}
		m.sent[f.to]++
		m.store.set(m.store.key(keyOutbox, f.to, m.sent[f.to]), wire.AppendUvarint(wire.AppendU64(nil, offset), uint64(i)))
		m.work.sends = append(m.work.sends, send{seq: m.sent[f.to], event: f})
	}
	m.storeAll(offset, e.own)
	return nil
}

func (m *machine) write(offset uint64, scope stateScope, writes []StateWrite) {
	for _, w := range writes {
		key := m.store.stateKey(scope, w.Name)
		if w.Delete {
			m.store.del(key)
			continue
		}
		m.store.set(key, append(wire.AppendU64(make([]byte, 0, 8+len(w.Value)), offset), w.Value...))
	}
}

func (m *machine) applyDelivered(d *deliveredRecord) {
	if d.to >= uint64(len(m.arrived)) || d.seq <= m.arrived[d.to] {
		return
	}
	for seq := m.arrived[d.to] + 1; seq <= d.seq; seq++ {
		m.store.del(m.store.key(keyOutbox, d.to, seq))
	}
	m.arrived[d.to] = d.seq
}

// flush writes what the records since the last flush changed, together with the applied offset, and hands out the work. first is the offset of the first
// of those records.
func (m *machine) flush(first uint64) (workList, error) {
	m.dedup.flush(m.store, first)
	for id, t := range m.touched {
		t.pending.flush(m.store, keyPending, id)
		t.again.flush(m.store, id)
		t.giveBack()
	}
	clear(m.touched)
	m.store.put(m.store.key(keyMeta), m.appendMeta(nil))
	work := m.work
	m.work = workList{}
	return work, m.store.commit()
}

// stateScope is whose state: one function and one event key.
type stateScope struct{ namespace, function, key string }

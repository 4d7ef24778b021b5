package partition

import (
	"fmt"
	"slices"
	"time"

	"github.com/evoke-run/evoke/eventlog"
)

// simSteps is what can happen, and how often. A new ability is a line here.
var simSteps = []struct {
	name   string
	weight int
	run    func(*simWorld)
}{
	{"store", 26, (*simWorld).stepStore},
	{"deliver", 34, (*simWorld).stepDeliver},
	{"publish", 14, (*simWorld).stepPublish},
	{"later", 2, (*simWorld).stepPublishLater},
	{"take", 10, (*simWorld).stepTake},
	{"settle", 18, (*simWorld).stepSettle},
	{"settle batch", 10, (*simWorld).stepSettleBatch},
	{"release", 1, (*simWorld).stepRelease},
	{"perform", 3, (*simWorld).stepPerform},
	{"admit", 2, (*simWorld).stepAdmit},
	{"fire", 5, (*simWorld).stepFire},
	{"call once", 4, (*simWorld).stepCallOnce},
	{"letters", 6, (*simWorld).stepLetters},
	{"desk", 5, (*simWorld).stepDesk},
	{"past", 6, (*simWorld).stepPast},
	{"retention", 3, (*simWorld).stepRetention},
	{"confused", 6, (*simWorld).stepConfused},
	{"triggers", 5, (*simWorld).stepTriggers},
	{"old triggers", 1, (*simWorld).stepOldTriggers},
	{"sleep", 8, (*simWorld).stepSleep},
	{"clock", 1, (*simWorld).stepClock},
	{"checkpoint", 2, (*simWorld).stepCheckpoint},
	{"crash", 1, (*simWorld).stepCrash},
	{"takeover", 1, (*simWorld).stepTakeover},
	{"lost lease", 1, (*simWorld).stepLostLease},
	{"standby", 1, (*simWorld).stepStandby},
	{"export", 2, (*simWorld).stepExport},
	{"late", 3, (*simWorld).stepLate},
	{"copy", 2, (*simWorld).stepCopy},
}

func simWeights() (sum int) {
	for _, s := range simSteps {
		sum += s.weight
	}
	return sum
}

func (w *simWorld) step() {
	n := w.rng.IntN(simWeights())
	for _, s := range simSteps {
		if n -= s.weight; n < 0 {
			s.run(w)
			break
		}
	}
	w.settleDown()
	w.leadIfNone()
}

func (w *simWorld) somePartition() int { return w.rng.IntN(simPartitions) }

// stepStore makes some of what a node appended durable.
func (w *simWorld) stepStore() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	for range 1 + w.rng.IntN(simPartitions) {
		w.store(n, w.somePartition(), 1+w.rng.IntN(6))
	}
}

func (w *simWorld) store(n *simNode, partition, count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, flight := w.stores[partition], n.log.flight[partition]
	count = min(count, len(flight))
	for _, r := range flight[:count] {
		gap := 0
		if w.rng.IntN(20) == 0 {
			gap = w.rng.IntN(2000)
		}
		s.store(r, gap)
		w.logStored(partition, s)
		if w.rng.IntN(12) == 0 {
			s.copies = append(s.copies, r)
		}
	}
	n.log.flight[partition] = flight[count:]
}

func (w *simWorld) logStored(partition int, s *simStore) {
	if w.tracing {
		r := &s.records[len(s.records)-1]
		w.logf("partition %d offset %d: %s", partition, r.Offset, r.read.String())
	}
}

// stepDeliver lets a node hear of what is stored.
func (w *simWorld) stepDeliver() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	again := 0
	if w.rng.IntN(6) == 0 {
		again = w.rng.IntN(4)
	}
	w.deliver(n, w.somePartition(), 1+w.rng.IntN(6), again)
}

func (w *simWorld) deliver(n *simNode, partition, count, again int) {
	if n.log.apply[partition] != nil && n.log.at[partition] < len(w.stores[partition].records) {
		w.logf("epoch %d hears of %d records of partition %d", n.epoch, count, partition)
		n.log.deliver(partition, count, again)
	}
}

// stepLate stores the oldest record of a dead node, or drops what it left.
func (w *simWorld) stepLate() {
	s := w.stores[w.somePartition()]
	if len(s.orphans) == 0 {
		return
	}
	i := w.rng.IntN(len(s.orphans))
	if w.rng.IntN(10) > 0 {
		s.store(s.orphans[i][0], 0)
		w.logf("late:")
		w.logStored(slices.Index(w.stores, s), s)
		s.orphans[i] = s.orphans[i][1:]
	} else {
		s.orphans[i] = nil
	}
	if len(s.orphans[i]) == 0 {
		s.orphans = slices.Delete(s.orphans, i, i+1)
	}
}

// stepCopy stores a record that is stored already.
func (w *simWorld) stepCopy() {
	s := w.stores[w.somePartition()]
	if len(s.copies) == 0 {
		return
	}
	i := w.rng.IntN(len(s.copies))
	var r eventlog.Record = s.copies[i]
	s.copies = slices.Delete(s.copies, i, i+1)
	s.store(r, 0)
	w.logf("again:")
	w.logStored(slices.Index(w.stores, s), s)
}

func (w *simWorld) stepSleep() {
	d := []time.Duration{time.Millisecond, 40 * time.Millisecond, time.Second, 8 * time.Second, simDedupWindow, 90 * time.Second}[w.rng.IntN(6)]
	w.sleepFor(d)
}

// stepClock makes a leader's clock run ahead: what it appends from now on has a time that others reach later.
func (w *simWorld) stepClock() {
	if n := w.someNode(); n != nil {
		p := n.table.parts[w.somePartition()]
		p.appendMu.Lock()
		p.lastTime = max(p.lastTime, time.Now().UnixMilli()+w.rng.Int64N(30_000))
		p.appendMu.Unlock()
		w.logf("epoch %d: the clock of partition %d runs ahead", n.epoch, p.index)
	}
}

func (w *simWorld) stepCheckpoint() {
	if n := w.someNode(); n != nil && len(w.checkpoints) < 6 {
		w.checkpoint(n)
	}
}

// stepCrash kills a node.
func (w *simWorld) stepCrash() { w.kill(w.nodes[w.rng.IntN(len(w.nodes))]) }

// String is a line of the trace.
func (r *simRecord) String() string {
	s := fmt.Sprintf("epoch %d sequence %d %s ", r.epoch, r.seq, time.UnixMilli(r.time).UTC().Format("15:04:05.000"))
	events := ""
	for _, e := range r.events {
		events += fmt.Sprintf(" %s/%s key %q for %v (%s)", e.topic, e.id, e.key, e.triggers, e.data)
	}
	switch r.kind {
	case 1:
		return s + "lead"
	case 2:
		if r.origin == 1 {
			s += fmt.Sprintf("from partition %d number %d", r.peer, r.peerSeq)
		}
		return s + "publish" + events
	case 3, 13:
		return s + fmt.Sprintf("kind %d settle trigger %d offset %d generation %d attempt %d (%s) next %d at %d, parks %t %x, %s%s",
			r.kind, r.trigger, r.offset, r.generation, r.attempt.number, r.attempt.class, r.next, r.retryAt, r.parks, r.lane, r.effects.String(), events)
	case 4:
		return s + "effects of " + r.invocation + " " + r.effects.String() + events
	case 5, 19:
		return s + fmt.Sprintf("matched trigger %d generation %d definition %d from %d to %d: %v later %v", r.trigger, r.generation, r.definition, r.from, r.upTo, r.offsets, r.later)
	case 6, 7, 11:
		return s + fmt.Sprintf("kind %d %q letters %v", r.kind, r.reason, r.letters)
	case 8:
		return s + fmt.Sprintf("delivered to partition %d up to %d", r.peer, r.peerSeq)
	case 9:
		return s + fmt.Sprintf("control generation %d put %s remove %v", r.generation, r.put, r.remove)
	case 10:
		return s + fmt.Sprintf("expire %v", r.topics)
	case 12:
		return s + fmt.Sprintf("trim below %d", r.before)
	case 15:
		return s + fmt.Sprintf("batch trigger %d %v (%s) %s", r.trigger, r.batch, r.attempt.class, r.effects.String()) + events
	case 16:
		return s + fmt.Sprintf("call %q of %s %s", r.key, r.invocation, r.effects.String()) + events
	case 18:
		return s + fmt.Sprintf("admit under rate %x at %d, one in %d, %d at once", r.rate, r.now, r.interval, r.burst)
	case 20:
		return s + fmt.Sprintf("fire trigger %d due %d alone %t", r.trigger, r.due, r.alone) + events
	case 14, 17:
		return s + fmt.Sprintf("kind %d redrive as %v", r.kind, r.as) + events
	}
	return s + fmt.Sprintf("kind %d %+v", r.kind, *r)
}

func (e *simEffects) String() string {
	s := ""
	if len(e.reads)+len(e.writes) > 0 {
		s = fmt.Sprintf("%q reads %v writes %v", e.scope, e.reads, e.writes)
	}
	if len(e.joints) > 0 {
		s += fmt.Sprintf(" beside %+v", e.joints)
	}
	for _, f := range e.foreign {
		s += fmt.Sprintf(" to partition %d: %s/%s", f.to, f.event.topic, f.event.id)
	}
	return s
}

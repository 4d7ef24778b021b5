package partition

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/evoke-run/evoke/event"
)

// This file is what clients of a table do: publish, take, settle, call, redrive, discard, change triggers.

var simKeys = []string{"", "k1", "k2", "k3", "k4"}

// simTriggers are those that come and go, by the last digit of their id. Their order never changes; all else but the topic does.
var simTriggers = map[uint64]Trigger{
	1: {Topic: "a"},
	2: {Topic: "a", Order: "key"},
	3: {Topic: "b", Filter: "type = 'x'"},
	4: {Topic: "out.*", Order: "key"},
	5: {Topic: "b", Order: "key", OnFailure: "park"},
	6: {Topic: "a", Priority: simPriority},
}

// Priorities of the simulation: with ranks 0 and 1, and -1 and 1.
const (
	simPriority      = "type = 'x'"
	simOtherPriority = "LENGTH(subject) - 1"
)

func simDefinition(id uint64) Trigger {
	t := simTriggers[id%10]
	t.ID, t.Namespace, t.Name, t.Function = id, "default", fmt.Sprint("t", id), fmt.Sprint("f", (id+1)/2)
	return t
}

func (w *simWorld) event(id string) (event.Event, string) {
	nonce := w.nonce()
	return event.Event{
		ID: id, Source: "/s", Type: []string{"x", "y"}[w.rng.IntN(2)], Subject: simKeys[w.rng.IntN(len(simKeys))], Data: []byte(nonce),
	}, nonce
}

func (w *simWorld) stepPublish() {
	n := w.someNode()
	if n == nil {
		return
	}
	topic := []string{"a", "b", "a", "nobody"}[w.rng.IntN(4)]
	var events []event.Event
	var nonces []string
	for range 1 + w.rng.IntN(4) {
		ev, nonce := w.event(fmt.Sprint("e", w.rng.IntN(16)))
		events, nonces = append(events, ev), append(nonces, nonce)
	}
	w.logf("epoch %d: publish %v to %s", n.epoch, nonces, topic)
	table := n.table
	w.call(func() func() {
		stored, err := table.Publish(n.ctx, "default", topic, events)
		return func() {
			if w.gone(n, "publish", err) {
				return
			}
			for i, s := range stored {
				w.acknowledged(n, s, nonces[i], topic+" "+events[i].ID)
			}
		}
	})
}

func (w *simWorld) acknowledged(n *simNode, s Stored, nonce, what string) {
	got := fmt.Sprint("stored ", s.Offset)
	if s.Duplicate {
		got = fmt.Sprint("duplicate ", s.Offset)
	} else {
		w.told[nonce] = what
	}
	w.agree(n, s.Partition, nonce, got)
}

// agree checks what a client heard of something against what the model of the node says.
func (w *simWorld) agree(n *simNode, partition int, about, got string) {
	if said := n.models[partition].said[about]; !slices.Contains(said, got) {
		w.found("epoch %d answered %q for %s, the model says %q", n.epoch, got, about, said)
	}
}

// stepPublishLater stores an event that is not due before a time.
func (w *simWorld) stepPublishLater() {
	n := w.someNode()
	if n == nil {
		return
	}
	ev, nonce := w.event("later-" + fmt.Sprint(w.rng.IntN(1000)))
	p, topic, delay := n.table.place("default", ev.Key(), ev.Source, ev.ID), []string{"a", "b"}[w.rng.IntN(2)], []int64{20_000, 120_000}[w.rng.IntN(2)]
	done, err := p.append(&publishRecord{stored: []storedEvent{{
		namespace: "default", topic: topic, notBefore: time.Now().UnixMilli() + w.rng.Int64N(delay), event: ev.AppendBinary(nil),
	}}})
	if err != nil {
		w.gone(n, "append", err)
		return
	}
	w.call(func() func() {
		res, err := p.wait(n.ctx, done)
		return func() {
			if !w.gone(n, "publish for later", err) {
				w.acknowledged(n, res.stored[0], nonce, topic+" "+ev.ID)
			}
		}
	})
}

// stepTake hands out a few events of a trigger, or all of them; then none may be left that has its turn.
func (w *simWorld) stepTake() {
	n := w.someNode()
	if s := w.standby(); s != nil && w.rng.IntN(8) == 0 {
		n = s
	}
	if n == nil {
		return
	}
	id := w.someID()
	if w.rng.IntN(3) > 0 {
		w.take(n, id, 1+w.rng.IntN(4))
		return
	}
	w.takeAll(n, id)
}

func (w *simWorld) takeAll(n *simNode, id uint64) (taken int) {
	_, listed := n.table.Ready()[id]
	taken = w.take(n, id, 10_000)
	if taken > 0 && !listed {
		w.found("trigger %d had %d events to take and was not ready", id, taken)
	}
	if listed && n.knows(0) && n.knows(1) && n.knows(2) {
		w.found("trigger %d is ready at a node that may hand nothing out", id)
	}
	w.checkNothingLeft(n, id)
	return taken
}

func (w *simWorld) take(n *simNode, id uint64, limit int) int {
	list, err := n.table.Take(id, limit)
	if err != nil {
		w.gone(n, "take", err)
	}
	w.checkRanks(n, list)
	for i := range list {
		w.checkBatch(&list[i])
		list = append(list, list[i].More...)
		list[i].More = nil
	}
	for _, d := range list {
		w.logf("epoch %d: taken %s attempt %d", n.epoch, d.Invocation(), d.Attempt)
		w.checkTaken(n, &d)
		h := &simHeld{Delivery: d}
		if h.Event.Key() != "" {
			h.read.Name = "s" + fmt.Sprint(w.rng.IntN(2))
			_, h.read.Version, _ = n.table.State("default", d.Trigger.Function, d.Event.Key(), h.read.Name)
		}
		n.held = append(n.held, h)
	}
	return len(list)
}

func (w *simWorld) someHeld(settling bool) (*simNode, *simHeld) {
	n := w.someNode()
	if n == nil {
		return nil, nil
	}
	var list []*simHeld
	for _, h := range n.held {
		if settling || !h.settling {
			list = append(list, h)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	return n, list[w.rng.IntN(len(list))]
}

func (w *simWorld) stepRelease() {
	if n, h := w.someHeld(false); h != nil {
		w.release(n, h)
	}
}

func (w *simWorld) release(n *simNode, h *simHeld) {
	if n.table != nil && slices.Contains(n.held, h) {
		w.logf("epoch %d: release %s", n.epoch, h.Invocation())
		n.table.Release(&h.Delivery)
		n.drop(h)
	}
}

func (n *simNode) drop(h *simHeld) {
	n.held = slices.DeleteFunc(n.held, func(o *simHeld) bool { return o == h })
}

// stepSettle ends an attempt in one of many ways; sometimes twice, sometimes with a wrong number, sometimes at the node that leads now.
func (w *simWorld) stepSettle() {
	n, h := w.someHeld(w.rng.IntN(12) == 0)
	if h == nil {
		return
	}
	at := n
	if last := w.nodes[len(w.nodes)-1]; last.leads && w.rng.IntN(4) == 0 {
		at = last
	}
	w.settle(n, at, h, w.someNext(), w.rng.IntN(12) == 0)
}

func (w *simWorld) someNext() (next Next) {
	switch w.rng.IntN(12) {
	case 0, 1, 2, 3:
		next.RetryAt = time.Now().Add(time.Duration(w.rng.IntN(5000)-500) * time.Millisecond)
	case 4, 5, 6:
		next.DeadLetter = true
	}
	return next
}

func (w *simWorld) settle(n, at *simNode, h *simHeld, next Next, wrong bool) {
	nonce := w.nonce()
	d := h.Delivery
	a := Attempt{
		Number: d.Attempt, Revision: 1 + w.rng.IntN(9), Start: time.Now(), Duration: time.Duration(w.rng.IntN(1000)) * time.Microsecond,
		Verdict: int32(w.rng.IntN(3)), Class: nonce, Error: "text",
	}
	if wrong && w.rng.IntN(2) == 0 {
		a.Number += 1 - 2*w.rng.IntN(2)
	} else if wrong {
		d.Generation++
	}
	e := w.effects(at, h, nonce)
	if next.DeadLetter { // what is emitted are copies of it for a topic
		e.Reads, e.Writes, e.Joints = nil, nil, nil
	}
	h.settling = true
	w.logf("epoch %d: settle %s attempt %d (%s)", at.epoch, d.Invocation(), a.Number, nonce)
	table := at.table
	w.call(func() func() {
		outcome, err := table.Settle(at.ctx, &d, a, next, e)
		return func() {
			h.settling = false
			if w.gone(at, "settle", err) {
				w.release(n, h)
				return
			}
			w.agree(at, d.ID.Partition, nonce, []string{"applied", "conflict", "stale"}[outcome])
			switch {
			case outcome == Conflict:
				_, h.read.Version, _ = at.table.State("default", d.Trigger.Function, d.Event.Key(), h.read.Name)
			case !wrong:
				n.drop(h)
			}
		}
	})
}

// effects reads and writes one state entry and emits, unless the event was emitted itself.
func (w *simWorld) effects(n *simNode, h *simHeld, nonce string) (e Effects) {
	if h.read.Name != "" && w.rng.IntN(3) > 0 {
		e.Reads = []StateRead{h.read}
		e.Writes = []StateWrite{{Name: h.read.Name, Value: []byte(nonce), Delete: w.rng.IntN(5) == 0}}
		e.Joints = w.joints(n, h.Trigger.Function, h.Event.Key(), nonce)
	}
	if h.Topic == "a" || h.Topic == "b" {
		e.Emits = w.emits(nonce)
	}
	return e
}

func (w *simWorld) emits(nonce string) (list []Emit) {
	for i := range w.rng.IntN(3) {
		ev, _ := w.event(fmt.Sprint(nonce, "-", i))
		list = append(list, Emit{Topic: []string{"out.x", "out.y", "out"}[w.rng.IntN(3)], Event: ev})
	}
	return list
}

// stepPerform stores the effects of a synchronous call.
func (w *simWorld) stepPerform() {
	n := w.someNode()
	if n == nil {
		return
	}
	nonce := w.nonce()
	ev, _ := w.event(nonce)
	s := Scope{Namespace: "default", Function: "f1", Key: ev.Key(), Event: &ev}
	e := Effects{Emits: w.emits(nonce)}
	if s.Key != "" {
		name := "s" + fmt.Sprint(w.rng.IntN(2))
		_, version, _ := n.table.State(s.Namespace, s.Function, s.Key, name)
		e.Reads, e.Writes = []StateRead{{name, version}}, []StateWrite{{Name: name, Value: []byte(nonce)}}
		e.Joints = w.joints(n, s.Function, s.Key, nonce)
	}
	table, partition := n.table, n.table.place(s.Namespace, s.Key, ev.Source, ev.ID).index
	w.call(func() func() {
		outcome, err := table.Perform(n.ctx, s, nonce, e)
		return func() {
			if !w.gone(n, "perform", err) {
				w.agree(n, partition, nonce, []string{"applied", "conflict"}[outcome])
			}
		}
	})
}

// stepTriggers puts a trigger in force, changes it, or takes it out; sometimes several changes come in a row.
func (w *simWorld) stepTriggers() {
	n := w.someNode()
	if n == nil {
		return
	}
	for range 1 + w.rng.IntN(3) {
		id := w.newest(1 + w.rng.Uint64N(uint64(len(simTriggers))))
		t, ok := w.wanted[id]
		switch {
		case !ok && w.rng.IntN(2) == 0:
			w.ids = append(w.ids, id+10) // the registry never gives an id again
			w.wanted[id+10] = simDefinition(id + 10)
			if t := w.wanted[id+10]; w.rng.IntN(4) > 0 {
				t.Start = w.someRange(n)
				w.wanted[id+10] = t
			}
		case !ok:
			w.wanted[id] = simDefinition(id)
		case w.rng.IntN(3) > 0:
			w.wanted[id] = w.changed(t, n)
		default:
			delete(w.wanted, id)
		}
		w.setTriggers(n)
	}
}

// newest is the highest id that has the last digit.
func (w *simWorld) newest(digit uint64) (id uint64) {
	for _, i := range w.ids {
		if i%10 == digit {
			id = max(id, i)
		}
	}
	return id
}

func (w *simWorld) someID() uint64 { return w.ids[w.rng.IntN(len(w.ids))] }

// changed is a trigger with another filter, paused or not, that parks or not, with batches or without, or with a replay.
func (w *simWorld) changed(t Trigger, n *simNode) Trigger {
	switch w.rng.IntN(7) {
	case 6:
		if t.Batch = nil; w.rng.IntN(3) > 0 {
			t.Batch = &Batch{Size: 2 + w.rng.IntN(3)}
		}
	case 0:
		t.Filter = []string{"", "type = 'x'", "type = 'y'"}[w.rng.IntN(3)]
	case 1:
		if t.Priority != "" && w.rng.IntN(2) == 0 {
			t.Priority = []string{simPriority, simOtherPriority}[w.rng.IntN(2)]
			break
		}
		t.Paused = !t.Paused
	case 2, 3:
		if t.OnFailure == "park" {
			t.OnFailure = ""
		} else if t.Order == "key" {
			t.OnFailure = "park"
		}
	default:
		w.replays++
		t.Replay = &Replay{ID: w.replays, Range: *w.someRange(n)}
	}
	return t
}

// someRange is a part of the past as a node knows it, often all of it.
func (w *simWorld) someRange(n *simNode) *Range {
	r := &Range{}
	some := func() (offsets []uint64) {
		for _, m := range n.models {
			offsets = append(offsets, w.rng.Uint64N(m.next+1))
		}
		return offsets
	}
	now := time.Now().UnixMilli()
	switch w.rng.IntN(6) {
	case 0:
		r.From = some()
	case 1:
		r.From, r.To = some(), some()
	case 2:
		r.Since = now - w.rng.Int64N(60_000)
		r.Until = now - w.rng.Int64N(30_000)
	}
	return r
}

func (w *simWorld) setTriggers(n *simNode) {
	w.generation++
	w.callSetTriggers(n, w.generation, slices.Sorted(maps.Keys(w.wanted)))
}

// stepOldTriggers is a node whose registry is behind: it wants what was wanted some time ago. What is in force stays.
func (w *simWorld) stepOldTriggers() {
	if n := w.someNode(); n != nil && w.generation > 0 {
		w.callSetTriggers(n, w.rng.Uint64N(w.generation), []uint64{w.someID()})
	}
}

func (w *simWorld) callSetTriggers(n *simNode, generation uint64, ids []uint64) {
	list := []Trigger{}
	for _, id := range ids {
		t, ok := w.wanted[id]
		if !ok {
			t = simDefinition(id)
		}
		list = append(list, t)
	}
	w.logf("epoch %d: triggers %v of generation %d", n.epoch, ids, generation)
	table := n.table
	w.call(func() func() {
		err := table.SetTriggers(n.ctx, generation, list)
		return func() { w.gone(n, "set triggers", err) }
	})
	w.settleDown()
}

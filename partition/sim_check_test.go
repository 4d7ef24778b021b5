package partition

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

// This file checks what tables do against what the models say.

// afterStep compares every partition that heard of something.
func (w *simWorld) afterStep() {
	for _, n := range w.nodes {
		w.checkDeposed(n)
		if n.table == nil {
			continue
		}
		for p, model := range n.models {
			if n.checked[p] == model.next {
				continue
			}
			n.checked[p] = model.next
			model.check()
			for _, f := range model.findings {
				w.found("epoch %d partition %d: %s", n.epoch, p, f)
			}
			if diff := simDiff(n.table.parts[p].machine, model); diff != "" {
				w.found("epoch %d partition %d at offset %d: %s", n.epoch, p, model.next, diff)
			}
		}
	}
}

// checkBegin: a node follows from its own state on, unless the log does not have what comes next any more. A state that was imported is as the one that was exported.
func (w *simWorld) checkBegin(n *simNode, b simBegin, table *Table, err error) {
	if behind := n.log.behind && w.broken != "behind"; behind != errors.Is(err, ErrBehind) {
		w.found("a state is behind the log: %t, and following gives: %v", behind, err)
	}
	if err != nil {
		if !n.log.behind {
			w.found("follow: %v", err)
		}
		return
	}
	if b.next == nil {
		return
	}
	if table.Directory() != b.directory {
		w.found("the imported state is of directory %x, the exported one of %x", table.Directory(), b.directory)
	}
	for p, next := range b.next {
		if w.broken == "export" {
			next = 1
		}
		if n.log.began[p] != next {
			w.found("partition %d of a state that was exported at offset %d goes on at %d", p, next, n.log.began[p])
		}
	}
}

// checkDeposed: a node that hears that another leads is told, and no other.
func (w *simWorld) checkDeposed(n *simNode) {
	deposed := false
	for _, m := range n.models {
		deposed = deposed || n.epoch > 0 && m.epoch > n.epoch
	}
	if n.lost {
		return
	}
	if (n.deposed != nil) != deposed {
		w.found("epoch %d: another leads, as far as it has heard: %t; it was told: %v", n.epoch, deposed, n.deposed)
	}
}

// knows says whether a node has heard that another leads a partition, or follows only: then it hands nothing out.
func (n *simNode) knows(partition int) bool {
	switch {
	case n.epoch == 0:
		return n.world.broken != "followers"
	case n.lost:
		return n.world.broken != "lost lease"
	}
	return n.models[partition].epoch > n.epoch && n.world.broken != "deposed"
}

// checkTaken: what is handed out is pending, due, the right event, handed out once, and the first of its key.
func (w *simWorld) checkTaken(n *simNode, d *Delivery) {
	model := n.models[d.ID.Partition]
	if n.knows(d.ID.Partition) {
		w.found("taken %s at epoch %d, which knows of epoch %d", d.ID, n.epoch, model.epoch)
	}
	t := model.triggers[d.ID.Trigger]
	if t == nil || t.pending[d.ID.Offset] == nil {
		w.found("taken %s, which is not pending", d.ID)
		return
	}
	p, e := t.pending[d.ID.Offset], model.eventOf(t, d.ID.Offset)
	got := fmt.Sprint(d.Generation, d.Revision, d.Attempt, d.First.IsZero(), d.Topic, d.Stored.UnixMilli(), d.Event.ID, d.Event.Source, d.Event.Key(), string(d.Event.Data))
	want := fmt.Sprint(p.generation, t.special[d.ID.Offset].revision, p.attempts+1, p.first == 0, e.topic, e.time, e.id, e.source, e.key, e.data)
	if got != want || p.first != 0 && d.First.UnixMilli() != p.first || !reflect.DeepEqual(d.Trigger, t.Trigger) {
		w.found("taken %s: %s for %+v, want %s for %+v", d.ID, got, d.Trigger, want, t.Trigger)
	}
	if t.Paused || d.ID.Offset >= t.limit() || t.behind(d.ID.Offset, e.key) {
		w.found("taken %s; the trigger %+v may not have it: it is paused or stands still or works in order, %v", d.ID, t.Trigger, t.lanes)
	}
	if now := time.Now().UnixMilli(); p.next > now {
		w.found("taken %s %d ms before its time", d.ID, p.next-now)
	}
	if n.holds(d.ID) {
		w.found("taken %s, which was taken before", d.ID)
	}
	if t.Order != "key" || e.key == "" {
		return
	}
	for before, q := range t.pending {
		if before == d.ID.Offset || model.events[before].key != e.key {
			continue
		}
		if n.holds(ID{d.ID.Partition, before, d.ID.Trigger}) {
			w.found("taken %s while offset %d of the same key runs", d.ID, before)
		}
		if before < d.ID.Offset && p.generation == q.generation && (p.generation == 0 || p.byRun && q.byRun) {
			w.found("taken %s before offset %d of the same key", d.ID, before)
		}
	}
}

// holds says whether a delivery is out at a node, for the attempt that is the next one.
func (n *simNode) holds(id ID) bool {
	return slices.ContainsFunc(n.held, func(h *simHeld) bool {
		if h.ID != id {
			return false
		}
		t := n.models[id.Partition].triggers[id.Trigger]
		p := t.pending[id.Offset]
		return p != nil && uint64(h.Generation) == p.generation && uint64(h.Attempt) == p.attempts+1
	})
}

// checkNothingLeft: after everything was taken, what is pending is out, or its time has not come, or its key is busy.
func (w *simWorld) checkNothingLeft(n *simNode, id uint64) {
	now := time.Now().UnixMilli() - simBehind()
	for partition, model := range n.models {
		t := model.triggers[id]
		if t == nil || t.Paused || n.knows(partition) {
			continue
		}
		busy := map[string]bool{}
		for offset, p := range t.pending {
			if n.holds(ID{partition, offset, id}) || p.next > now {
				busy[model.events[offset].key] = true
			}
		}
		for offset, p := range t.pending {
			key := model.events[offset].key
			waits := t.Order == "key" && key != "" && busy[key] || t.behind(offset, key) || offset >= t.limit()
			if !n.holds(ID{partition, offset, id}) && p.next <= now && !waits {
				w.found("epoch %d: %s is due and free and was not handed out", n.epoch, ID{partition, offset, id})
			}
		}
	}
}

// flow stores and delivers everything until nothing is left.
func (w *simWorld) flow() {
	for moved := true; moved; {
		moved = false
		for _, n := range slices.Clone(w.nodes) {
			for p := range simPartitions {
				if n.dead {
					continue
				}
				moved = moved || len(n.log.flight[p]) > 0 || n.log.at[p] < len(w.stores[p].records)
				w.store(n, p, 1000)
				w.deliver(n, p, 1000, 0)
				w.settleDown()
			}
		}
	}
}

// drain lets the newest node finish everything, and counts.
func (w *simWorld) drain() {
	for len(w.nodes) > 1 || w.nodes[0].epoch < w.epoch || w.nodes[0].lost { // a leader that was deposed stays so, also when the one after it is dead
		w.kill(w.nodes[0])
		w.leadIfNone()
	}
	w.flow()
	n := w.nodes[0]
	if !n.leads {
		w.found("epoch %d does not lead", n.epoch)
		return
	}
	for id, t := range w.wanted {
		t.Paused = false
		w.wanted[id] = t
	}
	w.setTriggers(n)
	w.flow()
	for round, idle := 0, 0; idle < 30 && w.finding() == ""; round++ {
		taken := 0
		for _, id := range w.ids {
			taken += w.takeAll(n, id)
		}
		for _, h := range slices.Clone(n.held) {
			if h.settling { // in a batch
				continue
			}
			if w.rng.IntN(3) == 0 {
				w.settleBatch(n, n, h, false)
				continue
			}
			next := Next{}
			if round < 6 {
				next = w.someNext()
			}
			w.settle(n, n, h, next, false)
		}
		w.settleDown()
		if round < 6 {
			w.stepLetters()
			w.stepDesk()
			w.stepRetention()
			w.stepSleep()
			w.settleDown()
		}
		w.lookThroughPast(n)
		w.freeKeys(n)
		w.flow()
		w.afterStep()
		switch {
		case taken > 0 || len(n.held) > 0 || n.looksBack():
			idle = 0
		case n.pending() == 0:
			w.count(n)
			w.checkNothingStays(n)
			return
		default:
			idle++
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
	}
	if w.finding() == "" {
		w.found("%d events are pending for ever", n.pending())
	}
}

func (n *simNode) pending() (sum int) {
	for _, m := range n.models {
		for _, t := range m.triggers {
			sum += len(t.pending)
		}
	}
	return sum
}

// count looks at all partitions together: every acknowledged event is there once, every effect happened once, and between two partitions in order.
func (w *simWorld) count(n *simNode) {
	there := map[string]int{}
	var want, got []string
	for p, model := range n.models {
		for _, e := range model.events {
			there[e.data]++
			if strings.HasPrefix(e.topic, "out") {
				got = append(got, e.topic+" "+e.id)
			}
		}
		want = append(want, model.emitted...)
		for to := range uint64(simPartitions) {
			w.countPair(n, uint64(p), to)
		}
	}
	for nonce, what := range w.told {
		if there[nonce] != 1 {
			w.found("event %s (%s) was acknowledged and is there %d times", nonce, what, there[nonce])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.found("emitted events are %v, want %v", got, want)
	}
	for _, topic := range []string{"a", "b", "nobody", "out", "out.x", "out.y"} {
		w.checkTail(n, topic)
	}
}

// countPair compares what one partition sent to another with what arrived there.
func (w *simWorld) countPair(n *simNode, from, to uint64) {
	sender, receiver := n.models[from], n.models[to]
	if len(sender.outbox) > 0 || sender.sent[to] != sender.arrived[to] || sender.sent[to] != receiver.received[from] {
		w.found("partition %d sent %d events to %d, heard of %d, there came %d", from, sender.sent[to], to, sender.arrived[to], receiver.received[from])
	}
	var came []string
	for _, offset := range receiver.order {
		if e := receiver.events[offset]; e.from == int(from) {
			came = append(came, e.topic+" "+e.id)
		}
	}
	if !slices.Equal(came, sender.sentTo[to]) {
		w.found("partition %d sent %v to %d, there came %v", from, sender.sentTo[to], to, came)
	}
}

// checkTail reads a topic as people do.
func (w *simWorld) checkTail(n *simNode, topic string) {
	var got, want []string
	_, err := n.table.Tail("default", topic, Cursor{}, time.Time{}, 0, func(r TopicRecord) error {
		got = append(got, fmt.Sprint(r.Partition, r.Offset, r.Time.UnixMilli(), r.Event.ID, string(r.Event.Data)))
		return nil
	})
	for p, model := range n.models {
		for offset, e := range model.events {
			if e.topic == topic && model.index[offset] {
				want = append(want, fmt.Sprint(p, offset, e.time, e.id, e.data))
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		w.found("tail of %s gives %v, %v, want %v", topic, got, err, want)
	}
}

// simBehind is by how much the clock of who takes is behind, as the time has it: by up to 3 ms mostly, and sometimes by seconds.
func simBehind() int64 {
	chance := time.Now().UnixMilli() * 0x9e3779b1 >> 7
	if chance&7 == 0 {
		return chance >> 3 & 0xfff
	}
	return chance >> 3 & 3
}

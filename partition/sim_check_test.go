package partition

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// This file compares what tables hold with what the models say.

// afterStep compares every partition that heard of something.
func (w *simWorld) afterStep() {
	for _, n := range w.nodes {
		if n.table == nil {
			continue
		}
		for p, model := range n.models {
			for _, f := range model.findings {
				w.found("epoch %d partition %d: %s", n.epoch, p, f)
			}
			if n.checked[p] == model.next {
				continue
			}
			n.checked[p] = model.next
			if diff := simDiff(n.table.parts[p].machine, model); diff != "" {
				w.found("epoch %d partition %d at offset %d: %s", n.epoch, p, model.next, diff)
			}
		}
	}
}

// simDiff says where a machine is not as the model; "" when it is.
func simDiff(m *machine, s *simState) string {
	got := []any{m.next, m.epoch, m.seq, m.generation, m.clock, len(m.triggers)}
	want := []any{s.next, s.epoch, s.seq, s.generation, s.clock, len(s.triggers)}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("next, epoch, sequence, generation, clock, triggers are %v, want %v", got, want)
	}
	for i := range s.partitions {
		if m.received[i] != s.received[i] || m.sent[i] != s.sent[i] || m.arrived[i] != s.arrived[i] {
			return fmt.Sprintf("partition %d: received %d, sent %d, arrived %d, want %d, %d, %d",
				i, m.received[i], m.sent[i], m.arrived[i], s.received[i], s.sent[i], s.arrived[i])
		}
	}
	if got, want := simRemembered(m.dedup.entries, s), s.remembered(s.seen); !slices.Equal(got, want) {
		return fmt.Sprintf("remembers the events at offsets %v, want %v", got, want)
	}
	for id, want := range s.triggers {
		if diff := simDiffTrigger(m.triggers[id], want); diff != "" {
			return fmt.Sprintf("trigger %d: %s", id, diff)
		}
	}
	return simDiffStore(m.store, s)
}

// simRemembered are the offsets of events that would make another one a duplicate. A state that was loaded also has some that the next publish forgets.
func simRemembered(entries []dedupEntry, s *simState) []uint64 {
	var list []simSeen
	for _, e := range entries {
		list = append(list, simSeen{offset: e.offset, time: e.time})
	}
	return s.remembered(list)
}

func simDiffTrigger(got *trigger, want *simTrigger) string {
	if got == nil {
		return "is missing"
	}
	if got.Trigger != want.Trigger || got.gone != want.gone {
		return fmt.Sprintf("is %+v gone=%t, want %+v gone=%t", got.Trigger, got.gone, want.Trigger, want.gone)
	}
	if got.pending.count != len(want.pending) || got.dead != len(want.dead) {
		return fmt.Sprintf("has %d pending and %d dead letters, want %d and %d", got.pending.count, got.dead, len(want.pending), len(want.dead))
	}
	for offset, p := range want.pending {
		if !got.pending.has(offset) {
			return fmt.Sprintf("offset %d is not pending", offset)
		}
		g := got.progress[offset]
		if uint64(g.generation) != p.generation || uint64(g.attempts) != p.attempts || g.first != p.first || g.next != p.next {
			return fmt.Sprintf("offset %d is at %+v, want %+v", offset, g, *p)
		}
	}
	for offset := range got.progress {
		if want.pending[offset] == nil {
			return fmt.Sprintf("offset %d has progress and is not pending", offset)
		}
	}
	return ""
}

// simDiffStore looks at every entry of the state on disk.
func simDiffStore(st *store, s *simState) (diff string) {
	seen := map[byte]int{}
	err := scan(st.db, st.key(0)[:2], func(key, value []byte) error {
		seen[key[0]]++
		if d := simDiffEntry(key[0], key[1:], value, s); d != "" && diff == "" {
			diff = fmt.Sprintf("entry %c %x: %s", key[0], key[1:], d)
		}
		return nil
	})
	if err != nil {
		return err.Error()
	}
	dead, progress := 0, 0
	for _, t := range s.triggers {
		dead += len(t.dead)
		for _, p := range t.pending {
			if p.generation+p.attempts > 0 || p.next > 0 {
				progress++
			}
		}
	}
	for kind, want := range map[byte]int{
		keyTrigger: len(s.triggers), keyDeadLetter: dead, keyProgress: progress,
		keyOutbox: len(s.outbox), keyState: len(s.state), keyIndex: len(s.events),
	} {
		if diff == "" && seen[kind] != want {
			diff = fmt.Sprintf("%d entries %c, want %d", seen[kind], kind, want)
		}
	}
	return diff
}

func simDiffEntry(kind byte, key, value []byte, s *simState) string {
	first, last := uint64(0), uint64(0)
	if len(key) >= 8 {
		first, last = binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[len(key)-8:])
	}
	switch kind {
	case keyIndex:
		e, ok := s.events[last]
		r := wire.NewReader(value)
		if at, size := int64(r.U64()), int(r.U32()); !ok || string(key[:len(key)-8]) != e.namespace+"\x00"+e.topic+"\x00" || at != e.time || size != len(e.bytes) {
			return fmt.Sprintf("the index has %s at %d, the model %+v", key, last, e)
		}
	case keyState:
		r := wire.NewReader(key)
		k := [4]string{r.String(), r.String(), r.String(), string(r.Rest())}
		content, version, err := splitState(value)
		if want := s.state[k]; err != nil || string(content) != want.value || version != want.version {
			return fmt.Sprintf("state %q is %s version %d, want %v", k, content, version, want)
		}
	case keyOutbox:
		if _, ok := s.outbox[[2]uint64{first, last}]; !ok {
			return fmt.Sprintf("the outbox to %d has number %d", first, last)
		}
	case keyProgress:
		_, past, err := readProgress(value)
		if p := s.triggers[first].pending[last]; err != nil || p == nil || !simSameAttempts(past, p.past) {
			return fmt.Sprintf("attempts of %d are %v, want %+v", last, past, p)
		}
	case keyDeadLetter:
		d, err := readDeadLetter(value)
		want, ok := s.triggers[first].dead[last]
		if err != nil || !ok || uint64(d.generation) != want.generation || d.time != want.time || !simSameAttempts(d.attempts, want.past) {
			return fmt.Sprintf("dead letter %d is %+v, want %+v", last, d, want)
		}
	}
	return ""
}

func simSameAttempts(got []Attempt, want []simAttempt) bool {
	return slices.EqualFunc(got, want, func(g Attempt, w simAttempt) bool {
		return uint64(g.Number) == w.number && uint64(g.Revision) == w.revision && g.Start.UnixMilli() == w.start &&
			uint64(g.Duration.Microseconds()) == w.micros && byte(g.Verdict) == w.verdict && g.Class == w.class && g.Error == w.text
	})
}

// checkTaken: what is handed out is pending, due, the right event, handed out once, and the first of its key.
func (w *simWorld) checkTaken(n *simNode, d *Delivery) {
	model := n.models[d.ID.Partition]
	t := model.triggers[d.ID.Trigger]
	if t == nil || t.pending[d.ID.Offset] == nil {
		w.found("taken %s, which is not pending", d.ID)
		return
	}
	p, e := t.pending[d.ID.Offset], model.events[d.ID.Offset]
	got := fmt.Sprint(d.Generation, d.Attempt, d.First.IsZero(), d.Trigger, d.Topic, d.Stored.UnixMilli(), d.Event.ID, d.Event.Source, d.Event.Key(), string(d.Event.Data))
	want := fmt.Sprint(p.generation, p.attempts+1, p.first == 0, t.Trigger, e.topic, e.time, e.id, e.source, e.key, e.data)
	if got != want || p.first != 0 && d.First.UnixMilli() != p.first {
		w.found("taken %s: %s, want %s", d.ID, got, want)
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
		if before < d.ID.Offset && p.generation == 0 && q.generation == 0 {
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
	now := time.Now().UnixMilli()
	for partition, model := range n.models {
		t := model.triggers[id]
		if t == nil {
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
			if !n.holds(ID{partition, offset, id}) && p.next <= now && !(t.Order == "key" && key != "" && busy[key]) {
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
	for len(w.nodes) > 1 || w.nodes[0].epoch < w.epoch { // a leader that was deposed stays so, also when the one after it is dead
		w.kill(w.nodes[0])
		w.bootIfNone()
	}
	w.flow()
	n := w.nodes[0]
	if n.table == nil {
		w.found("epoch %d does not open", n.epoch)
		return
	}
	w.setTriggers(n)
	w.flow()
	for round, idle := 0, 0; idle < 30 && w.finding() == ""; round++ {
		taken := 0
		for id := range uint64(len(simTriggers)) {
			taken += w.takeAll(n, id+1)
		}
		for _, h := range slices.Clone(n.held) {
			next := Next{}
			if round < 6 {
				next = w.someNext()
			}
			w.settle(n, n, h, next, false)
		}
		w.settleDown()
		if round < 6 {
			w.stepLetters()
			w.stepSleep()
			w.settleDown()
		}
		w.flow()
		w.afterStep()
		switch {
		case taken > 0 || len(n.held) > 0:
			idle = 0
		case n.pending() == 0:
			w.count(n)
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
			if e.topic == topic {
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

package partition

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// This file is what a leader appends that has not heard of the newest: records that apply must judge, because nothing before it can.

// simOutOfOrder is the class of an attempt that did not wait for its turn.
const simOutOfOrder = "out of order"

// stepConfused appends a record that is no longer true.
func (w *simWorld) stepConfused() {
	n := w.someNode()
	if n == nil {
		return
	}
	p := n.table.parts[w.somePartition()]
	for _, b := range w.confused(n, p) {
		w.logf("epoch %d: confused, partition %d", n.epoch, p.index)
		if _, err := p.append(b); err != nil {
			w.gone(n, "append", err)
		}
	}
	w.settleDown()
}

func (w *simWorld) confused(n *simNode, p *partition) []body {
	m, peer := p.machine, w.rng.IntN(simPartitions)
	switch w.rng.IntN(12) {
	case 0: // delivered, after a later one
		return []body{&deliveredRecord{to: uint64(peer), seq: w.rng.Uint64N(m.arrived[peer] + 1)}}
	case 1: // an event of an outbox that was here before
		ev, _ := w.event("again")
		return []body{&publishRecord{origin: originOutbox, from: uint64(peer), seq: w.rng.Uint64N(m.received[peer] + 1), stored: []storedEvent{
			{namespace: "default", topic: "out.x", event: ev.AppendBinary(nil)},
		}}}
	case 2: // triggers of an older generation
		if m.generation == 0 {
			return nil
		}
		return []body{&controlRecord{generation: m.generation - 1, remove: []uint64{1, 2, 3, 4, 5}}}
	case 3, 4:
		return w.confusedStep(n, p)
	case 5:
		return []body{&trimRecord{before: []uint64{w.rng.Uint64N(m.floor + 1), 1 << 40}[w.rng.IntN(2)]}}
	case 6, 9, 10, 11:
		return w.confusedHead(n, p)
	}
	// dead letters of another generation, and of one that is known
	var letters []letter
	for _, id := range w.ids {
		if t := m.triggers[id]; t != nil {
			letters = append(letters, w.confusedLetters(m, t)...)
		}
	}
	if len(letters) == 0 {
		return nil
	}
	all := []body{&redriveRecord{letters: notReplayed(p, letters)}, &discardRecord{reason: "confused", letters: letters}, &lapseRecord{reason: "confused", letters: w.noneOf(n, p, letters)}}
	return all[w.rng.IntN(3):][:1]
}

// notReplayed leaves out what no leader redrives so, however confused it is: letters of triggers that are replayed.
func notReplayed(p *partition, letters []letter) []letter {
	return slices.DeleteFunc(slices.Clone(letters), func(l letter) bool { return p.replayed[l.trigger] })
}

// noneOf gives letters generations that their events do not have.
func (w *simWorld) noneOf(n *simNode, p *partition, letters []letter) (list []letter) {
	for _, l := range letters {
		l.generation = 1000
		if t := n.models[p.index].triggers[l.trigger]; t.pending[l.offset] == nil {
			l.generation = uint32(t.dead[l.offset].generation)
		}
		list = append(list, l)
	}
	return list
}

// confusedStep is a step of a run that is not its next one, or that was looked for before the log was trimmed.
func (w *simWorld) confusedStep(n *simNode, p *partition) []body {
	s, ok := p.nextStep()
	if !ok {
		return nil
	}
	r, err := (&catchUp{table: p.table, candidates: map[stepKey]*candidates{}}).look(p, s)
	if err != nil {
		w.gone(n, "look", err)
		return nil
	}
	what := w.rng.IntN(3)
	if r.from < p.machine.floor {
		what = 3
	}
	switch what {
	case 0:
		r.generation = 1000 // the next one may be that of a run that comes after this one, and then it would be believed
	case 1:
		r.definition--
	case 2:
		if r.from, r.offsets = r.from+1, nil; r.from == r.upTo {
			return nil
		}
	default:
		var below []uint64
		for offset := r.from; offset < min(r.upTo, p.machine.floor) && len(below) < 3; offset++ {
			below = append(below, offset)
		}
		r.offsets = append(below, r.offsets...)
	}
	return []body{r}
}

// confusedHead gives up on an event whatever comes before it in its key, as if it had run before its trigger was ordered.
func (w *simWorld) confusedHead(n *simNode, p *partition) []body {
	model := n.models[p.index]
	for _, id := range w.ids {
		t := model.triggers[id]
		if t == nil || t.Order != "key" {
			continue
		}
		for _, offset := range slices.Sorted(maps.Keys(t.pending)) {
			if at, key := t.pending[offset], model.events[offset].key; key != "" && (w.rng.IntN(4) == 0 || t.behind(offset, key)) {
				return []body{&gaveUpRecord{
					trigger: id, offset: offset, generation: uint32(at.generation), parks: true, lane: laneOf(key),
					attempt: Attempt{Number: int(at.attempts + 1), Start: time.Now(), Class: simOutOfOrder},
				}}
			}
		}
	}
	return nil
}

func (w *simWorld) confusedLetters(m *machine, t *trigger) (list []letter) {
	for offset, ok := t.pending.next(0); ok; offset, ok = t.pending.next(offset + 1) {
		list = append(list, letter{trigger: t.ID, offset: offset})
	}
	for _, offset := range m.deadOffsets(t.ID) {
		list = append(list, letter{trigger: t.ID, offset: offset, generation: uint32(w.rng.IntN(3))})
	}
	return list
}

// deadOffsets are the offsets of a trigger's dead letters.
func (m *machine) deadOffsets(id uint64) (list []uint64) {
	m.store.keep(scan(m.store.db, m.store.key(keyDeadLetter, id), func(rest, _ []byte) error {
		list = append(list, binary.BigEndian.Uint64(rest))
		return nil
	}))
	return list
}

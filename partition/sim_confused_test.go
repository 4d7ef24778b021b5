package partition

import "encoding/binary"

// This file is what a leader appends that has not heard of the newest: records that apply must judge, because nothing before it can.

// stepConfused appends a record that is no longer true.
func (w *simWorld) stepConfused() {
	n := w.someNode()
	if n == nil {
		return
	}
	p := n.table.parts[w.somePartition()]
	for _, b := range w.confused(p.machine) {
		w.logf("epoch %d: confused, partition %d", n.epoch, p.index)
		if _, err := p.append(b); err != nil {
			w.found("append: %v", err)
		}
	}
	w.settleDown()
}

func (w *simWorld) confused(m *machine) []body {
	peer := w.rng.IntN(simPartitions)
	switch w.rng.IntN(4) {
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
	}
	// dead letters of another generation, and of one that is known
	var letters []letter
	for id := range uint64(len(simTriggers)) {
		if t := m.triggers[id+1]; t != nil {
			letters = append(letters, w.confusedLetters(m, t)...)
		}
	}
	if len(letters) == 0 {
		return nil
	}
	return []body{&redriveRecord{letters: letters}, &discardRecord{reason: "confused", letters: letters}}[w.rng.IntN(2):][:1]
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

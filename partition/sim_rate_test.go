package partition

import (
	"fmt"
	"time"
)

// This file is what the model and the clients of the simulation know of rates and ranks. The model has a bucket that leaks where apply has a time.

// simRate is a bucket as it was at a time: a level in nanoseconds of what leaks out.
type simRate struct{ time, level int64 }

func (s *simState) admit(_ uint64, rec *simRecord) {
	for id, r := range s.rates {
		if s.holds("rate is forgotten") && r.time+r.level <= rec.now {
			delete(s.rates, id)
		}
	}
	room := rec.interval * rec.burst
	if !s.holds("burst") {
		room = rec.interval
	}
	r := s.rates[rec.rate]
	level := max(0, r.level-(rec.now-r.time))
	if s.holds("rate of a clock set back") && level > room {
		level = room
		s.rates[rec.rate] = simRate{rec.now, level}
	}
	about := simRateName(rec.rate, rec.now)
	if s.holds("rate") && level+rec.interval > room {
		s.say(about, fmt.Sprint("throttled ", rec.now+level+rec.interval-room))
		return
	}
	level += rec.interval
	s.rates[rec.rate] = simRate{rec.now, level}
	s.say(about, fmt.Sprint("applied ", max(rec.now, rec.now+level+rec.interval-room)))
}

func simRateName(id string, now int64) string { return fmt.Sprintf("rate %x at %d", id, now) }

// stepAdmit asks to begin under one of a few rates, with a clock that goes ahead and back. What a rate allows may change.
func (w *simWorld) stepAdmit() {
	n := w.someNode()
	if n == nil {
		return
	}
	id := identity{byte(w.rng.IntN(2 * simPartitions))}
	p := n.table.parts[int(id[0])%len(n.table.parts)]
	a := &admitRecord{
		id: id, now: time.Now().UnixNano() + w.rng.Int64N(1000), burst: 1 + w.rng.Uint64N(3),
		interval: []int64{int64(time.Second), int64(20 * time.Second)}[w.rng.IntN(2)],
	}
	if w.rng.IntN(6) == 0 {
		a.now += (w.rng.Int64N(5) - 2) * int64(time.Minute)
	}
	w.logf("epoch %d: admit %x at %d, one in %d, %d at once", n.epoch, id, a.now, a.interval, a.burst)
	w.call(func() func() {
		res, err := p.do(n.ctx, a)
		return func() {
			if !w.gone(n, "admit", err) {
				w.agree(n, p.index, simRateName(string(id[:]), a.now), fmt.Sprint(map[Outcome]string{Applied: "applied ", Throttled: "throttled "}[res.outcome], res.at))
			}
		}
	})
}

// checkRanks: who is handed out for the first time has no one before him of higher rank, or of the same and earlier, who is left behind.
func (w *simWorld) checkRanks(n *simNode, list []Delivery) {
	if n.looked == nil {
		n.looked = map[ID]bool{}
	}
	taken := map[ID]bool{}
	for i := range list {
		for d := range list[i].All() {
			taken[d.ID] = true
		}
	}
	now := time.Now().UnixMilli()
	for _, d := range list {
		t := n.models[d.ID.Partition].triggers[d.ID.Trigger]
		if t == nil || t.Priority == "" || t.Batch != nil || n.looked[d.ID] || t.pending[d.ID.Offset] == nil || !t.pending[d.ID.Offset].stored ||
			t.pending[d.ID.Offset].next != 0 { // what has come due is before all that was not looked at
			continue
		}
		mine := t.pending[d.ID.Offset].rank
		for offset, p := range t.pending {
			id := ID{d.ID.Partition, offset, d.ID.Trigger}
			if p.rank > mine && p.stored && p.next <= now && p.next == 0 && offset < t.limit() && !taken[id] && !n.holds(id) {
				w.found("taken %s of rank %d before offset %d of rank %d", d.ID, mine, offset, p.rank)
			}
		}
	}
	for id := range taken {
		n.looked[id] = true
	}
}

package partition

import (
	"fmt"
	"slices"
	"time"
)

// This file is batches, and calls that happen once: docs/log.md section 4, "batch" and "call".

// simReplyAge is short, because a bubble of synctest with a database in it takes long for a day.
const simReplyAge = 20 * time.Second

// simReply is what a call under a key has brought.
type simReply struct {
	time           int64
	request, reply string
}

func (s *simState) settleBatch(offset uint64, rec *simRecord) {
	about, t := rec.attempt.class, s.triggers[rec.trigger]
	for _, e := range rec.batch {
		if t == nil || t.pending[e[0]] == nil {
			s.say(about, "stale")
			return
		}
		if p := t.pending[e[0]]; s.holds("batch attempt") && (e[1] != p.generation || e[2] != p.attempts+1) {
			s.say(about, "stale")
			return
		}
	}
	if !s.current(rec.effects) {
		s.say(about, "conflict")
		return
	}
	for i, e := range rec.batch {
		if i > 0 && !s.holds("whole batch") {
			break
		}
		s.checkOrder(t, e[0])
		delete(t.pending, e[0])
		s.finish(t, e[0])
	}
	s.take(offset, rec.effects)
	s.say(about, "applied")
}

func (s *simState) calledOnce(offset uint64, rec *simRecord) {
	for key, r := range s.replies {
		if s.holds("reply age") && r.time <= s.clock-simReplyAge.Milliseconds() {
			delete(s.replies, key)
		}
	}
	key := [4]string{rec.effects.scope[0], rec.effects.scope[1], rec.effects.scope[2], rec.key}
	if _, ok := s.replies[key]; ok && s.holds("call once") {
		s.say(rec.invocation, "answered")
		return
	}
	if !s.current(rec.effects) {
		s.say(rec.invocation, "conflict")
		return
	}
	s.replies[key] = simReply{s.clock, rec.request, rec.reply}
	s.take(offset, rec.effects)
	s.say(rec.invocation, "applied")
}

// stepSettleBatch settles some of what a trigger has handed out in one partition together, sometimes with one of them wrong.
func (w *simWorld) stepSettleBatch() {
	n, h := w.someHeld(false)
	if h == nil {
		return
	}
	at := n
	if last := w.nodes[len(w.nodes)-1]; last.leads && w.rng.IntN(4) == 0 {
		at = last
	}
	w.settleBatch(n, at, h, w.rng.IntN(6) == 0)
}

func (w *simWorld) settleBatch(n, at *simNode, h *simHeld, wrong bool) {
	group := []*simHeld{h}
	for _, o := range n.held {
		twice := slices.ContainsFunc(group, func(g *simHeld) bool { return g.ID == o.ID }) // an attempt that nobody has heard the end of, and the next
		if !twice && o.ID.Trigger == h.ID.Trigger && o.ID.Partition == h.ID.Partition && !o.settling && len(group) < 4 && w.rng.IntN(4) > 0 {
			group = append(group, o)
		}
	}
	nonce := w.nonce()
	d := h.Delivery
	for _, o := range group {
		if o.settling = true; o != h {
			d.More = append(d.More, o.Delivery)
		}
	}
	if one := slices.Collect(d.All())[w.rng.IntN(len(group))]; wrong && w.rng.IntN(2) == 0 {
		one.Attempt++
	} else if wrong {
		one.Generation++
	}
	var e Effects
	if h.Topic == "a" || h.Topic == "b" {
		e.Emits = w.emits(nonce)
	}
	w.logf("epoch %d: settle a batch of %d with %s (%s)", at.epoch, len(group), d.Invocation(), nonce)
	table := at.table
	w.call(func() func() {
		outcome, err := table.SettleBatch(at.ctx, &d, Attempt{Number: d.Attempt, Revision: 1, Start: time.Now(), Class: nonce}, e)
		return func() {
			if !w.gone(at, "settle a batch", err) {
				w.agree(at, d.ID.Partition, nonce, []string{"applied", "conflict", "stale"}[outcome])
			}
			for _, o := range group {
				o.settling = false
				w.release(n, o) // those that are settled do not come again
			}
		}
	})
}

// checkBatch: what comes together has never failed, is for no revision of choice, is no more than asked for, and has one event of each key that is kept in order.
func (w *simWorld) checkBatch(d *Delivery) {
	if len(d.More) == 0 {
		return
	}
	if d.Trigger.Batch == nil || len(d.More) >= d.Trigger.Batch.Size {
		w.found("taken %d events with %s of %+v", len(d.More), d.ID, d.Trigger)
	}
	keys := map[string]bool{}
	for one := range d.All() {
		key := one.Event.Key()
		if one.Attempt > 1 || one.Revision != 0 || one.ID.Trigger != d.ID.Trigger || one.ID.Partition != d.ID.Partition || d.Trigger.Order == "key" && key != "" && keys[key] {
			w.found("taken %s attempt %d revision %d in a batch with %s", one.ID, one.Attempt, one.Revision, d.ID)
		}
		keys[key] = true
	}
}

// stepCallOnce stores the effects and reply of a synchronous call that others may have made before.
func (w *simWorld) stepCallOnce() {
	n := w.someNode()
	if n == nil {
		return
	}
	nonce := w.nonce()
	ev, _ := w.event(nonce)
	s := Scope{Namespace: "default", Function: "f1", Key: ev.Key(), Event: &ev}
	once := Once{Key: fmt.Sprint("call-", w.rng.IntN(3)), Request: [16]byte{byte(w.rng.IntN(3))}}
	e := Effects{Emits: w.emits(nonce)}
	if s.Key != "" {
		name := "s" + fmt.Sprint(w.rng.IntN(2))
		_, version, _ := n.table.State(s.Namespace, s.Function, s.Key, name)
		e.Reads, e.Writes = []StateRead{{name, version}}, []StateWrite{{Name: name, Value: []byte(nonce)}}
		e.Joints = w.joints(n, s.Function, s.Key, nonce)
	}
	table, partition := n.table, n.table.placeOnce(s, once.Key).index
	w.call(func() func() {
		outcome, err := table.PerformOnce(n.ctx, s, nonce, once, []byte(nonce), e)
		return func() {
			if w.gone(n, "call once", err) {
				return
			}
			w.agree(n, partition, nonce, []string{"applied", "conflict", "stale", "answered"}[outcome])
		}
	})
}

// simDiffReplies says where the replies of a machine, or those on disk, are not those of the model.
func simDiffReplies(m *machine, s *simState) string {
	if len(m.replies) != len(s.replies) {
		return fmt.Sprintf("%d replies are kept, want %d", len(m.replies), len(s.replies))
	}
	for key, want := range s.replies {
		id := identifyCall(stateScope{key[0], key[1], key[2]}, key[3])
		value, ok, err := read(m.store.db, m.store.replyKey(id))
		r := &simReader{value}
		if err != nil || !ok {
			return fmt.Sprintf("the reply of call %q is not kept, %v", key, err)
		}
		if got := (simReply{int64(r.u64()), string(r.take(16)), string(r.b)}); got != want {
			return fmt.Sprintf("the reply of call %q is %v, want %v", key, got, want)
		}
	}
	return ""
}

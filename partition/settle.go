package partition

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/evoke-run/evoke/event"
)

// Settle stores the outcome of an attempt, with its effects when the event is done, and returns when it is applied. Of an event that is given up on only the
// emitted events are kept: copies of it for a dead-letter topic.
func (t *Table) Settle(ctx context.Context, d *Delivery, a Attempt, n Next, e Effects) (Outcome, error) {
	p := t.parts[d.ID.Partition]
	record := &settleRecord{trigger: d.ID.Trigger, offset: d.ID.Offset, generation: d.Generation, attempt: a}
	b := body(record)
	switch {
	case n.DeadLetter:
		b = t.gaveUp(d, record, n, e)
	case !n.RetryAt.IsZero():
		record.next, record.retryAt = nextRetry, n.RetryAt.UnixMilli()
	case n.Cancel: // settled by an attempt that is not done and brings nothing
	default:
		record.effects = t.effects(p, scopeOf(d), e)
	}
	res, err := p.do(ctx, b)
	if err == nil {
		t.metrics.settled(record.next, n.Cancel, res.outcome, 1)
	}
	return res.outcome, err
}

func scopeOf(d *Delivery) stateScope {
	return stateScope{namespace: d.Trigger.Namespace, function: d.Trigger.Function, key: d.Event.Key()}
}

// Scope says whose effects and state a synchronous call has: those of a function and a key. Without a key, Event places them and there is no state.
type Scope struct {
	Namespace, Function, Key string
	Event                    *event.Event
}

func (s *Scope) state() stateScope { return stateScope{s.Namespace, s.Function, s.Key} }

// Perform stores the effects of a synchronous call and returns when they are applied.
func (t *Table) Perform(ctx context.Context, s Scope, invocation string, e Effects) (Outcome, error) {
	p := t.place(s.Namespace, s.Key, s.Event.Source, s.Event.ID)
	res, err := p.do(ctx, &effectsRecord{invocation: invocation, effects: t.effects(p, s.state(), e)})
	return res.outcome, err
}

// State reads an entry of keyed state. Version 0 means there is none.
func (t *Table) State(namespace, function, key, name string) (value []byte, version uint64, err error) {
	p := t.place(namespace, key, "", "")
	raw, ok, err := read(t.db, p.machine.store.stateKey(stateScope{namespace, function, key}, name))
	if err != nil || !ok {
		return nil, 0, err
	}
	return splitState(raw)
}

func (t *Table) effects(p *partition, s stateScope, e Effects) effects {
	out := effects{namespace: s.namespace, function: s.function, key: s.key, reads: e.Reads, writes: e.Writes, joints: jointOf(e.Joints)}
	for i := range e.Emits {
		ev := &e.Emits[i].Event
		raw := ev.AppendBinary(make([]byte, 0, ev.Size()))
		if to := t.place(s.namespace, ev.Key(), ev.Source, ev.ID); to != p {
			out.foreign = append(out.foreign, foreignEvent{to: uint64(to.index), namespace: s.namespace, topic: e.Emits[i].Topic, event: raw})
			continue
		}
		out.own = append(out.own, storedEvent{namespace: s.namespace, topic: e.Emits[i].Topic, notBefore: notBefore(ev), event: raw})
	}
	return out
}

func splitState(raw []byte) (value []byte, version uint64, err error) {
	if len(raw) < 8 {
		return nil, 0, errors.New("state entry is shorter than its version")
	}
	return raw[8:], binary.LittleEndian.Uint64(raw), nil
}

package partition

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/eventlog"
)

// partition is one log with its state. It follows the log; while this node leads, it also appends.
//
// The way of a record: append (match, number, hand to the log) → the log makes it durable → applied (apply, commit state, wake whoever waits).
type partition struct {
	index    int
	table    *Table
	log      eventlog.Log
	unfollow func() // no apply runs when it has returned

	// appendMu orders records: triggers in force, sequence numbers and the log's order are one. It is never held together with mu.
	appendMu sync.Mutex
	seq      uint64
	lastTime int64
	inForce  atomic.Pointer[TriggerSet] // by the last control record appended, stored under appendMu; nil until this node leads
	newest   uint64                     // its generation
	replayed map[uint64]bool            // triggers in force that have ever been replayed

	waiters waiters
	leads   atomic.Bool           // begin has set it: this node may act, unless
	deposed atomic.Pointer[error] // applied has heard that another leads

	// mu guards the state and what follows from it. apply holds it, so nobody else may hold it over I/O.
	mu      sync.Mutex
	machine *machine
	ready   *ready
	recent  *recent

	aging aging // only the retainer uses it

	takeMu sync.Mutex  // one take at a time, so that lanes are claimed in order
	picked []candidate // of the take at work; its memory is used again
}

func openPartition(t *Table, index int, db *pebble.DB) (*partition, error) {
	p := &partition{index: index, table: t, log: t.log, recent: newRecent()}
	p.machine = newMachine(newStore(db, index), t.count, newDedup(t.opts.DedupWindow, t.opts.DedupLimit))
	p.machine.definitions = t.definitions
	p.machine.replyAge = t.opts.replyAge.Milliseconds()
	if err := p.machine.load(); err != nil {
		return nil, fmt.Errorf("load partition %d: %w", index, err)
	}
	if err := p.checkLog(); err != nil {
		return nil, err
	}
	p.ready = newReady(p.machine)
	var err error
	if p.unfollow, err = p.log.Follow(index, p.machine.next, p.applied); err != nil {
		if errors.Is(err, eventlog.ErrTrimmed) {
			err = fmt.Errorf("%w: it ends before offset %d, and what comes next has been removed: %w; import the state of the node that leads", ErrBehind, p.machine.next, err)
		}
		return nil, fmt.Errorf("replay partition %d: %w", index, err)
	}
	return p, nil
}

// checkLog refuses a log that has lost what the state has applied: new records would get offsets that were used, and be taken for old ones.
func (p *partition) checkLog() error {
	last := p.machine.next - 1
	if last == 0 {
		return nil
	}
	there := false
	err := p.log.Read(p.index, last, func(rec eventlog.Record) bool {
		there = rec.Offset+uint64(rec.Span) > last
		return false
	})
	if errors.Is(err, eventlog.ErrTrimmed) {
		return nil // what follows is there
	}
	if err == nil && !there {
		err = fmt.Errorf("%w: the log ends before offset %d, up to which the state was applied: it has lost records; restore both directories from a backup", errDamaged, last)
	}
	if err != nil {
		return fmt.Errorf("check the log of partition %d: %w", p.index, err)
	}
	return nil
}

// lead begins this node's epoch. It holds when the lead record is applied, which is what the channel tells; begin comes next.
func (p *partition) lead() (chan result, error) {
	p.mu.Lock()
	last := p.machine.epoch
	p.mu.Unlock()
	if epoch := p.table.epoch.Load(); last >= epoch {
		return nil, fmt.Errorf("partition %d was led in epoch %d, this start has epoch %d: another node has taken over since, or the etcd in use is older than the data directory", p.index, last, epoch)
	}
	first, end := hashRange(p.index, p.table.count)
	return p.append(&leadRecord{
		partitions: uint64(p.table.count), index: uint64(p.index), first: first, last: end, node: p.table.opts.Node,
	})
}

// begin takes over what was in force when the lead record was applied. Until then the leader before could still change it. like is what another partition has in
// force, nil = unknown.
func (p *partition) begin(like *TriggerSet) error {
	p.mu.Lock()
	clock, newest := p.machine.clock, p.machine.generation
	inForce, err := p.triggersInForce(like)
	replayed := map[uint64]bool{}
	for id, t := range p.machine.triggers {
		if !t.gone && t.position.replay > 0 {
			replayed[id] = true
		}
	}
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("triggers of partition %d: %w", p.index, err)
	}
	p.appendMu.Lock()
	defer p.appendMu.Unlock()
	p.lastTime = max(p.lastTime, clock)
	p.inForce.Store(inForce)
	p.newest, p.replayed = newest, replayed
	p.leads.Store(true)
	return nil
}

// acts says whether this node leads, as far as it has heard. What it does when it is wrong is ignored.
func (p *partition) acts() bool { return p.leads.Load() && p.deposed.Load() == nil }

// append hands a record to the log, in the order of the calls. The channel gets what apply says of it.
//
// Filters are asked before the lock is taken: data of a megabyte, or a thousand filters that no index helps, must not hold up what is settled meanwhile. They are asked
// again if the triggers have changed by then.
func (p *partition) append(b body) (chan result, error) {
	matched, err := p.match(b, nil)
	if err != nil {
		return nil, err
	}
	p.appendMu.Lock()
	defer p.appendMu.Unlock()
	return p.appendMatched(b, matched)
}

func (p *partition) appendLocked(b body) (chan result, error) { return p.appendMatched(b, nil) }

// match sets the triggers of a record's events, by those in force, and answers by whom. Nothing is done when matched has done it.
func (p *partition) match(b body, matched *matcher) (*matcher, error) {
	set := p.inForce.Load()
	if set == nil || set.matcher == matched {
		return matched, nil
	}
	if _, ok := b.(*redriveAsRecord); ok {
		return set.matcher, nil // edited events are for the trigger that gave them up, whatever they match
	}
	events := b.events()
	for i := range events {
		if err := set.matcher.match(&events[i]); err != nil {
			return nil, err
		}
	}
	return set.matcher, nil
}

func (p *partition) appendMatched(b body, matched *matcher) (chan result, error) {
	if err := p.deposed.Load(); err != nil {
		return nil, *err
	}
	if _, begins := b.(*leadRecord); !p.leads.Load() && !begins {
		return nil, fmt.Errorf("partition %d: %w", p.index, errFollows)
	}
	if _, err := p.match(b, matched); err != nil {
		return nil, err
	}
	p.lastTime = max(p.lastTime, time.Now().UnixMilli())
	data := encodeRecord(header{epoch: p.table.epoch.Load(), seq: p.seq + 1, time: p.lastTime}, b)
	if len(data) > eventlog.MaxRecord {
		return nil, fmt.Errorf("%w: record has %d bytes, the limit is %d", ErrTooLarge, len(data), eventlog.MaxRecord)
	}
	p.seq++
	done := p.waiters.add(p.seq)
	p.log.Append(p.index, span(b), data)
	return done, nil
}

// do appends a record and waits for apply's word on it.
func (p *partition) do(ctx context.Context, b body) (result, error) {
	done, err := p.append(b)
	if err != nil {
		return result{}, err
	}
	return p.wait(ctx, done)
}

// wait for a result. When ctx ends first the outcome is unknown: the record may be applied later.
func (p *partition) wait(ctx context.Context, done chan result) (result, error) {
	var r result
	if ctx.Done() == nil {
		r = <-done
	} else {
		select {
		case r = <-done:
		case <-ctx.Done():
			return result{}, fmt.Errorf("wait for partition %d: %w", p.index, context.Cause(ctx))
		}
	}
	p.waiters.done(done)
	switch {
	case r.closed:
		return result{}, ErrClosed
	case r.ignored:
		if err := p.deposed.Load(); err != nil {
			return result{}, *err
		}
		return result{}, fmt.Errorf("partition %d: %w", p.index, ErrDeposed)
	}
	return r, nil
}

// errFollows is of a node that has the state of a leader and is none.
var errFollows = errors.New("this node follows and does not lead")

// applied is the log's callback: records that are durable, in order.
func (p *partition) applied(records []eventlog.Record) {
	done := make([]verdict, 0, len(records))
	first := uint64(0) // of those that are new: a record may come back twice
	var err error
	p.mu.Lock()
	if p.table.isClosed() {
		p.mu.Unlock()
		return
	}
	for _, rec := range records {
		if rec.Offset+uint64(rec.Span) <= p.machine.next {
			continue
		}
		var v verdict
		if v.header, v.result, err = p.machine.apply(rec); err != nil {
			err = fmt.Errorf("apply partition %d offset %d: %w", p.index, rec.Offset, err)
			break
		}
		if len(done) == 0 {
			first = rec.Offset
		}
		done = append(done, v)
	}
	var work workList
	if err == nil && len(done) > 0 {
		work, err = p.machine.flush(first)
		p.ready.absorb(work.changes)
		for _, e := range work.matched {
			p.recent.add(e.offset, e.recentEvent)
		}
	}
	n := notice{workList: work, early: p.machine.dedup.takeEarly(), timers: p.ready.takeEarlier()}
	if epoch := p.table.epoch.Load(); epoch > 0 && p.machine.epoch > epoch && p.deposed.Load() == nil {
		deposed := fmt.Errorf("partition %d: %w: node %q leads in epoch %d", p.index, ErrDeposed, p.machine.leader, p.machine.epoch)
		p.deposed.CompareAndSwap(nil, &deposed)
		defer p.table.tellDeposed(deposed)
	}
	p.mu.Unlock()
	if err != nil {
		p.table.opts.Fatal(err)
		return
	}
	p.table.afterApply(p, n) // first: whoever is answered may begin to lead, and what came before that is not for it
	p.answer(done)
}

// notice is what the applied records mean for others.
type notice struct {
	workList
	early  int  // identities forgotten before their time
	timers bool // something is due earlier than before
}

// verdict is what apply said of one record.
type verdict struct {
	header header
	result result
}

func (p *partition) answer(done []verdict) {
	epoch := p.table.epoch.Load()
	for _, v := range done {
		if v.header.epoch != epoch {
			continue
		}
		for i := range v.result.stored {
			v.result.stored[i].Partition = p.index
		}
		p.waiters.answer(v.header.seq, v.result)
	}
}

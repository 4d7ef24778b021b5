// Package partition keeps what happens to events: the ordered logs that all topics share, the deterministic apply that judges their records, the state that
// follows from them (pending events, attempts, dead letters, keyed state, topic index), and what of it is ready to run. docs/log.md is its specification.
package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/eventlog"
)

// Options of Open.
type Options struct {
	Log        eventlog.Log
	Dir        string // of the state
	FS         vfs.FS // nil = the disk
	Partitions int    // 1 to 65,535; fixed when the directory is made
	Epoch      uint64 // higher than at every start before
	Node       string // for people who read the log

	// Ready is called, without blocking, when a trigger may have something to take.
	Ready func()
	// Admit refuses a publish, with ErrDiskLow for instance; nil = never. Settling is not asked.
	Admit func() error
	// Fatal is called when the log or state is damaged or cannot be written: the process must end. It need not return.
	Fatal func(error)

	DedupWindow time.Duration // 0 = 10 min
	DedupLimit  int           // identities a partition; 0 = 256 k

	Now func() time.Time // the clock of retention; nil = time.Now

	Logger     *slog.Logger
	Registerer prometheus.Registerer

	step     int           // events of the past that one record looks at; 0 = 2,048
	replyAge time.Duration // how long replies of calls are kept; 0 = 24 h
	byHand   bool          // no goroutine looks through the past or removes what is old: whoever says so does it, one step at a time
}

// Table is all partitions of this node.
type Table struct {
	opts    Options
	log     eventlog.Log
	count   int
	db      *pebble.DB
	parts   []*partition
	relay   *relay
	metrics *metrics

	retainer *retainer

	closeOnce sync.Once
	closed    chan struct{}
	workers   sync.WaitGroup
	timerWake chan struct{} // written by afterApply, read by runTimers
	catchWake chan struct{} // written by afterApply, read by runCatchUp
	directory uint64        // see Directory

	definitions *definitions

	changedMu sync.Mutex
	changed   chan struct{} // closed and replaced when something was applied; nil when nobody waits
}

// Open replays what the state does not have yet, becomes leader of all partitions, and starts timers and the relay between partitions.
func Open(ctx context.Context, o Options) (*Table, error) {
	if o.Partitions < 1 || o.Partitions > 1<<16-1 {
		return nil, fmt.Errorf("%d partitions, the number must be from 1 to 65535", o.Partitions)
	}
	if o.DedupWindow == 0 {
		o.DedupWindow = 10 * time.Minute
	}
	if o.DedupLimit == 0 {
		o.DedupLimit = 256 << 10
	}
	if o.step == 0 {
		o.step = 2048
	}
	if o.replyAge == 0 {
		o.replyAge = replyAge
	}
	db, err := openState(o)
	if err != nil {
		return nil, err
	}
	t := &Table{
		opts: o, log: o.Log, count: o.Partitions, db: db,
		closed: make(chan struct{}), timerWake: make(chan struct{}, 1), catchWake: make(chan struct{}, 1), definitions: newDefinitions(),
	}
	if t.directory, err = directoryID(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	t.metrics = newMetrics(o.Registerer, t)
	t.relay = newRelay(t)
	t.retainer = newRetainer(t)
	if err := t.start(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func openState(o Options) (*pebble.DB, error) {
	logger := pebbleLogger{o}
	options := &pebble.Options{
		FS: newJournalFS(o.FS, o.Fatal), FormatMajorVersion: pebble.FormatValueSeparation, Logger: logger, MemTableSize: 32 << 20, CacheSize: 16 << 20,
		EventListener: &pebble.EventListener{
			// A flush or compaction that fails would be tried again for ever, while apply waits for room in memory.
			BackgroundError: func(err error) { logger.Fatalf("background work: %w", err) },
			DataCorruption:  func(info pebble.DataCorruptionInfo) { logger.Fatalf("damaged file %s: %w", info.Path, info.Details) },
		},
	}
	// A state entry that is not there yet is asked for twice before it is: by the attempt and by apply. The levels below take over what the first one has.
	options.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	db, err := pebble.Open(o.Dir, options)
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", o.Dir, err)
	}
	return db, nil
}

func (t *Table) start(ctx context.Context) error {
	for i := range t.count {
		p, err := openPartition(t, i, t.db)
		if err != nil {
			return err
		}
		t.parts = append(t.parts, p)
	}
	if err := t.lead(ctx); err != nil {
		return err
	}
	for _, p := range t.parts {
		if err := t.relay.resume(p); err != nil {
			return err
		}
	}
	t.relay.start()
	t.workers.Go(t.runTimers)
	t.workers.Go(t.relay.run)
	if !t.opts.byHand {
		t.workers.Go(t.runCatchUp)
		t.workers.Go(t.retainer.run)
	}
	return nil
}

// lead begins the epoch in all partitions with one fsync.
func (t *Table) lead(ctx context.Context) error {
	done := make([]chan result, len(t.parts))
	for i, p := range t.parts {
		var err error
		if done[i], err = p.lead(); err != nil {
			return err
		}
	}
	for i, p := range t.parts {
		if _, err := p.wait(ctx, done[i]); err != nil {
			return err
		}
		if err := p.begin(); err != nil {
			return err
		}
	}
	return nil
}

// Close stops timers and relay and releases the state. What the log delivers from now on is applied at the next start. The log stays the caller's.
func (t *Table) Close() error {
	var err error
	t.closeOnce.Do(func() {
		close(t.closed)
		for _, p := range t.parts {
			p.waiters.close()
		}
		t.workers.Wait()
		for _, p := range t.parts {
			p.finishApply()
		}
		if e := t.db.Close(); e != nil {
			err = fmt.Errorf("close state: %w", e)
		}
	})
	return err
}

func (t *Table) isClosed() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}

// SetTriggers makes a set of triggers in force and returns when every partition has applied it. generation orders calls; it is the registry's revision.
func (t *Table) SetTriggers(ctx context.Context, generation uint64, triggers []Trigger) error {
	m, err := newMatcher(triggers)
	if err != nil {
		return err
	}
	wanted := marshalTriggers(triggers)
	done := make([]chan result, len(t.parts))
	for i, p := range t.parts {
		if done[i], err = p.setTriggers(generation, wanted, m); err != nil {
			return err
		}
	}
	for i, p := range t.parts {
		if done[i] == nil {
			continue
		}
		if _, err := p.wait(ctx, done[i]); err != nil {
			return err
		}
	}
	return nil
}

// Ready lists the triggers that have something to take, in no order.
func (t *Table) Ready() map[uint64]struct{} {
	ids := map[uint64]struct{}{}
	for _, p := range t.parts {
		p.mu.Lock()
		for id := range p.ready.work {
			ids[id] = struct{}{}
		}
		p.mu.Unlock()
	}
	return ids
}

// Take hands out up to n deliveries of a trigger whose turn it is. Each ends with Settle, SettleBatch or Release. A trigger that Ready lists may still give none: its keys are busy.
func (t *Table) Take(trigger uint64, n int) ([]Delivery, error) {
	var out []Delivery
	for i := range t.parts {
		if len(out) >= n {
			break
		}
		more, err := t.parts[(i+int(trigger))%t.count].take(trigger, n-len(out))
		if err != nil {
			return out, err
		}
		if out == nil {
			out = more
		} else {
			out = append(out, more...)
		}
	}
	return out, nil
}

// Release gives a delivery back that was cut before its verdict, without those of its events that have been settled meanwhile. No attempt is counted.
func (t *Table) Release(d *Delivery) {
	p := t.parts[d.ID.Partition]
	for i := len(d.More) - 1; i >= 0; i-- { // each goes to the front
		p.release(d.More[i].ID)
	}
	p.release(d.ID)
	t.opts.Ready()
}

// Stats counts what a trigger has to do.
func (t *Table) Stats(trigger uint64) Stats {
	var s Stats
	now := time.Now().UnixMilli()
	for _, p := range t.parts {
		p.mu.Lock()
		if tr := p.machine.triggers[trigger]; tr != nil {
			s.Pending += tr.pending.count
			if len(tr.position.runs) > 0 {
				s.CatchingUp++
			}
			for _, at := range tr.progress {
				if at.attempts > 0 {
					s.Retrying++
				}
				if at.next > now {
					s.Timed++
				}
			}
		}
		p.mu.Unlock()
	}
	t.addLetters(trigger, &s)
	return s
}

// afterApply tells everyone whom applied records concern. It runs on the log's goroutine and never blocks.
func (t *Table) afterApply(p *partition, w notice) {
	if len(w.sends) > 0 {
		t.relay.send(p.index, w.sends)
	}
	if len(w.arrivals) > 0 {
		t.relay.arrived(p.index, w.arrivals)
	}
	if w.dropped > 0 {
		t.opts.Logger.Warn("dropped pending events of triggers that were removed", "partition", p.index, "events", w.dropped)
	}
	t.metrics.dedupEarly.Add(float64(w.early))
	if w.timers {
		wake(t.timerWake)
	}
	if w.catchUp {
		wake(t.catchWake)
	}
	if len(w.changes) > 0 {
		t.opts.Ready()
	}
	t.changedMu.Lock()
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
	t.changedMu.Unlock()
}

// Changed returns a channel that is closed when any partition applies something after this call.
func (t *Table) Changed() <-chan struct{} {
	t.changedMu.Lock()
	defer t.changedMu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// wake sets a one-place signal.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// runTimers makes events due when their time comes.
func (t *Table) runTimers() {
	for {
		var next int64
		for _, p := range t.parts {
			p.mu.Lock()
			at := p.ready.fire(time.Now().UnixMilli())
			p.mu.Unlock()
			if at > 0 && (next == 0 || at < next) {
				next = at
			}
		}
		t.opts.Ready()
		var due <-chan time.Time
		if next > 0 {
			due = time.After(waitFor(next, time.Now().UnixMilli()))
		}
		select {
		case <-due:
		case <-t.timerWake:
		case <-t.closed:
			return
		}
	}
}

// waitFor is how long to wait for the time at which something is due: not for long in one go, because the clock may be set, and the machine may sleep, which a wait does not
// notice.
func waitFor(due, now int64) time.Duration {
	return min(time.Duration(due-now)*time.Millisecond, time.Minute)
}

// pebbleLogger sends pebble's errors to ours; its background errors end the process.
type pebbleLogger struct{ o Options }

func (pebbleLogger) Infof(string, ...any) {}
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.o.Logger.Error("state store", "err", fmt.Sprintf(format, args...))
}
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.o.Fatal(fmt.Errorf("state store: "+format, args...))
}

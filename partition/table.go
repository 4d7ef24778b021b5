// Package partition keeps what happens to events: the ordered logs that all topics share, the deterministic apply that judges their records, the state that
// follows from them (pending events, attempts, dead letters, keyed state, topic index), and what of it is ready to run. docs/log.md is its specification.
package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/journal"
)

// Options of Open.
type Options struct {
	Log        eventlog.Log
	Dir        string // of the state
	FS         vfs.FS // nil = the disk
	Partitions int    // 1 to 65,535; fixed when the directory is made
	Epoch      uint64 // of Open: higher than at every start before
	Node       string // for people who read the log

	// Ready is called, without blocking, when a trigger may have something to take.
	Ready func()
	// Admit refuses a publish, with ErrDiskLow for instance; nil = never. Settling is not asked.
	Admit func() error
	// Deposed is called once, without blocking, when another node has taken over a partition that this one led: it must stop, and nothing it appends counts any
	// more. nil = nobody wants to know.
	Deposed func(error)
	// Fatal is called when the log or state is damaged or cannot be written: the process must end. It need not return.
	Fatal func(error)

	DedupWindow time.Duration // 0 = 10 min
	DedupLimit  int           // identities a partition; 0 = 256 k

	Now func() time.Time // the clock of retention; nil = time.Now

	Logger     *slog.Logger
	Registerer prometheus.Registerer

	step     int           // events of the past that one record looks at; 0 = 2,048
	replyAge time.Duration // how long replies of calls are kept; 0 = 24 h
	behind   func() int64  // by how many milliseconds the clock of who takes is behind, because of a wait for a lock or a clock set back; nil = never
	byHand   bool          // no goroutine looks through the past or removes what is old: whoever says so does it, one step at a time
}

// Table is all partitions of this node.
//
//	Follow ─► follows the log ─► Lead ─► leads ─► another's lead record, or Depose: follows only
type Table struct {
	opts    Options
	epoch   atomic.Uint64 // of this node; 0 while it follows
	log     eventlog.Log
	count   int
	db      *pebble.DB
	parts   []*partition
	relay   *relay
	metrics *metrics

	retainer *retainer

	deposed   sync.Once // guards Options.Deposed
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

// Open follows and leads, with the epoch of the options.
func Open(ctx context.Context, o Options) (*Table, error) {
	t, err := Follow(o)
	if err != nil {
		return nil, err
	}
	if err := t.Lead(ctx, o.Epoch); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Follow opens the state, replays what it does not have yet, and from then on keeps it in step with the log, which another node may lead. The table can be read, and can
// Lead at any time. A state that the log has no continuation of any more gives ErrBehind.
func Follow(o Options) (*Table, error) {
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
	for i := range t.count {
		p, err := openPartition(t, i, t.db)
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.parts = append(t.parts, p)
	}
	return t, nil
}

func openState(o Options) (*pebble.DB, error) {
	logger := pebbleLogger{o}
	options := &pebble.Options{
		FS: journal.Watch(o.FS, func(err error) error { o.Fatal(fmt.Errorf("state store: %w", err)); return err }), FormatMajorVersion: pebble.FormatValueSeparation, Logger: logger, MemTableSize: 32 << 20, CacheSize: 16 << 20,
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

// Lead becomes leader of all partitions in an epoch, higher than that of any leader before, and starts timers and the relay between partitions. It returns when the
// node leads, and is called once. After an error the table can only be closed.
func (t *Table) Lead(ctx context.Context, epoch uint64) error {
	t.epoch.Store(epoch)
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
	var inForce *TriggerSet
	for i, p := range t.parts {
		if _, err := p.wait(ctx, done[i]); err != nil {
			return err
		}
		if err := p.begin(inForce); err != nil {
			return err
		}
		inForce = p.inForce.Load() // only read: nobody else has the table yet
	}
	return nil
}

// Depose makes the table act as if it had heard that another node leads: it hands nothing out and appends nothing, and who waits is told so, though what was appended
// may still be applied. It is for a node that has lost its lease, and may hear nothing of the log either.
func (t *Table) Depose(why error) {
	for _, p := range t.parts {
		deposed := fmt.Errorf("partition %d: %w: %w", p.index, ErrDeposed, why)
		p.deposed.CompareAndSwap(nil, &deposed)
		p.waiters.end(result{ignored: true})
	}
}

// tellDeposed runs on the log's goroutine.
func (t *Table) tellDeposed(err error) {
	t.deposed.Do(func() {
		if t.opts.Deposed != nil {
			t.opts.Deposed(err)
		}
	})
}

// Close stops timers and relay and releases the state. What the log delivers from now on is applied at the next start. The log stays the caller's.
func (t *Table) Close() error {
	var err error
	t.closeOnce.Do(func() {
		close(t.closed)
		for _, p := range t.parts {
			p.waiters.end(result{closed: true})
		}
		t.workers.Wait()
		for _, p := range t.parts {
			p.unfollow()
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

// Ready lists the triggers that have something to take, in no order.
func (t *Table) Ready() map[uint64]struct{} {
	ids := map[uint64]struct{}{}
	for _, p := range t.parts {
		if !p.acts() {
			continue
		}
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

// SetAside keeps a delivery that may not run now until Resume, or until the table is opened anew; others pass it. why and until, which may be zero, are what people
// get to see of it. false: it has been settled meanwhile, and nothing is kept.
func (t *Table) SetAside(id ID, why string, until time.Time) bool {
	return t.parts[id.Partition].setAside(id, aside{why, until})
}

// Resume lets what was set aside be taken again, behind what is due already; false: it has been settled meanwhile.
func (t *Table) Resume(id ID) bool {
	if !t.parts[id.Partition].resume(id) {
		return false
	}
	t.opts.Ready()
	return true
}

// Stats counts what a trigger has to do.
func (t *Table) Stats(trigger uint64) Stats {
	var s Stats
	now := time.Now().UnixMilli()
	for _, p := range t.parts {
		p.mu.Lock()
		if tr := p.machine.triggers[trigger]; tr != nil {
			s.Pending += tr.pending.count
			if f := p.ready.feeds[trigger]; f != nil {
				s.addWaiting(f)
			}
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

func (s *Stats) addWaiting(f *feed) {
	s.Running += len(f.running)
	for _, l := range f.lanes {
		s.Queued += len(l.queue)
	}
	for _, a := range f.aside {
		if s.Aside == nil {
			s.Aside = map[string]int{}
		}
		s.Aside[a.why]++
	}
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

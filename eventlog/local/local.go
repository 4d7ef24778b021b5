// Package local is the event log of one node: all partitions in one pebble database, group commit, one fsync at a time.
//
// The committer is one goroutine. It takes what the partitions' mailboxes hold, writes one value per partition into one batch, commits the batch
// with an fsync and then calls the partitions' apply functions; what is appended meanwhile is the next group. There is no timer: a lone record is
// committed at once, a thousand concurrent ones share an fsync.
//
// Keys in the database:
//
//	F                                     format version of this layout, u8
//	L partition u16 offset u64            the records of one partition in one group (frame.go); big-endian, so that they sort
//
// The last value of a partition is never trimmed: it is where the next offset comes from after a restart.
package local

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/eventlog"
)

// MaxPartitions is the largest number of partitions a directory can hold.
const MaxPartitions = 1 << 16

// Options of Open.
type Options struct {
	// Dir is the directory of the database. It is made when it is missing.
	Dir string

	// Partitions is how many partitions there are, 1 to MaxPartitions; they are numbered from 0. A directory that holds records of more
	// partitions is refused.
	Partitions int

	// MemTableSize is the size in bytes a table in memory may grow to; up to four wait for the disk. They start small. Default 64 MiB.
	MemTableSize uint64

	// FS is where Dir is. Default vfs.Default, the disk; crash tests put pebble's crashable file system here.
	FS vfs.FS

	// Logger gets the life cycle of the database at debug level. Default: nothing is logged.
	Logger *slog.Logger

	// Fatal is called at most once, from any goroutine, when the log cannot store any more. It must end the process, and must not call the Log:
	// locks of the database may be held. Default: panic.
	//
	// In a test Fatal may return. The log is dead then: nothing more comes back through Follow, what is appended is lost, and Follow, Read, Trim
	// and Close return the error. Where the database cannot begin its next WAL file it panics when Fatal returns, and cannot be stopped from it.
	Fatal func(error)

	// Registerer gets the metrics evoke_log_*. Default: none.
	Registerer prometheus.Registerer
}

// Log is an eventlog.Log on the local disk. Create it with Open.
//
// After Close, Read, Trim and Follow return an error that is fs.ErrClosed, and what is appended is lost.
type Log struct {
	dir     string
	db      *pebble.DB
	lock    *pebble.Lock
	parts   []*partition
	metrics *metrics
	users   gate
	failure failure

	wake chan struct{} // Append writes, the committer reads; never closed
	stop chan struct{} // closed by Close
	done chan struct{} // closed by the committer when it returns

	closing atomic.Bool
}

var _ eventlog.Log = (*Log)(nil)

// Open opens the log in a directory, or makes it. Close must be called in the end.
func Open(o Options) (*Log, error) {
	if o.Partitions < 1 || o.Partitions > MaxPartitions {
		return nil, fmt.Errorf("open event log %s: %d partitions, want 1 to %d", o.Dir, o.Partitions, MaxPartitions)
	}
	o.setDefaults()
	l := &Log{
		dir:     o.Dir,
		failure: failure{dir: o.Dir},
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	for i := range o.Partitions {
		l.parts = append(l.parts, &partition{id: i, next: 1})
	}
	if err := l.open(o); err != nil {
		return nil, fmt.Errorf("open event log %s: %w", o.Dir, err)
	}
	l.failure.arm(o.Fatal)
	go l.commitLoop()
	return l, nil
}

func (o *Options) setDefaults() {
	if o.MemTableSize == 0 {
		o.MemTableSize = 64 << 20
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
}

// open does what can fail and undoes it when it does.
func (l *Log) open(o Options) (err error) {
	if l.lock, err = lockDir(o.Dir, o.FS); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release())
		}
	}()
	if l.db, err = pebble.Open(o.Dir, pebbleOptions(o, l.lock, &l.failure)); err != nil {
		return nameDamage(o, err)
	}
	if err := l.checkFormat(); err != nil {
		return err
	}
	if err := l.recoverOffsets(); err != nil {
		return err
	}
	// The database reports damage and failed background work to failure, which nobody hears until it is armed.
	if err := l.failure.err(); err != nil {
		return err
	}
	l.metrics, err = newMetrics(o.Registerer, l.diskBytes)
	return err
}

func lockDir(dir string, files vfs.FS) (*pebble.Lock, error) {
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, files)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return nil, fmt.Errorf("the directory is in use by another process; stop that one or choose another data directory: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the directory: %w", err)
	}
	return lock, nil
}

// Append implements eventlog.Log. It panics for a partition that does not exist, a span of 0, and data over
// eventlog.MaxRecord bytes: those are bugs of the caller.
func (l *Log) Append(partition int, span uint32, data []byte) {
	if span == 0 || len(data) > eventlog.MaxRecord {
		panic(fmt.Sprintf("eventlog: append to partition %d: span %d, %d bytes", partition, span, len(data)))
	}
	l.parts[partition].post(eventlog.Record{Span: span, Data: data})
	select {
	case l.wake <- struct{}{}:
	default: // the committer is already called
	}
}

// Close implements eventlog.Log: it commits what was appended, applies it, and waits for reads that are under way. It must not be called by an
// apply function or inside yield.
func (l *Log) Close() error {
	if !l.closing.CompareAndSwap(false, true) {
		return fmt.Errorf("close event log %s: %w", l.dir, fs.ErrClosed)
	}
	close(l.stop)
	<-l.done // apply may read until then
	l.users.close()
	if err := errors.Join(l.failure.err(), l.release()); err != nil {
		return fmt.Errorf("close event log: %w", err)
	}
	return nil
}

// diskBytes is what the log takes on the disk.
func (l *Log) diskBytes() float64 {
	if l.users.enter() != nil {
		return 0
	}
	defer l.users.leave()
	return float64(l.db.Metrics().DiskSpaceUsage())
}

func (l *Log) release() error {
	var errs []error
	if l.metrics != nil {
		l.metrics.unregister()
	}
	if l.db != nil {
		errs = append(errs, l.db.Close())
	}
	return errors.Join(append(errs, l.lock.Close())...)
}

// gate lets users in until it is closed.
type gate struct {
	mu     sync.Mutex
	closed bool

	inside sync.WaitGroup
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fs.ErrClosed
	}
	g.inside.Add(1)
	return nil
}

func (g *gate) leave() { g.inside.Done() }

// close keeps new users out and waits for those inside.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
}

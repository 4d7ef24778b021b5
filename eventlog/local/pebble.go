package local

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/journal"
)

// pebbleFormat is pinned: a newer pebble must not change files on its own, so that the program before this one can still open them. This one has WAL
// sync chunks, which tell a torn tail (cut) from damage before it (an error), and checksums in table footers.
const pebbleFormat = pebble.FormatTableFormatV6

// layoutVersion is the version of our keys and frames.
const layoutVersion = 1

var formatKey = []byte{'F'}

func pebbleOptions(o Options, lock *pebble.Lock, f *failure) *pebble.Options {
	opts := &pebble.Options{
		FS:                          journal.Watch(o.FS, func(err error) error { f.set(err); return nil }), // the committer asks failure before anybody hears of a commit
		Lock:                        lock,
		FormatMajorVersion:          pebbleFormat,
		CacheSize:                   8 << 20, // the log is read in order and mostly from memory tables
		MemTableSize:                o.MemTableSize,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8, // a table in memory holds offsets of all partitions, so each compaction writes most of the level below again
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               256 << 20,
		BytesPerSync:                1 << 20,
		FlushDelayDeleteRange:       10 * time.Second, // what Trim frees is given back soon, also when little is written
		Logger:                      pebbleLogger{o.Logger, f},
	}
	opts.EventListener = &pebble.EventListener{
		// A flush or compaction that fails would be tried again for ever, on a disk that has already lied once.
		BackgroundError: func(err error) { f.set(fmt.Errorf("background work: %w", err)) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			f.set(fmt.Errorf("damaged file %s: %w", info.Path, info.Details))
		},
	}
	// Payloads are mostly short-lived here and compressing them costs CPU at every flush; see RATIONALE.md.
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return opts
}

// checkFormat refuses a database that a newer program wrote, and marks a new one.
func (l *Log) checkFormat() error {
	v, closer, err := l.db.Get(formatKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return l.db.Set(formatKey, []byte{layoutVersion}, pebble.Sync)
	}
	if err != nil {
		return fmt.Errorf("read the format version: %w", err)
	}
	defer closer.Close() //nolint:errcheck // Get's closer only releases memory
	if len(v) != 1 || v[0] == 0 {
		return fmt.Errorf("the format version is damaged: %x", v)
	}
	if v[0] > layoutVersion {
		return fmt.Errorf("the log has format %d, this program knows formats up to %d; start a newer program", v[0], layoutVersion)
	}
	return nil
}

// failure remembers the first error after which the log cannot go on, and tells it.
type failure struct {
	dir string

	mu    sync.Mutex
	first error
	fatal func(error) // nil until the log is open
}

func (f *failure) set(err error) {
	f.mu.Lock()
	if f.first != nil {
		f.mu.Unlock()
		return
	}
	f.first = fmt.Errorf("event log %s cannot store any more: %w", f.dir, err)
	fatal, err := f.fatal, f.first
	f.mu.Unlock()
	if fatal != nil {
		fatal(err)
	}
}

// arm sets whom to tell; an error that came between the last look and now is told at once.
func (f *failure) arm(fatal func(error)) {
	f.mu.Lock()
	f.fatal = fatal
	err := f.first
	f.mu.Unlock()
	if err != nil {
		fatal(err)
	}
}

func (f *failure) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first
}

// pebbleLogger hands pebble's lines on. Pebble relies on Fatalf to end the process; where a test lets it return, pebble carries on as if it had
// succeeded, so the committer asks failure after every commit.
type pebbleLogger struct {
	log     *slog.Logger
	failure *failure
}

func (p pebbleLogger) Infof(format string, args ...any) {
	p.log.Debug("pebble", "message", fmt.Sprintf(format, args...))
}

func (p pebbleLogger) Errorf(format string, args ...any) {
	p.log.Warn("pebble", "message", fmt.Sprintf(format, args...))
}

func (p pebbleLogger) Fatalf(format string, args ...any) {
	p.failure.set(fmt.Errorf(format, args...))
}

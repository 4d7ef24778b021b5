// Package history keeps what functions logged and how their attempts ended: a ring of segment files of JSON lines. It is for people to look at, not
// a record of what happened: lines are not fsynced, and what cannot be written is dropped and counted. Nothing here slows down or fails a caller.
//
//	Append ─► queue (bounded) ─► one writer ─► newest segment ─► removed when too old or too many
//	                                  └─► followers (bounded buffer each)
package history

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/api"
)

const (
	// maxQueue bounds what waits for the writer, in bytes; the rest is dropped.
	maxQueue = 8 << 20
	// overhead is about what an entry takes besides its text.
	overhead = 256
	// gather is how long the writer lets entries gather behind those it has written, so that a busy node writes many at once. Who waits for them does not.
	gather = time.Millisecond
	// maxSpare is how many entries the queue keeps room for while it is empty.
	maxSpare = 4096
)

// ErrClosed is returned by Query and Follow after Close.
var ErrClosed = errors.New("history is closed")

// Options of Open.
type Options struct {
	// Dir holds the segment files. It is created when absent.
	Dir string
	// MaxBytes is the size of all segments together. Default 1 GiB.
	MaxBytes int64
	// MaxAge is how long entries are kept, to within a twenty-fourth part. Default 24 h.
	MaxAge time.Duration
	// Logger, default none.
	Logger *slog.Logger
	// Now is the clock that rotation goes by, default time.Now.
	Now func() time.Time
}

// Store is an open history. Its methods may be called by many goroutines.
type Store struct {
	log     *slog.Logger
	dropped atomic.Uint64
	writer  *writer       // only used by run
	wake    chan struct{} // room for one: the queue has something, or Close was called
	hurry   chan struct{} // room for one: somebody waits for the writer, or Close was called
	done    chan struct{} // closed when run has returned

	mu        sync.Mutex
	advanced  *sync.Cond // the writer finished a batch
	queue     []api.LogEntry
	spare     []api.LogEntry // empty; the next queue
	queued    int            // bytes of queue
	appended  uint64         // entries ever put into the queue
	written   uint64         // of those, entries that went through the writer
	end       position
	followers map[*follower]struct{}
	closed    bool
}

// position is a place between two lines: every line before it lies in segments of a lower number or in the first size bytes of this one.
type position struct {
	segment int64
	size    int64
}

// Open prepares the directory and starts the writer.
func Open(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("open history: no directory given")
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 30
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	segments, err := listSegments(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	s := &Store{
		log:       o.Logger,
		writer:    newWriter(o, segments),
		wake:      make(chan struct{}, 1),
		hurry:     make(chan struct{}, 1),
		done:      make(chan struct{}),
		followers: map[*follower]struct{}{},
	}
	s.advanced = sync.NewCond(&s.mu)
	s.end = s.writer.position()
	go s.run()
	return s, nil
}

// Append hands an entry over. It never waits for the disk; an entry that finds no room, or comes after Close, is dropped and counted.
func (s *Store) Append(e api.LogEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := sizeOf(e)
	if s.closed || s.queued+size > maxQueue {
		s.dropped.Add(1)
		return
	}
	s.queue = append(s.queue, e)
	s.queued += size
	s.appended++
	switch {
	case len(s.queue) == 1:
		signal(s.wake)
	case s.queued > maxQueue/4: // no time to lose
		signal(s.hurry)
	}
}

// Dropped counts the entries that were not kept since Open.
func (s *Store) Dropped() uint64 { return s.dropped.Load() }

// Close writes what was appended, ends all followers and waits for the writer.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	signal(s.wake)
	signal(s.hurry)
	s.mu.Unlock()
	<-s.done
	return nil
}

// signal does not wait: one that has room for one more is enough.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run is the writer's goroutine: it takes the whole queue, writes and flushes it, and tells followers. It owns s.writer and ends after Close.
func (s *Store) run() {
	defer close(s.done)
	rest := time.NewTimer(gather)
	defer rest.Stop()
	for range s.wake {
		batch, closed := s.take()
		if len(batch) > 0 {
			lost, err := s.writer.write(batch)
			s.dropped.Add(uint64(lost))
			s.report(lost, err)
			s.advance(batch)
		}
		if closed {
			s.finish()
			return
		}
		rest.Reset(gather)
		select {
		case <-rest.C:
		case <-s.hurry:
		}
	}
}

func (s *Store) take() (batch []api.LogEntry, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch, s.queue, s.spare, s.queued = s.queue, s.spare, nil, 0
	return batch, s.closed
}

// advance makes a batch visible: to queries by the new end, to followers by handing it over. Both in one step, so that a follower that begins with
// stored lines neither misses nor repeats one.
func (s *Store) advance(batch []api.LogEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = s.writer.position()
	s.written += uint64(len(batch))
	for f := range s.followers {
		f.push(batch)
	}
	if cap(batch) <= maxSpare {
		clear(batch)
		s.spare = batch[:0]
	}
	s.advanced.Broadcast()
}

func (s *Store) finish() {
	if err := s.writer.close(); err != nil {
		s.log.Warn("history was not closed cleanly", slog.Any("err", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.followers {
		f.end()
	}
	s.advanced.Broadcast()
}

// report logs the first loss of a row and the end of it, not every line.
func (s *Store) report(lost int, err error) {
	switch {
	case lost > 0 && !s.writer.failing:
		s.writer.failing = true
		s.log.Warn("history cannot be written, entries are dropped until it can", slog.Any("err", err))
	case lost == 0 && s.writer.failing:
		s.writer.failing = false
		s.log.Info("history is written again", slog.Uint64("dropped", s.dropped.Load()))
	}
}

// settled waits until everything appended before the call has gone through the writer, and returns the end of it.
func (s *Store) settled() (position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for target := s.appended; s.written < target; {
		signal(s.hurry)
		s.advanced.Wait()
	}
	if s.closed {
		return position{}, ErrClosed
	}
	return s.end, nil
}

func sizeOf(e api.LogEntry) int {
	n := overhead + len(e.Namespace) + len(e.Function) + len(e.Invocation) + len(e.EventID) + len(e.Trigger) + len(e.Message)
	if e.Attempt != nil {
		n += overhead + len(e.Attempt.Error)
	}
	return n
}

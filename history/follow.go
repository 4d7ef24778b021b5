package history

import (
	"context"
	"fmt"
	"sync"

	"github.com/evoke-run/evoke/api"
)

// A follower that does not keep up loses entries beyond these, and is told how many.
const (
	followEntries = 4096
	followBytes   = 4 << 20
)

// Follow calls yield with every matching entry that reaches the writer from now on, until ctx ends (it returns nil then), yield returns an error (it returns
// that), or the store is closed (ErrClosed). Entries that could not be written are seen here all the same. Follow holds a bounded buffer; when
// yield is too slow, entries are left out and one of level "warn" says in their place how many.
func (s *Store) Follow(ctx context.Context, f Filter, yield func(api.LogEntry) error) error {
	return s.FollowFrom(ctx, f, 0, yield)
}

// FollowFrom is Follow after a Query of the newest recent entries (0 = none), without a gap or a repetition between the two.
func (s *Store) FollowFrom(ctx context.Context, f Filter, recent int, yield func(api.LogEntry) error) error {
	w, end, err := s.follow(f)
	if err != nil {
		return err
	}
	defer s.unfollow(w)
	if recent > 0 {
		if err := s.read(f, end, recent, yield); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		entries, ended := w.take()
		for _, e := range entries {
			if err := yield(e); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		if ended {
			return ErrClosed
		}
	}
}

// follow registers a follower: it gets what goes through the writer from now on, and everything before lies before the returned end.
func (s *Store) follow(f Filter) (*follower, position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, position{}, ErrClosed
	}
	w := &follower{filter: f, wake: make(chan struct{}, 1)}
	s.followers[w] = struct{}{}
	return w, s.end, nil
}

func (s *Store) unfollow(w *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.followers, w)
}

// follower is the buffer between the writer, which must not wait, and one caller of Follow.
type follower struct {
	filter Filter
	wake   chan struct{} // room for one; the store writes, Follow reads

	mu      sync.Mutex // taken after Store.mu
	buf     []api.LogEntry
	bytes   int
	dropped int
	last    api.LogEntry // the last dropped one
	ended   bool
}

// push offers a batch.
func (w *follower) push(batch []api.LogEntry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range batch {
		if !w.filter.match(&batch[i]) {
			continue
		}
		size := sizeOf(batch[i])
		if w.dropped > 0 || len(w.buf) >= followEntries || w.bytes+size > followBytes {
			w.dropped++
			w.last = batch[i]
			continue
		}
		w.buf = append(w.buf, batch[i])
		w.bytes += size
	}
	w.signal()
}

// take empties the buffer. When entries were dropped, all of them came after what is in it, and a last entry says so.
func (w *follower) take() (entries []api.LogEntry, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	entries = w.buf
	if w.dropped > 0 {
		entries = append(entries, w.notice())
	}
	w.buf, w.bytes, w.dropped = nil, 0, 0
	return entries, w.ended
}

func (w *follower) notice() api.LogEntry {
	return api.LogEntry{
		Time: w.last.Time, Namespace: w.last.Namespace, Function: w.last.Function, Level: "warn",
		Message: fmt.Sprintf("%d entries are left out here: they came faster than they were read", w.dropped),
	}
}

func (w *follower) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.signal()
}

func (w *follower) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/inflight"
)

// seats are the places of guests that run at once. A seat knows who sits in it, so that he can be listed and cut, and notes him where the end of the process does
// not reach: see crash.go.
type seats struct {
	free  chan int // numbers of empty seats
	list  []seat
	notes *inflight.File // nil = nothing is noted
}

type seat struct {
	mu      sync.Mutex
	sitting *sitting // nil = empty
	guest   sitting  // what sitting points to, so that sitting down allocates nothing
}

// sitting is an attempt that runs.
type sitting struct {
	invocation
	function *function
	start    time.Time
	stop     context.CancelFunc
	cut      *cut
}

// cut is somebody's wish that an invocation ends and is not tried again.
type cut struct{ id, reason string }

func newSeats(n int, notes *inflight.File) *seats {
	s := &seats{free: make(chan int, n), list: make([]seat, n), notes: notes}
	for i := range n {
		s.free <- i
	}
	return s
}

// take waits for an empty seat; false means that ctx has ended before.
func (s *seats) take(ctx context.Context) (number int, ok bool) {
	select {
	case number = <-s.free:
		return number, true
	case <-ctx.Done():
		return 0, false
	}
}

// sit begins an attempt in a seat that was taken.
func (s *seats) sit(number int, guest sitting) {
	at := &s.list[number]
	at.mu.Lock()
	at.guest = guest
	at.sitting = &at.guest
	at.mu.Unlock()
	if s.notes == nil {
		return
	}
	slot := number * api.MaxBatch
	for one := range guest.all() {
		s.notes.Set(slot, &inflight.Note{
			Invocation: one.id, Namespace: guest.function.spec.Namespace, Function: guest.function.spec.Name,
			Attempt: one.number, Revision: guest.function.spec.Revision, Start: guest.start,
		})
		slot++
	}
}

// leave ends it and empties the seat. It returns the wish that it should end, nil when there was none.
func (s *seats) leave(number int) *cut {
	at := &s.list[number]
	at.mu.Lock()
	wish, events := at.guest.cut, 1+len(at.guest.more)
	at.sitting, at.guest = nil, sitting{}
	at.mu.Unlock()
	if s.notes != nil {
		for i := range events {
			s.notes.Clear(number*api.MaxBatch + i)
		}
	}
	s.free <- number
	return wish
}

// cut ends the attempt of an invocation that runs; false means that there is none.
func (s *seats) cut(id, namespace, reason string) bool {
	for i := range s.list {
		if s.list[i].cut(id, namespace, reason) {
			return true
		}
	}
	return false
}

func (at *seat) cut(id, namespace, reason string) bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	g := at.sitting
	if g == nil || !g.handles(id) || g.function.spec.Namespace != namespace {
		return false
	}
	if g.cut == nil {
		g.cut = &cut{id, reason}
		g.stop()
	}
	return true
}

package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/inflight"
)

// seats are the places of guests that have begun. A seat knows who sits in it, so that he can be listed and cut, and notes him where the end of the process does
// not reach: see crash.go.
type seats struct {
	list  []seat
	notes *inflight.File // nil = nothing is noted

	// Guarded by processors.mu.
	empty []int // seats
	slots []int // of notes, that nobody has: one for each event of a batch
}

type seat struct {
	slots []int // guarded by processors.mu, and by whoever sits here

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

// slotsOf is how many notes n seats may need: a few batches of the largest size at once, or many small ones.
func slotsOf(n int) int { return n + 4*api.MaxBatch }

func newSeats(n int, notes *inflight.File) *seats {
	s := &seats{list: make([]seat, n), notes: notes}
	for i := n - 1; i >= 0; i-- {
		s.empty = append(s.empty, i)
	}
	for i := slotsOf(n) - 1; i >= 0; i-- {
		s.slots = append(s.slots, i)
	}
	return s
}

// room says whether a guest with a batch of n events can sit down.
func (s *seats) room(n int) bool { return len(s.empty) > 0 && len(s.slots) >= n }

// take returns the number of a seat; there is room.
func (s *seats) take(n int) int {
	number := s.empty[len(s.empty)-1]
	s.empty = s.empty[:len(s.empty)-1]
	at, left := &s.list[number], len(s.slots)-n
	at.slots = append(at.slots[:0], s.slots[left:]...)
	s.slots = s.slots[:left]
	return number
}

func (s *seats) give(number int) {
	s.empty = append(s.empty, number)
	s.slots = append(s.slots, s.list[number].slots...)
}

// sit begins an attempt in a seat that was taken for it.
func (s *seats) sit(number int, guest sitting) {
	at := &s.list[number]
	at.mu.Lock()
	at.guest = guest
	at.sitting = &at.guest
	at.mu.Unlock()
	if s.notes == nil {
		return
	}
	i := 0
	for one := range guest.all() {
		s.notes.Set(at.slots[i], &inflight.Note{
			Invocation: one.id, Namespace: guest.function.spec.Namespace, Function: guest.function.spec.Name,
			Attempt: one.number, Revision: guest.function.spec.Revision, Start: guest.start,
		})
		i++
	}
}

// leave ends it. It returns the wish that it should end, nil when there was none.
func (s *seats) leave(number int) *cut {
	at := &s.list[number]
	at.mu.Lock()
	wish := at.guest.cut
	at.sitting, at.guest = nil, sitting{}
	at.mu.Unlock()
	if s.notes != nil {
		for _, slot := range at.slots {
			s.notes.Clear(slot)
		}
	}
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

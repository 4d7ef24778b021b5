package host

import (
	"context"
	"errors"
	sched "runtime"
	"sync"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
)

// waiter is a goroutine that waits for a call.
type waiter struct {
	handle   int32
	status   int32
	answered bool
	gone     bool          // its event is over
	wake     chan struct{} // has room for one; it is answered, or it leads now
}

// line are the goroutines that wait for calls. A guest has one thread, which stands still while it waits for the runtime. So one of them, the leader, waits for all: first it lets every
// goroutine go on that can, and when none is left it waits for any call to end.
var line struct {
	sync.Mutex
	waiting []*waiter // the first one leads
}

// How long the leader waits at most before it lets others go on, in milliseconds: they may sleep, and only then wake up. The wait is short at first, and longer the longer nothing ends.
// When there are no others, all there can be are timers.
const (
	mostWait, aloneWait = 32, 100
	roundsOfOneLength   = 16
)

// ErrGone is for a call that is not there any more. Its handle may be that of another event's call.
var ErrGone = errors.New("the event is over")

// End sends away who still waits when a handler has returned: goroutines that it has left behind.
func End() {
	line.Lock()
	defer line.Unlock()
	for _, w := range line.waiting {
		w.gone = true
		w.signal()
	}
	line.waiting = nil
}

// Await waits until a call has ended, and returns its status; ctx may end before. It is for calls that take long; other goroutines go on meanwhile.
func Await(ctx context.Context, handle int32) (status int32, err error) {
	w := &waiter{handle: handle, wake: make(chan struct{}, 1)}
	line.Lock()
	line.waiting = append(line.waiting, w)
	leads := line.waiting[0] == w
	line.Unlock()
	defer w.leave()
	if !leads {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return w.lead(ctx)
}

// leave goes out of the line. Who is first then leads.
func (w *waiter) leave() {
	line.Lock()
	defer line.Unlock()
	for i, other := range line.waiting {
		if other != w {
			continue
		}
		line.waiting = append(line.waiting[:i], line.waiting[i+1:]...)
		if i == 0 && len(line.waiting) > 0 {
			line.waiting[0].signal()
		}
		return
	}
}

func (w *waiter) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // it has been woken
	}
}

// lead waits for all, until its own call has ended.
func (w *waiter) lead(ctx context.Context) (status int32, err error) {
	for wait, rounds := int64(0), int64(0); ; rounds++ {
		sched.Gosched()
		switch status, answered, gone := w.state(); {
		case gone:
			return 0, ErrGone
		case answered:
			return status, nil
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		got := CallWait(-1, wait)
		switch handle := int32(got >> 32); {
		case got == abi.Absent && sched.NumGoroutine() <= alone:
			wait = aloneWait
		case got == abi.Absent:
			wait = min(1+rounds/roundsOfOneLength, mostWait)
		case got < 0:
			return 0, ErrGone
		default:
			wait, rounds = 0, 0
			w.tell(handle, int32(got))
		}
	}
}

// alone is how many goroutines there are when the handler has started none.
const alone = 1

func (w *waiter) state() (status int32, answered, gone bool) {
	line.Lock()
	defer line.Unlock()
	return w.status, w.answered, w.gone
}

// tell wakes who waits for a call. When the event of the leader is over, the handle means nothing any more.
func (w *waiter) tell(handle, status int32) {
	line.Lock()
	defer line.Unlock()
	if w.gone {
		return
	}
	for _, other := range line.waiting {
		if other.handle == handle {
			other.status, other.answered = status, true
			other.signal()
		}
	}
}

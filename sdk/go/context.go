package evoke

import (
	"context"
	"sync"
	"time"

	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// delivery is the context of a handler: it ends at the delivery's deadline. Most handlers never ask for it, and a timer costs a small sandbox more than
// its whole event, so everything is made when it is asked for.
type delivery struct {
	mu     sync.Mutex
	timed  context.Context // nil until it is asked for
	cancel context.CancelFunc
	ended  bool
	event  int32 // the one at hand; -1 = all
}

// deliveredKey is where Fetch finds delivery.event.
type deliveredKey struct{}

var _ context.Context = (*delivery)(nil)

// made is the context with its timer. After the event, when only a goroutine that was left behind can ask, it is one that has ended.
func (d *delivery) made() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.timed != nil:
	case d.ended:
		d.timed, d.cancel = context.WithCancel(context.Background())
		d.cancel()
	default:
		d.timed, d.cancel = context.WithTimeout(context.Background(), time.Duration(host.DeadlineMs())*time.Millisecond)
	}
	return d.timed
}

// end frees the timer if there is one, and who waits for what nobody wants any more.
func (d *delivery) end() {
	host.End()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel()
	}
}

func (d *delivery) Deadline() (time.Time, bool) { return d.made().Deadline() }
func (d *delivery) Done() <-chan struct{}       { return d.made().Done() }
func (d *delivery) Err() error                  { return d.made().Err() }
func (d *delivery) Value(key any) any {
	if key == (deliveredKey{}) {
		return d.event
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		return nil
	}
	return d.timed.Value(key) // so that package context finds what it knows, and a context made of this one needs no goroutine
}

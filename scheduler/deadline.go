package scheduler

import (
	"context"
	"sync"
	"time"
)

// deadline is the context of an attempt. The time in which its guest waits for a processor, because it is the turn of others, is not the attempt's: the deadline moves on
// by it. Else a flood of one function would make events of another one fail.
type deadline struct {
	context.Context // ends with its parent, by cancel, or when the time is over
	cancel          context.CancelCauseFunc

	mu    sync.Mutex
	at    time.Time
	timer *time.Timer
	held  time.Duration
	since time.Time // of the wait that goes on; zero = none does
}

func withDeadline(parent context.Context, length time.Duration) *deadline {
	d := &deadline{at: time.Now().Add(length)}
	d.Context, d.cancel = context.WithCancelCause(parent)
	d.timer = time.AfterFunc(length, d.expire)
	return d
}

// Deadline implements context.Context: what it is now.
func (d *deadline) Deadline() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if parent, ok := d.Context.Deadline(); ok && parent.Before(d.at) {
		return parent, true
	}
	return d.at, true
}

// Err implements context.Context.
func (d *deadline) Err() error {
	err := d.Context.Err()
	if err != nil && context.Cause(d.Context) == context.DeadlineExceeded { //nolint:errorlint // it is the very one that expire gives
		return context.DeadlineExceeded
	}
	return err
}

func (d *deadline) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since.IsZero() && !time.Now().Before(d.at) { // else it has moved on
		d.cancel(context.DeadlineExceeded)
	}
}

// hold stops the time, resume lets it go on.
func (d *deadline) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = time.Now()
	d.timer.Stop()
}

func (d *deadline) resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	waited := time.Since(d.since)
	d.at, d.held, d.since = d.at.Add(waited), d.held+waited, time.Time{}
	d.timer.Reset(time.Until(d.at))
}

// stop ends it and says how long the guest has waited for processors.
func (d *deadline) stop() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer.Stop()
	d.cancel(context.Canceled)
	return d.held
}

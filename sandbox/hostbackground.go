package sandbox

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/sdk/abi"
)

// background is what the calls of a delivery that take long have in common. Each has a goroutine, which belongs to its handle: whoever closes the handle, or ends the
// delivery, cancels it and waits for it. So there are never more of them than open handles, and none touches the instance.
type background struct {
	ended chan struct{} // has room for one: a call has ended since somebody looked
	held  atomic.Int64  // bytes of open answers
}

// running is a call that had no answer when somebody last looked.
type running struct {
	cancel   context.CancelFunc
	done     chan struct{} // closed by the goroutine when the fields below are set
	status   int32
	answer   []byte
	reserved int64 // for the answer; the goroutine's until done
}

// look takes over the answer of a call that has ended, and says whether it has one.
func (o *opened) look() bool {
	if o.running == nil {
		return true
	}
	select {
	case <-o.running.done:
		o.status, o.answer, o.running, o.held = o.running.status, o.running.answer, nil, true
		return true
	default:
		return false
	}
}

// begin runs a call in the background. Its open answers may have as many bytes, together, as the guest has of its memory left: it has to take them there.
func (inv *invocation) begin(run func(context.Context, func(int) bool) (int32, []byte)) *running {
	if inv.calls.background == nil {
		inv.calls.background = &background{ended: make(chan struct{}, 1)}
	}
	b, room := inv.calls.background, int64(inv.program.memory)-int64(inv.instance.memory.Size())
	ctx, cancel := context.WithCancel(inv.Context)
	r := &running{cancel: cancel, done: make(chan struct{})}
	logger, function := inv.program.runtime.logger, inv.program.settings.Function
	go func() {
		defer cancel()
		defer func() {
			if cause := recover(); cause != nil {
				logger.Error("a capability panicked", slog.String("function", function), slog.Any("err", cause), slog.String("stack", string(debug.Stack())))
				r.status, r.answer = abi.StatusInternal, []byte("the capability failed; the runtime's log has the details")
			}
			b.held.Add(int64(len(r.answer)) - r.reserved)
			close(r.done)
			select {
			case b.ended <- struct{}{}:
			default:
			}
		}()
		r.status, r.answer = run(ctx, func(n int) bool {
			if b.held.Add(int64(n)) > room {
				b.held.Add(-int64(n))
				return false
			}
			r.reserved += int64(n)
			return true
		})
	}()
	return r
}

// await waits for a call that runs, or with -1 for any, without a processor. It returns nil after the time; below zero there is no limit but the deadline.
func (inv *invocation) await(handle int32, timeoutMs int64) (*opened, error) {
	if timeoutMs == 0 {
		return nil, nil
	}
	defer inv.back(time.Now())
	inv.instance.memory.Leave()
	var found *opened
	inv.host.Outside(inv.Context, inv.instance.burnt(), func() { found = inv.calls.wait(inv.Context, handle, timeoutMs) })
	inv.deadline, _ = inv.Deadline()
	if inv.Err() != nil {
		return nil, errStopped
	}
	return found, nil
}

// longest is a time that nobody waits for: the deadline comes before.
const longest = 24 * time.Hour

func (c *calls) wait(ctx context.Context, handle int32, timeoutMs int64) *opened {
	timeout := longest
	if timeoutMs > 0 && timeoutMs < longest.Milliseconds() {
		timeout = time.Duration(timeoutMs) * time.Millisecond
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		if o := c.wanted(handle); o == nil || o.running == nil {
			return o
		}
		select {
		case <-c.background.ended:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// close gives back what a handle holds and forgets the handle. A call that runs is canceled.
func (c *calls) close(o *opened) {
	if o.running != nil {
		o.running.cancel()
		<-o.running.done
		o.look()
	}
	if o.held {
		c.background.held.Add(-int64(len(o.answer)))
	}
	handle := o.handle
	c.open = slices.DeleteFunc(c.open, func(o opened) bool { return o.handle == handle })
}

// end cancels what still runs and waits for it.
func (c *calls) end() {
	for i := range c.open {
		if r := c.open[i].running; r != nil {
			r.cancel()
		}
	}
	for i := range c.open {
		if r := c.open[i].running; r != nil {
			<-r.done
		}
	}
}

// drop is end for handles of which nobody knows any more.
func (c *calls) drop() {
	if len(c.open) == 0 {
		return
	}
	c.end()
	for len(c.open) > 0 {
		c.close(&c.open[0])
	}
}

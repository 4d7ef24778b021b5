package evoke

import (
	"context"
	"errors"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Handler handles one event. The context ends at the deadline of the attempt. The event is only valid until the handler returns.
type Handler func(ctx context.Context, e *Event) (Reply, error)

// registered is set once, in an init function of the program: with -buildmode=c-shared there is no main to hand the handler to.
var registered Handler

// Handle registers the function's handler. Call it once, in an init function.
func Handle(h Handler) {
	if h == nil {
		panic("evoke.Handle: the handler is nil")
	}
	if registered != nil {
		panic("evoke.Handle was called twice; a function has one handler")
	}
	registered = h
}

// Deliver runs a handler on the events at hand and returns the verdict for the runtime. The entry point of the module calls it, and package
// evoketest; functions do not.
func Deliver(h Handler) int32 {
	ctx := &delivery{}
	defer ctx.end()
	count := host.EventCount()
	for ev := range count {
		v, after, reason := handle(ctx, h, ev)
		if v != abi.Done {
			host.Verdict(ev, v, after, reason)
		}
		if count == 1 {
			return v
		}
	}
	return abi.Done // is the verdict of those that have none yet
}

// handle runs the handler on one event. retryAfterMs is -1 when the policy of the trigger decides. A panic of the handler goes its way: Go prints it
// with its stack to stderr, which is the log, and ends the sandbox.
func handle(ctx context.Context, h Handler, ev int32) (verdict int32, retryAfterMs int64, reason string) {
	e := receive(ev)
	reply, err := h(ctx, e)
	if err == nil {
		err = reply.send(e)
	}
	return judge(err)
}

func judge(err error) (verdict int32, retryAfterMs int64, reason string) {
	if err == nil {
		return abi.Done, -1, ""
	}
	var rejected *rejection
	if errors.As(err, &rejected) {
		return abi.Rejected, -1, err.Error()
	}
	var delayed *delay
	if errors.As(err, &delayed) {
		return abi.Failed, delayed.after.Milliseconds(), err.Error()
	}
	return abi.Failed, -1, err.Error()
}

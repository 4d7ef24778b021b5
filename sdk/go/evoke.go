package evoke

import (
	"context"
	"errors"
	"strconv"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Handler handles one event. The context ends at the deadline of the attempt. The event is only valid until the handler returns.
type Handler func(ctx context.Context, e *Event) (Reply, error)

// BatchHandler handles the events of a batch together (`batch:` of a topic trigger); an event that comes alone is a batch of one. The error at a place is what became of
// the event at that place; those without one are done. What it emits becomes real when all are done; when some are not, the others are delivered again without
// them. State needs one key, so a batch has none.
type BatchHandler func(ctx context.Context, events []*Event) []error

// registered is set once, in an init function of the program: with -buildmode=c-shared there is no main to hand the handler to.
var registered func() int32

// Handle registers the function's handler. Call it, or HandleBatch, once, in an init function. The events of a batch are handled one by one.
func Handle(h Handler) {
	if h == nil {
		panic("evoke.Handle: the handler is nil")
	}
	register(func() int32 { return Deliver(h) })
}

// HandleBatch registers a handler for batches. Call it, or Handle, once, in an init function.
func HandleBatch(h BatchHandler) {
	if h == nil {
		panic("evoke.HandleBatch: the handler is nil")
	}
	register(func() int32 { return DeliverBatch(h) })
}

func register(deliver func() int32) {
	if registered != nil {
		panic("evoke.Handle or HandleBatch was called before; a function has one handler")
	}
	registered = deliver
}

// Deliver runs a handler on the events at hand and returns the verdict for the runtime. The entry point of the module calls it, and package
// evoketest; functions do not.
func Deliver(h Handler) int32 {
	ctx := &delivery{}
	defer ctx.end()
	count := host.EventCount()
	for ev := range count {
		ctx.event = ev
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

// DeliverBatch is Deliver for a handler of batches.
func DeliverBatch(h BatchHandler) int32 {
	ctx := &delivery{event: -1}
	defer ctx.end()
	events := make([]*Event, host.EventCount())
	for ev := range events {
		events[ev] = receive(int32(ev))
	}
	errs := h(ctx, events)
	if len(errs) > len(events) {
		panic("the batch handler returned " + strconv.Itoa(len(errs)) + " errors for " + strconv.Itoa(len(events)) + " events")
	}
	for ev, err := range errs {
		if v, after, reason := judge(err); v != abi.Done {
			host.Verdict(int32(ev), v, after, reason)
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

package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// defaultDeadline is for a context without one.
const defaultDeadline = 30 * time.Second

// delivery is what one run of a guest is about: an event, or a batch of them.
type delivery struct {
	event   *event.Event
	more    []*event.Event // of a batch: the events behind the first
	host    Host
	started time.Time
}

// invoke runs one delivery in an instance that is as the snapshot.
func (p *program) invoke(ctx context.Context, d delivery) (res Result) {
	if len(d.more) > 0 && p.kind == KindCommand {
		return failure{ClassInternal, "a WASI command takes one event at a time, not a batch"}.result()
	}
	var i *instance
	defer func() {
		if cause := recover(); cause != nil {
			p.runtime.logger.Error("sandbox panicked", slog.String("function", p.settings.Function), slog.Any("err", cause), slog.String("stack", string(debug.Stack())))
			res = failure{ClassInternal, "the sandbox failed; the runtime's log has the details"}.result()
			if i != nil {
				p.discard(i) // who knows what state it is in
			}
		}
	}()
	if err := p.pool.enter(ctx); err != nil {
		return waited(ctx, err, d.started)
	}
	defer p.pool.leave()
	var failed *Result
	if i, failed = p.instance(ctx, d.host); failed != nil {
		return *failed
	}
	p.replayLog(d.host)
	res, ended, again := i.deliver(ctx, d)
	if !again || !p.pool.put(i, ended) {
		p.discard(i)
	}
	i = nil
	return res
}

// instance takes one that waits or makes one. The result is for the event when there is none.
func (p *program) instance(ctx context.Context, h Host) (*instance, *Result) {
	if i := p.pool.take(); i != nil {
		return i, nil
	}
	s := p.snapshot.Load()
	if s == nil && p.resettable { // initialisation failed when the module was loaded, and may not fail again
		var failed *Result
		if s, failed = p.initialise(ctx, h); failed != nil {
			return nil, failed
		}
		s = p.keepSnapshot(s)
	}
	i, err := p.newInstance(s)
	if err != nil {
		return nil, p.instanceFailure(err)
	}
	return i, nil
}

// begin makes the instance ready for a delivery. Its invocation is empty: reset has left it so.
func (i *instance) begin(ctx context.Context, d delivery) {
	i.memory.Watch()
	inv := &i.inv
	inv.Context, inv.program, inv.instance, inv.host = ctx, i.program, i, d.host
	inv.first.event, inv.first.retryAfter = d.event, -1
	if len(d.more) > 0 {
		inv.more = make([]delivered, len(d.more))
		for n, e := range d.more {
			inv.more[n].event, inv.more[n].retryAfter = e, -1
		}
	}
	inv.started, inv.begun = d.started, time.Now()
	inv.turn, inv.patience = inv.begun, turn
	inv.deadline, _ = ctx.Deadline()
	inv.timeout = inv.deadline.Sub(inv.started)
	if i.program.script != nil {
		inv.moment = scriptMoment
	}
	inv.log.host, inv.phase = d.host, initialising
	i.fill()
}

// deliver runs one delivery and puts the instance back, if it can: again says that it may serve another one.
func (i *instance) deliver(ctx context.Context, d delivery) (res Result, ended time.Time, again bool) {
	i.begin(ctx, d)
	inv := &i.inv
	err := inv.run()
	inv.phase = over
	ended = time.Now()
	inv.bill.Guest = ended.Sub(inv.begun) - inv.outside
	inv.bill.Fuel = i.burnt()
	inv.bill.PeakMemory = int64(i.memory.Size())
	inv.log.flush()
	res = inv.result(err)
	if i.snapshot == nil || stackTooLarge(err) {
		return res, ended, false
	}
	if err == nil && i.program.settings.Reuse && i.program.kind == KindNative {
		i.keepState()
		return res, ended, true
	}
	if err := i.reset(); err != nil {
		i.program.runtime.logger.Debug("reset an instance", slog.String("function", i.program.settings.Function), slog.Any("err", err))
		return res, ended, false
	}
	return res, ended, true
}

// stackTooLarge says that the engine's stack of an instance has become so large that making a new one is better than keeping it.
func stackTooLarge(err error) bool {
	return err != nil && strings.Contains(err.Error(), "stack overflow")
}

// run takes an instance from its snapshot, or from nothing, through an event. The error is what ended it early.
func (inv *invocation) run() error {
	defer inv.calls.end()
	i := inv.instance
	if i.snapshot == nil {
		if err := i.boot(); err != nil {
			return err
		}
	} else if !i.used {
		if err := i.refresh(); err != nil {
			return err
		}
	}
	switch i.program.kind {
	case KindCommand:
		return inv.runCommand()
	case KindScript:
		return inv.runScript()
	}
	inv.phase = handling
	v, err := inv.callExport(abi.ExportHandle)
	for n := range inv.count() {
		if d := inv.at(n); err == nil && !d.verdictSet {
			d.verdict = abi.Verdict(v)
		}
	}
	return err
}

// callExport calls an export without parameters; the result is 0 when it has none.
func (inv *invocation) callExport(name string) (int32, error) {
	inv.during = name
	inv.stack[0] = 0
	err := inv.instance.function(name).CallWithStack(inv, inv.stack[:])
	return int32(inv.stack[0]), err
}

// runCommand gives the event to a program on stdin; its exit code is the verdict.
func (inv *invocation) runCommand() error {
	if err := inv.instance.start(); err != nil {
		return err
	}
	inv.stdin = commandInput(inv.first.event)
	inv.phase = handling
	_, err := inv.callExport(abi.ExportStart)
	code, exited := exitCode(err)
	if err != nil && !exited {
		return err
	}
	inv.log.flush()
	said := &inv.first
	said.verdictSet = true
	switch {
	case inv.tooLong:
		said.verdict, said.reason = abi.Failed, fmt.Sprintf("the program wrote more than %d bytes to stdout", abi.MaxReply)
	case code == abi.ExitDone:
		said.verdict = abi.Done
	case inv.instance.memory.Refused() && inv.log.crash != "":
		return err
	case code == abi.ExitRejected:
		said.verdict, said.reason = abi.Rejected, inv.log.last
	default:
		said.verdict, said.reason = abi.Failed, inv.exitReason(code)
	}
	return nil
}

// exitReason is the last line on stderr, unless that is the end of a stack trace.
func (inv *invocation) exitReason(code uint32) string {
	switch {
	case inv.log.crash != "":
		return inv.log.crash
	case inv.log.last != "":
		return inv.log.last
	}
	return fmt.Sprintf("the program exited with code %d and wrote nothing to stderr", code)
}

// commandInput is the event as structured JSON, with the HTTP request as one more member.
func commandInput(e *event.Event) []byte {
	b := buildPart(e, abi.PartEvent)
	if e.Request == nil {
		return b
	}
	b = append(b[:len(b)-1], `,"evokehttp":`...)
	return append(append(b, e.Request...), '}')
}

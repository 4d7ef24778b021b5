package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// defaultDeadline is for a context without one.
const defaultDeadline = 30 * time.Second

// Invoke runs the module on one event in a fresh instance, until ctx's deadline (30 s without one). It never returns an error: what goes wrong is a
// Result. The event must not change meanwhile; nothing of the Result points into it or into the instance.
func (m *Module) Invoke(ctx context.Context, e *event.Event, h Host) (res Result) {
	started := time.Now()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			m.runtime.logger.Error("sandbox panicked", slog.String("function", m.settings.Function), slog.Any("err", p), slog.String("stack", string(debug.Stack())))
			res = failure{ClassInternal, "the sandbox failed; the runtime's log has the details"}.result()
		}
		res.Bill.Wall = time.Since(started)
	}()
	memory, err := newLinearMemory(m.memory)
	if err != nil {
		m.runtime.logger.Error("no memory for an instance", slog.String("function", m.settings.Function), slog.Any("err", err))
		return failure{ClassInternal, "the runtime is out of memory"}.result()
	}
	defer func() {
		if err := memory.release(); err != nil {
			m.runtime.logger.Error("memory of an instance was not freed", slog.Any("err", err))
		}
	}()
	inv := &invocation{
		Context: experimental.WithMemoryAllocator(ctx, memory),
		module:  m, host: h, memory: memory, started: started, event: e,
		log: guestLog{host: h}, retryAfter: -1,
	}
	err = inv.run()
	inv.log.flush()
	inv.bill.PeakMemory = int64(memory.size)
	return inv.result(err)
}

// run takes an instance through its life. The error is what ended it early.
func (inv *invocation) run() error {
	inv.during = "the start function"
	instance, err := inv.module.runtime.engine.InstantiateModule(inv, inv.module.compiled, inv.module.config)
	if err != nil {
		return err
	}
	defer func() {
		inv.phase = ended
		_ = instance.Close(inv) // frees nothing that could fail
	}()
	if inv.module.kind == KindCommand {
		return inv.runCommand(instance)
	}
	if err := inv.initialise(instance); err != nil {
		return err
	}
	inv.phase = handling
	v, err := inv.callExport(instance, abi.ExportHandle)
	if err == nil && !inv.verdictSet {
		inv.verdict = abi.Verdict(v)
	}
	return err
}

// initialise runs what a module has for it. Handles do not outlive it: with snapshots it will have run long before the event.
func (inv *invocation) initialise(instance api.Module) error {
	if inv.module.exports[abi.ExportInitialize] {
		if _, err := inv.callExport(instance, abi.ExportInitialize); err != nil {
			return err
		}
	}
	if inv.module.exports[abi.ExportInit] {
		code, err := inv.callExport(instance, abi.ExportInit)
		if err != nil {
			return err
		}
		if code != 0 {
			return &initError{code}
		}
	}
	inv.calls = calls{}
	return nil
}

// callExport calls an export without parameters; the result is 0 when it has none.
func (inv *invocation) callExport(instance api.Module, name string) (int32, error) {
	inv.during = name
	var stack [1]uint64
	err := instance.ExportedFunction(name).CallWithStack(inv, stack[:])
	return int32(stack[0]), err
}

// runCommand gives the event to a program on stdin; its exit code is the verdict.
func (inv *invocation) runCommand(instance api.Module) error {
	inv.stdin = commandInput(inv.event)
	inv.phase = handling
	_, err := inv.callExport(instance, abi.ExportStart)
	code, exited := exitCode(err)
	if err != nil && !exited {
		return err
	}
	inv.log.flush()
	inv.verdictSet = true
	switch {
	case inv.tooLong:
		inv.verdict, inv.reason = abi.Failed, fmt.Sprintf("the program wrote more than %d bytes to stdout", abi.MaxReply)
	case code == abi.ExitDone:
		inv.verdict = abi.Done
	case inv.memory.refused && inv.log.crash != "":
		return err
	case code == abi.ExitRejected:
		inv.verdict, inv.reason = abi.Rejected, inv.log.last
	default:
		inv.verdict, inv.reason = abi.Failed, inv.exitReason(code)
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

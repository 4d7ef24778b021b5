package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/evoke-run/evoke/sandbox/linear"
	"github.com/evoke-run/evoke/sandbox/rewrite"
	"github.com/evoke-run/evoke/sdk/abi"
)

const tooLate = "the deadline had passed before it started"

const maxTrapText = 2 << 10

// initError is a result of evoke_init that is not 0, with the last error that the guest has logged, which is most likely why.
type initError struct {
	code   int32
	logged string
}

func (e *initError) Error() string {
	text := fmt.Sprintf("%s returned %d", abi.ExportInit, e.code)
	if e.logged != "" {
		text += ": " + e.logged
	}
	return text
}

// failure is how a delivery ended that did not get to say its verdict.
type failure struct{ class, reason string }

func (f failure) result() Result {
	return Result{Verdict: abi.Failed, Class: f.class, Reason: cutText(f.reason, abi.MaxReason), RetryAfter: -1}
}

// result turns the end of a run into what the caller gets.
func (inv *invocation) result(err error) Result {
	if err != nil {
		res := inv.failure(err).result()
		res.Bill = inv.bill
		return res
	}
	res := inv.first.result()
	res.Data, res.Attributes, res.Bill = inv.reply, inv.json, inv.bill
	done := res.Verdict == abi.Done
	for n := range inv.more {
		one := inv.more[n].result()
		done = done && one.Verdict == abi.Done
		res.More = append(res.More, one)
	}
	if done {
		res.Emitted = inv.emitted
	} else {
		res.Dropped = len(inv.emitted)
	}
	return res
}

// result is what the guest said of one event.
func (d *delivered) result() Result {
	res := Result{Verdict: d.verdict, Reason: d.reason, RetryAfter: -1}
	switch d.verdict {
	case abi.Done:
		res.Reason = ""
	case abi.Rejected:
		res.Class = ClassRejected
		res.Reason = orElse(res.Reason, "the function rejected the event and gave no reason")
	default:
		res.Verdict, res.Class, res.RetryAfter = abi.Failed, ClassError, d.retryAfter
		res.Reason = orElse(res.Reason, fmt.Sprintf("the function returned %d and gave no reason", d.verdict))
	}
	return res
}

// orElse is other for a zero v.
func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// waited is the result of an event whose time was over before it had an instance.
func waited(ctx context.Context, err error, started time.Time) Result {
	if errors.Is(err, context.Canceled) {
		return failure{ClassCanceled, "canceled while it waited for an instance"}.result()
	}
	deadline, _ := ctx.Deadline()
	timeout := deadline.Sub(started)
	if timeout <= 0 {
		return failure{ClassDeadline, tooLate}.result()
	}
	return failure{ClassDeadline, fmt.Sprintf("waited %s for an instance: so many events of the function were running", roundTimeout(timeout))}.result()
}

// instanceFailure is the result of an event for which no instance could be made.
func (p *program) instanceFailure(err error) *Result {
	inv := &invocation{program: p, during: duringStart, instance: &instance{memory: &linear.Memory{}}}
	var ours *hostError
	if errors.As(err, &ours) {
		p.runtime.logger.Error("cannot make an instance", slog.String("function", p.settings.Function), slog.Any("err", err))
		res := failure{ClassInternal, "the runtime is out of memory"}.result()
		return &res
	}
	res := inv.failure(err).result()
	return &res
}

// failure finds out who is to blame for the end of a run.
func (inv *invocation) failure(err error) failure {
	if f, ok := inv.stopped(err); ok {
		return f
	}
	text, guest := guestError(err)
	if !guest {
		inv.program.runtime.logger.Error("sandbox failed", slog.String("function", inv.program.settings.Function), slog.Any("err", err))
		return failure{ClassInternal, "the sandbox failed; the runtime's log has the details"}
	}
	text += inv.where
	if inv.log.crash != "" {
		text = inv.log.crash + " (" + text + ")"
	}
	class := ClassTrap
	if _, ok := exitCode(err); ok {
		class = ClassExit
	}
	if inv.early() {
		class = ClassInit
		if !strings.HasPrefix(text, inv.during) {
			text = inv.during + ": " + text
		}
	}
	if inv.instance.memory.Refused() {
		return failure{ClassMemory, fmt.Sprintf("wanted more memory than its limit of %s and then died: %s", formatBytes(inv.program.memory), text)}
	}
	return failure{class, text}
}

// stopped tells a guest that was stopped from one that failed while its time ran out.
func (inv *invocation) stopped(err error) (failure, bool) {
	if !errors.Is(err, errStopped) {
		return failure{}, false
	}
	during := ""
	if inv.early() {
		during = " (in " + inv.during + ")"
	}
	if errors.Is(inv.Err(), context.Canceled) {
		return failure{ClassCanceled, "canceled before it finished" + during}, true
	}
	if inv.timeout <= 0 {
		return failure{ClassDeadline, tooLate + during}, true
	}
	return failure{ClassDeadline, fmt.Sprintf("did not finish within %s%s%s", roundTimeout(inv.timeout), during, inv.where)}, true
}

// roundTimeout undoes the moment that passed between setting the deadline and starting: 29.9996s was meant to be 30s.
func roundTimeout(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond} {
		if r := d.Round(unit); r > 0 && (r-d).Abs() <= max(2*time.Millisecond, d/100) {
			return r
		}
	}
	return d.Round(time.Microsecond)
}

// early says that the guest had not come to its event.
func (inv *invocation) early() bool {
	return inv.during != abi.ExportHandle && inv.during != abi.ExportStart
}

func exitCode(err error) (code uint32, exited bool) {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code, true
	}
	return 0, false
}

// guestError puts an error that the guest is to blame for into words.
func guestError(err error) (text string, ok bool) {
	var trap *trapError
	var exit *exitError
	var init *initError
	var script *scriptError
	switch {
	case errors.As(err, &script):
		return script.Error(), true
	case errors.As(err, &init):
		return init.Error(), true
	case errors.As(err, &exit):
		return exit.Error(), true
	case errors.As(err, &trap):
		return withTrace(trap.text, err.Error()), true
	}
	text = err.Error()
	if strings.HasPrefix(text, "start ") {
		_, text, _ = strings.Cut(text, " failed: ")
	}
	first, _, _ := strings.Cut(text, "\n")
	switch what, trap := strings.CutPrefix(first, "wasm error: "); { // the engine keeps its error values to itself
	case strings.HasSuffix(first, "(recovered by wazero)"): // a panic of ours, whatever it says
		return "", false
	case trap, what == "stack overflow":
		return withTrace(what, text), true
	case strings.HasSuffix(what, "]: out of bounds memory access"): // a data segment outside of memory
		return what, true
	}
	return "", false
}

// withTrace adds the guest's functions that the engine lists below an error, innermost first.
func withTrace(what, engineText string) string {
	_, trace, ok := strings.Cut(engineText, "\nwasm stack trace:\n")
	if !ok {
		return cutText(what, maxTrapText)
	}
	var names []string
	last, times := "", 1
	for line := range strings.Lines(trace) {
		switch name := functionName(strings.TrimSpace(line)); {
		case name == "":
		case name == last:
			times++
			names[len(names)-1] = fmt.Sprintf("%s (%d times)", name, times)
		default:
			names, last, times = append(names, name), name, 1
		}
	}
	if len(names) == 0 {
		return cutText(what, maxTrapText)
	}
	return cutText(what+" in "+strings.Join(names, " < "), maxTrapText)
}

// functionName cuts the types off a line of a trace: "main.work(i32,i64) i32". Functions without a name, "$17", tell nobody anything,
// nor do ours that the rewriter calls.
func functionName(line string) string {
	if strings.HasPrefix(line, rewrite.HostModule+".") || strings.HasPrefix(line, ".$") || strings.HasPrefix(line, "$") || strings.HasPrefix(line, "... ") {
		return ""
	}
	if i := strings.LastIndex(line, ") "); i >= 0 {
		line = line[:i+1]
	}
	if i := strings.LastIndexByte(line, '('); i > 0 && strings.HasSuffix(line, ")") {
		line = line[:i]
	}
	return strings.TrimPrefix(line, ".")
}

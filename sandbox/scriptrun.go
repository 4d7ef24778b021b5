package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// scriptMoment is what a script has beyond its deadline to say where it was: the engine asks now and then whether to go on, and an exception that nothing catches ends
// it there. What the engine does in one piece, like filling a long array, is stopped by its fuel when the moment is over.
const scriptMoment = 3 * time.Millisecond

// runScript gives the events of a delivery to the script, one after the other.
func (inv *invocation) runScript() error {
	s := inv.instance.script
	inv.phase, inv.during = handling, abi.ExportHandle
	for n := range inv.count() {
		err := inv.ended(s, inv.handleEvent(s, n))
		var thrown *scriptError
		switch d := inv.at(n); {
		case err == nil:
			d.verdictSet, d.verdict = true, abi.Done
		case errors.As(err, &thrown) && !inv.instance.memory.Refused():
			d.say(thrown.verdict())
		default:
			return err
		}
	}
	return nil
}

// ended turns the end of a script that was stopped, by an exception or in the middle, into one that says so, and notes where it was.
func (inv *invocation) ended(s *scriptState, err error) error {
	if err == nil {
		return nil
	}
	var thrown *scriptError
	threw := errors.As(err, &thrown)
	switch {
	case threw && !inv.interrupted:
		return err
	case threw:
		inv.where, err = framesText(thrown.frames), errStopped
	case inv.where == "":
		inv.where = inv.instance.whereabouts(s)
	}
	return err
}

// verdict is what is to become of an event whose handler threw.
func (e *scriptError) verdict() *delivered {
	d := &delivered{verdict: abi.Failed, retryAfter: -1, reason: cutText(e.Error(), abi.MaxReason)}
	if e.reject {
		d.verdict, d.reason = abi.Rejected, cutText(e.reason, abi.MaxReason)
	}
	if e.retryAfter >= 0 {
		d.retryAfter = time.Duration(min(e.retryAfter, int64(maxRetryAfter/time.Millisecond))) * time.Millisecond
	}
	return d
}

const maxRetryAfter = 1 << 62 * time.Nanosecond

// Kinds of data, as the prelude numbers them.
const (
	dataJSON = iota
	dataOther
)

func (inv *invocation) handleEvent(s *scriptState, n int) error {
	i := inv.instance
	defer inv.calls.drop() // what it does not wait for
	data, kind, err := i.newData(s, inv.at(n).event)
	if err != nil {
		return err
	}
	inv.bill.BytesIn += int64(len(inv.at(n).event.Data))
	v, err := i.call(s, s.Handle, data, jsInt(kind), jsInt(n))
	for err == nil && v.tag() == tagUndefined {
		v, err = inv.settle(s)
	}
	switch {
	case err != nil:
		return err
	case v.tag() == tagException:
		err = i.thrown(s)
	case n == 0 && v.tag() != tagNull:
		err = inv.takeReply(s, v)
	}
	return errors.Join(err, inv.logRejections(s))
}

// newData makes the value that the script finds as the event's data, or what it is made of when it is asked for.
func (i *instance) newData(s *scriptState, e *event.Event) (v jsValue, kind int, err error) {
	switch {
	case e.Data == nil, len(e.Data) == 0 && e.HasJSON():
		return jsUndefined, dataOther, nil
	case e.HasJSON() && utf8.Valid(e.Data):
		v, err = i.newText(s, e.Data)
		return v, dataJSON, err
	case isText(e.DataContentType) && utf8.Valid(e.Data):
		v, err = i.newText(s, e.Data)
	default:
		v, err = i.newBuffer(s, e.Data)
	}
	return v, dataOther, err
}

// isText says whether data of a content type is for people to read, or was typed in by them.
func isText(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return strings.HasPrefix(t, "text/") || t == "application/x-www-form-urlencoded" || t == "application/xml" || strings.HasSuffix(t, "+xml")
}

// settle goes on with a handler whose promise is not settled. An undefined answer means that it is not settled yet.
func (inv *invocation) settle(s *scriptState) (jsValue, error) {
	i := inv.instance
	if _, err := i.runJobs(s); err != nil {
		return 0, err
	}
	if err := inv.logRejections(s); err != nil {
		return 0, err
	}
	v, err := i.call(s, s.Settle)
	if err != nil || v.tag() != tagInt {
		return v, err
	}
	if were, err := inv.handAnswers(s); were || err != nil {
		return jsUndefined, err
	}
	return jsUndefined, inv.waitForScript(int64(v.int()))
}

// waitForScript waits for the next answer, but no longer than until a timer is due: in so many milliseconds, or never when it is below zero.
func (inv *invocation) waitForScript(timer int64) (err error) {
	switch o := inv.calls.any(); {
	case o != nil:
		waiting := inv.calls.waiting()
		if _, err = inv.await(-1, timer); err != nil {
			inv.where = waiting
		}
	case timer < 0:
		return newScriptError("the handler's promise never settles: there is nothing left that it could wait for")
	default:
		if err = inv.rest(time.Duration(timer) * time.Millisecond); err != nil {
			inv.where = ": it waits for a timer"
		}
	}
	return err
}

// waiting says what a script waits for.
func (c *calls) waiting() string {
	if n := len(c.open); n > 1 {
		return fmt.Sprintf(": it waits for %s and %d more", c.open[0].what, n-1)
	}
	return ": it waits for " + c.open[0].what
}

// takeReply takes over what the handler returned, as the prelude has put it: a string or an ArrayBuffer.
func (inv *invocation) takeReply(s *scriptState, v jsValue) error {
	i := inv.instance
	read := i.text
	if v.tag() == tagObject {
		read = i.buffer
	}
	b, err := read(s, v)
	if err != nil {
		return err
	}
	if inv.appendReply(b) != 0 {
		return newScriptError("the reply is larger than 1 MiB")
	}
	return nil
}

// thrown is the exception that the engine has kept.
func (i *instance) thrown(s *scriptState) error {
	boxed, err := i.engine("qjs_get_exception")
	if err != nil {
		return err
	}
	v, err := i.unbox(boxed)
	if err != nil {
		return err
	}
	return i.explain(s, v)
}

// explain puts a thrown value into words. Looking at it may run code of the script's, and fail in turn.
func (i *instance) explain(s *scriptState, thrown jsValue) error {
	silent := newScriptError("it threw something that cannot be shown")
	switch {
	case thrown.tag() == tagNull && i.memory.Refused(): // there was no room for the exception either
		return newScriptError(outOfMemory)
	case s.Explain == 0:
		return silent
	}
	v, err := i.call(s, s.Explain, thrown)
	if err != nil {
		return err
	}
	if v.tag() == tagException {
		return silent
	}
	b, err := i.text(s, v)
	if err != nil {
		return err
	}
	var said struct {
		Reason     string   `json:"reason"`
		Frames     []string `json:"frames"`
		Reject     bool     `json:"reject"`
		RetryAfter float64  `json:"retryAfter"`
	}
	if err := json.Unmarshal(b, &said); err != nil {
		return silent
	}
	return &scriptError{reason: said.Reason + insteadOf(said.Reason), frames: i.program.script.original(said.Frames), reject: said.Reject, retryAfter: int64(min(said.RetryAfter, 1<<53))}
}

// insteads say what to use for globals that scripts know from elsewhere.
var insteads = map[string]string{
	"Intl":           "functions have no Intl; date-fns formats dates without it",
	"process":        "functions have no process; context.env has the variables of env:",
	"Buffer":         "functions have no Buffer; take Uint8Array, TextEncoder, atob and btoa, or import { Buffer } from npm's buffer",
	"require":        "functions have no require; import what the bundle is to have",
	"setImmediate":   "functions have no setImmediate; setTimeout(f, 0) does the same",
	"XMLHttpRequest": "functions have no XMLHttpRequest; take fetch",
	"WebSocket":      "functions have no WebSocket, and keep no connections; take fetch",
	"window":         "functions have no page; globalThis has the globals",
	"document":       "functions have no page",
	"localStorage":   "functions have no localStorage; take context.state",
}

// insteadOf is the advice for a global that is not there, to be put behind the engine's words, or nothing.
func insteadOf(reason string) string {
	if strings.HasPrefix(reason, "ReferenceError: could not load module ") {
		return " (an import() whose name is made when it runs is not in the bundle; write the name as a text in it)"
	}
	name := strings.TrimSuffix(strings.TrimPrefix(reason, "ReferenceError: "), " is not defined")
	if insteads[name] == "" || reason == name {
		return ""
	}
	return " (" + insteads[name] + ")"
}

// whereabouts asks the engine where the script was when it was stopped in the middle: its frames are still there. The instance is put back anyway; when the engine cannot
// answer any more, nobody knows.
func (i *instance) whereabouts(s *scriptState) string {
	inv := &i.inv
	if s.Where == 0 || errors.Is(inv.Err(), context.Canceled) {
		return ""
	}
	inv.deadline, inv.moment, inv.interrupted = time.Now(), scriptMoment, true
	inv.turn, inv.patience = inv.deadline, 2*scriptMoment // no turn of others in between
	if i.depth != nil {
		i.depth.Set(i.fullDepth)
	}
	v, err := i.call(s, s.Where)
	if err != nil || v.tag() == tagException {
		return ""
	}
	b, err := i.text(s, v)
	if err != nil {
		return ""
	}
	return framesText(i.program.script.original(strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })))
}

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/sandbox/web"
	"github.com/evoke-run/evoke/sdk/abi"
)

const moduleScript = "env" // the engine's imports; no guest may name them, see Runtime.check

// offerScripts makes the host module that the engine of scripts calls. It is not among the imports that guests may name themselves.
func (r *Runtime) offerScripts(ctx context.Context) error {
	host := hostFunc{name: "host_call", sig: signature{params("iiiii"), []api.ValueType{i32}}, init: true, call: scriptCall}
	none := func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = 0 }
	builder := r.engine.NewHostModuleBuilder(moduleScript)
	for _, f := range []struct {
		name string
		sig  signature
		run  api.GoModuleFunc
	}{
		{host.name, host.sig, host.goFunc(moduleScript)},
		{"host_interrupt", signature{nil, host.sig.results}, interrupt},
		{"host_get_timezone_offset", signature{params("ii"), host.sig.results}, none}, // UTC
		{"host_module_normalize", signature{params("ii"), host.sig.results}, none},    // there is one module
		{"host_module_load", signature{params("ii"), host.sig.results}, none},
		{"host_promise_rejection", signature{params("iii"), nil}, rejected},
	} {
		builder.NewFunctionBuilder().WithGoModuleFunction(f.run, f.sig.params, f.sig.results).Export(f.name)
	}
	if _, err := builder.Instantiate(ctx); err != nil {
		return fmt.Errorf("make host module %s: %w", moduleScript, err)
	}
	return nil
}

// interrupt is asked by the engine whether to go on. It stops a script whose time is over once: what runs then is how it says where it was.
func interrupt(ctx context.Context, _ api.Module, stack []uint64) {
	inv := ctx.(*invocation)
	stack[0] = 0
	if !inv.interrupted && (errors.Is(inv.Err(), context.Canceled) || !time.Now().Before(inv.deadline)) {
		inv.interrupted = true
		stack[0] = 1
	}
}

const maxHostArguments = 8

// scriptCall is the prelude's function host: the first of its arguments says what it is about.
func scriptCall(c call, stack []uint64) {
	i, count, values := c.instance, min(uint32(stack[3]), maxHostArguments), uint64(uint32(stack[4]))
	arguments := make([]hostValue, count)
	var err error
	for n := range arguments {
		if arguments[n], err = i.argument(values, n); err != nil {
			panic(inHost(err))
		}
	}
	answer, err := c.answer(arguments)
	if err == nil {
		stack[0], err = i.boxed(answer)
	}
	if err != nil {
		panic(inHost(err))
	}
}

// inHost is the error of a call into the engine as the host function that made it may panic with.
func inHost(err error) error {
	if errors.Is(err, errStopped) {
		return errStopped
	}
	return &trapError{err.Error()}
}

// answer does what a script asks for.
func (c call) answer(arguments []hostValue) (hostValue, error) {
	raw := func(n int) []byte {
		if n < len(arguments) {
			return arguments[n].bytes
		}
		return nil
	}
	arg := func(n int) string { // one byte more than what may be asked for is enough to refuse it
		b := raw(n)
		return string(b[:min(len(b), abi.MaxRequest+1)])
	}
	switch arg(0) {
	case "log":
		if c.log.cut {
			break // before it is looked through for nothing, again and again
		}
		text := arg(2)
		if len(text) <= abi.MaxLog { // else it is cut
			text = c.program.script.originalText(text)
		}
		c.log.line(scriptLevel(arg(1)), text)
	case "env":
		return textValue(c.environment()), nil
	case "emit":
		return textValue(c.emitText(raw(1), raw(2))), nil
	case abi.OpStateGet, abi.OpStateSet, abi.OpStateDelete, abi.OpStateList, abi.OpSecretGet:
		return textValue(c.capability(arg(0), arg(1), arg(2))), nil
	case "begin":
		return textValue(c.startScriptCall(arg(1), raw(2), raw(3), arg(4))), nil
	case "cancel":
		c.cancelScriptCall(arg(1))
	case "respond":
		return textValue(c.respond(raw(1))), nil
	case "deadline":
		return textValue(c.deadlineText()), nil
	case "attempt":
		return textValue(c.attemptText(arg(1))), nil
	case "data":
		if e := c.eventOf(arg(1)); e != nil {
			return hostValue{kind: valueBinary, bytes: e.event.Data}, nil
		}
	case "text":
		if e := c.eventOf(arg(1)); e != nil {
			return textValue(strings.ToValidUTF8(string(e.event.Data), "\uFFFD")), nil
		}
	case "attributes":
		if e := c.eventOf(arg(1)); e != nil {
			return textValue(string(e.event.AttributesJSON())), nil
		}
	case "request":
		if e := c.eventOf(arg(1)); e != nil && e.event.Request != nil {
			return textValue(string(e.event.Request)), nil
		}
	case "web.globals":
		return textValue(web.Globals()), nil
	case "web.group":
		return c.instance.webGroup(arg(1))
	case "web.call":
		return c.webCall(arg(1), arguments[min(2, len(arguments)):]), nil
	case "web.problem":
		return textValue(c.webProblem), nil
	}
	return hostValue{}, nil
}

// eventOf finds an event of the delivery by its number.
func (c call) eventOf(number string) *delivered {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= c.count() || c.phase == initialising {
		return nil
	}
	return c.at(n)
}

func scriptLevel(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// environment is what programs find in theirs, as JSON.
func (c call) environment() string {
	all := map[string]string{}
	for _, line := range c.program.environ {
		name, value, _ := strings.Cut(line, "=")
		all[name] = value
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings
	}
	return string(b)
}

// emitText emits an event and says what was wrong with it, or nothing.
func (c call) emitText(topic, body []byte) string {
	if c.phase == initialising {
		return "emit" + c.tooEarly()
	}
	_, problem := c.emit(topic, body)
	return problem
}

// respond takes over the head of a Response and says what is wrong with it, or nothing. An event that is no HTTP request has no status and no headers in its reply, only
// what its data is.
func (c call) respond(head []byte) string {
	if len(head) <= abi.MaxReply && c.first.event.Request == nil {
		var says struct{ Headers [][2]string }
		_ = json.Unmarshal(head, &says) // what cannot be read says nothing
		head = []byte("{}")
		for _, h := range says.Headers {
			if strings.EqualFold(h[0], "content-type") {
				head, _ = json.Marshal(map[string]string{"datacontenttype": h[1]}) // texts
			}
		}
	}
	if c.setReplyJSON(head) != 0 {
		return "it is too large"
	}
	return ""
}

// deadlineText is when the time of the delivery is over, in milliseconds since 1970.
func (c call) deadlineText() string {
	deadline, _ := c.Deadline() // Invoke has set one
	return strconv.FormatInt(deadline.UnixMilli(), 10)
}

// attemptText is which try of an event it is; 0 when there is none yet.
func (c call) attemptText(number string) string {
	n, err := strconv.Atoi(number)
	if err != nil || c.eventOf(number) == nil {
		return "0"
	}
	return strconv.Itoa(c.host.Attempt(n))
}

package sandbox

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/evoke-run/evoke/sandbox/web"
)

// duringScript names the script's top-level code in messages.
const duringScript = "the script's top-level code"

// Flags of qjs_eval.
const (
	evalScript = 0
	evalModule = 1
)

// bootScript brings a new instance of the engine, which has initialised itself, to where an event can begin: it loads the prelude and runs the script.
func (i *instance) bootScript() error {
	i.script = &scriptState{}
	return i.inv.ended(i.script, i.startScript(i.script))
}

func (i *instance) startScript(s *scriptState) error {
	before := i.inv.world.wallNow()
	if failed, err := i.engine("qjs_init"); err != nil || uint32(failed) != 0 {
		return orError(err, "the engine does not start")
	}
	at, err := i.engine("qjs_get_context_ptr")
	if err != nil {
		return err
	}
	s.Context = uint32(at)
	if s.Random, err = i.findRandom(s.Context, before, i.inv.world.wallNow()); err != nil {
		return err
	}
	for _, set := range []struct {
		name  string
		value uint64
	}{{"qjs_set_interrupt_handler", 1}, {"qjs_set_promise_rejection_handler", 1}, {"qjs_set_max_stack_size", scriptStack}, {"qjs_set_gc_threshold", scriptGarbage}} {
		if _, err := i.engine(set.name, set.value); err != nil {
			return err
		}
	}
	if at, err = i.engine("wasm_malloc", slotsSize); err != nil || uint32(at) == 0 {
		return orError(err, "the engine has no memory")
	}
	s.Slots = uint32(at)
	start, err := i.loadPrelude(s)
	if err != nil {
		return err
	}
	i.inv.during = duringScript
	exports, err := i.runModule(s)
	if err != nil {
		return err
	}
	mentioned, err := i.newText(s, []byte(strings.Join(web.Mentioned(i.program.script.text), " ")))
	if err != nil {
		return err
	}
	v, err := i.call(s, start, exports, mentioned)
	if err == nil && v.tag() == tagException {
		err = i.thrown(s)
	}
	if err != nil {
		return err
	}
	return i.inv.logRejections(s)
}

func orError(err error, text string) error {
	if err != nil {
		return err
	}
	return &trapError{text}
}

// findRandom finds the state of Math.random: a word next to the context that follows from the time at which it was made, which was between two looks at the
// clock. A snapshot must not be taken without: all events would draw the same numbers.
func (i *instance) findRandom(context uint32, after, before int64) (uint32, error) {
	const size = 2048 // of a context, at most
	words, err := i.view(uint64(context), size)
	if err != nil {
		return 0, err
	}
	found := uint32(0)
	for us := uint64(after) / 1000; us <= uint64(before)/1000; us++ {
		seeded := afterSeed(us)
		for n := uint32(0); n < size; n += 8 {
			switch {
			case binary.LittleEndian.Uint64(words[n:]) != seeded:
			case found != 0:
				return 0, &hostError{fmt.Errorf("the state of Math.random is in two places, %d and %d", found, context+n)}
			default:
				found = context + n
			}
		}
	}
	if found == 0 {
		return 0, &hostError{fmt.Errorf("the state of Math.random is not in the engine's context; it is another engine than %s was made for", preludeName)}
	}
	return found, nil
}

// loadPrelude runs the prelude and keeps its functions, but for the one that takes a script's exports.
func (i *instance) loadPrelude(s *scriptState) (start jsValue, err error) {
	global, err := i.engine("qjs_get_global")
	if err != nil {
		return 0, err
	}
	name, err := i.put([]byte("host"))
	if err != nil {
		return 0, err
	}
	host, err := i.engine("qjs_new_host_function", name, uint64(len("host")), 0)
	if err != nil {
		return 0, err
	}
	if name, err = i.put([]byte("__host")); err != nil {
		return 0, err
	}
	if _, err := i.engine("qjs_set_prop_string", global, name, host); err != nil {
		return 0, err
	}
	functions, err := i.eval(s, preludeName, []byte(prelude), evalScript)
	if err != nil {
		return 0, err
	}
	for _, f := range []struct {
		name string
		to   *jsValue
	}{{"explain", &s.Explain}, {"where", &s.Where}, {"handle", &s.Handle}, {"settle", &s.Settle}, {"answered", &s.Answered}, {"start", &start}} {
		if name, err = i.put([]byte(f.name)); err != nil {
			return 0, err
		}
		boxed, err := i.engine("qjs_get_prop_string", functions, name)
		if err != nil {
			return 0, err
		}
		if *f.to, err = i.unbox(boxed); err != nil {
			return 0, err
		}
	}
	return start, nil
}

// unbox reads the value that an address of the engine's own interface stands for.
func (i *instance) unbox(at uint64) (jsValue, error) {
	b, err := i.view(uint64(uint32(at)), 8)
	if err != nil {
		return 0, err
	}
	return jsValue(binary.LittleEndian.Uint64(b)), nil
}

// eval runs source text and returns the address of what comes out.
func (i *instance) eval(s *scriptState, file string, source []byte, flags uint64) (uint64, error) {
	text, err := i.put(source)
	if err != nil {
		return 0, err
	}
	name, err := i.put([]byte(file))
	if err != nil {
		return 0, err
	}
	value, err := i.engine("qjs_eval", text, uint64(len(source)), name, flags)
	if err != nil {
		return 0, err
	}
	is, err := i.engine("qjs_is_exception", value)
	if err == nil && uint32(is) != 0 {
		err = i.thrown(s)
	}
	if err != nil {
		return 0, err
	}
	for _, at := range []uint64{text, name} {
		if _, err := i.engine("wasm_free", at); err != nil {
			return 0, err
		}
	}
	return value, nil
}

// States of a promise.
const (
	promisePending  = 0
	promiseRejected = 2
)

// runModule runs the script's own code and returns its exports.
func (i *instance) runModule(s *scriptState) (exports jsValue, err error) {
	promise, err := i.eval(s, i.program.script.name, i.program.script.text, evalModule)
	if err != nil {
		return 0, err
	}
	if _, err := i.runJobs(s); err != nil {
		return 0, err
	}
	state, err := i.engine("qjs_promise_state", promise)
	if err != nil {
		return 0, err
	}
	result, err := i.engine("qjs_promise_result", promise)
	if err != nil {
		return 0, err
	}
	v, err := i.unbox(result)
	switch {
	case err != nil:
		return 0, err
	case uint32(state) == promisePending:
		return 0, newScriptError("it awaits something that does not come: timers do not run before there is an event")
	case uint32(state) == promiseRejected:
		return 0, i.explain(s, v)
	}
	return v, nil
}

// runJobs runs what promises have made ready. It says whether there was anything.
func (i *instance) runJobs(s *scriptState) (ran bool, err error) {
	for {
		pending, err := i.engine("qjs_is_job_pending")
		if err != nil || uint32(pending) == 0 {
			return ran, err
		}
		ran = true
		done, err := i.engine("qjs_execute_pending_job")
		if err == nil && int32(uint32(done)) < 0 {
			err = i.thrown(s)
		}
		if err != nil {
			return ran, err
		}
	}
}

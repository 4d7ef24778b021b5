// Package trial runs a function on events without a server: it is `runtime test`. The sandbox is the real one; nothing is stored, and what the function asks of
// others is answered from stubs.
package trial

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// defaultTimeout is that of a function which names none, as in the runtime.
const defaultTimeout = 30 * time.Second

// function is what is tried.
type function struct {
	name   string
	spec   api.FunctionSpec
	emit   []filter.Pattern
	http   []api.HTTPTarget
	module *sandbox.Module
}

// Run reads a function and then events from in, and writes what came of each to out, until in ends. The error says that they did not understand each other;
// a function that fails is a result.
func Run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	var t api.Trial
	if err := requests.Decode(&t); err != nil {
		return fmt.Errorf("read the function: %w", err)
	}
	box, err := sandbox.New(ctx, sandbox.Options{CacheDir: t.Cache}) // the module is the user's own: it is compiled here
	if err != nil {
		return fmt.Errorf("make a sandbox: %w", err)
	}
	defer func() { err = errors.Join(err, box.Close(context.WithoutCancel(ctx)), trimCache(t.Cache, maxCache)) }()
	f, report := load(ctx, box, t)
	if err := answers.Encode(report); err != nil || report.Error != "" {
		return err
	}
	for {
		var c api.TrialCase
		switch err := requests.Decode(&c); {
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("read an event: %w", err)
		}
		if err := answers.Encode(f.run(ctx, c)); err != nil {
			return fmt.Errorf("write a result: %w", err)
		}
	}
}

// load judges the module as a deploy does.
func load(ctx context.Context, box *sandbox.Runtime, t api.Trial) (*function, api.TrialReport) {
	refuse := func(format string, args ...any) (*function, api.TrialReport) {
		return nil, api.TrialReport{Error: fmt.Sprintf(format, args...)}
	}
	f := &function{name: t.Function, spec: t.Spec}
	for _, p := range t.Spec.Allow.Emit {
		pattern, err := filter.ParsePattern(p)
		if err != nil {
			return refuse("allow.emit: %v", err)
		}
		f.emit = append(f.emit, pattern)
	}
	for _, text := range t.Spec.Allow.HTTP {
		target, err := api.ParseHTTPTarget(text)
		if err != nil {
			return refuse("allow.http: %v", err)
		}
		f.http = append(f.http, target)
	}
	s := sandbox.Settings{Function: t.Function, Revision: 1, Memory: t.Spec.Memory, Env: t.Spec.Env, Reuse: t.Spec.Reuse}
	if w := t.Spec.Warm; w != nil {
		var err error
		if s.Warm, err = event.FromParts(w.Event, w.Request); err != nil {
			return refuse("warm: %v", err)
		}
	}
	m, err := box.Load(ctx, t.Module, s)
	var refused *sandbox.RefusedError
	switch {
	case errors.As(err, &refused):
		return nil, api.TrialReport{Error: "module refused: " + refused.Reason, Advice: refused.Advice}
	case err != nil:
		return refuse("load the module: %v", err)
	}
	if err := m.InitError(); err != nil {
		return nil, api.TrialReport{Error: "it fails before it sees an event: " + err.Error(), Advice: "mend what runs at start (init functions, package variables, the top-level code of a script)"}
	}
	f.module = m
	return f, api.TrialReport{Warnings: m.Warnings()}
}

// try runs one event.
func (f *function) try(ctx context.Context, c api.TrialCase) api.TrialResult {
	e, err := event.FromParts(c.Event, c.Request)
	if err != nil {
		return api.TrialResult{Error: "the event: " + err.Error()}
	}
	ctx, cancel := f.limit(ctx)
	defer cancel()
	h, start := newHost(f, e, c.Stubs), time.Now()
	r := f.module.Invoke(ctx, e, h)
	return h.result(r, time.Since(start))
}

// limit is the time that the function has for an event or a batch.
func (f *function) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(time.Duration(f.spec.Timeout), defaultTimeout))
}

// result puts it into the words of the API.
func (h *host) result(r sandbox.Result, took time.Duration) api.TrialResult {
	out := api.TrialResult{
		Verdict: r.Verdict.Name(), Class: r.Class, Reason: r.Reason, Data: r.Data, Log: h.log, Missing: h.missing, Duration: api.Duration(took),
	}
	if r.RetryAfter > 0 {
		out.RetryAfter = api.Duration(r.RetryAfter)
	}
	if json.Valid(r.Attributes) { // what a guest writes may be anything
		out.Attributes = r.Attributes
	}
	if r.Verdict != abi.Done {
		return out // what it emitted and wrote is dropped
	}
	size := 0
	for _, emitted := range r.Emitted {
		size += emitted.Event.Size()
		out.Emitted = append(out.Emitted, api.TrialEmitted{Topic: emitted.Topic, Attributes: attributes(&emitted.Event), Data: emitted.Event.Data})
	}
	for _, value := range h.writes {
		size += len(value)
	}
	if size > abi.MaxEffects {
		return api.TrialResult{
			Verdict: abi.Failed.Name(), Class: sandbox.ClassError, Log: h.log, Missing: h.missing, Duration: out.Duration,
			Reason: fmt.Sprintf("emitted events and state writes have %d bytes together, the limit is %d", size, abi.MaxEffects),
		}
	}
	if len(h.writes) > 0 {
		out.State = h.writes
	}
	return out
}

// attributes are those that the guest gave: the runtime fills in the others, differently each time.
func attributes(e *event.Event) json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(e.AttributesJSON(), &all) != nil {
		return nil // cannot be: it has just been made
	}
	delete(all, "specversion")
	if e.ID == "" {
		delete(all, "id")
	}
	if e.Source == "" {
		delete(all, "source")
	}
	b, _ := json.Marshal(all) // of what was JSON
	return b
}

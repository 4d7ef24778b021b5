package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/fetch"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/sandbox"
)

// function is one revision in force with its compiled module. It is closed when it is out of force and nothing holds it any more.
type function struct {
	spec   *api.Function
	emit   []filter.Pattern
	fetch  *fetch.Function // nil = it may not
	policy policy
	once   map[uint64]bool // triggers that deliver at most once; nil = none
	module *sandbox.Module // nil when it could not be loaded
	broken error           // why

	share   *share // as flow and series, shared by all revisions
	flow    *flow
	series  *series
	traffic atomic.Pointer[traffic] // nil = all to the newest
	holds   atomic.Int64            // one for being in force, one for each user
	close   func()
}

func (f *function) hold() { f.holds.Add(1) }

func (s *Scheduler) release(f *function) {
	if f.holds.Add(-1) == 0 {
		f.close()
	}
}

func (s *Scheduler) acquire(name functionName) *function {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.functions[name]
	if f != nil {
		f.hold()
	}
	return f
}

// acquireTrigger returns the function that a trigger runs, or nil when it is not in force or cannot run.
func (s *Scheduler) acquireTrigger(id uint64) *function {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.triggers[id]
	if f == nil || f.module == nil {
		return nil
	}
	f.hold()
	return f
}

// CheckModule compiles a module and initialises it as the function would have it, and returns its kind and what its owner should know. A *ModuleError says why it
// cannot run.
func (s *Scheduler) CheckModule(ctx context.Context, name string, wasm []byte, spec api.FunctionSpec) (kind string, warnings []string, err error) {
	if err := s.checkReady(name, &spec); err != nil {
		return "", nil, err
	}
	warm, err := warmUp(&spec)
	if err != nil {
		return "", nil, &ModuleError{Reason: err.Error(), Advice: "write the event as events/NAME.json of fnctl test are written"}
	}
	m, err := s.opts.Sandbox.Load(ctx, wasm, sandbox.Settings{Function: name, Memory: spec.Memory, Env: spec.Env, Warm: warm})
	var refused *sandbox.RefusedError
	if errors.As(err, &refused) {
		return "", nil, &ModuleError{Reason: "module refused: " + refused.Reason, Advice: refused.Advice}
	}
	if err != nil {
		return "", nil, err
	}
	kind, failed := m.Kind(), m.InitError()
	warnings = append(slices.Clone(m.Warnings()), s.opts.Fetch.Closed(spec.Allow.HTTP)...)
	if err := m.Close(ctx); err != nil {
		return "", nil, err
	}
	if failed != nil {
		return "", nil, &ModuleError{
			Reason: "it fails before it sees an event: " + failed.Error(),
			Advice: "mend what runs at start (init functions, package variables, the top-level code of a script), or deploy again if the machine was overloaded",
		}
	}
	return kind, warnings, nil
}

// warmUp is the event that warms a function, nil when there is none.
func warmUp(spec *api.FunctionSpec) (*event.Event, error) {
	if spec.Warm == nil {
		return nil, nil
	}
	e, err := event.FromParts(spec.Warm.Event, spec.Warm.Request)
	if err != nil {
		return nil, fmt.Errorf("warm: the event: %w", err)
	}
	return e, nil
}

// checkReady refuses a function that wants more instances kept ready than this node has memory for, with those of the other functions.
func (s *Scheduler) checkReady(name string, spec *api.FunctionSpec) error {
	wanted := int64(spec.Scale.Min) * memoryOf(spec)
	if wanted == 0 {
		return nil
	}
	others := int64(0)
	s.mu.Lock()
	for n, f := range s.functions {
		if n.name != name {
			others += int64(f.spec.Spec.Scale.Min) * memoryOf(&f.spec.Spec)
		}
	}
	s.mu.Unlock()
	if wanted+others <= s.opts.Memory {
		return nil
	}
	text := fmt.Sprintf("scale.min: %d instances of %s may take %s, and this node gives functions %s",
		spec.Scale.Min, about(memoryOf(spec)), about(wanted), about(s.opts.Memory))
	if others > 0 {
		text += fmt.Sprintf(", of which %s are for the instances that other functions keep ready", about(others))
	}
	return &ModuleError{Reason: text, Advice: "lower scale.min or memory, or raise --memory of the runtime"}
}

// about is a number of bytes for people.
func about(bytes int64) string {
	if bytes >= 10<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
}

// ModuleError says that a module cannot run, because of what is in it, and what to do.
type ModuleError struct{ Reason, Advice string }

func (e *ModuleError) Error() string { return e.Reason + ". Try: " + e.Advice }

// keepOrLoad returns the function in force, when it is of the same revision, or a new one. Only Apply exchanges functions.
func (s *Scheduler) keepOrLoad(ctx context.Context, name functionName, spec *api.Function) *function {
	s.mu.Lock()
	old := s.functions[name]
	s.mu.Unlock()
	if old != nil && old.module != nil && old.spec.Revision == spec.Revision && old.spec.Created.Equal(spec.Created) {
		old.setTraffic(spec.Traffic)
		return old
	}
	f := &function{spec: spec, policy: newPolicy(spec.Spec.Retry), share: newShare(name), flow: newFlow(s.opts.Table, name), series: s.metrics.function(name), close: func() {}}
	for _, t := range spec.Triggers {
		if t.Topic != nil && t.Topic.Delivery == atMostOnce {
			if f.once == nil {
				f.once = map[uint64]bool{}
			}
			f.once[t.ID] = true
		}
	}
	if old != nil {
		f.share, f.flow = old.share, old.flow
	}
	s.processors.configure(f.share, max(1, spec.Spec.Weight), spec.Spec.Scale.Max, spec.Spec.Concurrency)
	f.setTraffic(spec.Traffic)
	f.holds.Store(1)
	if f.broken = errors.Join(f.flow.configure(&spec.Spec), s.load(ctx, f)); f.broken != nil {
		s.log.Error("cannot load a function; its events wait", "function", spec.Name, "revision", spec.Revision, "err", f.broken)
	}
	return f
}

func (s *Scheduler) load(ctx context.Context, f *function) error {
	for _, p := range f.spec.Spec.Allow.Emit {
		pattern, err := filter.ParsePattern(p)
		if err != nil {
			return fmt.Errorf("allow.emit: %w", err)
		}
		f.emit = append(f.emit, pattern)
	}
	if err := s.mayFetch(f); err != nil {
		return err
	}
	seed, err := s.opts.Registry.Seed(ctx, f.spec.Namespace, f.spec.Name, f.spec.Revision)
	if err != nil {
		return err
	}
	warm, err := warmUp(&f.spec.Spec)
	if err != nil {
		return err
	}
	digest := f.spec.Spec.Module
	source := sandbox.Source{Digest: digest, Read: func() ([]byte, error) { return s.opts.Registry.Module(digest) }}
	m, err := s.opts.Sandbox.Open(ctx, source, sandbox.Settings{
		Function: f.spec.Name, Revision: f.spec.Revision, Memory: f.spec.Spec.Memory, Env: f.spec.Spec.Env, Seed: seed, Reuse: f.spec.Spec.Reuse,
		Ready: f.spec.Spec.Scale.Min, Warm: warm,
	})
	if err != nil {
		return err
	}
	f.module = m
	f.close = func() {
		if err := m.Close(context.Background()); err != nil {
			s.log.Warn("close module", "function", f.spec.Name, "err", err)
		}
	}
	return nil
}

func (s *Scheduler) closeFunctions() {
	s.mu.Lock()
	old := s.functions
	s.functions, s.triggers = map[functionName]*function{}, map[uint64]*function{}
	for id := range s.paces {
		s.forgetPace(id)
	}
	s.mu.Unlock()
	for name, f := range old {
		f.flow.stop()
		s.pins.forget(name)
		s.release(f)
	}
}

func orderOf(order string) string {
	if order == "key" {
		return "key"
	}
	return ""
}

func onFailureOf(onFailure string) string {
	if onFailure == "park" {
		return "park"
	}
	return ""
}

// WaitInForce blocks until everything up to the registry revision is in force here.
func (s *Scheduler) WaitInForce(ctx context.Context, revision int64) error {
	for {
		s.mu.Lock()
		done, forced := s.inForce >= revision, s.forced
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-forced:
		case <-ctx.Done():
			return fmt.Errorf("wait until revision %d is in force: %w", revision, context.Cause(ctx))
		}
	}
}

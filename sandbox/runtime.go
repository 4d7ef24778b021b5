// Package sandbox runs WebAssembly functions: a module goes in with one event, a verdict with its effects comes out. It implements docs/abi.md.
//
//	New ─► Runtime.Load: check, rewrite, compile, initialise, take a snapshot ─► Module.Invoke: take an instance, handle, reset ─► Result
//
// Every event begins with the snapshot: an instance that served one is put back to it, byte for byte, before it serves another. A module that does what
// cannot be undone gets a new instance for each event instead.
//
// Nothing a guest does ends the process: what goes wrong becomes a Result with a class. The package knows no log, no registry and no HTTP server;
// what a guest may reach of them comes in through Host.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/evoke-run/evoke/sandbox/linear"
)

// features is what guests may use: WebAssembly 2.0, tail calls and extended constant expressions.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// Options of New.
type Options struct {
	CacheDir string       // compiled code is kept here, shared by all modules; "" = nowhere
	ImageDir string       // rewritten modules and snapshots are kept here, so that a restart makes none again; only we may write to it; "" = nowhere
	Logger   *slog.Logger // nil = silent

	// Compiler is a command whose process calls RunCompiler with the arguments that follow the command's own. Modules are compiled there, so that one made to
	// hurt the compiler hurts nothing else. It needs both directories. nil = compile in this process, for modules that are trusted.
	Compiler      []string
	CompileMemory int64         // bytes that compiling one module may take there; 0 = 1 GiB
	CompileTime   time.Duration // processor time that compiling one module may take there; 0 = 30 s

	short func() bool // says whether memory is short; nil asks the system
}

// Runtime compiles modules. It is safe for concurrent use.
type Runtime struct {
	engine   wazero.Runtime
	cache    wazero.CompilationCache // nil without a directory
	cacheDir string
	imageDir string
	imports  map[string]map[string]hostFunc // by module, then name
	logger   *slog.Logger
	started  time.Time

	system       *linear.System
	compiler     *compiler // nil: in this process
	reading      turns
	scriptEngine atomic.Pointer[scriptEngine] // nil before the first script
	compiling    chan struct{}                // holds a token for each module that the engine reads or compiles: both need memory

	stop      chan struct{} // closed by Close
	houseKept chan struct{} // closed by keepHouse at its end

	mu      sync.Mutex
	modules map[*Module]struct{}
}

// New makes a runtime. Close it.
func New(ctx context.Context, o Options) (*Runtime, error) {
	r := &Runtime{
		cacheDir:  o.CacheDir,
		imageDir:  o.ImageDir,
		logger:    o.Logger,
		started:   time.Now(),
		compiling: make(chan struct{}, runtime.GOMAXPROCS(0)),
		reading:   turns{taken: map[string]chan struct{}{}},
		imports:   map[string]map[string]hostFunc{},
		stop:      make(chan struct{}),
		houseKept: make(chan struct{}),
		modules:   map[*Module]struct{}{},
	}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Compiler) > 0 && (o.CacheDir == "" || o.ImageDir == "") {
		return nil, errors.New("a compiler of its own process needs a directory for code and one for images")
	}
	beginning.Lock()
	defer beginning.Unlock()
	config := engineConfig()
	if o.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("open compilation cache %s: %w", o.CacheDir, err)
		}
		r.cache = cache
		config = config.WithCompilationCache(cache)
	}
	if o.ImageDir != "" {
		if err := os.MkdirAll(o.ImageDir, 0o700); err != nil {
			return nil, fmt.Errorf("make the directory of snapshots: %w", err)
		}
	}
	if len(o.Compiler) > 0 {
		r.compiler = newCompiler(o, r.logger)
	}
	r.engine = wazero.NewRuntimeWithConfig(ctx, config)
	for _, m := range []struct {
		name  string
		funcs []hostFunc
	}{{moduleEvoke, evokeFuncs()}, {moduleWASI, wasiFuncs()}} {
		if err := r.offer(ctx, m.name, m.funcs); err != nil {
			return nil, errors.Join(err, r.closeEngine(ctx))
		}
	}
	if err := r.offerGovernor(ctx); err != nil {
		return nil, errors.Join(err, r.closeEngine(ctx))
	}
	if err := r.offerScripts(ctx); err != nil {
		return nil, errors.Join(err, r.closeEngine(ctx))
	}
	r.system = linear.NewSystem()
	short := o.short
	if short == nil {
		short = memoryIsShort
	}
	go r.keepHouse(short)
	return r, nil
}

// beginning is held by whoever makes an engine: wazero finds out its version the first time, and keeps it in a variable without a lock. Two nodes may live in one process.
var beginning sync.Mutex

// engineConfig is the same for whoever compiles and whoever runs. Never with CloseOnContextDone: it makes guests 14 to 20 times slower and does not end a
// recursion, see RATIONALE.md. Line tables are left out: guests' names are enough for a trace, and nobody has to parse hostile DWARF.
func engineConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCoreFeatures(features).WithDebugInfoEnabled(false)
}

// uptime is the monotonic clock that guests see.
func (r *Runtime) uptime() time.Duration { return time.Since(r.started) }

func (r *Runtime) add(m *Module) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.modules[m] = struct{}{}
}

func (r *Runtime) remove(m *Module) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.modules, m)
}

func (r *Runtime) opened() []*Module {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.modules))
}

// Close frees all modules and their code. Invocations must have ended.
func (r *Runtime) Close(ctx context.Context) error {
	close(r.stop)
	<-r.houseKept
	var err error
	for _, m := range r.opened() {
		err = errors.Join(err, m.Close(ctx))
	}
	return errors.Join(err, r.closeEngine(ctx), r.system.Close())
}

func (r *Runtime) closeEngine(ctx context.Context) error {
	err := r.engine.Close(ctx)
	if r.cache != nil {
		err = errors.Join(err, r.cache.Close(ctx))
	}
	return err
}

// clearCache removes what the compilation cache holds, which is only ever a copy of what compiling gives.
func (r *Runtime) clearCache() error {
	var err error
	for _, f := range matches(r.cacheDir, "wazero-*", "*") {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

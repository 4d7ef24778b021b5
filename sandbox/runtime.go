// Package sandbox runs WebAssembly functions: a module goes in with one event, a verdict with its effects comes out. It implements docs/abi.md.
//
//	New ─► Runtime.Load: inspect, check, compile ─► Module.Invoke: instantiate, initialise, handle ─► Result
//
// Nothing a guest does ends the process: what goes wrong becomes a Result with a class. The package knows no log, no registry and no HTTP server;
// what a guest may reach of them comes in through Host.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// features is what guests may use: WebAssembly 2.0, tail calls and extended constant expressions.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// Options of New.
type Options struct {
	CacheDir string       // compiled code is kept here, shared by all modules; "" = nowhere
	Logger   *slog.Logger // nil = silent
}

// Runtime compiles modules. It is safe for concurrent use.
type Runtime struct {
	engine   wazero.Runtime
	cache    wazero.CompilationCache // nil without a directory
	cacheDir string
	imports  map[string]map[string]hostFunc // by module, then name
	logger   *slog.Logger
	started  time.Time

	// compiling holds one token: compiling is memory-hungry, so modules compile one after another.
	compiling chan struct{}
}

// New makes a runtime. Close it.
func New(ctx context.Context, o Options) (*Runtime, error) {
	r := &Runtime{
		cacheDir:  o.CacheDir,
		logger:    o.Logger,
		started:   time.Now(),
		compiling: make(chan struct{}, 1),
		imports:   map[string]map[string]hostFunc{},
	}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	// CloseOnContextDone makes every loop look at the context. It does not stop a recursion without loops, which only ends by itself or by a
	// stack overflow. Line tables are left out: guests' names are enough for a trace, and nobody has to parse hostile DWARF.
	config := wazero.NewRuntimeConfig().WithCoreFeatures(features).WithCloseOnContextDone(true).WithDebugInfoEnabled(false)
	if o.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("open compilation cache %s: %w", o.CacheDir, err)
		}
		r.cache = cache
		config = config.WithCompilationCache(cache)
	}
	r.engine = wazero.NewRuntimeWithConfig(ctx, config)
	for _, m := range []struct {
		name  string
		funcs []hostFunc
	}{{moduleEvoke, evokeFuncs()}, {moduleWASI, wasiFuncs()}} {
		if err := r.offer(ctx, m.name, m.funcs); err != nil {
			return nil, errors.Join(err, r.Close(ctx))
		}
	}
	return r, nil
}

// Close frees all compiled code. Invocations must have ended.
func (r *Runtime) Close(ctx context.Context) error {
	err := r.engine.Close(ctx)
	if r.cache != nil {
		err = errors.Join(err, r.cache.Close(ctx))
	}
	return err
}

// clearCache removes what the compilation cache holds, which is only ever a copy of what compiling gives.
func (r *Runtime) clearCache() error {
	files, err := filepath.Glob(filepath.Join(r.cacheDir, "wazero-*", "*"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"github.com/tetratelabs/wazero"
)

// errCodeDamaged says that compiled code could not be used and that the cache has been emptied: what it held can be made again.
var errCodeDamaged = errors.New("compiled code is damaged")

// turns lets one caller at a time in for each key.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when the turn ends
}

// take waits for the turn, which the function it returns ends.
func (t *turns) take(ctx context.Context, key string) (end func(), err error) {
	for {
		t.mu.Lock()
		before, taken := t.taken[key]
		if !taken {
			mine := make(chan struct{})
			t.taken[key] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, key)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// compile gives a rewritten module to the engine, which finds its machine code in the cache when another process has compiled it. key names the module: wazero 1.12 shows code
// that it reads from its cache to others who ask for the same module before its entry points are made, so that functions that share a module must not ask at once.
func (r *Runtime) compile(ctx context.Context, key string, wasm []byte) (wazero.CompiledModule, error) {
	end, err := r.reading.take(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("wait for the module's code: %w", err)
	}
	defer end()
	select {
	case r.compiling <- struct{}{}:
		defer func() { <-r.compiling }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to compile the module: %w", ctx.Err())
	}
	compiled, err := compileModule(ctx, r.engine, wasm)
	switch {
	case err == nil:
		return compiled, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("compile module: %w", ctx.Err())
	case strings.HasPrefix(err.Error(), "compilationcache:"):
		r.logger.Warn("compilation cache is damaged, emptying it", "dir", r.cacheDir, "err", err)
		if err := r.clearCache(); err != nil {
			return nil, fmt.Errorf("empty compilation cache %s: %w", r.cacheDir, err)
		}
		return nil, errCodeDamaged
	case errors.Is(err, errCompilerPanic):
		r.logger.Error("compiler panicked on a module", slog.Int("bytes", len(wasm)), slog.Any("err", err))
	}
	return nil, compileError(err)
}

// compileError finds out whether the module is to blame.
func compileError(err error) error {
	switch {
	case errors.Is(err, errCompilerPanic):
		return refuse("report it with the module; another compiler or other options may avoid it", "the compiler could not cope with the module")
	case isSystemError(err):
		return fmt.Errorf("compile module: %w", err)
	}
	return refuse(adviceCore, "the compiler refuses the module: %v", err)
}

// isSystemError tells a full disk from a bad module.
func isSystemError(err error) bool { return errors.As(err, new(syscall.Errno)) }

var errCompilerPanic = errors.New("panic")

func compileModule(ctx context.Context, engine wazero.Runtime, wasm []byte) (compiled wazero.CompiledModule, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v", errCompilerPanic, cause)
		}
	}()
	return engine.CompileModule(ctx, wasm)
}

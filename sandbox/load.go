package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/tetratelabs/wazero"
)

// Settings of a loaded module.
type Settings struct {
	Function string
	Revision int
	Memory   int64             // bytes, rounded down to pages of 64 KiB; 0 = 64 MiB
	Env      map[string]string // what the guest finds in its environment and by config.get; must not change any more
}

// Module is a compiled module with its settings; safe for concurrent use.
type Module struct {
	runtime  *Runtime
	compiled wazero.CompiledModule
	config   wazero.ModuleConfig
	settings Settings
	kind     string
	memory   int64 // limit in bytes, whole pages
	exports  map[string]bool
	args     []string
	environ  []string
}

// Load checks and compiles a module. A *RefusedError says what was found and what to do. The bytes must not change any more.
func (r *Runtime) Load(ctx context.Context, wasm []byte, s Settings) (*Module, error) {
	m := &Module{runtime: r, settings: s, config: wazero.NewModuleConfig().WithName("").WithStartFunctions()}
	if err := m.setLimits(); err != nil {
		return nil, err
	}
	var err error
	if m.kind, err = r.check(wasm, m.memory); err != nil {
		return nil, err
	}
	if m.compiled, err = r.compile(ctx, wasm); err != nil {
		return nil, err
	}
	m.exports = map[string]bool{}
	for name := range m.compiled.ExportedFunctions() {
		m.exports[name] = true
	}
	return m, nil
}

// setLimits checks the settings and derives what guests see of them.
func (m *Module) setLimits() error {
	s := &m.settings
	if s.Memory == 0 {
		s.Memory = defaultMemory
	}
	if s.Memory < pageSize || s.Memory > maxMemory {
		return fmt.Errorf("memory limit of %s is not between 64Ki and 4Gi", formatBytes(s.Memory))
	}
	m.memory = s.Memory / pageSize * pageSize
	m.args = []string{s.Function}
	for name, value := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return fmt.Errorf("env %q: a name must not be empty or have =, and neither name nor value may have a zero byte", name)
		}
		if name != "EVOKE_FUNCTION" && name != "EVOKE_REVISION" {
			m.environ = append(m.environ, name+"="+value)
		}
	}
	m.environ = append(m.environ, "EVOKE_FUNCTION="+s.Function, "EVOKE_REVISION="+strconv.Itoa(s.Revision))
	slices.Sort(m.environ)
	return nil
}

// compile waits for its turn. A damaged cache is emptied, once: what it holds can be made again.
func (r *Runtime) compile(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	select {
	case r.compiling <- struct{}{}:
		defer func() { <-r.compiling }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to compile the module: %w", ctx.Err())
	}
	compiled, err := r.tryCompile(ctx, wasm)
	if err != nil && strings.HasPrefix(err.Error(), "compilationcache:") {
		r.logger.Warn("compilation cache is damaged, emptying it", "dir", r.cacheDir, "err", err)
		if err := r.clearCache(); err != nil {
			return nil, fmt.Errorf("empty compilation cache %s: %w", r.cacheDir, err)
		}
		compiled, err = r.tryCompile(ctx, wasm)
	}
	switch {
	case err == nil:
		return compiled, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("compile module: %w", ctx.Err())
	case errors.Is(err, errCompilerPanic):
		r.logger.Error("compiler panicked on a module", slog.Int("bytes", len(wasm)), slog.Any("err", err))
		return nil, refuse("report it with the module; another compiler or other options may avoid it", "the compiler could not cope with the module")
	case isSystemError(err):
		return nil, fmt.Errorf("compile module: %w", err)
	}
	return nil, refuse(adviceCore, "the compiler refuses the module: %v", err)
}

// isSystemError tells a full disk from a bad module.
func isSystemError(err error) bool { return errors.As(err, new(syscall.Errno)) }

var errCompilerPanic = errors.New("panic")

func (r *Runtime) tryCompile(ctx context.Context, wasm []byte) (compiled wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errCompilerPanic, p)
		}
	}()
	return r.engine.CompileModule(ctx, wasm)
}

// Kind is KindNative or KindCommand.
func (m *Module) Kind() string { return m.kind }

// Close frees the compiled code when no other module of the same bytes uses it. Running invocations end undisturbed.
func (m *Module) Close(ctx context.Context) error { return m.compiled.Close(ctx) }

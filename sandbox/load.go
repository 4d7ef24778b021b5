package sandbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// Settings of a loaded module.
type Settings struct {
	Function string
	Revision int
	Memory   int64             // bytes, rounded down to pages of 64 KiB; 0 = 64 MiB
	Env      map[string]string // what the guest finds in its environment and by config.get; must not change any more

	// Seed decides the random bytes that initialisation gets, so that every node with the same seed makes the same snapshot. Nobody outside should know
	// it; empty = derived from the module's bytes.
	Seed []byte
	// Reuse leaves an instance as an event left it, for the next one to find: faster, and without isolation between events. A command ignores it, and an
	// instance that trapped or was stopped is put back all the same.
	Reuse       bool
	InitTimeout time.Duration // for start function, _initialize and evoke_init together while loading; 0 = 30 s
	Instances   int           // events that run at the same time, others wait; 0 = 1,000
}

// Load checks, compiles and initialises a module. A *RefusedError says what was found and what to do. The bytes must not change any more. A module whose
// initialisation fails is loaded all the same, see InitError.
func (r *Runtime) Load(ctx context.Context, wasm []byte, s Settings) (*Module, error) {
	m := &Module{runtime: r, settings: s, config: wazero.NewModuleConfig().WithName("").WithStartFunctions()}
	if err := m.setLimits(); err != nil {
		return nil, err
	}
	var err error
	if m.kind, err = r.check(wasm, m.memory); err != nil {
		return nil, err
	}
	rewritten, err := r.rewritten(wasm)
	if err != nil {
		return nil, err
	}
	if m.compiled, err = r.compile(ctx, rewritten.Wasm); err != nil {
		return nil, err
	}
	m.take(rewritten, wasm)
	if err := m.prepare(ctx); err != nil {
		return nil, errors.Join(err, m.compiled.Close(ctx))
	}
	r.add(m)
	return m, nil
}

// rewriteModule puts the rewriter's refusals into ours.
func rewriteModule(wasm []byte) (*rewrite.Result, error) {
	rewritten, err := rewrite.Module(wasm, rewrite.Options{MaxModuleBytes: maxModule})
	if err == nil {
		return rewritten, nil
	}
	var refused *rewrite.Error
	if !errors.As(err, &refused) {
		return nil, fmt.Errorf("rewrite module: %w", err)
	}
	where := ""
	if refused.Name != "" {
		where = ", in function " + cutText(refused.Name, maxFunctionName)
	} else if refused.Function >= 0 {
		where = fmt.Sprintf(", in function %d", refused.Function)
	}
	return nil, refuse(orElse(refused.Advice, adviceBroken), "%s%s", refused.Reason, where)
}

const maxFunctionName = 200 // bytes of it in a message

// take keeps what is needed of a rewritten module.
func (m *Module) take(rewritten *rewrite.Result, wasm []byte) {
	m.data, m.start, m.resettable = rewritten.Data, rewritten.Start, rewritten.Resettable
	m.whyNot = rewritten.WhyNot
	m.memory = min(m.memory, int64(rewritten.MaxPages)*pageSize)
	for _, g := range rewritten.Globals {
		m.globals = append(m.globals, g.Name)
	}
	m.exports = map[string]bool{}
	for name := range m.compiled.ExportedFunctions() {
		m.exports[name] = true
	}
	m.seed = m.settings.Seed
	if len(m.seed) == 0 {
		digest := sha256.Sum256(wasm)
		m.seed = digest[:]
	}
	if m.runtime.imageDir != "" {
		m.imageFile = m.imageKey(wasm, rewritten)
	}
	m.pool = newPool(orElse(m.settings.Instances, maxInstances))
}

// prepare makes the snapshot that events begin with. A guest that fails is not an error here.
func (m *Module) prepare(ctx context.Context) error {
	if !m.resettable {
		return nil
	}
	if s := m.savedImage(); s != nil {
		m.data = nil
		m.snapshot.Store(s)
		return nil
	}
	timed, cancel := context.WithTimeout(ctx, orElse(m.settings.InitTimeout, defaultDeadline))
	defer cancel()
	log := &recorder{}
	s, failed := m.initialise(timed, log)
	if err := ctx.Err(); err != nil {
		return errors.Join(fmt.Errorf("initialise module: %w", err), s.close())
	}
	if failed != nil {
		m.initErr = &InitError{Class: failed.Class, Reason: failed.Reason}
		return nil
	}
	m.saveImage(s)
	m.data = nil
	m.snapshot.Store(s)
	if len(log.lines) > 0 {
		m.initLog.Store(log)
	}
	return nil
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

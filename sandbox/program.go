package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/evoke-run/evoke/sandbox/rewrite"
	"github.com/evoke-run/evoke/sdk/abi"
)

// program is a module in memory: its machine code, its snapshot and its instances; safe for concurrent use.
type program struct {
	runtime  *Runtime
	module   *Module
	compiled wazero.CompiledModule
	config   wazero.ModuleConfig
	settings Settings
	kind     string
	script   *script // nil for what is a module itself
	memory   int64   // limit in bytes, whole pages
	exports  map[string]bool
	args     []string
	environ  []string

	seed       []byte
	data       []rewrite.Segment // what a new instance's memory begins with; nil when a snapshot has it
	start      string            // export of the former start function, or ""
	globals    []string          // exports of the guest's mutable globals
	resettable bool
	whyNot     string // why it is not resettable, for users

	snapshot atomic.Pointer[snapshot] // nil until initialisation succeeded, and in modules that cannot be reset
	initErr  error
	initLog  atomic.Pointer[recorder] // for the first event
	pool     *pool
}

// newProgram checks the settings and derives what guests see of them.
func (m *Module) newProgram() (*program, error) {
	p := &program{runtime: m.runtime, module: m, settings: m.settings, config: wazero.NewModuleConfig().WithName("").WithStartFunctions()}
	s := &p.settings
	if s.Memory == 0 {
		s.Memory = defaultMemory
	}
	if s.Memory < pageSize || s.Memory > maxMemory {
		return nil, fmt.Errorf("memory limit of %s is not between 64Ki and 4Gi", formatBytes(s.Memory))
	}
	p.memory = s.Memory / pageSize * pageSize
	p.args = []string{s.Function}
	for name, value := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return nil, fmt.Errorf("env %q: a name must not be empty or have =, and neither name nor value may have a zero byte", name)
		}
		if name != "EVOKE_FUNCTION" && name != "EVOKE_REVISION" {
			p.environ = append(p.environ, name+"="+value)
		}
	}
	p.environ = append(p.environ, "EVOKE_FUNCTION="+s.Function, "EVOKE_REVISION="+strconv.Itoa(s.Revision))
	slices.Sort(p.environ)
	if p.seed = s.Seed; len(p.seed) == 0 {
		p.seed = []byte(m.source.Digest)
	}
	p.pool = newPool(orElse(s.Instances, maxInstances), s.Ready)
	return p, nil
}

// adopt takes over what the rewriter found out.
func (p *program) adopt(h *artifactHead) {
	p.start, p.resettable, p.whyNot = h.Start, h.Resettable, h.WhyNot
	p.memory = min(p.memory, int64(h.MaxPages)*pageSize)
	for _, g := range h.Globals {
		p.globals = append(p.globals, g.Name)
	}
}

// exportsOf names the functions that a compiled module exports.
func exportsOf(m wazero.CompiledModule) map[string]bool {
	exports := map[string]bool{}
	for name := range m.ExportedFunctions() {
		exports[name] = true
	}
	return exports
}

// setExports says what the module has and so what it is.
func (p *program) setExports(exports map[string]bool) {
	p.exports = exports
	switch {
	case p.script != nil:
		p.kind = KindScript
	case p.exports[abi.ExportHandle]:
		p.kind = KindNative
	default:
		p.kind = KindCommand
	}
}

func (p *program) warnings() []string {
	if !p.resettable {
		return []string{"every event gets a new instance and initialises it, which takes milliseconds: " + p.whyNot}
	}
	s := p.snapshot.Load()
	if p.settings.Warm != nil && p.script == nil {
		return []string{"warm is for functions in JavaScript, and this is none: leave it out, and do at initialisation what is to be done before the first event"}
	}
	if s != nil && s.cold != "" {
		return []string{s.cold}
	}
	if s != nil && p.script == nil && s.drew && len(s.generators) == 0 && !p.exports[abi.ExportRestore] {
		return []string{"initialisation drew random bytes that every event will begin with; draw them when handling an event, or export " + abi.ExportRestore + " and draw them anew there"}
	}
	return nil
}

// close frees everything but the instances that run; those are closed when their event ends.
func (p *program) close(ctx context.Context) error {
	return errors.Join(p.closeInstances(), p.closeCode(ctx))
}

// closeCode frees the machine code, unless it is the engine of scripts, which stays.
func (p *program) closeCode(ctx context.Context) error {
	if p.script != nil {
		return nil
	}
	return p.compiled.Close(ctx)
}

// closeInstances closes those that wait.
func (p *program) closeInstances() error {
	var err error
	for _, i := range p.pool.close() {
		err = errors.Join(err, i.close())
	}
	return errors.Join(err, p.snapshot.Load().close())
}

// keepSnapshot keeps the first of several that were made at the same time.
func (p *program) keepSnapshot(s *snapshot) *snapshot {
	if p.snapshot.CompareAndSwap(nil, s) {
		return s
	}
	if err := s.close(); err != nil {
		p.runtime.logger.Error("free an image", slog.Any("err", err))
	}
	return p.snapshot.Load()
}

// replayLog gives what initialisation logged to the first event.
func (p *program) replayLog(h Host) {
	if p.initLog.Load() == nil {
		return
	}
	if log := p.initLog.Swap(nil); log != nil {
		for _, l := range log.lines {
			h.Log(l.level, l.message)
		}
	}
}

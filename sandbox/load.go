package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox/quickjs"
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
	// Reuse leaves an instance as an event left it, for the next one to find: faster, and without isolation between events. A command and a script ignore it, and an
	// instance that trapped or was stopped is put back all the same.
	Reuse bool
	// Warm is an event that a script handles before its snapshot is taken; nil = none. What it changes in memory is kept, all else is dropped. It must not change any more.
	Warm        *event.Event
	InitTimeout time.Duration // for start function, _initialize and evoke_init together while loading; 0 = 30 s
	Instances   int           // events that run at the same time, others wait; 0 = 1,000
	Ready       int           // instances that are there before events need them and stay when they are idle, with the module; a module that cannot be reset has none
}

// Load makes a module ready for its first event: checked, compiled, initialised. A *RefusedError says what was found and what to do. The bytes must not
// change any more. A module whose initialisation fails is loaded all the same, see InitError.
func (r *Runtime) Load(ctx context.Context, wasm []byte, s Settings) (*Module, error) {
	m, err := r.newModule(Source{Digest: "sha256:" + digestOf(wasm), Read: func() ([]byte, error) { return wasm, nil }}, s)
	if err != nil {
		return nil, err
	}
	return m, m.add(ctx)
}

// Open is Load for a module that may have been loaded before, by this process or an earlier one: it then comes into memory with its first event.
func (r *Runtime) Open(ctx context.Context, src Source, s Settings) (*Module, error) {
	m, err := r.newModule(src, s)
	if err != nil {
		return nil, err
	}
	if s.Ready == 0 && m.knownOnDisk() {
		r.add(m)
		return m, nil
	}
	return m, m.add(ctx)
}

func (r *Runtime) newModule(src Source, s Settings) (*Module, error) {
	m := &Module{runtime: r, source: src, settings: s, key: moduleKey(src.Digest)}
	if _, err := m.newProgram(); err != nil {
		return nil, err
	}
	m.life, m.end = context.WithCancel(context.Background())
	return m, nil
}

// add loads a new module under the caller's context.
func (m *Module) add(ctx context.Context) error {
	p, err := m.load(ctx)
	if err != nil {
		m.end()
		return err
	}
	p.makeReady()
	m.loaded, m.idleSince = p, time.Now()
	m.runtime.add(m)
	return nil
}

// knownOnDisk says whether loading is only a matter of reading files, and notes their names.
func (m *Module) knownOnDisk() bool {
	r := m.runtime
	if r.imageDir == "" {
		return false
	}
	var head artifactHead
	if err := readHead(r.modulePath(m.key), &head); err != nil {
		return false // load says why, if it is worth it
	}
	p, err := m.newProgram()
	if err != nil || head.checkMemory(p.memory) != nil {
		return false
	}
	if head.Script {
		if !p.adoptKnownScript(&head) {
			return false
		}
	} else {
		p.adopt(&head)
	}
	files := p.fileNames(&head)
	m.setFiles(files)
	return r.onDisk(&files)
}

// load brings the module into memory: from files what is there, the rest made anew.
func (m *Module) load(ctx context.Context) (*program, error) {
	p, err := m.newProgram()
	if err != nil {
		return nil, err
	}
	err = p.load(ctx)
	if errors.Is(err, errCodeDamaged) { // the cache is empty now
		if p, err = m.newProgram(); err == nil {
			err = p.load(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *program) load(ctx context.Context) error {
	r := p.runtime
	a, err := r.artifact(ctx, p.module, p.memory)
	if err != nil {
		return err
	}
	if a.head.Script {
		p.script = newScript(a.wasm, p.settings.Function)
		return p.loadScript(ctx)
	}
	p.adopt(&a.head)
	p.module.setFiles(p.fileNames(&a.head))
	read := make(chan *snapshot, 1) // while the engine reads the code
	go func() { read <- p.savedImage() }()
	p.compiled, err = r.compile(ctx, p.module.key, a.wasm)
	saved := <-read
	if err != nil {
		return errors.Join(err, saved.close())
	}
	p.setExports(exportsOf(p.compiled))
	if saved != nil {
		p.snapshot.Store(saved)
		return nil
	}
	if p.data = a.data; !a.fresh {
		if p.data, err = r.savedData(p.module.key); err != nil {
			return errors.Join(err, p.compiled.Close(ctx))
		}
	}
	if err := p.prepare(ctx); err != nil {
		return errors.Join(err, p.compiled.Close(ctx))
	}
	return nil
}

// loadScript brings a script into memory, on top of the engine that all share.
func (p *program) loadScript(ctx context.Context) error {
	e, err := p.runtime.scripts(ctx)
	if err != nil {
		return err
	}
	if err := e.head.checkMemory(p.memory); err != nil {
		return err
	}
	p.adopt(&e.head)
	p.module.setFiles(p.fileNames(&e.head))
	p.compiled = e.compiled
	p.setExports(e.exports)
	if saved := p.savedImage(); saved != nil {
		p.snapshot.Store(saved)
		return nil
	}
	p.data = e.data
	return p.prepare(ctx)
}

// adoptKnownScript is adopt for a script of which only the files are known. It says whether the engine's are there, too, and makes head the engine's.
func (p *program) adoptKnownScript(head *artifactHead) bool {
	r := p.runtime
	a := r.savedArtifact(p.module.key)
	if a == nil || readHead(r.modulePath(engineKey()), head) != nil || head.checkMemory(p.memory) != nil {
		return false
	}
	p.script = newScript(a.wasm, p.settings.Function)
	p.adopt(head)
	return true
}

// rewriteModule puts the rewriter's refusals into ours.
func rewriteModule(wasm []byte) (*rewrite.Result, error) {
	o := rewrite.Options{MaxModuleBytes: maxModule}
	if bytes.Equal(wasm, quickjs.Wasm) {
		o.MaxStackBytes, o.Engine = engineStack, true
	}
	rewritten, err := rewrite.Module(wasm, o)
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

// prepare makes the snapshot that events begin with. A guest that fails is not an error here.
func (p *program) prepare(ctx context.Context) error {
	if !p.resettable {
		return nil
	}
	timed, cancel := context.WithTimeout(ctx, orElse(p.settings.InitTimeout, defaultDeadline))
	defer cancel()
	log := &recorder{}
	s, failed := p.initialise(timed, log)
	if err := ctx.Err(); err != nil {
		return errors.Join(fmt.Errorf("initialise module: %w", err), s.close())
	}
	if failed != nil {
		p.initErr = &InitError{Class: failed.Class, Reason: failed.Reason}
		return nil
	}
	p.saveImage(s)
	p.data = nil
	p.snapshot.Store(s)
	if len(log.lines) > 0 {
		p.initLog.Store(log)
	}
	return nil
}

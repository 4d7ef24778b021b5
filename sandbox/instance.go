package sandbox

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/evoke-run/evoke/sandbox/linear"
	"github.com/evoke-run/evoke/sandbox/rewrite"
	"github.com/evoke-run/evoke/sdk/abi"
)

// instance is one instantiation of a module with its memory. It serves one event at a time; between two it is put back to its snapshot.
type instance struct {
	program  *program
	snapshot *snapshot // nil when it began with nothing: it serves one event
	guest    api.Module
	memory   *linear.Memory

	fuel      api.MutableGlobal
	granted   int64
	depth     api.MutableGlobal // nil when nothing in the module can recurse
	fullDepth uint64
	globals   []api.MutableGlobal // the guest's own, as in Module.globals

	functions map[string]api.Function // resolving one takes microseconds and 10 KiB of stack
	random    cipher.Stream           // for what is refreshed before each event; made when first needed
	inv       invocation              // of the event it serves; part of it so that an event need not allocate one

	idleSince time.Time
	trimmed   bool
	script    *scriptState // of a script
	stack     [5]uint64    // for calls of its engine
	used      bool         // it is as an event left it, see Settings.Reuse
}

// newInstance makes an instance in the state of a snapshot, or with nil before everything: without even its data.
func (p *program) newInstance(s *snapshot) (*instance, error) {
	memory, err := p.newMemory(s)
	if err != nil {
		return nil, err
	}
	// Nothing of the guest runs here, so no context can end it.
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return memory }))
	guest, err := p.runtime.engine.InstantiateModule(ctx, p.compiled, p.config)
	if err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	i := &instance{program: p, snapshot: s, guest: guest, memory: memory, functions: map[string]api.Function{}}
	if err := i.findGlobals(); err != nil {
		return nil, errors.Join(err, i.close())
	}
	if s != nil {
		i.script = s.script
		i.setGlobals()
	}
	return i, nil
}

func (p *program) newMemory(s *snapshot) (*linear.Memory, error) {
	var memory *linear.Memory
	var err error
	if s != nil {
		memory, err = s.image.NewMemory(int(p.memory))
	} else {
		memory, err = p.runtime.system.NewMemory(int(p.memory))
	}
	if err != nil {
		return nil, &hostError{fmt.Errorf("make memory for an instance: %w", err)}
	}
	return memory, nil
}

// findGlobals looks up the globals that the rewriter has exported.
func (i *instance) findGlobals() error {
	find := func(name string) (api.MutableGlobal, error) {
		g, ok := i.guest.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return nil, &hostError{fmt.Errorf("the rewritten module has no mutable global %s", name)}
		}
		return g, nil
	}
	var err error
	if i.fuel, err = find(rewrite.FuelGlobal); err != nil {
		return err
	}
	if i.depth, err = find(rewrite.DepthGlobal); err == nil {
		i.fullDepth = i.depth.Get()
	}
	for _, name := range i.program.globals {
		g, err := find(name)
		if err != nil {
			return err
		}
		i.globals = append(i.globals, g)
	}
	return nil
}

func (i *instance) setGlobals() {
	for n, g := range i.globals {
		g.Set(i.snapshot.globals[n])
	}
	if i.depth != nil {
		i.depth.Set(i.fullDepth)
	}
}

// function returns an export. It is not for concurrent use, as the instance.
func (i *instance) function(name string) api.Function {
	f := i.functions[name]
	if f == nil {
		f = i.guest.ExportedFunction(name)
		i.functions[name] = f
	}
	return f
}

// refresh makes the generators fresh that the snapshot has caught, and lets the guest do the same with those it knows of.
func (i *instance) refresh() error {
	if len(i.snapshot.generators) > 0 {
		if i.random == nil {
			i.random = newRandom()
		}
		memory := i.memory.Bytes()
		for _, at := range i.snapshot.generators {
			generator := memory[at : at+generatorSize]
			i.random.XORKeyStream(generator, generator) // what the snapshot has there hides nothing and spoils nothing
		}
	}
	if i.script != nil {
		return i.reseed(i.script)
	}
	if !i.program.exports[abi.ExportRestore] {
		return nil
	}
	_, err := i.inv.callExport(abi.ExportRestore)
	return err
}

// newRandom is AES in counter mode with a key of its own: a processor has instructions for it, and ChaCha8 took five times as long, which every event
// of a Go guest pays.
func newRandom() cipher.Stream {
	var seed [32 + aes.BlockSize]byte
	_, _ = rand.Read(seed[:]) // never fails: it ends the process when the system has no randomness
	block, err := aes.NewCipher(seed[:32])
	if err != nil {
		panic(err) // the key has a length that AES has
	}
	return cipher.NewCTR(block, seed[32:])
}

// reset puts the instance back to its snapshot. After an error it is good for nothing but close.
func (i *instance) reset() error {
	i.inv = invocation{phase: over} // nothing of the event is kept
	i.used = false
	if err := i.memory.Reset(i.guest.Memory()); err != nil {
		return err
	}
	i.setGlobals()
	return nil
}

// keepState is what reset is for a module whose instances are reused.
func (i *instance) keepState() {
	i.inv = invocation{phase: over}
	i.used = true
	i.memory.Leave()
}

// trim gives back what makes the next event fast and costs memory meanwhile.
func (i *instance) trim() error {
	clear(i.functions)
	i.trimmed = true
	return i.memory.Trim()
}

// close frees the instance. No guest code may run any more.
func (i *instance) close() error {
	return errors.Join(i.guest.Close(context.Background()), i.memory.Close())
}

// hostError is our own fault or the system's, never the guest's.
type hostError struct{ err error }

func (e *hostError) Error() string { return e.err.Error() }
func (e *hostError) Unwrap() error { return e.err }

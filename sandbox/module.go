package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/evoke-run/evoke/sandbox/rewrite"
	"github.com/evoke-run/evoke/sdk/abi"
)

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

	seed       []byte
	data       []rewrite.Segment // what a new instance's memory begins with; nil when a snapshot has it
	start      string            // export of the former start function, or ""
	globals    []string          // exports of the guest's mutable globals
	resettable bool
	whyNot     string // why it is not resettable, for users
	imageFile  string // name of its snapshot in the directory of snapshots

	snapshot atomic.Pointer[snapshot] // nil until initialisation succeeded, and in modules that cannot be reset
	initErr  error
	initLog  atomic.Pointer[recorder] // for the first event
	pool     *pool
}

// Kind is KindNative or KindCommand.
func (m *Module) Kind() string { return m.kind }

// InitError says why initialisation failed when the module was loaded: an *InitError, or nil. Every event tries it again until it succeeds once.
func (m *Module) InitError() error { return m.initErr }

// Warnings are for whoever deploys the module.
func (m *Module) Warnings() []string {
	if !m.resettable {
		return []string{"every event gets a new instance and initialises it, which takes milliseconds: " + m.whyNot}
	}
	s := m.snapshot.Load()
	if s != nil && s.drew && len(s.generators) == 0 && !m.exports[abi.ExportRestore] {
		return []string{"initialisation drew random bytes that every event will begin with; draw them when handling an event, or export " + abi.ExportRestore + " and draw them anew there"}
	}
	return nil
}

// Close frees the compiled code when no other module of the same bytes uses it. Running invocations end undisturbed.
func (m *Module) Close(ctx context.Context) error {
	m.runtime.remove(m)
	return errors.Join(m.closeInstances(), m.compiled.Close(ctx))
}

// closeInstances closes those that wait; the others are closed when their event ends.
func (m *Module) closeInstances() error {
	var err error
	for _, i := range m.pool.close() {
		err = errors.Join(err, i.close())
	}
	return errors.Join(err, m.snapshot.Load().close())
}

// keepSnapshot keeps the first of several that were made at the same time.
func (m *Module) keepSnapshot(s *snapshot) *snapshot {
	if m.snapshot.CompareAndSwap(nil, s) {
		return s
	}
	if err := s.close(); err != nil {
		m.runtime.logger.Error("free an image", slog.Any("err", err))
	}
	return m.snapshot.Load()
}

// replayLog gives what initialisation logged to the first event.
func (m *Module) replayLog(h Host) {
	if m.initLog.Load() == nil {
		return
	}
	if log := m.initLog.Swap(nil); log != nil {
		for _, l := range log.lines {
			h.Log(l.level, l.message)
		}
	}
}

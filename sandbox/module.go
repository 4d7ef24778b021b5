package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/evoke-run/evoke/event"
)

// Source is where a module comes from.
type Source struct {
	Digest string                 // "sha256:" and the hex digits of the bytes' hash
	Read   func() ([]byte, error) // called only while what follows from the bytes is not on disk; they must not change any more
}

// Module is a module with its settings; safe for concurrent use. It comes into memory when an event needs it, and when it is on disk and no event has needed
// it for long it goes:
//
//	cold ── Invoke ─► loading ─► loaded ── Invoke … ─► idle for dropAfter ─► cold
type Module struct {
	runtime  *Runtime
	source   Source
	settings Settings
	key      string // of its artifact
	files    fileNames
	life     context.Context // ends with Close; for loading
	end      context.CancelFunc

	mu        sync.Mutex
	loaded    *program // nil while it is cold
	loading   *loading // nil unless somebody loads it
	users     int      // of loaded
	idleSince time.Time
	closed    bool
}

// loading is one try, for everybody who waits for it.
type loading struct {
	done chan struct{} // closed when err is set
	err  error
}

// Kind is KindNative, KindCommand or KindScript; "" while the module has not been loaded.
func (m *Module) Kind() string {
	if p := m.current(); p != nil {
		return p.kind
	}
	return ""
}

// InitError says why initialisation failed when the module was loaded: an *InitError, or nil. Every event tries it again until it succeeds once.
func (m *Module) InitError() error {
	if p := m.current(); p != nil {
		return p.initErr
	}
	return nil
}

// Warnings are for whoever deploys the module, which has been loaded for that.
func (m *Module) Warnings() []string {
	if p := m.current(); p != nil {
		return p.warnings()
	}
	return nil
}

func (m *Module) current() *program {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loaded
}

// Invoke runs the module on one event, in an instance that knows nothing of any event before, until ctx's deadline (30 s without one). It never returns
// an error: what goes wrong is a Result. The event must not change meanwhile; nothing of the Result points into it or into the instance.
func (m *Module) Invoke(ctx context.Context, e *event.Event, h Host) Result {
	return m.invoke(ctx, delivery{event: e, host: h, started: time.Now()})
}

// InvokeBatch is Invoke for several events in one delivery, at least one. Each has its own verdict, the first in the Result itself and the others in More; what ends the
// guest early is the verdict of all. A WASI command, which knows of one event only, fails.
func (m *Module) InvokeBatch(ctx context.Context, events []*event.Event, h Host) Result {
	res := m.invoke(ctx, delivery{event: events[0], more: events[1:], host: h, started: time.Now()})
	for len(res.More) < len(events)-1 { // it ended early
		res.More = append(res.More, Result{Verdict: res.Verdict, Class: res.Class, Reason: res.Reason, RetryAfter: res.RetryAfter})
	}
	return res
}

func (m *Module) invoke(ctx context.Context, d delivery) Result {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	p, err := m.acquire(ctx)
	if err != nil {
		return m.cannotLoad(ctx, err, d.started)
	}
	res := p.invoke(ctx, d)
	ended := time.Now()
	m.release(ended)
	res.Bill.Wall = ended.Sub(d.started)
	return res
}

// acquire returns the module's program, loaded if it was cold. Give it back by release.
func (m *Module) acquire(ctx context.Context) (*program, error) {
	for {
		m.mu.Lock()
		if p := m.loaded; p != nil && !m.closed {
			m.users++
			m.mu.Unlock()
			return p, nil
		}
		l := m.startLoading()
		m.mu.Unlock()
		select {
		case <-l.done:
			if l.err != nil {
				return nil, l.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

var errClosed = errors.New("the module is closed")

// startLoading joins whoever loads the module, or has it done. It is not the event's own goroutine that loads: its deadline may come first, and others wait.
// Close waits for it. The caller holds the lock.
func (m *Module) startLoading() *loading {
	if m.loading != nil {
		return m.loading
	}
	l := &loading{done: make(chan struct{})}
	if m.closed {
		l.err = errClosed
		close(l.done)
		return l
	}
	m.loading = l
	go func() {
		p, err := m.load(m.life)
		m.mu.Lock()
		m.loaded, m.loading, l.err, m.idleSince = p, nil, err, time.Now()
		m.mu.Unlock()
		close(l.done)
	}()
	return l
}

func (m *Module) release(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users--
	m.idleSince = now
}

// cannotLoad is the result of an event whose module did not come into memory.
func (m *Module) cannotLoad(ctx context.Context, err error, started time.Time) Result {
	if ctx.Err() != nil {
		return waited(ctx, ctx.Err(), started)
	}
	m.runtime.logger.Error("cannot load a module", slog.String("function", m.settings.Function), slog.Any("err", err))
	var refused *RefusedError
	if errors.As(err, &refused) { // it was loaded before, so the runtime has changed
		return failure{ClassInit, err.Error()}.result()
	}
	return failure{ClassInternal, "the runtime cannot load the module; its log has the details"}.result()
}

func (m *Module) setFiles(n fileNames) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files = n
}

func (m *Module) knownFiles() fileNames {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files
}

// lastNeeded is when an event has ended that needed the module, or when it was loaded.
func (m *Module) lastNeeded() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.idleSince
}

// dropIfIdle takes a module out of memory that no event has needed since before a time and that can come back from its files. It says whether it did.
func (m *Module) dropIfIdle(before time.Time) bool {
	idle := func() bool {
		return m.settings.Ready == 0 && m.loaded != nil && m.users == 0 && m.idleSince.Before(before)
	}
	m.mu.Lock()
	maybe, files := idle(), m.files
	m.mu.Unlock()
	if !maybe || !m.runtime.onDisk(&files) {
		return false
	}
	m.mu.Lock()
	p := m.loaded
	if !idle() { // an event came meanwhile
		m.mu.Unlock()
		return false
	}
	m.loaded = nil
	m.mu.Unlock()
	if err := p.close(context.Background()); err != nil {
		m.runtime.logger.Error("drop an idle module", slog.String("function", m.settings.Function), slog.Any("err", err))
	}
	return true
}

// Close frees the compiled code when no other module of the same bytes uses it. Running invocations end undisturbed.
func (m *Module) Close(ctx context.Context) error {
	m.runtime.remove(m)
	m.end()
	m.mu.Lock()
	m.closed = true
	l := m.loading
	m.mu.Unlock()
	if l != nil {
		<-l.done
	}
	m.mu.Lock()
	p := m.loaded
	m.loaded = nil
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.close(ctx)
}

package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// onDisk are options under which modules are kept in files.
func onDisk(t testing.TB) Options {
	dir := t.TempDir()
	return Options{CacheDir: filepath.Join(dir, "cache"), ImageDir: filepath.Join(dir, "images"), short: func() bool { return false }}
}

// source counts how often the bytes were wanted.
func source(wasm []byte, reads *atomic.Int32) Source {
	return Source{Digest: "sha256:" + digestOf(wasm), Read: func() ([]byte, error) { reads.Add(1); return wasm, nil }}
}

func expect(t *testing.T, m *Module, want string) {
	t.Helper()
	if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != want || res.Class != "" {
		t.Errorf("%+v", res)
	}
}

// A module that nobody needs goes out of memory and comes back for an event, from its files alone.
func TestModulesComeAndGo(t *testing.T) {
	t.Parallel()
	o := onDisk(t)
	synctest.Test(t, func(t *testing.T) {
		r, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var reads atomic.Int32
		m, err := r.Open(t.Context(), source(logsInit(), &reads), Settings{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			expect(t, m, "AAAABBBB")
			time.Sleep(dropAfter - trimAfter)
			if m.current() == nil {
				t.Error("gone too early")
			}
			time.Sleep(3 * trimAfter)
			synctest.Wait()
			if m.current() != nil {
				t.Error("still there")
			}
		}
		if n := reads.Load(); n != 1 || m.Kind() != "" || m.InitError() != nil || m.Warnings() != nil {
			t.Errorf("read %d times; %q", n, m.Kind())
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// What memory cannot do without stays: a module that has no files.
func TestModulesWithoutFilesStay(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	m, err := r.Load(t.Context(), w.Echo(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, m, "hello")
	r.tidy(time.Now().Add(time.Hour), patient(false))
	if m.current() == nil {
		t.Error("it has gone")
	}
	expect(t, m, "hello")
}

// When memory is short all that is idle goes at once, and what runs does not.
func TestShortMemory(t *testing.T) {
	t.Parallel()
	r, err := New(t.Context(), onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	idle, err := r.Load(t.Context(), w.Echo(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	busy, err := r.Load(t.Context(), w.Calls("op", ""), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, idle, "hello")
	inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan Result)
	h := &fakeHost{call: func(context.Context, string, []byte) (int32, []byte) { close(inside); <-leave; return 200, nil }}
	go func() { done <- busy.Invoke(t.Context(), testEvent(), h) }()
	<-inside
	r.tidy(time.Now().Add(time.Millisecond), patient(true))
	if idle.current() != nil || busy.current() == nil {
		t.Error("the wrong one has gone")
	}
	close(leave)
	if res := <-done; res.Class != "" {
		t.Errorf("%+v", res)
	}
	expect(t, idle, "hello")
}

// Of too many modules the longest idle go, however short that is.
func TestTooManyModules(t *testing.T) {
	t.Parallel()
	r, err := New(t.Context(), onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	var modules []*Module
	for _, name := range []string{"a", "b", "c"} {
		m, err := r.Load(t.Context(), w.Echo(), Settings{Function: name})
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, m)
	}
	expect(t, modules[0], "hello")
	p := patient(false)
	p.loaded = 2
	r.tidy(time.Now().Add(time.Millisecond), p)
	if modules[0].current() == nil || modules[1].current() != nil || modules[2].current() == nil {
		t.Error("another one has gone than that which nobody needed for the longest time")
	}
	expect(t, modules[1], "hello")
}

// A restart opens modules without loading them, and initialises nothing.
func TestOpenIsLazy(t *testing.T) {
	t.Parallel()
	o := onDisk(t)
	var reads atomic.Int32
	for n := range 3 {
		r, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.Open(t.Context(), source(logsInit(), &reads), Settings{Function: "f"})
		if err != nil {
			t.Fatal(err)
		}
		if loaded := m.current() != nil; loaded != (n == 0) {
			t.Errorf("start %d: loaded %v", n, loaded)
		}
		h := &fakeHost{}
		if res := m.Invoke(t.Context(), testEvent(), h); string(res.Data) != "AAAABBBB" || (len(h.lines) > 0) != (n == 0) {
			t.Errorf("start %d: %+v, %q", n, res, h.lines)
		}
		if n == 1 { // the snapshot is lost: opening makes it again
			if err := os.Remove(matches(o.ImageDir, "image-*")[0]); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Open(t.Context(), source(logsInit(), &reads), Settings{Function: "f"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
}

// Opened from files that fit another limit, a module is refused as if it had come anew.
func TestOpenChecksMemory(t *testing.T) {
	t.Parallel()
	r, err := New(t.Context(), onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	var reads atomic.Int32
	for limit, want := range map[int64]string{0: "", 1 << 20: "module refused: the module starts with 2Mi of memory, its limit is 1Mi. Try: " + adviceMemory} {
		if _, err := r.Load(t.Context(), w.Echo(), Settings{}); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := r.Open(t.Context(), source(w.Echo(), &reads), Settings{Memory: limit}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("limit %d: %s", limit, got)
		}
	}
}

// A cold module is loaded once for all events that wait for it; one that cannot be loaded fails them, and is tried again.
func TestLoadingIsShared(t *testing.T) {
	t.Parallel()
	o := onDisk(t)
	r, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	var reads atomic.Int32
	broken := errors.New("the disk is gone")
	fails := atomic.Bool{}
	src := source(w.Echo(), &reads)
	read := src.Read
	src.Read = func() ([]byte, error) {
		if fails.Load() {
			return nil, broken
		}
		return read()
	}
	m, err := r.Open(t.Context(), src, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if !m.dropIfIdle(time.Now().Add(time.Minute)) {
		t.Fatal("not dropped")
	}
	for _, f := range matches(o.ImageDir, "*") {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	fails.Store(true)
	if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); res.Class != ClassInternal || res.Reason != "the runtime cannot load the module; its log has the details" {
		t.Errorf("%+v", res)
	}
	fails.Store(false)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { expect(t, m, "hello") })
	}
	all.Wait()
	if n := reads.Load(); n != 2 {
		t.Errorf("read %d times", n)
	}
}

// An event whose time is over does not wait for its module.
func TestLoadingTakesTooLong(t *testing.T) {
	t.Parallel()
	o := onDisk(t)
	r, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	first, slow := true, make(chan struct{})
	m, err := r.Open(t.Context(), Source{Digest: "d", Read: func() ([]byte, error) {
		if !first {
			<-slow
		}
		first = false
		return w.Echo(), nil
	}}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	m.dropIfIdle(time.Now().Add(time.Minute))
	for _, f := range matches(o.ImageDir, "*") {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if res := m.Invoke(within(t, 50*time.Millisecond), testEvent(), &fakeHost{}); res.Class != ClassDeadline {
		t.Errorf("%+v", res)
	}
	close(slow)
	expect(t, m, "hello")
}

// Files that nobody needs go after a while; those of modules that are only cold stay.
func TestSweep(t *testing.T) {
	t.Parallel()
	o := onDisk(t)
	r := newCompilingRuntime(t, o)
	kept, err := r.Load(t.Context(), w.Echo(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	removed, err := r.Load(t.Context(), w.Returns(0), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if err := removed.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{filepath.Join(o.ImageDir, temporary+"1"), filepath.Join(o.CacheDir, privateDir+"1", "module")} {
		if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (images, code, private int) {
		return len(matches(o.ImageDir, "*")), len(matches(o.CacheDir, "wazero-*", "*")), len(matches(o.CacheDir, privateDir+"*"))
	}
	r.sweep(time.Now())
	if images, code, private := count(); images != 7 || code != 2 || private != 1 {
		t.Errorf("swept too early: %d, %d, %d", images, code, private)
	}
	r.sweep(time.Now().Add(2 * unusedFor))
	if images, code, private := count(); images != 3 || code != 1 || private != 0 {
		t.Errorf("left: %d, %d, %d", images, code, private)
	}
	if !kept.dropIfIdle(time.Now().Add(time.Minute)) {
		t.Error("the module that is here has lost files")
	}
	expect(t, kept, "hello")
}

// Events and the janitor fight over a module; every event is served.
func TestDropHammer(t *testing.T) {
	t.Parallel()
	r, err := New(t.Context(), onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	m, err := r.Load(t.Context(), w.Echo(), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var all, janitor sync.WaitGroup
	janitor.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				m.dropIfIdle(time.Now().Add(time.Minute))
			}
		}
	})
	for range 4 {
		all.Go(func() {
			for range 50 {
				expect(t, m, "hello")
			}
		})
	}
	all.Wait()
	close(stop)
	janitor.Wait()
}

// Functions that share a module may need its code at the same moment, as after a start: each gets it whole.
func TestModulesThatShareCodeAreReadAtOnce(t *testing.T) {
	t.Parallel()
	o := onDisk(t)
	guest, i := w.NewGuest()
	guest.Memory(1)
	for types := range 200 { // each takes the engine a moment
		var params []byte
		for bit := range 8 {
			params = append(params, []byte{0x7f, 0x7e}[types>>bit&1])
		}
		guest.Unexported("", params, nil, 0)
	}
	guest.Data(0, []byte("hello"))
	wasm := guest.Handle(w.Call(i.Reply, int32(0), 0, 5), w.Drop(), w.I32Const(0)).Bytes()
	var reads atomic.Int32
	for range 30 {
		r, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var events sync.WaitGroup
		for n := range 4 {
			m, err := r.Open(t.Context(), source(wasm, &reads), Settings{Env: map[string]string{"N": string(rune('a' + n))}})
			if err != nil {
				t.Fatal(err)
			}
			events.Go(func() { expect(t, m, "hello") })
		}
		events.Wait()
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

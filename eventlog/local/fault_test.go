package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/evoke-run/evoke/eventlog"
)

// TestFault breaks the disk under load: Fatal is told once, with the reason, and nothing is delivered that is not on the disk.
func TestFault(t *testing.T) {
	t.Parallel()
	wal := func(kinds ...errorfs.OpKind) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool {
			for _, k := range kinds {
				if op.Kind == k && strings.HasSuffix(op.Path, ".log") {
					return true
				}
			}
			return false
		}
	}
	for _, test := range []struct {
		name   string
		err    error
		breaks func(errorfs.Op) bool
	}{
		{"fsync of the WAL", syscall.EIO, wal(errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo)},
		{"write to the WAL", syscall.ENOSPC, wal(errorfs.OpFileWrite)},
		{"flush", syscall.ENOSPC, func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			files := vfs.NewCrashableMem()
			f := newFaulty(t, errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if broken.Load() && test.breaks(op) {
					return test.err
				}
				return nil
			})))
			f.load(100)
			broken.Store(true)
			err := f.loadUntilFatal()
			if !strings.Contains(err.Error(), test.err.Error()) || !strings.Contains(err.Error(), "event log log cannot store any more") {
				t.Errorf("fatal was told %q, want the log's name and %q", err, test.err)
			}
			broken.Store(false) // so that a committer that waits for a flush, and pebble in the end, come to an end
			<-f.log.done
			atFatal := f.count()
			for range 10 {
				f.log.Append(0, 1, []byte("after the fault"))
			}
			if err := f.log.Read(0, 1, func(eventlog.Record) bool { return true }); err == nil {
				t.Error("a dead log can be read")
			}
			if err := f.log.Trim(0, 1); err == nil {
				t.Error("a dead log can be trimmed")
			}
			crashed := files.CrashClone(vfs.CrashCloneCfg{})
			if err := f.log.Close(); err == nil {
				t.Error("close of a dead log has no error")
			}
			if f.count() != atFatal {
				t.Errorf("%d records were delivered after the fault", f.count()-atFatal)
			}
			if f.fatals() != 1 {
				t.Errorf("fatal was called %d times, want once", f.fatals())
			}
			checkCrashed(t, crashed, atFatal)
		})
	}
}

// checkCrashed opens what the disk holds: at least what was delivered.
func checkCrashed(t *testing.T, files vfs.FS, delivered int) {
	t.Helper()
	l := mustOpen(t, Options{Dir: "log", Partitions: 1, FS: files})
	stored := 0
	if err := errors.Join(l.Read(0, 1, func(eventlog.Record) bool { stored++; return true }), l.Close()); err != nil {
		t.Fatal(err)
	}
	if stored < delivered {
		t.Errorf("%d records are stored, %d were delivered", stored, delivered)
	}
}

type faulty struct {
	log   *Log
	fatal chan error // 10 places: more calls than the one allowed are seen, not blocked

	mu      sync.Mutex
	got     int
	told    int
	changed chan struct{}
}

func newFaulty(t *testing.T, files vfs.FS) *faulty {
	t.Helper()
	f := &faulty{fatal: make(chan error, 10), changed: make(chan struct{}, 1)}
	f.log = mustOpen(t, Options{Dir: "log", Partitions: 1, FS: files, MemTableSize: 64 << 10, Fatal: func(err error) {
		f.mu.Lock()
		f.told++
		f.mu.Unlock()
		f.fatal <- err
	}})
	if _, err := f.log.Follow(0, 1, f.apply); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *faulty) apply(records []eventlog.Record) {
	f.mu.Lock()
	f.got += len(records)
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *faulty) count() int  { f.mu.Lock(); defer f.mu.Unlock(); return f.got }
func (f *faulty) fatals() int { f.mu.Lock(); defer f.mu.Unlock(); return f.told }

// load stores n records and waits for them.
func (f *faulty) load(n int) {
	want := f.count() + n
	for range n {
		f.log.Append(0, 1, make([]byte, 1000))
	}
	for f.count() < want {
		<-f.changed
	}
}

// loadUntilFatal appends one record after the other until the log gives up.
func (f *faulty) loadUntilFatal() error {
	for {
		f.log.Append(0, 1, make([]byte, 1000))
		select {
		case <-f.changed:
		case err := <-f.fatal:
			return err
		}
	}
}

const noNextWAL = "EVOKE_TEST_NO_NEXT_WAL"

// TestCannotBeginWAL runs in a second process, because pebble panics there in a way that only a Fatal that does not return can keep from the user.
func TestCannotBeginWAL(t *testing.T) {
	t.Parallel()
	if os.Getenv(noNextWAL) != "" {
		breakNextWAL(t)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCannotBeginWAL$")
	cmd.Env = append(os.Environ(), noNextWAL+"=1")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("second process: %v, want exit code 3; it said %s", err, out)
	}
	wantError(t, errors.New(string(out)), "event log log cannot store any more", "write the journal", syscall.ENOSPC.Error())
}

func breakNextWAL(t *testing.T) {
	var opened atomic.Bool
	files := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		begins := op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite
		if opened.Load() && begins && strings.HasSuffix(op.Path, ".log") {
			return syscall.ENOSPC
		}
		return nil
	}))
	l := mustOpen(t, Options{Dir: "log", Partitions: 1, FS: files, MemTableSize: 64 << 10, Fatal: func(err error) {
		fmt.Println(err)
		os.Exit(3)
	}})
	opened.Store(true)
	stored := make(chan struct{}, 1)
	if _, err := l.Follow(0, 1, func([]eventlog.Record) { stored <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	for {
		l.Append(0, 1, make([]byte, 10_000))
		<-stored
	}
}

func TestFatalDefaultsToPanic(t *testing.T) {
	t.Parallel()
	var o Options
	o.setDefaults()
	defer func() {
		if r := recover(); r != syscall.EIO {
			t.Errorf("panic %v, want %v", r, syscall.EIO)
		}
	}()
	o.Fatal(syscall.EIO)
}

// TestErrorBeforeOpenIsTold covers the gap between the last look of Open and the first commit.
func TestErrorBeforeOpenIsTold(t *testing.T) {
	t.Parallel()
	f := failure{dir: "log"}
	f.set(syscall.EIO)
	f.set(syscall.ENOSPC)
	var told []error
	f.arm(func(err error) { told = append(told, err) })
	f.set(syscall.ENOSPC)
	if len(told) != 1 || !errors.Is(told[0], syscall.EIO) {
		t.Errorf("fatal was told %v, want the first error once", told)
	}
}

package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog/local"
)

// on answers err for one kind of operation on files whose path has both ends.
func on(err error, dir, suffix string, kinds ...errorfs.OpKind) func(errorfs.Op) error {
	return func(op errorfs.Op) error {
		for _, k := range kinds {
			if op.Kind == k && strings.HasPrefix(op.Path, dir) && strings.HasSuffix(op.Path, suffix) {
				return err
			}
		}
		return nil
	}
}

// A disk that breaks or fills under load ends the process with the reason. Nothing that was acknowledged before is missing on what is left of the disk, and in the
// end every event was handled once.
func TestFaultsEndTheProcessAndLoseNothing(t *testing.T) {
	t.Parallel()
	syncs := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	for name, breaks := range map[string]func(errorfs.Op) error{
		"fsync of the log fails":              on(syscall.EIO, "log", ".log", syncs...),
		"no room for the log":                 on(syscall.ENOSPC, "log", ".log", errorfs.OpFileWrite),
		"no room for a table of the log":      on(syscall.ENOSPC, "log", ".sst", errorfs.OpCreate),
		"no room for a table of the state":    on(syscall.ENOSPC, "state", ".sst", errorfs.OpCreate),
		"fsync of a table of the state fails": on(syscall.EIO, "state", ".sst", syncs...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const producers = 8
			rnd := rand.New(rand.NewPCG(uint64(len(name)), 7))
			r := &machineRoom{t: t, disk: vfs.NewCrashableMem(), breaks: breaks}
			r.start()
			sent := make([]atomic.Int64, producers)
			r.breakDuringLoad(sent, rnd)
			each := 0
			for i := range sent {
				each = max(each, int(sent[i].Load()))
			}
			each = (each/5 + 1) * 5 // every key as often
			r.load(t.Context(), sent, each).Wait()
			r.drainAndCheck(producers, each)
			r.stop()
		})
	}
}

// breakDuringLoad breaks the disk after a while and goes on with what is on it when the process is told to end.
func (r *machineRoom) breakDuringLoad(sent []atomic.Int64, rnd *rand.Rand) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	var handling sync.WaitGroup
	handling.Go(func() { r.handle(ctx) })
	producing := r.load(ctx, sent, 1<<30)
	for changed := r.table.Changed(); total(sent) < 40; changed = r.table.Changed() {
		<-changed
	}
	r.broken.Store(true)
	if _, err := r.table.db.AsyncFlush(); err != nil { // the state does so by itself when much has changed
		r.t.Error(err)
	}
	select {
	case err := <-r.died:
		r.t.Logf("after %d events: %v", total(sent), err)
	case <-ctx.Done():
		r.t.Error("the process was not told to end")
	}
	after := r.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rnd.IntN(3)], RNG: rnd})
	cancel()
	producing.Wait()
	handling.Wait()
	r.stop()
	r.disk, r.breaks = after, nil
	r.start()
}

const brokenJournal = "EVOKE_TEST_BROKEN_JOURNAL"

// TestJournalOfTheStateThatCannotBeWritten runs in a second process: pebble panics when it goes on to the next file of a journal that it could not write, and does not tell
// its logger. The process must end as with any broken disk, so that no event that runs is blamed.
func TestJournalOfTheStateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	faults := map[string]func(errorfs.Op) error{
		"full":   on(syscall.ENOSPC, "state", ".log", errorfs.OpFileWrite),
		"broken": on(syscall.EIO, "state", ".log", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo),
		"next":   on(syscall.ENOSPC, "state", ".log", errorfs.OpCreate, errorfs.OpReuseForWrite),
	}
	if name := os.Getenv(brokenJournal); name != "" {
		breakJournal(t, faults[name])
	}
	for name, want := range map[string]error{"full": syscall.ENOSPC, "broken": syscall.EIO, "next": syscall.ENOSPC} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestJournalOfTheStateThatCannotBeWritten$")
		cmd.Env = append(os.Environ(), brokenJournal+"="+name)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(string(out), want.Error()) || !strings.Contains(string(out), "state") {
			t.Errorf("%s: second process: %v, want exit code 3 and the reason; it said %s", name, err, out)
		}
	}
}

func breakJournal(t *testing.T, breaks func(errorfs.Op) error) {
	var broken atomic.Bool
	files := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() {
			return breaks(op)
		}
		return nil
	}))
	fatal := func(err error) {
		fmt.Println(err)
		os.Exit(3)
	}
	log, err := local.Open(local.Options{Dir: "log", Partitions: 1, FS: files, Fatal: fatal})
	if err != nil {
		t.Fatal(err)
	}
	table, err := Open(t.Context(), Options{
		Log: log, Dir: "state", FS: files, Partitions: 1, Epoch: 1, Fatal: fatal, Ready: func() {}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	for i := 0; ; i++ { // until there is so much in memory that the journal goes on to its next file
		e := Effects{Writes: []StateWrite{{Name: "n", Value: make([]byte, 256<<10)}}}
		ev := newEvent(fmt.Sprint(i), "k")
		if _, err := table.Perform(t.Context(), Scope{"default", "f", "k", &ev}, fmt.Sprint(i), e); err != nil {
			t.Fatal(err)
		}
		if _, err := table.Publish(t.Context(), "default", "in", []event.Event{ev}); err != nil {
			t.Fatal(err)
		}
	}
}

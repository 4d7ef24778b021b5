package partition

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
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
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
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

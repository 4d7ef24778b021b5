package partition

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/sdk/abi"
)

// machineRoom is a table on disks that can lose power: what was not synced then survives only in part.
type machineRoom struct {
	t     *testing.T
	epoch uint64
	disk  *vfs.MemFS // of log and state
	log   *local.Log
	table *Table
	ready chan struct{}
	step  int  // Options.step
	calm  bool // every attempt is done

	breaks func(errorfs.Op) error // nil = the disk is well
	broken atomic.Bool            // breaks is asked
	dead   atomic.Bool            // told to end: what is acknowledged from then on does not count
	died   chan error             // the first reason
}

func (r *machineRoom) start() {
	r.t.Helper()
	r.restart()
	if err := r.table.SetTriggers(r.t.Context(), r.epoch, []Trigger{onTopic(1, "in")}); err != nil {
		r.t.Fatal(err)
	}
}

// restart leaves the triggers as they are.
func (r *machineRoom) restart() {
	r.t.Helper()
	r.epoch++
	r.ready = make(chan struct{}, 1)
	ready := r.ready
	r.dead.Store(false)
	r.broken.Store(false)
	r.died = make(chan error, 1)
	files := errorfs.Wrap(r.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if r.broken.Load() {
			return r.breaks(op)
		}
		return nil
	}))
	fatal := r.fatal
	var err error
	// Small memory tables, so that flushes and compactions happen too.
	if r.log, err = local.Open(local.Options{Dir: "log", Partitions: 4, MemTableSize: 256 << 10, FS: files, Fatal: fatal}); err != nil {
		r.t.Fatal(err)
	}
	r.table, err = Open(r.t.Context(), Options{
		Log: r.log, Dir: "state", FS: files, Partitions: 4, Epoch: r.epoch, Fatal: fatal,
		Ready: func() { wake(ready) }, Logger: slog.New(slog.DiscardHandler), step: r.step,
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// fatal is where a process would end.
func (r *machineRoom) fatal(err error) {
	if !r.broken.Load() && !r.dead.Load() { // once told, pebble may go on telling until it is closed
		r.t.Errorf("fatal: %v", err)
	}
	if !r.dead.Swap(true) {
		r.died <- err
	}
}

func (r *machineRoom) stop() {
	r.t.Helper()
	if r.broken.Swap(false) { // so that pebble can come to an end; what it says then does not matter
		_ = r.table.Close()
		_ = r.log.Close()
		return
	}
	if err := r.table.Close(); err != nil {
		r.t.Error(err)
	}
	if err := r.log.Close(); err != nil {
		r.t.Error(err)
	}
}

// handle settles whatever is ready until ctx ends: each event adds one to the counter of its key and emits one event with a key of its own.
func (r *machineRoom) handle(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := r.table.Take(1, 8)
		if err != nil {
			r.t.Error(err)
			return
		}
		for _, d := range list {
			r.settle(ctx, d)
		}
		if len(list) > 0 {
			continue
		}
		select {
		case <-r.ready:
		case <-ctx.Done():
			return
		}
	}
}

func (r *machineRoom) settle(ctx context.Context, d Delivery) {
	for {
		value, version, err := r.table.State("default", "f1", d.Event.Key(), "n")
		if err != nil {
			r.t.Error(err)
			return
		}
		n := 0
		fmt.Sscan(string(value), &n) //nolint:errcheck // an absent entry is 0
		e := Effects{
			Reads:  []StateRead{{Name: "n", Version: version}},
			Writes: []StateWrite{{Name: "n", Value: fmt.Append(nil, n+1)}},
			Emits:  []Emit{{Topic: "out", Event: newEvent("out-"+d.Event.ID, "to-"+d.Event.ID)}},
		}
		a, next := r.decide(&d)
		if next != (Next{}) { // what is emitted with a dead letter is a copy of it for others, see Table.Settle
			e = Effects{}
		}
		o, err := r.table.Settle(ctx, &d, a, next, e)
		if err != nil { // power is gone, or the test has seen enough
			r.table.Release(&d)
			return
		}
		if next.DeadLetter {
			_, _ = r.table.Redrive(ctx, []ID{d.ID}) // what is cut short here is found when all is drained
		}
		if o != Conflict {
			return
		}
	}
}

// decide lets some events fail at first and some be given up on once.
func (r *machineRoom) decide(d *Delivery) (Attempt, Next) {
	switch {
	case r.calm:
	case d.Generation == 0 && d.ID.Offset%7 == 0:
		return attemptOf(*d, abi.Failed, "give up"), Next{DeadLetter: true}
	case d.Attempt == 1 && d.ID.Offset%5 == 0:
		return attemptOf(*d, abi.Failed, "again"), Next{RetryAt: time.Now()}
	}
	return attemptOf(*d, abi.Done, ""), Next{}
}

// redriveAll makes pending what was given up on.
func (r *machineRoom) redriveAll(ctx context.Context) {
	r.t.Helper()
	var ids []ID
	err := r.table.DeadLetters("default", 0, func(d DeadLetter) error { ids = append(ids, d.ID); return nil })
	if err == nil {
		_, err = r.table.Redrive(ctx, ids)
	}
	if err != nil {
		r.t.Error(err)
	}
}

// Producers repeat what was not acknowledged; power goes again and again. In the end every event is there once, was handled once, and every counter is right.
func TestPowerCutsLoseNothingAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const producers, each, cuts = 8, 60, 4
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 99))
		r := &machineRoom{t: t, disk: vfs.NewCrashableMem()}
		r.start()
		sent := make([]atomic.Int64, producers) // by producer: how many were acknowledged
		for cut := range cuts {
			r.loseDuringLoad(sent, each*(cut+1)/(cuts+1), rnd)
		}
		r.load(t.Context(), sent, each).Wait()
		r.drainAndCheck(producers, each)
		r.stop()
	}
}

// loseDuringLoad cuts power while producers publish and events are handled. The disk goes on as it was at that moment, with a random part of what was not synced;
// what was acknowledged before must be on it.
func (r *machineRoom) loseDuringLoad(sent []atomic.Int64, goal int, rnd *rand.Rand) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	var handling sync.WaitGroup
	handling.Go(func() { r.handle(ctx) })
	half := goal * len(sent) / 2
	producing := r.load(ctx, sent, goal)
	for changed := r.table.Changed(); total(sent) < half; changed = r.table.Changed() {
		if total(sent) < half {
			<-changed
		}
	}
	acknowledged := make([]int64, len(sent))
	for i := range sent {
		acknowledged[i] = sent[i].Load()
	}
	after := r.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 30, 70, 100}[rnd.IntN(4)], RNG: rnd})
	cancel()
	producing.Wait()
	handling.Wait()
	r.stop()
	for i := range sent {
		sent[i].Store(acknowledged[i]) // what came later may be gone: again, under the same id
	}
	r.disk = after
	r.start()
}

func total(sent []atomic.Int64) (n int) {
	for i := range sent {
		n += int(sent[i].Load())
	}
	return n
}

// load lets every producer publish until its goal is acknowledged or ctx ends.
func (r *machineRoom) load(ctx context.Context, sent []atomic.Int64, goal int) *sync.WaitGroup {
	var wg sync.WaitGroup
	for p := range sent {
		wg.Go(func() {
			for i := int(sent[p].Load()); i < goal; i++ {
				ev := newEvent(fmt.Sprintf("p%d-%d", p, i), fmt.Sprint("k", i%5))
				if _, err := r.table.Publish(ctx, "default", "in", []event.Event{ev}); err != nil || r.dead.Load() {
					return
				}
				sent[p].Add(1)
			}
		})
	}
	return &wg
}

func (r *machineRoom) drainAndCheck(producers, each int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	handling, stop := context.WithCancel(ctx)
	wg.Go(func() { r.handle(handling) })
	r.redriveAll(ctx)
	var in, out []string
	for {
		changed := r.table.Changed()
		if r.table.Stats(1).Pending == 0 { // else there is no need to read them all
			if in, out = r.read("in"), r.read("out"); len(in) >= producers*each && len(out) >= len(in) {
				break
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.t.Fatalf("in time came %d inputs and %d outputs of %d, %d pending", len(r.read("in")), len(r.read("out")), producers*each, r.table.Stats(1).Pending)
		}
	}
	stop()
	wg.Wait()
	for p := range producers {
		for i := range each {
			id := fmt.Sprintf("p%d-%d", p, i)
			if n := count(in, id); n != 1 {
				r.t.Errorf("input %s is there %d times", id, n)
			}
			if n := count(out, "out-"+id); n != 1 {
				r.t.Errorf("output of %s is there %d times", id, n)
			}
		}
	}
	for k := range 5 {
		value, _, err := r.table.State("default", "f1", fmt.Sprint("k", k), "n")
		if want := fmt.Sprint(producers * each / 5); string(value) != want || err != nil {
			r.t.Errorf("counter of key %d is %s, %v, want %s", k, value, err, want)
		}
	}
}

func (r *machineRoom) read(topic string) (ids []string) {
	r.t.Helper()
	_, err := r.table.Tail("default", topic, Cursor{}, time.Time{}, 0, func(rec TopicRecord) error { ids = append(ids, rec.Event.ID); return nil })
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

func count(sorted []string, id string) int {
	from, _ := slices.BinarySearch(sorted, id)
	to, _ := slices.BinarySearch(sorted, id+"\x00")
	return to - from
}

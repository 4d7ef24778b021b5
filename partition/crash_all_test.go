package partition

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// busyRoom is a machine room in which all that a table does goes on at once: publishes, settles with state and events for other partitions, retries, dead letters with
// copies, redrives with edited events, replays, lapse, retention and trim.
//
// Topic "in" stays, and its keys live in one partition, so that the logs of the others are trimmed. Its trigger 1 is replayed; each invocation that is done emits its name to
// "again". Events of "flow" go on to "flow2" in another partition; both leave their topics at once, and what was done shows in counters. Nobody takes "lapsing".
type busyRoom struct {
	machineRoom
	generation uint64
	replay     uint64
	published  [3]atomic.Int64 // acknowledged, of each topic below
}

var busyTopics = [3]string{"in", "flow", "lapsing"}

const busyKeys = 5

var busyRetention = Retention{
	Topics: map[TopicName]TopicRetention{
		{"default", "flow"}: {Keep: time.Millisecond}, {"default", "flow2"}: {Keep: time.Millisecond}, {"default", "dead"}: {Keep: time.Millisecond},
		{"default", "lapsing"}: {Keep: time.Millisecond, DeadLetter: true},
	},
	DeadLetters: map[uint64]time.Duration{4: time.Millisecond},
}

// begin starts the table with the triggers that were wanted last.
func (r *busyRoom) begin() {
	r.t.Helper()
	r.step = 16
	r.restart()
	table := r.table
	table.workers.Go(func() { retainAlways(table) })
	r.setTriggers()
}

// retainAlways removes what is old again and again until the table is closed.
func retainAlways(table *Table) {
	for !table.isClosed() {
		changed := table.Changed()
		_ = table.retainer.round(&busyRetention) // a dead log and a closed table are no matter here
		select {
		case <-changed:
		case <-time.After(2 * time.Millisecond): // what is old enough only now changes nothing by itself
		case <-table.closed:
		}
	}
}

func (r *busyRoom) setTriggers() {
	r.t.Helper()
	r.generation++
	replayed := onTopic(1, "in")
	replayed.Order, replayed.OnFailure = "key", "park"
	if r.replay > 0 {
		replayed.Replay = &Replay{ID: r.replay}
	}
	err := r.table.SetTriggers(r.t.Context(), r.generation, []Trigger{replayed, onTopic(2, "flow"), onTopic(3, "flow2"), onTopic(4, "lapsing")})
	if err != nil && !r.dead.Load() {
		r.t.Error(err)
	}
}

// work does everything until ctx ends; the producers stop when they reach the goal.
func (r *busyRoom) work(ctx context.Context, goal int64) (wait func()) {
	var wg sync.WaitGroup
	for i := range busyTopics {
		wg.Go(func() { r.publish(ctx, i, goal) })
	}
	var turns []chan struct{}
	for i, handle := range []func(context.Context, Delivery){r.invoke, r.count, r.count} {
		turn := make(chan struct{}, 1)
		turns = append(turns, turn)
		wg.Go(func() { r.handleAll(ctx, uint64(i+1), turn, handle) })
	}
	wg.Go(func() { // Ready is for all of them
		for ctx.Err() == nil {
			select {
			case <-r.ready:
			case <-ctx.Done():
			}
			for _, turn := range turns {
				wake(turn)
			}
		}
	})
	return wg.Wait
}

// key is one of a topic, in partition 0 for what stays and in the others for the rest.
func (r *busyRoom) key(topic string, i int64) string {
	for salt := 0; ; salt++ {
		key := fmt.Sprint("k", i%busyKeys, "-", salt)
		if home := r.table.place("default", key, "", "").index; (home == 0) == (topic == "in") {
			return key
		}
	}
}

func (r *busyRoom) publish(ctx context.Context, topic int, goal int64) {
	name := busyTopics[topic]
	for i := r.published[topic].Load(); i < goal; i++ {
		ev := newEvent(fmt.Sprint(name, "-", i), r.key(name, i))
		ev.Data = bytes.Repeat([]byte{'x'}, int(i%4)*3000) // records of more than a block of the disk tear within
		if _, err := r.table.Publish(ctx, "default", name, []event.Event{ev}); err != nil || r.dead.Load() {
			return
		}
		r.published[topic].Add(1)
	}
}

func (r *busyRoom) handleAll(ctx context.Context, trigger uint64, turn <-chan struct{}, handle func(context.Context, Delivery)) {
	for ctx.Err() == nil && !r.dead.Load() {
		list, err := r.table.Take(trigger, 8)
		if err != nil && !r.dead.Load() {
			r.t.Error(err)
			return
		}
		for _, d := range list {
			handle(ctx, d)
		}
		if len(list) > 0 {
			continue
		}
		select {
		case <-turn:
		case <-ctx.Done():
		}
	}
}

// invoke says in topic "again" that an invocation is done. Some fail first, and some are given up on, with a copy for a topic, and redriven with another text.
func (r *busyRoom) invoke(ctx context.Context, d Delivery) {
	name := d.Invocation()
	say := func(topic string) Effects {
		return Effects{Emits: []Emit{{Topic: topic, Event: newEvent(name, d.Event.Key())}}}
	}
	a, n, e := attemptOf(d, abi.Done, ""), Next{}, say("again")
	switch {
	case d.Attempt == 1 && d.ID.Offset%5 == 0:
		a, n, e = attemptOf(d, abi.Failed, "again"), Next{RetryAt: time.Now()}, Effects{}
	case d.Generation == 0 && d.ID.Offset%7 == 0:
		a, n, e = attemptOf(d, abi.Failed, "no"), Next{DeadLetter: true}, say("dead")
	}
	if _, err := r.table.Settle(ctx, &d, a, n, e); err != nil {
		r.table.Release(&d)
	} else if n.DeadLetter {
		r.redrive(ctx, &d)
	}
}

func (r *busyRoom) redrive(ctx context.Context, d *Delivery) {
	edited := d.Event
	edited.Data = []byte(`"edited"`)
	// What is cut short here is found when all is drained.
	_, _ = r.table.RedriveAs(ctx, []Redriving{{Letter: LetterID{d.ID, d.Generation}, Revision: 7, Edited: &edited}})
}

// count adds one to the counter of the event's key, and passes on what is not passed on yet.
func (r *busyRoom) count(ctx context.Context, d Delivery) {
	for {
		value, version, err := r.table.State("default", d.Trigger.Function, d.Event.Key(), "n")
		if err != nil {
			r.t.Error(err)
			return
		}
		n := 0
		fmt.Sscan(string(value), &n) //nolint:errcheck // an absent entry is 0
		e := Effects{Reads: []StateRead{{"n", version}}, Writes: []StateWrite{{Name: "n", Value: fmt.Append(nil, n+1)}}}
		if d.Topic == "flow" {
			e.Emits = []Emit{{Topic: "flow2", Event: newEvent(d.Event.ID, "to-"+d.Event.Key())}}
		}
		o, err := r.table.Settle(ctx, &d, attemptOf(d, abi.Done, ""), Next{}, e)
		if err != nil {
			r.table.Release(&d)
		}
		if err != nil || o != Conflict {
			return
		}
	}
}

func (r *busyRoom) total() (n int64) {
	for i := range r.published {
		n += r.published[i].Load()
	}
	return n
}

// lose works up to a goal and goes on, when some more events are acknowledged, with what is left on the disk then: a random part of what was not synced. With a fault in the
// disk, it goes on when the process is told to end.
func (r *busyRoom) lose(goal, more int64, rnd *rand.Rand, fault bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	enough := r.total() + more
	wait := r.work(ctx, goal)
	for changed := r.table.Changed(); r.total() < enough && ctx.Err() == nil; changed = r.table.Changed() {
		if r.total() < enough {
			<-changed
		}
	}
	if fault {
		r.broken.Store(true)
		if _, err := r.table.db.AsyncFlush(); err != nil {
			r.t.Error(err)
		}
		select {
		case err := <-r.died:
			r.t.Logf("after %d events: %v", r.total(), err)
		case <-ctx.Done():
			r.t.Error("the process was not told to end")
		}
	}
	var acknowledged [3]int64
	for i := range acknowledged {
		acknowledged[i] = r.published[i].Load()
	}
	after := r.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 30, 70, 100}[rnd.IntN(4)], RNG: rnd})
	cancel()
	wait()
	r.stop()
	for i := range acknowledged {
		r.published[i].Store(acknowledged[i]) // what came later may be gone: again, under the same id
	}
	r.disk, r.breaks = after, nil
	r.replay++ // before the one before is through, or behind it
	r.begin()
}

// finish works until nothing is left to do, replays all of it once more, and counts.
func (r *busyRoom) finish(goal int64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	working, stop := context.WithCancel(ctx)
	wait := r.work(working, goal)
	r.awaitNothingLeft(ctx, goal)
	r.replay++
	r.setTriggers()
	r.awaitNothingLeft(ctx, goal)
	stop()
	wait()
	r.checkInvocations(goal)
	r.checkCounters("f2", "", goal)
	r.checkCounters("f3", "to-", goal)
}

func (r *busyRoom) awaitNothingLeft(ctx context.Context, goal int64) {
	r.t.Helper()
	for changed := r.table.Changed(); !r.through(goal); changed = r.table.Changed() {
		var ids []ID
		if err := r.table.DeadLetters("default", 1, func(d DeadLetter) error { ids = append(ids, d.ID); return nil }); err != nil {
			r.t.Fatal(err)
		}
		if _, err := r.table.Redrive(ctx, ids); err != nil {
			r.t.Fatal(err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.t.Fatalf("not through: %d published, %s", r.total(), r.left())
		}
	}
}

func (r *busyRoom) through(goal int64) bool {
	return r.total() == goal*int64(len(busyTopics)) && r.left() == ""
}

// left is what is still to be done, or to be removed.
func (r *busyRoom) left() string {
	var left []string
	for id := uint64(1); id <= 4; id++ {
		if s := r.table.Stats(id); s.Pending+s.DeadLetters+s.CatchingUp > 0 {
			left = append(left, fmt.Sprintf("trigger %d: %+v", id, s))
		}
	}
	for _, topic := range []string{"flow", "flow2", "lapsing"} {
		if n := len(r.read(topic)); n > 0 {
			left = append(left, fmt.Sprintf("%d events of %s", n, topic))
		}
	}
	for _, p := range r.table.parts[1:] {
		if p.floor() < 2 {
			left = append(left, fmt.Sprintf("the log of partition %d", p.index))
		}
	}
	for _, p := range r.table.parts { // events on their way
		p.mu.Lock()
		if !slices.Equal(p.machine.sent, p.machine.arrived) {
			left = append(left, fmt.Sprintf("the outbox of partition %d", p.index))
		}
		p.mu.Unlock()
	}
	return strings.Join(left, ", ")
}

// checkInvocations: each event of "in" is there once, no invocation was done twice, and the last replay brought each event again.
func (r *busyRoom) checkInvocations(goal int64) {
	r.t.Helper()
	r.read("in")
	var names []string
	offsets := map[string]bool{}
	_, err := r.table.Tail("default", "in", Cursor{}, time.Time{}, 0, func(rec TopicRecord) error {
		names = append(names, rec.Event.ID)
		offsets[ID{rec.Partition, rec.Offset, 1}.String()] = true
		return nil
	})
	slices.Sort(names)
	if err != nil || int64(len(names)) != goal || len(slices.Compact(names)) != int(goal) {
		r.t.Errorf("topic in has %d events, want %d, %v", len(names), goal, err)
	}
	done := r.read("again") // sorted
	for i := 1; i < len(done); i++ {
		if done[i] == done[i-1] {
			r.t.Errorf("invocation %s was done twice", done[i])
		}
	}
	last := fmt.Sprint("-g", r.table.parts[0].machine.triggers[1].position.generation)
	for id := range offsets {
		if count(done, id+last) != 1 {
			r.t.Errorf("event %s was not handed out in the last replay%s", id, last)
		}
	}
}

func (r *busyRoom) checkCounters(function, prefix string, goal int64) {
	r.t.Helper()
	for i := range int64(busyKeys) {
		value, _, err := r.table.State("default", function, prefix+r.key("flow", i), "n")
		if want := fmt.Sprint(goal / busyKeys); string(value) != want || err != nil {
			r.t.Errorf("counter of key %d in %s is %s, %v, want %s", i, function, value, err, want)
		}
	}
}

// Power goes again and again, and comes back with a random part of what was not synced: whole blocks of it, so that what was written tears.
func TestPowerCutsWhileEverythingGoesOn(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		r := &busyRoom{machineRoom: machineRoom{t: t, disk: vfs.NewCrashableMem()}}
		rnd := rand.New(rand.NewPCG(seed, 5))
		r.begin()
		for cut := range int64(4) {
			r.lose(50*(cut+1), 60+rnd.Int64N(80), rnd, false)
		}
		r.finish(250)
		r.stop()
	}
}

func TestFaultsWhileEverythingGoesOn(t *testing.T) {
	t.Parallel()
	syncs := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	for name, breaks := range map[string]func(errorfs.Op) error{
		"fsync of the log fails":           on(syscall.EIO, "log", ".log", syncs...),
		"no room for the log":              on(syscall.ENOSPC, "log", ".log", errorfs.OpFileWrite),
		"no room for a table of the state": on(syscall.ENOSPC, "state", ".sst", errorfs.OpCreate),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &busyRoom{machineRoom: machineRoom{t: t, disk: vfs.NewCrashableMem(), breaks: breaks}}
			r.begin()
			r.lose(1<<30, 100, rand.New(rand.NewPCG(uint64(len(name)), 3)), true)
			goal := int64(0)
			for i := range r.published {
				goal = max(goal, r.published[i].Load())
			}
			r.finish((goal/busyKeys + 1) * busyKeys)
			r.stop()
		})
	}
}

package partition

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/event"
)

// awaitPast waits until a trigger has looked through all that it asked for.
func awaitPast(t *testing.T, table *Table, trigger uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		changed := table.Changed()
		if table.Stats(trigger).CatchingUp == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("trigger %d still looks through the past of %d partitions", trigger, table.Stats(trigger).CatchingUp)
		}
	}
}

func typed(n int, topic string, change func(*event.Event)) []event.Event {
	events := manyEvents(n, func(i int) string { return fmt.Sprint("k", i%50) })
	for i := range events {
		events[i].ID = topic + events[i].ID
		events[i].Type = fmt.Sprint("t", i%4)
		change(&events[i])
	}
	return events
}

// 10,000 stored events, of which each trigger gets exactly what its topic, filter and start say, and nothing twice.
func TestStartInThePastIsExact(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	const each = 5000
	for _, topic := range []string{"orders.new", "orders.paid"} {
		events := typed(each, topic, func(*event.Event) {})
		tt.publish(topic, events...)
		tt.publish(topic, events[:100]...) // duplicates are in the log, not in the topic
	}
	tt.publish("other", newEvent("o", "k"))
	middle := tt.Head()
	tt.publish("orders.paid", typed(40, "late", func(*event.Event) {})...)
	end := tt.Head()
	var times []int64
	for _, p := range tt.parts {
		err := tt.scanIndex(p, "default", "orders.paid", span64{0, math.MaxUint64}, func(e entry) error { times = append(times, e.time); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(times)
	when := times[len(times)-20] // of the later ones
	first := slices.Index(times, when)
	on := func(id uint64, topic, filter string, start *Range) Trigger {
		tr := onTopic(id, topic)
		tr.Filter, tr.Start = filter, start
		return tr
	}
	triggers := []Trigger{
		on(1, "orders.new", "", &Range{}),
		on(2, "orders.new", "type = 't1'", &Range{}),
		on(3, "orders.>", `{"any": [{"exact": {"type": "t1"}}, {"sql": "type = 't2'"}]}`, &Range{}),
		on(4, "*.paid", "", &Range{From: middle.Offsets()}),
		on(5, "orders.paid", "", nil),
		on(6, "orders.paid", "", &Range{From: middle.Offsets(), To: end.Offsets()}),
		on(7, "orders.paid", "", &Range{Since: time.Now().Add(time.Hour).UnixMilli()}),
		on(8, "orders.paid", "", &Range{Since: 1}),
		on(9, "nothing", "", &Range{}),
		on(10, "orders.paid", "", &Range{Since: when}),
		on(11, "orders.paid", "", &Range{Until: when}),
	}
	tt.triggers(1, triggers...)
	for _, tr := range triggers {
		awaitPast(t, tt.Table, tr.ID)
	}
	want := []int{each, each / 4, each + 20, 40, 0, 40, 0, each + 40, 0, len(times) - first, first}
	for i, n := range want {
		if got := tt.Stats(uint64(i + 1)).Pending; got != n {
			t.Errorf("trigger %d has %d events, want %d", i+1, got, n)
		}
	}
	got := ids(tt.takeN(2, each/4))
	if len(slices.Compact(got)) != each/4 {
		t.Error("an event came twice")
	}
	tt.takeNone(2)
	tt.publish("orders.new", func() event.Event { e := newEvent("new", "k"); e.Type = "t1"; return e }())
	if got := tt.takeN(2, 1); got[0].Event.ID != "new" || got[0].Invocation() != got[0].ID.String() {
		t.Errorf("then came %s", got[0].Event.ID)
	}
	changed := triggers[0]
	changed.Start = nil // an old trigger's start does nothing
	before := tt.Stats(5).Pending
	triggers[4].Start = &Range{}
	tt.triggers(2, append([]Trigger{changed}, triggers[1:]...)...)
	awaitPast(t, tt.Table, 5)
	if tt.Stats(5).Pending != before || tt.Stats(1).Pending != each+1 {
		t.Error("a changed start had an effect")
	}
}

// Events go on coming while a trigger with order: key starts in the past: every key sees its events in the order of the topic.
func TestStartInThePastKeepsTheOrderOfKeys(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	const keys, each = 10, 80
	publish := func(from, to int) {
		for i := from; i < to; i += 10 {
			var events []event.Event
			for j := i; j < i+10; j++ {
				for k := range keys {
					events = append(events, newEvent(fmt.Sprintf("%d.%d", k, j), fmt.Sprint("k", k)))
				}
			}
			tt.publish("in", events...)
		}
	}
	publish(0, each/2)
	ordered := onTopic(1, "in")
	ordered.Order, ordered.Start = "key", &Range{}
	tt.triggers(1, ordered)
	var publishing sync.WaitGroup
	publishing.Go(func() { publish(each/2, each) })
	last := map[string]int{}
	for n := 0; n < keys*each; {
		list := tt.takeN(1, 1)
		more, err := tt.Take(1, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range append(list, more...) {
			var k, i int
			if _, err := fmt.Sscanf(d.Event.ID, "%d.%d", &k, &i); err != nil {
				t.Fatal(err)
			}
			if last[d.Event.Key()] != i {
				t.Fatalf("key %s got event %d, want %d", d.Event.Key(), i, last[d.Event.Key()])
			}
			last[d.Event.Key()]++
			tt.done(d, Effects{})
			n++
		}
	}
	publishing.Wait()
	tt.takeNone(1)
}

func TestReplayInTheTable(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	def := onTopic(1, "in")
	tt.triggers(1, def)
	tt.publish("in", manyEvents(300, func(i int) string { return fmt.Sprint(i) })...)
	first := map[string]string{}
	list := tt.takeN(1, 300)
	for i, d := range list {
		first[d.Event.ID] = d.Invocation()
		switch {
		case i < 10:
			tt.giveUp(d, "no")
		case i < 290:
			tt.done(d, Effects{})
		}
	}
	if got, err := tt.CountReplay(def, Range{}); err != nil || got != (ReplayCount{Events: 280, Pending: 10, DeadLetters: 10}) {
		t.Fatalf("a replay would find %+v, %v", got, err)
	}
	def.Replay = &Replay{ID: 1}
	tt.triggers(2, def)
	awaitPast(t, tt.Table, 1)
	if n, finished := tt.Replayed(1, 1); n != 280 || !finished {
		t.Errorf("replayed %d, %t", n, finished)
	}
	tt.reopen() // generations survive
	again := tt.takeN(1, 290)
	var wasPending []Delivery
	for _, d := range again {
		if first[d.Event.ID] == d.Invocation() {
			wasPending = append(wasPending, d)
		} else if d.Generation != 1 || d.Attempt != 1 {
			t.Errorf("%s comes in generation %d, attempt %d", d.ID, d.Generation, d.Attempt)
		}
		if o := tt.done(d, Effects{}); o != Applied {
			t.Errorf("%s: %d", d.ID, o)
		}
	}
	if len(wasPending) != 10 {
		t.Errorf("%d events kept their invocation, want the 10 that were running", len(wasPending))
	}
	for _, d := range list[10:20] {
		if o := tt.done(d, Effects{}); o != Stale {
			t.Errorf("a late settle of %s: %d", d.ID, o)
		}
	}
	def.Replay = &Replay{ID: 2}
	tt.triggers(3, def)
	awaitPast(t, tt.Table, 1)
	for _, d := range tt.takeN(1, 290) {
		if d.Generation != 2 {
			t.Errorf("%s comes in generation %d", d.ID, d.Generation)
		}
	}
	tt.takeNone(1)
}

// Events of a key that are replayed come in order, also when new ones of the key come in between.
func TestReplayKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	def := onTopic(1, "in")
	def.Order = "key"
	tt.triggers(1, def)
	for i := range 20 {
		tt.publish("in", newEvent(fmt.Sprint("e", i), "k"))
		tt.done(tt.takeN(1, 1)[0], Effects{})
	}
	def.Replay = &Replay{ID: 1}
	tt.triggers(2, def)
	awaitPast(t, tt.Table, 1)
	tt.publish("in", newEvent("new", "k"))
	var got []string
	for range 21 {
		d := tt.takeN(1, 1)[0]
		tt.takeNone(1)
		got = append(got, d.Event.ID)
		tt.done(d, Effects{})
	}
	for i := range 20 {
		if got[i] != fmt.Sprint("e", i) {
			t.Fatalf("order %v", got)
		}
	}
}

// An event that left while it waited for its key, and comes again by a replay, has no place in the queue from before.
func TestReplayKeepsTheOrderOfAKeyInWhichEventsWereCanceled(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	def := onTopic(1, "in")
	def.Order = "key"
	tt.triggers(1, def)
	stored := tt.publish("in", newEvent("1", "k"), newEvent("2", "k"), newEvent("3", "k"))
	tt.done(tt.takeN(1, 1)[0], Effects{})
	second := tt.takeN(1, 1)[0]
	tt.takeNone(1) // the third waits for its key
	third, err := tt.Invocation(ID{stored[2].Partition, stored[2].Offset, 1})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := tt.Cancel(t.Context(), &third, Attempt{Number: 1, Start: time.Now(), Class: "canceled"}); o != Applied || err != nil {
		t.Fatal(o, err)
	}
	def.Replay = &Replay{ID: 1}
	tt.triggers(2, def)
	awaitPast(t, tt.Table, 1)
	tt.takeNone(1)
	tt.done(second, Effects{})
	for _, want := range []string{"1", "3"} {
		d := tt.takeN(1, 1)[0]
		if d.Event.ID != want {
			t.Fatalf("took %s, want %s", d.Event.ID, want)
		}
		tt.takeNone(1)
		tt.done(d, Effects{})
	}
}

func TestPausedTriggerKeepsItsEvents(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	def := onTopic(1, "in")
	tt.triggers(1, def)
	tt.publish("in", manyEvents(20, func(i int) string { return fmt.Sprint(i) })...)
	running := tt.takeN(1, 5)
	paused := def
	paused.Paused = true
	tt.triggers(2, paused)
	tt.publish("in", newEvent("more", "k"))
	tt.Release(&running[0])
	if o := tt.settle(running[1], attemptOf(running[1], 1, "no"), Next{RetryAt: time.Now()}, Effects{}); o != Applied {
		t.Errorf("a retry of what ran: %d", o)
	}
	for _, d := range running[2:] {
		if o := tt.done(d, Effects{}); o != Applied {
			t.Errorf("what ran did not finish: %d", o)
		}
	}
	tt.takeNone(1)
	if _, ready := tt.Ready()[1]; ready {
		t.Error("a paused trigger is ready")
	}
	tt.reopen()
	tt.takeNone(1)
	if n := tt.countTriggers(func(tr *trigger) bool { return tr.Paused }); n != 1 || tt.Stats(1).Pending != 18 {
		t.Errorf("%d paused, %d pending", n, tt.Stats(1).Pending)
	}
	tt.triggers(3, def)
	tt.takeN(1, 18)
	tt.takeNone(1)
}

// Pauses, resumes, publishes and settles at once: in the end every event has been handled once.
func TestPauseAndResumeUnderLoad(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	def := onTopic(1, "in")
	def.Order = "key"
	tt.triggers(1, def)
	const events = 300
	ctx, stop := context.WithCancel(t.Context())
	var handling, working sync.WaitGroup
	var mu sync.Mutex
	handled := map[string]int{}
	for range 3 {
		handling.Go(func() {
			for ctx.Err() == nil {
				changed := tt.Changed()
				list, err := tt.Take(1, 5)
				if err != nil {
					t.Error(err)
				}
				for i := range list {
					d := &list[i]
					if d.ID.Offset%5 == 0 && d.Attempt == 1 {
						_, err = tt.Settle(ctx, d, attemptOf(*d, 1, "no"), Next{RetryAt: time.Now()}, Effects{})
					} else {
						mu.Lock()
						handled[d.Event.ID]++
						mu.Unlock()
						_, err = tt.Settle(ctx, d, attemptOf(*d, 0, ""), Next{}, Effects{})
					}
					if err != nil {
						t.Error(err)
					}
				}
				if len(list) == 0 {
					select {
					case <-changed:
					case <-tt.ready:
					case <-ctx.Done():
					}
				}
			}
		})
	}
	working.Go(func() {
		for i := range events {
			tt.publish("in", newEvent(fmt.Sprint("e", i), fmt.Sprint("k", i%30)))
		}
	})
	for generation := range uint64(31) {
		next := def
		next.Paused = generation%2 == 0 && generation < 30
		tt.triggers(2+generation, next)
	}
	working.Wait()
	for changed := tt.Changed(); tt.Stats(1).Pending > 0; changed = tt.Changed() {
		if tt.Stats(1).Pending > 0 {
			select {
			case <-changed:
			case <-time.After(20 * time.Second):
				t.Fatalf("%d are left", tt.Stats(1).Pending)
			}
		}
	}
	stop()
	handling.Wait()
	for i := range events {
		if n := handled[fmt.Sprint("e", i)]; n != 1 {
			t.Errorf("e%d was handled %d times", i, n)
		}
	}
}

// Power goes again and again while triggers look through the past and others publish: nothing is missed, nothing comes twice.
func TestPowerCutsWhileLookingThroughThePast(t *testing.T) {
	t.Parallel()
	const old, cuts = 2000, 5
	rnd := rand.New(rand.NewPCG(3, 4))
	r := &machineRoom{t: t, disk: vfs.NewCrashableMem(), step: 20}
	r.start()
	publish := func(from, to int) {
		t.Helper()
		events := make([]event.Event, 0, to-from)
		for i := from; i < to; i++ {
			events = append(events, newEvent(fmt.Sprint("p", i), fmt.Sprint("k", i%40)))
		}
		if _, err := r.table.Publish(t.Context(), "default", "past", events); err != nil {
			t.Fatal(err)
		}
	}
	publish(0, old)
	all := []Trigger{onTopic(1, "in")}
	for id := range uint64(4) {
		tr := onTopic(id+2, "past")
		tr.Start, tr.Filter = &Range{}, "id LIKE 'p%'"
		all = append(all, tr)
	}
	total, inTheMiddle := old, 0
	for cut := range cuts {
		if err := r.table.SetTriggers(t.Context(), 100*r.epoch, all[:min(len(all), cut+2)]); err != nil {
			t.Fatal(err)
		}
		publish(total, total+50)
		total += 50
		for _, tr := range all[1:min(len(all), cut+2)] {
			inTheMiddle += r.table.Stats(tr.ID).CatchingUp
		}
		after := r.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rnd.IntN(3)], RNG: rnd})
		r.stop()
		r.disk = after
		r.restart()
	}
	for i, tr := range all[1:] {
		awaitPast(t, r.table, tr.ID)
		if got := r.table.Stats(tr.ID).Pending; got != total {
			t.Errorf("trigger %d of %d has %d events, want %d", i, len(all)-1, got, total)
		}
	}
	t.Logf("in %d partitions a trigger was in the middle of the past when power went", inTheMiddle)
	r.stop()
}

func TestRangesThatAreNotStored(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.publish("in", manyEvents(40, func(i int) string { return fmt.Sprint(i) })...)
	head := tt.Head().Offsets()
	tt.publish("in", newEvent("more", "k"))
	ahead := slices.Clone(tt.Head().Offsets())
	ahead[2]++
	for name, tc := range map[string]struct {
		r    Range
		want string
	}{
		"all":          {Range{}, ""},
		"from here":    {Range{From: head}, ""},
		"to here":      {Range{To: head}, ""},
		"one too many": {Range{From: append(slices.Clone(head), 1)}, "it has 5 offsets, the data directory has 4 partitions"},
		"not yet":      {Range{To: ahead}, "is behind the end of partition 2, which is"},
	} {
		if err := tt.CheckRange("default", "in", tc.r); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tt.publish("in", manyEvents(3000, func(i int) string { return fmt.Sprint("x", i) })...)
	for i, next := range head {
		if err := tt.log.Trim(i, next); err != nil {
			t.Fatal(err)
		}
	}
	if err := tt.CheckRange("default", "in", Range{From: head}); err != nil {
		t.Errorf("what is stored: %v", err)
	}
	if err := tt.CheckRange("default", "in", Range{From: []uint64{1, 1, 1, 1}}); !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "were removed by retention") {
		t.Errorf("what was removed: %v", err)
	}
}

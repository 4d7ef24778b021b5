package triggers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTable judges as partitions do, and can fail.
type fakeTable struct {
	mu       sync.Mutex
	err      error
	lastDue  map[uint64]time.Time
	overlaps bool // whoever wants to be alone is not
	fired    []string
	late     []time.Duration
	stale    int
}

func (f *fakeTable) LastDue(id uint64) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastDue[id]
}

func (f *fakeTable) Fire(_ context.Context, list []partition.Firing) ([]partition.Fired, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	out := make([]partition.Fired, len(list))
	for i, one := range list {
		if !one.Due.IsZero() && !one.Due.After(f.lastDue[one.Trigger]) {
			f.stale++
			out[i].Outcome = partition.Stale
			continue
		}
		if !one.Due.IsZero() {
			f.lastDue[one.Trigger] = one.Due
		}
		what := one.Due.UTC().Format("15:04:05")
		switch {
		case one.Event == nil:
			what += " passes"
		case one.Alone && f.overlaps:
			out[i].Outcome = partition.Overlaps
			what += " overlaps"
		case strings.Contains(string(one.Event.Data), `"missed":0`):
		default:
			_, missed, _ := strings.Cut(string(one.Event.Data), `"missed":`)
			what += " missed " + strings.TrimRight(missed, "}")
		}
		f.fired = append(f.fired, what)
		f.late = append(f.late, time.Since(one.Due))
	}
	return out, nil
}

func (f *fakeTable) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// took is what has fired since it was asked before.
func (f *fakeTable) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.fired = nil }()
	return f.fired
}

// bundle is a Cron in a bubble, where time begins at 2000-01-01 00:00:00 UTC and passes as soon as everybody waits.
type bundle struct {
	*Cron
	t      *testing.T
	table  *fakeTable
	reg    *prometheus.Registry
	log    *strings.Builder
	offset atomic.Int64 // of the clock that Cron sees, in nanoseconds
	stop   func()
}

func setup(t *testing.T, table *fakeTable) *bundle {
	t.Helper()
	b := &bundle{t: t, table: table, reg: prometheus.NewRegistry(), log: &strings.Builder{}}
	b.Cron = New(Options{
		Table: table, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Registerer: b.reg,
		Now: func() time.Time { return time.Now().Add(time.Duration(b.offset.Load())) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return b
}

func newTable() *fakeTable { return &fakeTable{lastDue: map[uint64]time.Time{}} }

// has makes a function with one trigger what is wanted; a zero schedule is none.
func (b *bundle) has(was *api.Function, spec api.CronTrigger, change ...func(*api.Trigger)) *api.Function {
	b.t.Helper()
	f := &api.Function{Namespace: "default", Name: "f"}
	if spec.Schedule != "" {
		f.Triggers = []api.Trigger{{
			ID: 7, Namespace: "default", Name: "f:cron", Function: "f", Kind: "cron", Cron: &spec, Topic: &api.TopicTrigger{Name: "_cron.f"},
			Since: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		}}
		for _, c := range change {
			c(&f.Triggers[0])
		}
	}
	b.mu.Lock()
	b.change(was, f, b.o.Now())
	b.mu.Unlock()
	b.wake <- struct{}{}
	synctest.Wait()
	return f
}

func (b *bundle) wants(when string, want ...string) {
	b.t.Helper()
	synctest.Wait()
	if got := b.table.took(); !slices.Equal(got, want) {
		b.t.Errorf("%s: fired %q, want %q", when, got, want)
	}
}

// counted is the value of a counter.
func (b *bundle) counted(name string) float64 {
	b.t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	b.t.Fatalf("no metric %s", name)
	return 0
}

func pass(d time.Duration) { time.Sleep(d) } // in a bubble: it moves the clock

func TestTriggersFireWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, newTable())
		defer func() { b.stop() }()
		b.has(nil, api.CronTrigger{Schedule: "*/15 * * * *"})
		pass(46 * time.Minute)
		b.wants("a while", "00:15:00", "00:30:00", "00:45:00")
		for _, late := range b.table.late {
			if late != 0 {
				t.Errorf("it fired %s late", late)
			}
		}
		if n := b.counted("evoke_cron_fired_total"); n != 3 {
			t.Errorf("%v fired", n)
		}
	})
}

// What is due while nobody watches is for `missed` to decide; what comes after is on time.
func TestMissedDueTimes(t *testing.T) {
	t.Parallel()
	for missed, want := range map[string][]string{
		"":     {"03:00:00 missed 2", "04:00:00"},
		"last": {"03:00:00 missed 2", "04:00:00"},
		"skip": {"03:00:00 passes", "04:00:00 missed 3"},
		"all":  {"01:00:00", "02:00:00", "03:00:00", "04:00:00"},
	} {
		t.Run(missed, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pass(3*time.Hour + time.Minute)
				table := newTable()
				b := setup(t, table)
				b.has(nil, api.CronTrigger{Schedule: "@hourly", Missed: missed})
				pass(time.Hour)
				b.wants("at the start", want...)
				lost := map[string]float64{"": 2, "last": 2, "skip": 3}[missed]
				if n := b.counted("evoke_cron_missed_total"); n != lost {
					t.Errorf("%v were missed, want %v", n, lost)
				}
				b.stop()
				pass(9 * time.Minute) // a restart between two due times misses nothing
				b = setup(t, table)
				b.has(nil, api.CronTrigger{Schedule: "@hourly", Missed: missed})
				pass(time.Hour)
				b.wants("after another start", "05:00:00")
				b.stop()
				if table.stale > 0 {
					t.Errorf("%d firings came twice", table.stale)
				}
			})
		})
	}
}

func TestNoMoreThanSoManyMissedDueTimesFire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pass(3 * time.Hour)
		b := setup(t, newTable())
		b.has(nil, api.CronTrigger{Schedule: "* * * * * *", Missed: "all"})
		got := b.table.took()
		if len(got) != api.MaxMissed || got[0] != "02:43:21 missed 1000" || got[len(got)-1] != "03:00:00" {
			t.Errorf("%d fired, from %s to %s", len(got), got[0], got[len(got)-1])
		}
		b.stop()
	})
}

func TestAPauseIsLikeAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, newTable())
		spec := api.CronTrigger{Schedule: "@hourly", Missed: "last"}
		f := b.has(nil, spec)
		pass(70 * time.Minute)
		b.wants("before", "01:00:00")
		f = b.has(f, spec, func(t *api.Trigger) { t.PausedSince = time.Now() })
		pass(3 * time.Hour)
		b.wants("paused")
		if due := b.Due(&f.Triggers[0], 5); len(due.Next) > 0 || due.Last.Hour() != 1 {
			t.Errorf("paused, it is due %+v", due)
		}
		f = b.has(f, spec)
		b.wants("resumed", "04:00:00 missed 2")
		b.has(f, api.CronTrigger{})
		pass(3 * time.Hour)
		b.wants("removed")
		b.stop()
	})
}

// A clock that jumps ahead is like a stop; one that goes back fires nothing again.
func TestAClockThatIsSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, newTable())
		b.has(nil, api.CronTrigger{Schedule: "*/10 * * * *", Missed: "last"})
		pass(11 * time.Minute)
		b.wants("before", "00:10:00")
		b.offset.Store(int64(time.Hour))
		pass(look)
		b.wants("an hour ahead", "01:10:00 missed 5")
		if !strings.Contains(b.log.String(), "the clock went ahead") {
			t.Errorf("the log says %q", b.log)
		}
		b.offset.Store(0)
		pass(58 * time.Minute)
		b.wants("back again: until 01:10 all has fired")
		pass(12 * time.Minute)
		b.wants("when that time has been", "01:20:00")
		if !strings.Contains(b.log.String(), "the clock went back") {
			t.Errorf("the log says %q", b.log)
		}
		b.offset.Store(int64(15 * time.Second)) // no more than a timer that is late
		pass(9 * time.Minute)
		b.wants("a little ahead", "01:30:00")
		b.stop()
	})
}

// What time.Sub and time.Before do with the monotonic reading of two times would hide that the clock was set.
func TestTheClockIsTheOneOnTheWall(t *testing.T) {
	t.Parallel()
	c := New(Options{Table: newTable(), Logger: slog.New(slog.DiscardHandler)})
	if now := c.o.Now(); now != now.Round(0) {
		t.Errorf("%s has a monotonic reading", now)
	}
}

func TestASkippedDueTimeIsNotMissedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := newTable()
		table.overlaps = true
		b := setup(t, table)
		b.has(nil, api.CronTrigger{Schedule: "@hourly", Overlap: "skip", Missed: "all"})
		pass(2*time.Hour + time.Minute)
		b.wants("while one is pending", "01:00:00 overlaps", "02:00:00 overlaps")
		if n := b.counted("evoke_cron_overlaps_total"); n != 2 {
			t.Errorf("%v overlaps", n)
		}
		b.stop()
		b = setup(t, table)
		b.has(nil, api.CronTrigger{Schedule: "@hourly", Overlap: "skip", Missed: "all"})
		b.wants("after a start")
		b.stop()
	})
}

// Firings that cannot be stored are missed, and fire when the disk has room again.
func TestFiringsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, newTable())
		b.has(nil, api.CronTrigger{Schedule: "* * * * *", Missed: "last"})
		b.table.fail(partition.ErrDiskLow)
		pass(5*time.Minute + time.Second)
		b.wants("full")
		b.table.fail(nil)
		pass(again)
		b.wants("room again", "00:05:00 missed 4")
		pass(time.Minute)
		b.wants("on time", "00:06:00")
		if n := strings.Count(b.log.String(), "triggers cannot fire"); n != 1 {
			t.Errorf("said %d times that they cannot fire", n)
		}
		b.stop()
	})
}

func TestAChangedTriggerGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, newTable())
		f := b.has(nil, api.CronTrigger{Schedule: "@hourly"})
		pass(90 * time.Minute)
		f = b.has(f, api.CronTrigger{Schedule: "@hourly", Missed: "all"})
		b.wants("the same schedule", "01:00:00")
		b.has(f, api.CronTrigger{Schedule: "*/20 * * * *", Missed: "all"}, func(t *api.Trigger) { t.Since = time.Now() })
		pass(11 * time.Minute)
		b.wants("another: nothing from before it", "01:40:00")
		b.stop()
	})
}

func TestJitterIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	e := entry{trigger: &api.Trigger{ID: 7, Cron: &api.CronTrigger{Jitter: api.Duration(30 * time.Second)}}}
	other := entry{trigger: &api.Trigger{ID: 8, Cron: e.trigger.Cron}}
	differ, sum := 0, time.Duration(0)
	for i := range 1000 {
		due := time.Unix(int64(i)*60, 0)
		j := e.jitter(due)
		if j < 0 || j >= 30*time.Second || j != e.jitter(due) {
			t.Fatalf("jitter %s", j)
		}
		if sum += j; j != other.jitter(due) {
			differ++
		}
	}
	if mean := sum / 1000; differ < 990 || mean < 14*time.Second || mean > 16*time.Second {
		t.Errorf("%d of 1000 differ from another trigger's, their mean is %s", differ, mean)
	}
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, newTable())
		b.has(nil, api.CronTrigger{Schedule: "* * * * *", Jitter: api.Duration(30 * time.Second)})
		pass(10*time.Minute + 31*time.Second)
		if n := len(b.table.took()); n != 10 {
			t.Errorf("%d fired", n)
		}
		want := e.jitter(time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC))
		if got := b.table.late[0]; got != want {
			t.Errorf("it fired %s behind its due time, want %s", got, want)
		}
		b.stop()
	})
}

func TestRunByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, newTable())
		f := b.has(nil, api.CronTrigger{Schedule: "@hourly", Overlap: "skip"})
		trigger := &f.Triggers[0]
		if _, err := b.RunNow(t.Context(), trigger); err != nil {
			t.Fatal(err)
		}
		if !b.table.LastDue(7).IsZero() {
			t.Error("a run by hand has moved the last due time")
		}
		b.table.overlaps = true
		if _, err := b.RunNow(t.Context(), trigger); !errors.Is(err, ErrOverlaps) {
			t.Errorf("while one is pending: %v", err)
		}
		b.table.fail(partition.ErrClosed)
		if _, err := b.RunNow(t.Context(), trigger); !errors.Is(err, partition.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		b.stop()
	})
}

func TestTheEventOfAFiring(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	trigger := &api.Trigger{
		ID: 17, Namespace: "shop", Name: "nightly:cron", Topic: &api.TopicTrigger{Name: "_cron.nightly"}, Cron: &api.CronTrigger{Schedule: "0 2 * * *", Timezone: "Europe/Berlin"},
	}
	now := time.Date(2026, 1, 31, 1, 0, 0, 5e6, time.UTC)
	e := (&firing{trigger: trigger, due: time.Date(2026, 1, 31, 2, 0, 0, 0, berlin), missed: 3}).event(now)
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"17.1769821200","source":"/ns/shop/triggers/nightly:cron","type":"dev.evoke.cron","subject":"nightly:cron","time":"2026-01-31T01:00:00Z","datacontenttype":"application/json",` +
		`"data":{"schedule":"0 2 * * *","timezone":"Europe/Berlin","due":"2026-01-31T02:00:00+01:00","fired":"2026-01-31T01:00:00.005Z","missed":3}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	trigger.Cron.Timezone = ""
	e = (&firing{trigger: trigger}).event(now)
	if want := fmt.Sprint("17.run.", now.UnixNano()); e.ID != want || !e.Time.Equal(now) || string(e.Data) !=
		`{"schedule":"0 2 * * *","timezone":"UTC","fired":"2026-01-31T01:00:00.005Z","missed":0,"manual":true}` {
		t.Errorf("by hand: %s %s %s", e.ID, e.Time, e.Data)
	}
}

// Everybody asks at once while triggers come, change, go and fire, and Run begins and ends.
func TestCronUnderEveryHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := newTable()
		for life := range 20 {
			b := setup(t, table)
			var hands sync.WaitGroup
			for id := range uint64(8) {
				hands.Go(func() {
					var was *api.Function
					for i := range 30 {
						spec := api.CronTrigger{Schedule: []string{"* * * * * *", "@every 2s", "*/3 * * * * *"}[i%3], Missed: "all", Timezone: "Europe/Berlin"}
						is := &api.Function{Triggers: []api.Trigger{{ID: id + 1, Cron: &spec, Topic: &api.TopicTrigger{}, Since: time.Now()}}}
						if i%7 == 6 {
							is = nil
						}
						b.mu.Lock()
						b.change(was, is, b.o.Now())
						b.mu.Unlock()
						if was = is; is != nil {
							b.Due(&is.Triggers[0], 5)
							if _, err := b.RunNow(t.Context(), &is.Triggers[0]); err != nil {
								t.Error(err)
							}
						}
						pass(time.Duration(life+1) * 70 * time.Millisecond)
					}
				})
			}
			hands.Wait()
			b.counted("evoke_cron_fired_total")
			b.stop()
		}
		const byHand = 20 * 8 * 26
		if len(table.fired) <= byHand {
			t.Errorf("%d have fired, %d of them by hand", len(table.fired), byHand)
		}
	})
}

// All fire at once, and nothing but that is done for the others.
func TestAHundredThousandTriggers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := newTable()
		c := New(Options{Table: table, Logger: slog.New(slog.DiscardHandler)})
		const n = 100_000
		for id := range uint64(n) {
			schedule := "0 2 * * *"
			if id%10 == 0 {
				schedule = "0 3 * * *"
			}
			f := &api.Function{Triggers: []api.Trigger{{
				ID: id + 1, Cron: &api.CronTrigger{Schedule: schedule, Timezone: "Europe/Berlin"}, Topic: &api.TopicTrigger{}, Since: time.Now(),
			}}}
			c.change(nil, f, time.Now())
		}
		for now := time.Now(); len(table.fired) < n*9/10; {
			if wait := c.round(t.Context()); wait <= 0 || time.Since(now) > 25*time.Hour {
				t.Fatalf("%d have fired after %s, it waits %s", len(table.fired), time.Since(now), wait)
			} else {
				pass(wait)
			}
		}
		if len(table.fired) != n*9/10 || len(c.next) != n {
			t.Errorf("%d have fired, %d are waiting", len(table.fired), len(c.next))
		}
	})
}

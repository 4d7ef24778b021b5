package partition

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/eventlog"
)

// rateMachine applies admit records to a machine in memory.
type rateMachine struct {
	t      *testing.T
	m      *machine
	offset uint64
}

func newRateMachine(t *testing.T) *rateMachine {
	m := openMachine(t)
	return &rateMachine{t: t, m: m, offset: m.next}
}

func (r *rateMachine) admit(name byte, now, interval time.Duration, burst uint64) (ok bool, at time.Duration) {
	r.t.Helper()
	res, err := r.m.applyAdmit(&admitRecord{id: identity{name}, now: int64(now), interval: int64(interval), burst: burst})
	if err != nil {
		r.t.Fatal(err)
	}
	return res.outcome == Applied, time.Duration(res.at)
}

func TestARateAdmitsABurstAndThenOneInEachInterval(t *testing.T) {
	t.Parallel()
	r := newRateMachine(t)
	const day = 24 * time.Hour
	for i, step := range []struct {
		now  time.Duration
		ok   bool
		next time.Duration
	}{
		{day, true, day}, {day, true, day}, {day, true, day + 10*time.Second}, // three at once
		{day, false, day + 10*time.Second},
		{day + 9*time.Second, false, day + 10*time.Second},
		{day + 10*time.Second, true, day + 20*time.Second},
		{day + 15*time.Second, false, day + 20*time.Second},
		{day + 20*time.Second, true, day + 30*time.Second},
		{day + 50*time.Second, true, day + 50*time.Second}, // nothing is used up any more
		{day + 50*time.Second, true, day + 50*time.Second},
		{day + 50*time.Second, true, day + 60*time.Second},
		{day + time.Hour, true, day + time.Hour},
	} {
		if ok, next := r.admit(1, step.now, 10*time.Second, 3); ok != step.ok || next != step.next {
			t.Errorf("step %d: %t, next at %s; want %t, %s", i, ok, next-day, step.ok, step.next-day)
		}
	}
}

func TestAClockThatWasAheadDoesNotStopARate(t *testing.T) {
	t.Parallel()
	r := newRateMachine(t)
	const now, ahead = time.Hour, 100 * time.Hour
	if ok, _ := r.admit(1, ahead, time.Minute, 1); !ok {
		t.Fatal("the first")
	}
	ok, next := r.admit(1, now, time.Minute, 1)
	if ok || next != now+time.Minute {
		t.Errorf("set back: %t, next at %s; want no, in a minute", ok, next)
	}
	if ok, _ := r.admit(1, next, time.Minute, 1); !ok {
		t.Error("a minute later it is still stopped")
	}
}

func TestRatesAreForgottenAndLoaded(t *testing.T) {
	t.Parallel()
	r := newRateMachine(t)
	for name := range byte(50) {
		r.admit(name, time.Duration(name)*time.Second, time.Minute, 1)
	}
	if n := len(r.m.rates.byID); n != 50 || len(r.m.rates.expiry) != n {
		t.Fatalf("%d rates, %d to be forgotten", n, len(r.m.rates.expiry))
	}
	r.admit(200, 80*time.Second, time.Minute, 1) // those of the first 20 s are free again
	if _, err := r.m.flush(r.offset); err != nil {
		t.Fatal(err)
	}
	_, state := run(t, r.m, nil, nil)
	if n := len(r.m.rates.byID); n != 30 || countKeys(state, keyRate) != n {
		t.Errorf("%d rates in memory, %d on disk, want 30", n, countKeys(state, keyRate))
	}
	again := newMachine(newStore(r.m.store.db, int(r.m.store.prefix)), 4, newDedup(time.Minute, 10))
	if err := again.load(); err != nil {
		t.Fatal(err)
	}
	if len(again.rates.byID) != 30 || again.rates.byID[identity{200}].free != int64(140*time.Second) {
		t.Errorf("loaded %d rates, %+v", len(again.rates.byID), again.rates.byID[identity{200}])
	}
}

func TestARateOutOfRangeIsDamage(t *testing.T) {
	t.Parallel()
	r := newRateMachine(t)
	for _, a := range []admitRecord{
		{interval: 999, burst: 1}, {interval: -1, burst: 1}, {interval: int64(time.Second)}, {interval: int64(maxInterval) + 1, burst: 1},
		{interval: int64(time.Hour), burst: 1 << 62}, {interval: 1 << 62, burst: 1 << 62},
	} {
		rec := eventlog.Record{Offset: r.m.next, Span: 1, Data: encodeRecord(header{epoch: r.m.epoch, seq: r.m.seq + 1}, &a)}
		if _, _, err := r.m.apply(rec); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "a rate of") {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// What was admitted stays so over a restart, and nobody shares a rate who has another function, name or key.
func TestAdmittedSurvivesARestart(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	ctx := context.Background()
	rate := Rate{Namespace: "default", Function: "f", Name: "throttle", Key: "k", Interval: time.Hour, Burst: 2}
	ask := func(r Rate, want bool) time.Time {
		t.Helper()
		ok, next, err := tt.Admit(ctx, r)
		if err != nil || ok != want {
			t.Fatalf("%+v: %t, %v", r, ok, err)
		}
		return next
	}
	ask(rate, true)
	ask(rate, true)
	next := ask(rate, false)
	tt.reopen()
	if again := ask(rate, false); !again.Equal(next) {
		t.Errorf("next at %s, before the restart it was %s", again, next)
	}
	for _, change := range []func(*Rate){
		func(r *Rate) { r.Namespace = "other" }, func(r *Rate) { r.Function = "g" }, func(r *Rate) { r.Name = "rateLimit" }, func(r *Rate) { r.Key = "l" }, func(r *Rate) { r.Key = "" },
	} {
		other := rate
		change(&other)
		ask(other, true)
	}
	if _, _, err := tt.Admit(ctx, Rate{Interval: time.Nanosecond, Burst: 1}); err == nil || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("a rate out of range: %v", err)
	}
}

// What was set aside waits in sight of everybody, lets others pass, comes behind what is due, and is forgotten when it is settled or the table is opened anew.
func TestSetAside(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, Trigger{ID: 1, Namespace: "default", Name: "t", Function: "f", Topic: "a"})
	publish := func(ids ...string) {
		for _, id := range ids {
			e := newEvent(id, "k")
			tt.publish("a", e)
		}
	}
	publish("0", "1", "2")
	taken := tt.takeN(1, 3)
	until := time.Now().Add(time.Hour)
	if !tt.SetAside(taken[0].ID, "throttle", until) || !tt.SetAside(taken[1].ID, "fair", time.Time{}) {
		t.Fatal("not set aside")
	}
	if tt.SetAside(taken[0].ID, "again", until) || tt.SetAside(ID{Offset: 99, Trigger: 1}, "nothing", until) || tt.SetAside(ID{Offset: 1, Trigger: 9}, "nothing", until) {
		t.Error("set aside what was not taken")
	}
	publish("3")
	tt.takeN(1, 1)
	tt.takeNone(1)
	s := tt.Stats(1)
	if s.Pending != 4 || s.Running != 2 || s.Aside["throttle"] != 1 || s.Aside["fair"] != 1 {
		t.Errorf("%+v", s)
	}
	for i, want := range []Invocation{{State: Waiting, Why: "throttle", Due: until.UTC()}, {State: Waiting, Why: "fair"}, {State: Running}} {
		got, err := tt.Invocation(taken[i].ID)
		if err != nil || got.State != want.State || got.Why != want.Why || !got.Due.Equal(want.Due) {
			t.Errorf("%d: %s %q due %s, %v", i, got.State, got.Why, got.Due, err)
		}
	}
	if list, err := tt.Invocations(InvocationQuery{State: Waiting, Limit: 10}); err != nil || len(list) != 2 {
		t.Errorf("%d wait, %v", len(list), err)
	}
	if !tt.Resume(taken[0].ID) || tt.Resume(taken[0].ID) || tt.Resume(taken[2].ID) || tt.Resume(ID{Offset: 1, Trigger: 9}) {
		t.Error("resumed the wrong ones")
	}
	if again := tt.takeN(1, 1); again[0].ID != taken[0].ID || again[0].Attempt != 1 {
		t.Errorf("resumed %+v", again[0].ID)
	}
	if o := tt.done(taken[1], Effects{}); o != Applied || tt.Resume(taken[1].ID) || tt.Stats(1).Aside != nil {
		t.Errorf("settled what was aside: %d, %+v", o, tt.Stats(1))
	}
	tt.SetAside(taken[0].ID, "throttle", until)
	tt.reopen()
	if again := tt.takeN(1, 3); len(again) != 3 {
		t.Errorf("%d after a restart", len(again))
	}
}

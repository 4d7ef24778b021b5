package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// ticking has a function that is due every second, by several triggers; %s: its settings and triggers.
const ticking = `version: 1
app: ticking
functions:
  tick:
    source: ./probe
    allow: { emit: [ticks], state: true }
    retry: { attempts: 100, initial: 1ms, max: 20ms }
%s`

// tick is what the probe says of a firing.
type tick struct {
	Trigger, ID string
	N           int // its number under its trigger
	Begin, End  time.Time
	Firing      struct {
		Due, Fired time.Time
		Missed     int
		Manual     bool
	}
}

// ticksOf lists what the firings of a trigger said, by their due times.
func (a *app) ticksOf(t testing.TB, trigger string) (list []tick) {
	t.Helper()
	for line := range strings.Lines(a.must(t, "topic", "tail", "ticks", "-o", "jsonl", "--limit", "10000")) {
		var e api.TopicEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if k := readTick(t, e); k.Trigger == trigger {
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b tick) int { return a.Firing.Due.Compare(b.Firing.Due) })
	return list
}

func readTick(t testing.TB, e api.TopicEvent) tick {
	t.Helper()
	var said struct{ Data tick }
	if err := json.Unmarshal(e.Event, &said); err != nil {
		t.Fatal(err)
	}
	return said.Data
}

// awaitTicks waits until n more firings of each trigger have been told of since the time.
func (a *app) awaitTicks(t testing.TB, since time.Time, n int, triggers ...string) {
	t.Helper()
	wanted := map[string]int{}
	for _, name := range triggers {
		wanted[name] = n
	}
	a.tail(t, "ticks").until(t, fmt.Sprintf("%d firings of %v", n, triggers), func(e api.TopicEvent) bool {
		if k := readTick(t, e); k.End.After(since) && wanted[k.Trigger] > 0 {
			if wanted[k.Trigger]--; wanted[k.Trigger] == 0 {
				delete(wanted, k.Trigger)
			}
		}
		return len(wanted) == 0
	})
}

// everySecond waits until a trigger that is due every second has fired for each of them from its beginning until now, and checks that it has for each once.
func (a *app) everySecond(t testing.TB, trigger string) (list []tick) {
	t.Helper()
	tr, err := a.client(t).Trigger(t.Context(), a.ns, trigger)
	if err != nil || tr.Due == nil || tr.Since.IsZero() {
		t.Fatalf("%+v, %v", tr, err)
	}
	eventually(t, "firings of "+trigger+" until now", func() error {
		list = a.ticksOf(t, trigger)
		return secondsFault(list, tr.Since, tr.Due.Last)
	})
	for _, k := range list {
		if want := fmt.Sprintf("%d.%d", tr.ID, k.Firing.Due.Unix()); k.ID != want || k.Firing.Missed != 0 || k.Firing.Manual {
			t.Errorf("%+v is not %s, on time or later", k, want)
		}
	}
	if s := tr.Stats; s.DeadLetters > 0 {
		t.Errorf("%s has %d dead letters", trigger, s.DeadLetters)
	}
	return list
}

// secondsFault is what is wrong with the firings of a schedule of every second: one that is not there yet may still come, one that is there twice stays.
func secondsFault(list []tick, after, until time.Time) error {
	at := func(s int64) string { return time.Unix(s, 0).UTC().Format(time.TimeOnly) }
	times := map[int64]int{}
	for _, k := range list {
		due := k.Firing.Due.Unix()
		if times[due]++; times[due] > 1 {
			return fmt.Errorf("%w: it fired twice for %s", errGone, at(due))
		}
		if due <= after.Unix() {
			return fmt.Errorf("%w: it fired for %s, before %s", errGone, at(due), at(after.Unix()))
		}
	}
	for s := after.Unix() + 1; s <= until.Unix(); s++ {
		if times[s] == 0 {
			return fmt.Errorf("it has not fired for %s; it counts from %s, and %s has passed", at(s), at(after.Unix()), at(until.Unix()))
		}
	}
	return nil
}

// What the tests below look with finds every fault.
func TestSecondsFault(t *testing.T) {
	t.Parallel()
	list := func(seconds ...int64) (list []tick) {
		for _, s := range seconds {
			k := tick{}
			k.Firing.Due = time.Unix(s, 0)
			list = append(list, k)
		}
		return list
	}
	for want, list := range map[string][]tick{
		"":                                    list(11, 12, 13, 14),
		"has not fired for 00:00:13":          list(11, 12, 14),
		"has not fired for 00:00:11":          list(12, 13),
		"fired twice for 00:00:12":            list(11, 12, 12, 13),
		"fired for 00:00:10, before 00:00:10": list(10, 11, 12, 13),
	} {
		err := secondsFault(list, time.Unix(10, 5e8), time.Unix(13, 0))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// kill -9 at random moments, half of them where a second begins and something is due: no due time is lost, and none fires twice.
func TestCronCrash(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, fmt.Sprintf(ticking, `    env: { FAIL: 20 }
    on:
      - cron: { schedule: "* * * * * *", missed: all }
      - cron: { schedule: "@every 1s", missed: all, overlap: queue }
`))
	triggers := []string{"tick:cron", "tick:cron:2"}
	rounds := crashRounds(t)
	for round := range rounds {
		a.awaitTicks(t, time.Now(), 1+rand.IntN(2), triggers...)
		moment := time.Duration(rand.IntN(1000)) * time.Millisecond
		if round%2 == 0 {
			moment = time.Until(time.Now().Truncate(time.Second).Add(time.Second + time.Duration(rand.IntN(15))*time.Millisecond))
		}
		<-time.After(moment)
		a.rt.kill()
		if round%4 == 3 { // killed while it starts, too
			starting := launch(t, dir)
			<-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond)
			starting.kill()
		}
		a.rt = start(t, dir)
	}
	a.awaitTicks(t, time.Now(), 1, triggers...)
	for i, name := range triggers {
		list := a.everySecond(t, name)
		numbers := map[int]bool{}
		for j, k := range list {
			if numbers[k.N] {
				t.Errorf("%s: number %d came twice", name, k.N)
			}
			numbers[k.N] = true
			if i == 1 && k.N != j+1 { // they queue
				t.Errorf("%s: the firing for %s was number %d, want %d", name, k.Firing.Due, k.N, j+1)
			}
		}
		t.Logf("%s: %d due times in %d lives, each fired once", name, len(list), rounds+1)
	}
}

// What is due while no runtime runs: skip leaves it out, last fires the last of it, all fires it all.
func TestCronMissed(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, fmt.Sprintf(ticking, `    on:
      - cron: { schedule: "@every 1s", missed: all }
      - cron: { schedule: "@every 1s" }
      - cron: { schedule: "@every 1s", missed: skip }
`))
	all, last, skip := "tick:cron", "tick:cron:2", "tick:cron:3"
	a.awaitTicks(t, time.Time{}, 2, all, last, skip)
	a.rt.kill()
	down := time.Now()
	<-time.After(4 * time.Second) // no runtime sees these due times
	up := time.Now()
	a.rt = start(t, dir)
	a.awaitTicks(t, up, 4, all, last, skip)
	a.everySecond(t, all)
	// gap finds the first due time of a trigger behind those that nobody saw.
	gap := func(name string) tick {
		list := a.ticksOf(t, name)
		for i, k := range list[1:] {
			missed := k.Firing.Due.Sub(list[i].Firing.Due)/time.Second - 1
			if k.Firing.Missed != int(missed) {
				t.Errorf("%s: %+v, but it is the first after %d", name, k.Firing, missed)
			}
			if missed > 0 && k.Firing.Due.After(down) {
				return k
			}
		}
		t.Fatalf("%s has missed nothing: %+v", name, list)
		return tick{}
	}
	lastOne, behind := gap(last).Firing, gap(skip).Firing
	if lastOne.Missed < 2 || behind.Missed != lastOne.Missed+1 || !behind.Due.Equal(lastOne.Due.Add(time.Second)) || behind.Due.Before(up) {
		t.Errorf("down from %s to %s: last went on with %+v, skip with %+v", down, up, lastOne, behind)
	}
	metrics := send(t, "GET", a.rt.admin+"/metrics", nil, nil).body
	contains(t, metrics, fmt.Sprintf("\nevoke_cron_missed_total %d\n", lastOne.Missed+behind.Missed), "\nevoke_cron_triggers 3\n")
	contains(t, a.must(t, "ls", "trigger", "-o", "wide"), "@every 1s", "due in ")
}

// A firing that comes while an earlier one still runs.
func TestCronOverlap(t *testing.T) {
	t.Parallel()
	a := newApp(t, start(t, dataDir(t)))
	a.deploy(t, fmt.Sprintf(ticking, `    env: { TAKES: 2500ms }
    on:
      - cron: { schedule: "* * * * * *" }
      - cron: { schedule: "* * * * * *", overlap: skip }
      - cron: { schedule: "* * * * * *", overlap: queue }
`))
	a.awaitTicks(t, time.Time{}, 4, "tick:cron", "tick:cron:2", "tick:cron:3")
	if r := a.fnctl(t, "trigger", "run", "tick:cron:2"); r.code != 0 && r.code != 4 { // between two firings it may run
		t.Errorf("run of one that skips: %s", r)
	}
	overlaps := func(name string) (n int) {
		list := a.ticksOf(t, name)
		slices.SortFunc(list, func(a, b tick) int { return a.Begin.Compare(b.Begin) })
		for i, k := range list[1:] {
			if k.Begin.Before(list[i].End) {
				n++
			}
		}
		return n
	}
	if n := overlaps("tick:cron"); n == 0 {
		t.Error("overlap: allow, and none did")
	}
	for _, name := range []string{"tick:cron:2", "tick:cron:3"} {
		if n := overlaps(name); n > 0 {
			t.Errorf("%d firings of %s overlap", n, name)
		}
	}
	queue := a.ticksOf(t, "tick:cron:3")
	for i, k := range queue[1:] {
		if !k.Firing.Due.Equal(queue[i].Firing.Due.Add(time.Second)) {
			t.Errorf("one that queues fired for %s after %s", k.Firing.Due, queue[i].Firing.Due)
		}
	}
	metrics := send(t, "GET", a.rt.admin+"/metrics", nil, nil).body
	contains(t, metrics, "\nevoke_cron_overlaps_total ")
	if strings.Contains(metrics, "\nevoke_cron_overlaps_total 0\n") {
		t.Error("no firing is counted as skipped")
	}
}

func tickingAs(version int, schedule string) string {
	return fmt.Sprintf(ticking, fmt.Sprintf("    env: { VERSION: %d }\n    on: [ { cron: { schedule: %q, missed: all } } ]\n", version, schedule))
}

// Deploys of the same schedule, a canary, a rollback and a stop lose no due time; another schedule, and a function that was removed, begin anew.
func TestCronOverDeploys(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	deploy := func(version int, schedule string) {
		t.Helper()
		a.deploy(t, tickingAs(version, schedule))
	}
	await := func() {
		t.Helper()
		a.awaitTicks(t, time.Now(), 1, "tick:cron")
	}
	deploy(1, "@every 1s")
	await()
	deploy(2, "@every 1s")
	await()
	a.write(t, "fn.yaml", []byte(tickingAs(3, "@every 1s")))
	a.must(t, "deploy", "--canary", "50%", "--step", "25%", "--every", "1s", "--guard", "errors<50%")
	await()
	a.must(t, "rollback", "tick")
	await()
	if err := a.rt.terminate(); err != nil {
		t.Fatal(err)
	}
	a.rt = start(t, dir)
	await()
	a.must(t, "pause", "tick:cron")
	a.must(t, "resume", "tick:cron")
	await()
	before := a.everySecond(t, "tick:cron")

	deploy(2, "@yearly")
	id := func() uint64 {
		tr, err := a.client(t).Trigger(t.Context(), a.ns, "tick:cron")
		if err != nil {
			t.Fatal(err)
		}
		return tr.ID
	}
	first := id()
	deploy(2, "@every 1s") // the same trigger, from now on
	await()
	if id() != first {
		t.Errorf("another schedule made another trigger: %d, %d", first, id())
	}
	a.must(t, "rm", "function", "tick")
	removed := time.Now()
	<-time.After(1500 * time.Millisecond) // something would be due
	deploy(4, "@every 1s")
	again := time.Now()
	a.awaitTicks(t, again, 2, "tick:cron")
	for _, k := range a.ticksOf(t, "tick:cron") {
		switch due := k.Firing.Due; {
		case k.Firing.Missed > 0:
			t.Errorf("%+v has missed some", k)
		case due.After(removed) && k.ID != fmt.Sprintf("%d.%d", id(), due.Unix()):
			t.Errorf("%+v fired while there was no function", k)
		}
	}
	if len(before) < 5 {
		t.Errorf("only %d firings before the change", len(before))
	}
}

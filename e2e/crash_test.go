package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// counting counts its inputs by key, one at a time per key, and passes its outputs on in batches; both fail at random. %d: how often of 100, and the attempts.
const counting = `version: 1
app: counting
functions:
  count:
    source: ./probe
    env: { FAIL: %[1]d, VERSION: %[2]d }
    on: [ { http: {} }, { topic: { name: "in.*", order: key } } ]
    allow: { emit: [out], state: true }
    retry: { attempts: %[3]d, initial: 1ms, max: 20ms }
  pass:
    source: ./probe
    env: { FAIL: %[1]d, VERSION: %[2]d }
    on: [ { topic: { name: out, batch: { size: 20, window: 5ms } } } ]
    allow: { emit: [passed] }
    retry: { attempts: %[3]d, initial: 1ms, max: 20ms }
topics:
  in.0: { ingress: true }
  in.1: { ingress: true }
`

// crashes says whether TestCrash kills the runtime once more: EVOKE_CRASH_ROUNDS times, 5 when it does not say, or for as long as EVOKE_SOAK says.
func crashes(t *testing.T) func(round int) bool {
	t.Helper()
	if text := os.Getenv("EVOKE_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("EVOKE_SOAK: %v", err)
		}
		end := time.Now().Add(d)
		return func(int) bool { return time.Now().Before(end) }
	}
	rounds := crashRounds(t)
	return func(round int) bool { return round < rounds }
}

func crashRounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("EVOKE_CRASH_ROUNDS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("EVOKE_CRASH_ROUNDS is %q, not a number from 1 on", text)
	}
	return n
}

// kill -9 at random moments under load: no acknowledged event is lost, no effect is done twice, and nothing waits for ever.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, fmt.Sprintf(counting, 20, 1, 100))
	l := newLoad(a)
	l.start(t)
	p := a.rt
	more := crashes(t)
	for round := 0; more(round); round++ {
		gone := l.serve(t, p)
		// An event that runs at three kills is a dead letter, by design: between two of them it must have had the time to end.
		l.progress(t, 40+rand.IntN(80))
		// The last step of progress was an apply; from it on, the moment of the kill is left to chance.
		<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
		p.kill()
		gone()
		if round%4 == 3 { // killed while it starts, too
			starting := launch(t, dir)
			<-time.After(time.Duration(rand.IntN(500)) * time.Millisecond)
			starting.kill()
		}
		p = start(t, dir)
	}
	defer l.serve(t, p)()
	l.progress(t, 20)
	l.finish(t)
	judge(t, l.ledger(t))
	contains(t, a.must(t, "logs", "count", "--level", "error"), "bad luck", "next attempt at") // the failures that were asked for did happen
}

func judge(t *testing.T, l *ledger) {
	t.Helper()
	faults := l.faults()
	for _, f := range faults[:min(len(faults), 20)] {
		t.Error(f)
	}
	t.Logf("%d inputs acknowledged, %d stored, %d outputs, %d faults", len(l.acked), len(l.inputs), len(l.outputs), len(faults))
}

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// A stop under load ends in time with code 0. Every event has one attempt only: would a cut one count, it became a dead letter.
func TestStopsUnderLoad(t *testing.T) {
	t.Parallel()
	const drain = 5 * time.Second
	dir := dataDir(t)
	a := newApp(t, start(t, dir, "--drain", drain.String()))
	a.deploy(t, fmt.Sprintf(counting, 0, 1, 1))
	l := newLoad(a)
	l.start(t)
	p := a.rt
	for version := range 3 {
		gone := l.serve(t, p)
		l.progress(t, 20)
		if version > 0 { // a deploy between two stops, under load, too
			a.deploy(t, fmt.Sprintf(counting, 0, version+1, 1))
		}
		asked := time.Now()
		if err := p.terminate(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took > 3*drain {
			t.Errorf("the stop took %s, the drain time is %s", took, drain)
		}
		gone()
		p = start(t, dir, "--drain", drain.String())
	}
	defer l.serve(t, p)()
	if r := a.send(t, "GET", "/fn/count/version", nil, nil); r.body != "3" {
		t.Errorf("version %q is in force, want 3", r.body)
	}
	l.progress(t, 20)
	l.finish(t)
	judge(t, l.ledger(t))
}

// What does not end within the drain time is cut, runs again after the next start, and has not lost an attempt. A caller hears that the server stops.
func TestStopCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir, "--drain", "100ms"))
	a.deploy(t, `version: 1
app: slow
functions:
  probe:
    source: ./probe
    on: [ { http: {} }, { topic: { name: work } } ]
    retry: { attempts: 1 }
topics:
  work: { ingress: true }
`)
	over := time.Now().Add(10 * time.Second)
	a.publish(t, "work", newEvent("slow", "until", "", over.UnixMilli()))
	a.logs(t, "probe").until(t, "start of the attempt", func(e api.LogEntry) bool { return e.EventID == "slow" })
	answer := make(chan response, 1)
	go func() { answer <- a.call(t, "probe", newEvent("called", "until", "", over.UnixMilli())) }()
	a.logs(t, "probe").until(t, "start of the call", func(e api.LogEntry) bool { return e.EventID == "called" })
	if err := a.rt.terminate(); err != nil {
		t.Fatal(err)
	}
	if r := <-answer; r.status != http.StatusServiceUnavailable {
		t.Errorf("the caller got %d %s", r.status, r.body)
	} else {
		contains(t, r.body, "draining", "repeat in a moment")
	}
	log, at := a.rt.stderr.String(), 0
	for _, step := range []string{
		"stopping: no more requests are taken", "stopping: requests have ended", "stopping: no more events are taken; waiting for those that run\" events=1",
		"stopping: cut what did not finish in time; it runs again after the next start, and no attempt is counted\" events=1", "stopping: nothing runs any more", "msg=stopped",
	} {
		i := strings.Index(log[at:], step)
		if i < 0 {
			t.Fatalf("the log of the stop has no %q behind the step before it:\n%s", step, log)
		}
		at += i
	}
	a.rt = start(t, dir)
	end := a.logs(t, "probe").until(t, "end of the event", func(e api.LogEntry) bool { return e.EventID == "slow" && e.Attempt != nil })
	if end.Attempt.Attempt != 1 || end.Attempt.Verdict != "done" {
		t.Errorf("it ended with %+v", end.Attempt)
	}
	if letters := deadLetters(t, a); len(letters) > 0 {
		t.Errorf("dead letters: %+v", letters)
	}
}

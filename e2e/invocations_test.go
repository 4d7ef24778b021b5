package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

const probeOnWork = `version: 1
app: work
functions:
  probe:
    source: ./probe
    on: [ { http: {} }, { topic: { name: work } } ]
    retry: { attempts: 8, initial: 10ms, max: 20ms }
topics:
  work: { ingress: true }
`

func ended(id string) func(api.LogEntry) bool {
	return func(e api.LogEntry) bool { return e.EventID == id && e.Attempt != nil }
}

// kill -9 while a function runs: the attempt counts as one that failed, and the next one succeeds.
func TestAttemptThatTheRuntimeDiedUnder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, probeOnWork)
	a.publish(t, "work", newEvent("busy", "until", "", time.Now().Add(8*time.Second).UnixMilli()))
	a.logs(t, "probe").until(t, "start of the attempt", func(e api.LogEntry) bool { return e.EventID == "busy" })
	a.rt.kill()
	a.rt = start(t, dir)
	done := a.logs(t, "probe").until(t, "end of the event", func(e api.LogEntry) bool { return ended("busy")(e) && e.Attempt.Verdict == "done" })
	if done.Attempt.Attempt != 2 {
		t.Errorf("it succeeded as %+v", done.Attempt)
	}
	show := a.must(t, "invocations", "show", done.Invocation)
	contains(t, show, "done", "node_crash", "the runtime died while this attempt ran", "ATTEMPT")
	if n := strings.Count(show, "node_crash"); n != 1 {
		t.Errorf("the crash is counted %d times:\n%s", n, show)
	}
	contains(t, a.rt.stderr.String(), `msg="an event was being handled when the runtime died"`, "event_id=busy")
}

// An event that is held back runs at its time, also when the runtime was killed before; another one is seen waiting, and canceled.
func TestDelayedEventSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, probeOnWork)
	due := time.Now().Add(3 * time.Second)
	batch := http.Header{"Content-Type": {api.EventBatchJSON}, "Evoke-Deliver-At": {due.UTC().Format(time.RFC3339Nano)}}
	if r := a.send(t, "POST", "/topics/work", batch, []byte(`[{"specversion":"1.0","id":"soon","source":"/e2e","type":"probe.echo"}]`)); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	a.must(t, "emit", "work", "--type", "probe.echo", "--id", "late", "--delay", "14d")
	async := strings.TrimSpace(a.must(t, "invoke", "probe", "--async", "--type", "probe.echo", "--id", "inbox", "--at", time.Now().Add(time.Hour).Format(time.RFC3339)))
	a.rt.kill()
	a.rt = start(t, dir)
	if e := a.logs(t, "probe").until(t, "end of the event", ended("soon")); e.Attempt.Start.Before(due.Truncate(time.Millisecond)) || e.Attempt.Verdict != "done" {
		t.Errorf("due at %s, it ran: %+v", due, e.Attempt)
	}
	contains(t, a.must(t, "topic", "tail", "work"), "held-back-until=")
	list := a.must(t, "invocations", "ls", "--state", "delayed")
	contains(t, list, "late", "inbox", async)
	if strings.Contains(list, "soon") {
		t.Errorf("still delayed:\n%s", list)
	}
	late := strings.Fields(a.must(t, "invocations", "ls", "--trigger", "probe:work", "-o", "name"))
	if len(late) != 1 {
		t.Fatalf("open are %v", late)
	}
	a.must(t, "invocations", "cancel", late[0], "--reason", "no longer needed")
	contains(t, a.must(t, "invocations", "show", late[0]), "canceled", "no longer needed")
	if r := a.fnctl(t, "invocations", "cancel", late[0], "--reason", "again"); r.code != 4 || !strings.Contains(r.stderr, "has ended: canceled") {
		t.Errorf("a second time: %s", r)
	}
	if out := a.must(t, "dlq", "ls", "-o", "name"); out != "" {
		t.Errorf("dead letters: %s", out)
	}
}

// What runs is listed, an event as well as a call; canceled, it ends at once and is not tried again.
func TestCancelOfWhatRuns(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	a.deploy(t, probeOnWork)
	over := time.Now().Add(time.Hour).UnixMilli()
	a.publish(t, "work", newEvent("event", "until", "", over))
	answer := make(chan response, 1)
	go func() { answer <- a.call(t, "probe", newEvent("call", "until", "", over)) }()
	logs := a.logs(t, "probe")
	ids := map[string]string{}
	for range 2 {
		e := logs.until(t, "start of both", func(e api.LogEntry) bool { return e.Attempt == nil && ids[e.EventID] == "" })
		ids[e.EventID] = e.Invocation
	}
	contains(t, a.must(t, "invocations", "ls", "--state", "running"), ids["event"], ids["call"], "running")
	for _, id := range ids {
		a.must(t, "invocations", "cancel", id, "--reason", "takes too long")
	}
	if r := <-answer; r.status != http.StatusConflict {
		t.Errorf("the caller got %d %s", r.status, r.body)
	} else {
		contains(t, r.body, "problems/canceled", "takes too long")
	}
	e := logs.until(t, "end of the event", ended("event"))
	if e.Next != "canceled" || e.Attempt.Class != "canceled" || e.Attempt.Error != "takes too long" {
		t.Errorf("%+v %+v", e, e.Attempt)
	}
	if out := a.must(t, "invocations", "ls", "-o", "name"); out != "" {
		t.Errorf("open are %s", out)
	}
	contains(t, a.must(t, "invocations", "ls", "--state", "finished", "--trigger", "probe:work"), "event", "canceled")
}

func TestInvocationCommandsThatAreWrong(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	a.deploy(t, probeOnWork)
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"state":     {[]string{"invocations", "ls", "--state", "lost"}, 2, `--state is "lost"`},
		"trigger":   {[]string{"invocations", "ls", "--trigger", "x"}, 3, `no trigger "x"`},
		"absent":    {[]string{"invocations", "show", "0-99-1"}, 3, `no invocation "0-99-1"`},
		"cancel":    {[]string{"invocations", "cancel", "0-99-1", "--reason", "x"}, 3, `fnctl invocations ls`},
		"no reason": {[]string{"invocations", "cancel", "0-99-1"}, 2, "needs a --reason"},
		"too far":   {[]string{"emit", "work", "--type", "t", "--delay", "31d"}, 1, "more than 30 days"},
		"sync":      {[]string{"invoke", "probe", "--delay", "1m"}, 2, "only an event for the function's inbox can be held back"},
	} {
		if r := a.fnctl(t, tc.args...); r.code != tc.code || !strings.Contains(r.stderr, tc.want) {
			t.Errorf("%s: %s", name, r)
		}
	}
}

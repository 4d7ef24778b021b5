package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func someInvocations() []api.Invocation {
	return []api.Invocation{
		{ID: "0-5-2", Function: "charge", Trigger: "charge:orders", EventID: "o1", State: "running", Attempt: 1, Stored: now.Add(-time.Minute)},
		{ID: "3-7-2-g1", Function: "charge", EventID: "o2", State: "retrying", Class: "trap", Error: "oops", Attempt: 3, Due: now.Add(time.Hour), Stored: now.Add(-time.Hour)},
		{ID: "1-9-2", Function: "charge", EventID: "o3", State: "waiting", Why: "key", Attempt: 1, Stored: now.Add(-3 * time.Second)},
	}
}

func TestInvocationsLs(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/invocations?state=open":                                       someInvocations(),
		"GET /ns/default/invocations?function=charge&limit=5&state=dead&trigger=t%3Ao": []api.Invocation{},
	})
	due := timestamp(now.Add(time.Hour))
	pad := strings.Repeat(" ", len(due)-1)
	f.fnctl("invocations", "ls").want(t, exitOK, ""+
		"ID         FUNCTION   EVENT   STATE      WHY    ATTEMPT   NEXT                      AGE\n"+
		"0-5-2      charge     o1      running    -      1         -"+pad+"   1m\n"+
		"3-7-2-g1   charge     o2      retrying   trap   3         "+due+"   1h\n"+
		"1-9-2      charge     o3      waiting    key    1         -"+pad+"   3s\n", "")
	f.fnctl("inv", "ls", "-o", "name").want(t, exitOK, "0-5-2\n3-7-2-g1\n1-9-2\n", "")
	f.fnctl("invocations", "ls", "--state", "dead", "--function", "charge", "--trigger", "t:o", "--limit", "5").want(t, exitOK, "", "no dead invocations\n")
	f.fnctl("invocations", "ls", "--state", "lost").want(t, exitUsage, "",
		"error: --state is \"lost\"; it must be one of open, running, retrying, delayed, waiting, dead, finished\nTry: fnctl invocations ls --help\n")
	if r := f.fnctl("invocations", "ls", "-o", "wide"); !strings.Contains(r.out, "charge:orders") || !strings.Contains(r.out, "oops") {
		t.Errorf("wide:\n%s", r.out)
	}
}

func TestInvocationsShow(t *testing.T) {
	t.Parallel()
	i := someInvocations()[1]
	i.Event = json.RawMessage(`{"id":"o2"}`)
	i.Attempts = []api.Attempt{{Attempt: 2, Revision: 4, Start: now, Duration: api.Duration(time.Millisecond), Verdict: "failed", Class: "trap", Error: "oops", Bill: api.Bill{Guest: time.Millisecond, Fuel: 97_000}}}
	waiting := someInvocations()[2]
	f := newFake(t, map[string]any{"GET /ns/default/invocations/3-7-2-g1": i, "GET /ns/default/invocations/1-9-2": waiting})
	r := f.fnctl("invocations", "show", "3-7-2-g1")
	for _, want := range []string{
		"ID:            3-7-2-g1\n", "State:         retrying\n", "Next attempt:  3, not before " + timestamp(i.Due) + "\n", "ATTEMPT", "USED",
		"guest 1 ms, fuel 97k", "oops", `"id": "o2"`,
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
	if r := f.fnctl("invocations", "show", "1-9-2"); r.code != exitOK || !strings.Contains(r.out, "waiting (an earlier event of its key is not settled)") {
		t.Errorf("%d\n%s", r.code, r.out)
	}
	f.fnctl("invocations", "show").want(t, exitUsage, "", "error: fnctl invocations show needs the ID of an invocation; see fnctl invocations ls\nTry: fnctl invocations show --help\n")
	if r := f.fnctl("invocations", "show", "gone"); r.code != exitNotFound {
		t.Errorf("exit code %d for an absent one", r.code)
	}
}

func TestInvocationsCancel(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"POST /ns/default/invocations/0-5-2/cancel": nil,
		"POST /ns/default/invocations/0-6-2/cancel": api.Problem{Status: 409, Title: "The invocation has ended", Detail: "invocation 0-6-2 has ended: done", Next: `"fnctl invocations show" says how`},
	})
	f.fnctl("invocations", "cancel", "0-5-2", "--reason", " wrong order ").want(t, exitOK, "", "canceled 0-5-2\n")
	if got := f.requests(); got != `POST /ns/default/invocations/0-5-2/cancel {"reason":"wrong order"}` {
		t.Errorf("asked for %s", got)
	}
	f.fnctl("invocations", "cancel", "0-6-2", "--reason", "x").want(t, exitConflict, "",
		"error: invocation 0-6-2 has ended: done\nTry: \"fnctl invocations show\" says how\n")
	f.fnctl("invocations", "cancel", "0-5-2").want(t, exitUsage, "",
		"error: cancel ends an invocation for good, it needs a --reason\nTry: add --reason \"wrong order\"\n")
}

func TestDelayFlags(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"POST /ns/default/topics/reminders/events": api.Published{Events: []api.PublishedEvent{{ID: "1"}}},
		"POST /ns/default/functions/remind/invoke": api.InvokeReply{Invocation: "0-1-1"},
	})
	emit := []string{"emit", "reminders", "--type", "t", "--id", "1"}
	for _, tc := range []struct {
		args []string
		want string // in the request, or with a code the whole of stderr
		code int
	}{
		{append(emit, "--delay", "24h"), `"evokedelay":"24h"`, exitOK},
		{append(emit, "--at", "2026-02-01T12:00:00Z"), `"evokedeliverat":"2026-02-01T12:00:00Z"`, exitOK},
		{[]string{"invoke", "remind", "--async", "--delay", "1m"}, `"evokedelay":"1m"`, exitOK},
		{append(emit, "--delay", "soon"), "error: --delay: \"soon\" is not a duration; try 500ms, 30s, 5m, 24h or 14d\nTry: --delay 90s, --delay 24h or --delay 14d\n", exitUsage},
		{append(emit, "--at", "tomorrow"), "error: --at \"tomorrow\" is not an RFC 3339 time\nTry: --at 2026-01-31T12:00:00Z\n", exitUsage},
		{append(emit, "--at", "2026-02-01T12:00:00Z", "--delay", "1m"), "error: --delay and --at cannot both be given\nTry: --delay 90s, or --at 2026-01-31T12:00:00Z\n", exitUsage},
		{[]string{"emit", "reminders", "--delay", "1m", "--content-type", api.EventJSON, "-d", "{}"},
			"error: --delay and --at are for an event made of the flags, not for one that is sent as it is\nTry: set evokedelay or evokedeliverat in the event\n", exitUsage},
		{[]string{"invoke", "remind", "--delay", "1m"}, "error: only an event for the function's inbox can be held back\nTry: fnctl invoke remind --async --delay 10m\n", exitUsage},
	} {
		r := f.fnctl(tc.args...)
		got := r.stderr
		if tc.code == exitOK {
			all := strings.Split(f.requests(), "\n")
			got = all[len(all)-1]
		}
		if r.code != tc.code || tc.code == exitOK && !strings.Contains(got, tc.want) || tc.code != exitOK && got != tc.want {
			t.Errorf("%q: exit code %d, %s", tc.args, r.code, got)
		}
	}
}

func TestTailShowsWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	at := now.Add(time.Hour)
	line := func(at time.Time) api.TopicEvent {
		return api.TopicEvent{Topic: "t", Time: now, Event: json.RawMessage(`{"id":"1","type":"x","evokedeliverat":"` + at.Format(time.RFC3339) + `"}`)}
	}
	c := &cli{getenv: func(string) string { return "" }, now: func() time.Time { return now }}
	if got := c.eventLine(line(at)); !strings.Contains(got, "held-back-until="+timestamp(at)) {
		t.Errorf("held back: %s", got)
	}
	if got := c.eventLine(line(now.Add(-time.Hour))); strings.Contains(got, "held-back") {
		t.Errorf("due: %s", got)
	}
}

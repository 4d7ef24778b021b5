package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// nightly is a cron trigger that is due at 2 in the morning in Berlin.
func nightly(t *testing.T) api.Trigger {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night := func(day int) time.Time { return time.Date(2026, 2, day, 2, 0, 0, 0, berlin) }
	return api.Trigger{
		ID: 7, Namespace: "default", Name: "nightly:cron", Function: "nightly", Kind: "cron", Topic: &api.TopicTrigger{Name: "_cron.nightly"},
		Cron:  &api.CronTrigger{Schedule: "0 2 * * *", Timezone: "Europe/Berlin", Missed: "all", Jitter: api.Duration(5 * time.Minute)},
		Stats: &api.TriggerStats{Pending: 1}, Due: &api.Due{Last: night(0), Next: []time.Time{night(1), night(2)}},
	}
}

func TestCronTriggersShowWhenTheyFire(t *testing.T) {
	t.Parallel()
	due := nightly(t)
	paused := api.Trigger{
		Name: "nightly:cron:2", Function: "nightly", Kind: "cron", Cron: &api.CronTrigger{Schedule: "@hourly"}, PausedSince: now.Add(-time.Hour), Due: &api.Due{}, Stats: &api.TriggerStats{},
	}
	f := newFake(t, map[string]any{
		"GET /ns/default/triggers":                []api.Trigger{due, paused},
		"GET /ns/default/triggers/nightly:cron":   due,
		"GET /ns/default/triggers/nightly:cron:2": paused,
	})
	f.fnctl("trigger", "ls").want(t, 0, `TRIGGER          KIND   FUNCTION   STATE        PENDING   RETRYING   DEAD
nightly:cron     cron   nightly    due in 13h   1         0          0
nightly:cron:2   cron   nightly    paused 1h    0         0          0
`, "")
	wide := f.fnctl("trigger", "ls", "-o", "wide").out
	for _, want := range []string{"SCHEDULE", "NEXT", "0 2 * * *", "2026-02-01 02:00:00 +0100", "@hourly"} {
		if !strings.Contains(wide, want) {
			t.Errorf("wide does not say %q:\n%s", want, wide)
		}
	}
	out := f.fnctl("describe", "trigger", "nightly:cron").out
	for _, want := range []string{
		"Schedule:  ", "  0 2 * * *\n", "Time zone:  ", "  Europe/Berlin\n", "Missed:  ", "  all\n", "Overlap:  ", "  allow\n", "Jitter:  ", "  5m0s\n", "Last due:  ", "  " + timestamp(due.Due.Last) + "\n",
		"Fires at:  ", "  2026-02-01 02:00:00 +0100, 2026-02-02 02:00:00 +0100\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("describe does not say %q:\n%s", want, out)
		}
	}
	out = f.fnctl("describe", "trigger", "nightly:cron:2").out
	for _, want := range []string{"  UTC\n", "  last\n", "  allow\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("describe does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "Fires at") {
		t.Errorf("paused, it fires:\n%s", out)
	}
}

func TestDeploySaysWhenTriggersFire(t *testing.T) {
	t.Parallel()
	due := *nightly(t).Due
	due.Trigger = "nightly:cron"
	f := newFake(t, map[string]any{
		"PUT /ns/default/apps/reports": api.Deployed{App: "reports", Functions: []api.DeployedFunction{{
			Name: "nightly", Revision: 1, Change: "created", Triggers: []string{"nightly:cron", "nightly:cron:2"}, Due: []api.Due{due, {Trigger: "nightly:cron:2"}},
		}}},
		"HEAD /modules/" + digestOf: stub{200, ""},
	})
	dir := writeFiles(t, map[string]string{"m.wasm": "one", "fn.yaml": "version: 1\napp: reports\nfunctions:\n  nightly: { wasm: ./m.wasm, on: [ { cron: \"0 2 * * *\" }, { cron: \"@hourly\" } ] }\n"})
	r := f.fnctl("deploy", dir)
	const want = "trigger nightly:cron fires at 2026-02-01 02:00:00 +0100, 2026-02-02 02:00:00 +0100\n"
	if r.code != 0 || strings.Count(r.stderr, want) != 1 || strings.Contains(r.stderr, "nightly:cron:2 fires") {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(f.requests(), `"on":[{"cron":{"schedule":"0 2 * * *"}},{"cron":{"schedule":"@hourly"}}]`) {
		t.Errorf("asked %s", f.requests())
	}
}

func TestTriggerRun(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"POST /ns/default/triggers/nightly:cron/run": api.TriggerRun{Trigger: "nightly:cron", Invocation: "3-17-7"},
		"POST /ns/default/triggers/busy:cron/run": api.Problem{
			Status: 409, Detail: `trigger "busy:cron" has overlap: skip, and an earlier firing is not done`, Next: `wait for it, or cancel it: "fnctl invocations ls" shows it`,
		},
	})
	f.fnctl("trigger", "run", "nightly:cron").want(t, 0, "3-17-7\n", "")
	var got api.TriggerRun
	if r := f.fnctl("trigger", "run", "nightly:cron", "-o", "json"); json.Unmarshal([]byte(r.out), &got) != nil || got.Invocation != "3-17-7" {
		t.Errorf("as JSON: %+v", r)
	}
	f.fnctl("trigger", "run", "busy:cron").want(t, exitConflict, "",
		"error: trigger \"busy:cron\" has overlap: skip, and an earlier firing is not done\nTry: wait for it, or cancel it: \"fnctl invocations ls\" shows it\n")
	f.fnctl("trigger", "run").want(t, exitUsage, "", "error: fnctl trigger run needs a TRIGGER; see fnctl ls trigger\nTry: fnctl trigger run --help\n")
	if r := f.fnctl("trigger", "run", "nobody:cron"); r.code != exitNotFound {
		t.Errorf("%+v", r)
	}
}

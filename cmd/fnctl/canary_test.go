package main

import (
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestDeployByCanary(t *testing.T) {
	t.Parallel()
	const note = "canary of one: revision 2 has 5% of the traffic"
	answer := api.Deployed{App: "shop", Functions: []api.DeployedFunction{{Name: "one", Revision: 2, Change: "updated", Notes: []string{note}}}}
	f := newFake(t, map[string]any{"HEAD /modules/" + digestOf: stub{200, ""}, "PUT /ns/default/apps/shop": answer})
	got := f.fnctl("deploy", twoModules(t), "one", "--canary", "5%", "--every", "90s", "--guard", "p95<200ms")
	got.want(t, 0, "FUNCTION   REVISION   CHANGE    TRIGGERS   URLS\none        2          updated   -          -\n", "note: "+note+"\n")
	if got := f.requests(); !strings.HasSuffix(got, `"canary":{"percent":5,"step":15,"every":"1m30s","guards":"p95\u003c200ms","min":20}}`) {
		t.Errorf("asked\n%s", got)
	}
	f.fnctl("deploy", twoModules(t), "two", "--dry-run", "-o", "yaml", "--canary", "5", "--step=20", "--min=3").want(t, 0,
		"functions:\n  two:\n    module: "+digestOf+"\n    allow: {}\ncanary:\n  percent: 5\n  step: 20\n  every: 1m0s\n  guards: errors<1%,dead<1\n  min: 3\n",
		"dry run: this is what would be deployed as app shop to namespace default; nothing was changed\n")
}

func TestCanaryFlagsThatAreWrong(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	const help = "\nTry: fnctl deploy --help\n"
	for args, want := range map[string]string{
		"--canary 0":                   "error: --canary: 0 is not between 1 and 99, the percent of the keys that a canary begins with" + help,
		"--canary 100%":                "error: --canary: 100 is everything at once, which is no canary; begin with 1 to 99" + help,
		"--canary=-5%":                 "error: --canary: -5 is not between 1 and 99, the percent of the keys that a canary begins with" + help,
		"--canary 5.5%":                `error: invalid argument "5.5%" for "--canary" flag: it is a whole number of percent, like 5%` + help,
		"--canary 5% --step 0%":        "error: --step: 0 is not between 1 and 100, the percent that a canary gets more after each interval" + help,
		"--canary 5% --every 900ms":    "error: --every: 900ms is not between 1s and 30 days, the length of an interval" + help,
		"--canary 5% --every 0":        "error: --every: 0s is not between 1s and 30 days, the length of an interval" + help,
		"--canary 5% --min 0":          "error: --min: 0 is not between 1 and 1000000000, the attempts of the new revision that an interval needs to count" + help,
		"--canary 5% --guard cpu<1%":   `error: --guard: "cpu<1%": at 1: there is no metric "cpu"; there are dead, errors, p50, p95, p99 and rejected` + help,
		"--canary 5% --guard errors<1": `error: --guard: "errors<1": at 8: errors is a share of the attempts in percent, like errors<1%, and "1" has no %` + help,
		"--canary 5% --guard ":         `error: --guard: "": at 1: a guard is missing; one is like errors<1% or dead<1` + help,
		"--step 15%":                   "error: --step says how a canary goes on, and there is no --canary to begin one\nTry: add --canary 5%\n",
		"--every 1m":                   "error: --every says how a canary goes on, and there is no --canary to begin one\nTry: add --canary 5%\n",
		"--guard dead<1":               "error: --guard says how a canary goes on, and there is no --canary to begin one\nTry: add --canary 5%\n",
		"--min 5":                      "error: --min says how a canary goes on, and there is no --canary to begin one\nTry: add --canary 5%\n",
	} {
		f.fnctl(append([]string{"deploy", "no/directory"}, strings.Split(args, " ")...)...).want(t, exitUsage, "", want)
	}
	if got := f.requests(); got != "" {
		t.Errorf("asked\n%s", got)
	}
}

func TestHowACanaryStands(t *testing.T) {
	t.Parallel()
	running := api.Rollout{
		Canary:    api.Canary{Percent: 5, Step: 15, Every: api.Duration(time.Minute), Guards: "errors<1%,dead<1", Min: 20},
		Candidate: 8, Good: []api.Share{{Revision: 6, Percent: 40}, {Revision: 7, Percent: 60}}, Now: 90, Phase: api.PhaseProgressing,
		Since: now.Add(-20 * time.Second), Seen: &api.RolloutCounts{Attempts: 17, Errors: 1, Rejected: 2},
	}
	restarted, waiting, back, promoted := running, running, running, running
	restarted.Seen = &api.RolloutCounts{Attempts: 1, Dead: 3, Since: now}
	waiting.Phase, waiting.Reason, waiting.Seen = api.PhaseWaiting, "an interval needs 20 attempts of revision 8", nil
	back.Phase, back.Reason, back.Redrive = api.PhaseRollingBack, "dead<1 does not hold: 1 dead letter", []int{8, 5}
	promoted.Phase, promoted.Ended = api.PhasePromoted, now.Add(-3*time.Hour)
	const rest = "Guards:        errors<1%,dead<1, over at least 20 attempts\n"
	for name, tc := range map[string]struct {
		rollout api.Rollout
		want    string
	}{
		"running": {running, "Canary:        r8 progressing, 90% of the traffic\nNext:          100% in 40s, of intervals of 1m0s\n" + rest +
			"Seen:          17 attempts in this interval, 1 failed, 2 rejected; dead letters: 0\nGoes back to:  r6 40%, r7 60%\n"},
		"restarted": {restarted, "Canary:        r8 progressing, 90% of the traffic\nNext:          100% in 1m0s, of intervals of 1m0s\n" + rest +
			"Seen:          1 attempt in this interval, 0 failed, 0 rejected; dead letters: 3\nGoes back to:  r6 40%, r7 60%\n"},
		"waiting": {waiting, "Canary:        r8 waiting, 90% of the traffic: an interval needs 20 attempts of revision 8\nNext:          100%, when there has been enough traffic\n" + rest +
			"Goes back to:  r6 40%, r7 60%\n"},
		"back":     {back, "Canary:           r8 rolling-back: dead<1 does not hold: 1 dead letter\nHands out again:  what r8, r5 gave up on\n"},
		"promoted": {promoted, "Canary:  r8 promoted 3h ago\n"},
	} {
		list := revisions(90, 10)
		list[0].Rollout = &tc.rollout
		list[1].Uses = []string{"it has 10% of the traffic"}
		f := newFake(t, map[string]any{
			"GET /ns/default/functions/charge/revisions": list,
			"GET /ns/default/functions/charge":           api.Function{Name: "charge", Namespace: "default", Revision: 8, Rollout: &tc.rollout},
		})
		const rows = "REVISION   TRAFFIC   DEPLOYED   MODULE\nr8         90%       1h         sha256:ab\nr7         10%       2h         sha256:ab\n\n"
		f.fnctl("traffic", "charge").want(t, 0, rows+tc.want, "")
		f.fnctl("ls", "revisions", "charge").want(t, 0, rows+tc.want, "")
		if got := f.fnctl("ls", "revision", "charge", "-o", "wide"); !strings.Contains(got.out, "NEEDED\n") || !strings.Contains(got.out, "it has 10% of the traffic\n") {
			t.Errorf("%s: %+v", name, got)
		}
		described := f.fnctl("describe", "charge")
		for line := range strings.Lines(tc.want) {
			label, text, _ := strings.Cut(line, ":")
			if !strings.Contains(described.out, label+":") || !strings.Contains(described.out, strings.TrimSpace(text)+"\n") {
				t.Errorf("%s: %q is not in\n%s", name, line, described.out)
			}
		}
		if got := f.fnctl("traffic", "charge", "-o", "json"); !strings.Contains(got.out, `"phase": "`+tc.rollout.Phase+`"`) {
			t.Errorf("%s: %s", name, got.out)
		}
	}
}

func TestRevisionsAsThings(t *testing.T) {
	t.Parallel()
	spec := &api.FunctionSpec{Module: "sha256:ab", Env: map[string]string{"A": "1"}}
	f := newFake(t, map[string]any{
		"GET /ns/default/functions/charge/revisions/7":    api.Revision{Revision: 7, Created: now, Module: "sha256:ab", Percent: 5, Uses: []string{"it has 5% of the traffic"}, Kind: "native", Spec: spec},
		"GET /ns/default/functions/charge/revisions/3":    api.Revision{Revision: 3, Created: now, Module: "sha256:ab", Kind: "native", Spec: spec},
		"DELETE /ns/default/functions/charge/revisions/3": stub{204, ""},
		"DELETE /ns/default/functions/charge/revisions/7": api.Problem{Status: 409, Title: "x", Detail: "revision 7: in use: it has 5% of the traffic", Next: "end what needs it first"},
	})
	if got := f.fnctl("describe", "revision", "charge", "r7"); got.code != 0 || !strings.Contains(got.out, "Needed:          it has 5% of the traffic\n") || !strings.Contains(got.out, "Env:             A\n") {
		t.Errorf("%+v", got)
	}
	if got := f.fnctl("describe", "rev", "charge", "3"); got.code != 0 || !strings.Contains(got.out, "Needed:          no; fnctl rm revision charge r3 removes it\n") {
		t.Errorf("%+v", got)
	}
	if got := f.fnctl("describe", "revision", "charge", "r7", "-o", "json"); !strings.Contains(got.out, `"uses": [`) {
		t.Errorf("%+v", got)
	}
	f.fnctl("rm", "revision", "charge", "r3").want(t, 0, "", "removed revision r3 of function charge from namespace default\n")
	f.fnctl("rm", "revision", "charge", "r7").want(t, exitConflict, "", "error: revision 7: in use: it has 5% of the traffic\nTry: end what needs it first\n")
	for args, want := range map[string]string{
		"rm revision charge":            "error: a revision is named by its FUNCTION and number\nTry: fnctl rm revision FUNCTION r7\n",
		"rm revision charge x":          "error: \"x\" is not a revision such as r7\nTry: fnctl traffic FUNCTION shows what there is\n",
		"describe revision charge":      "error: a revision is named by its FUNCTION and number\nTry: fnctl describe revision FUNCTION r7\n",
		"describe function charge more": "error: fnctl describe takes KIND NAME, but there is also \"more\"\nTry: fnctl describe --help\n",
		"rm function charge more":       "error: fnctl rm takes KIND NAME, but there is also \"more\"\nTry: fnctl rm --help\n",
		"ls revision":                   "error: revisions are of a FUNCTION: fnctl ls revision FUNCTION\nTry: fnctl ls functions, which shows what there is\n",
		"ls function charge":            "error: fnctl ls takes one kind, but there is also \"charge\"\nTry: fnctl describe function charge\n",
	} {
		f.fnctl(strings.Fields(args)...).want(t, exitUsage, "", want)
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func revisions(percents ...int) (list []api.Revision) {
	for i, p := range percents {
		list = append(list, api.Revision{Revision: len(percents) - i + 6, Created: now.Add(-time.Duration(i+1) * time.Hour), Module: "sha256:ab", Percent: p})
	}
	return list
}

func TestTraffic(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/functions/charge/revisions": revisions(5, 95),
		"PUT /ns/default/functions/charge/traffic":   revisions(0, 100),
	})
	f.fnctl("traffic", "charge").want(t, 0, "REVISION   TRAFFIC   DEPLOYED   MODULE\nr8         5%        1h         sha256:ab\nr7         95%       2h         sha256:ab\n", "")
	f.fnctl("traffic", "charge", "-o", "name").want(t, 0, "r8\nr7\n", "")
	const changed = "REVISION   TRAFFIC   DEPLOYED   MODULE\nr8         -         1h         sha256:ab\nr7         100%      2h         sha256:ab\n"
	f.fnctl("traffic", "charge", "r7=95", "8=5%").want(t, 0, changed, "")
	f.fnctl("rollback", "charge").want(t, 0, changed, "")
	f.fnctl("rollback", "charge", "--to", "r3").want(t, 0, changed, "")
	var puts []string
	for line := range strings.Lines(f.requests()) {
		if _, body, ok := strings.Cut(line, "PUT /ns/default/functions/charge/traffic "); ok {
			puts = append(puts, strings.TrimSpace(body))
		}
	}
	want := []string{
		`{"traffic":[{"revision":7,"percent":95},{"revision":8,"percent":5}]}`,
		`{"traffic":[{"revision":7,"percent":100}]}`,
		`{"traffic":[{"revision":3,"percent":100}]}`,
	}
	if strings.Join(puts, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(puts, "\n"), strings.Join(want, "\n"))
	}
}

func TestTrafficThatIsWrong(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/functions/first/revisions": []api.Revision{{Revision: 1, Percent: 100}},
		"PUT /ns/default/functions/charge/traffic":  api.Problem{Status: 400, Title: "x", Detail: "traffic: the shares add up to 90 percent, not to 100", Next: "correct the request"},
	})
	const shares, shows = "\nTry: fnctl traffic FUNCTION r7=95 r8=5\n", "\nTry: fnctl traffic FUNCTION shows what there is\n"
	for args, want := range map[string]string{
		"traffic":                  "error: fnctl traffic needs a FUNCTION, and shares like r7=95 r8=5\nTry: fnctl traffic --help\n",
		"traffic charge r7":        `error: "r7" is not a share; it is a revision and its percent` + shares,
		"traffic charge r7=many":   `error: "r7=many" is not a share; it is a revision and its percent` + shares,
		"traffic charge seven=100": `error: "seven" is not a revision such as r7` + shows,
		"traffic charge r0=100":    `error: "r0" is not a revision such as r7` + shows,
		"rollback charge --to x":   `error: "x" is not a revision such as r7` + shows,
		"rollback":                 "error: fnctl rollback needs a FUNCTION\nTry: fnctl rollback --help\n",
	} {
		f.fnctl(strings.Fields(args)...).want(t, exitUsage, "", want)
	}
	f.fnctl("traffic", "charge", "r7=90").want(t, exitFailed, "", "error: traffic: the shares add up to 90 percent, not to 100\nTry: correct the request\n")
	f.fnctl("rollback", "first").want(t, exitFailed, "", "error: function first keeps no revision before r1\nTry: deploy the earlier source again\n")
	if r := f.fnctl("rollback", "none"); r.code != exitNotFound {
		t.Errorf("%+v", r)
	}
}

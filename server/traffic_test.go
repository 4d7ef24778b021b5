package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestTraffic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := b.module()
	for _, version := range []string{"1", "2"} {
		app := api.App{Functions: map[string]api.FunctionSpec{"f": {Module: digest, Env: map[string]string{"V": version}}}}
		if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/shop", app); got.status != 200 {
			t.Fatalf("%+v", got)
		}
	}
	c, ctx := b.client(), t.Context()
	list, err := c.SetTraffic(ctx, "default", "f", api.TrafficRequest{Traffic: []api.Share{{Revision: 2, Percent: 10}, {Revision: 1, Percent: 90}}})
	if err != nil || len(list) != 2 || list[0].Revision != 2 || list[0].Percent != 10 || list[1].Percent != 90 {
		t.Errorf("%+v, %v", list, err)
	}
	if f, err := c.Function(ctx, "default", "f"); err != nil || f.Percent(1) != 90 || f.Percent(2) != 10 || f.Percent(3) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	url := b.admin + "/api/v1/ns/default/functions/"
	for body, want := range map[string]api.Problem{
		`{"traffic":[{"revision":1,"percent":90}]}`:                             {Status: 400, Detail: "traffic: the shares add up to 90 percent, not to 100"},
		`{"traffic":[{"revision":9,"percent":100}]}`:                            {Status: 404, Detail: `function "f" has no revision 9; it keeps 1 to 2`},
		`{"traffic":[{"revision":-1,"percent":100}]}`:                           {Status: 400, Detail: "traffic[0].revision: -1 is no revision; they count from 1"},
		`{"traffic":[{"revision":1,"percent":50},{"revision":1,"percent":50}]}`: {Status: 400, Detail: "traffic[1].revision: revision 1 is named twice"},
		`{"trafic":[]}`: {Status: 400, Detail: `unknown key "trafic"`},
	} {
		if p := b.do("PUT", url+"f/traffic", body, "Content-Type", "application/json").problem(t); p.Status != want.Status || p.Detail != want.Detail || p.Next == "" {
			t.Errorf("%s: %+v", body, p)
		}
	}
	for _, path := range []string{"PUT none/traffic", "GET none/revisions"} {
		if p := b.do(path[:3], url+path[4:], `{"traffic":[]}`, "Content-Type", "application/json").problem(t); p.Status != 404 || p.Detail != `no function "none" in namespace "default"` {
			t.Errorf("%s: %+v", path, p)
		}
	}
	if list, err = c.SetTraffic(ctx, "default", "f", api.TrafficRequest{}); err != nil || list[0].Percent != 100 || list[1].Percent != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// deployF deploys function f as a version.
func (b *bundle) deployF(version string, canary *api.Canary) answer {
	b.t.Helper()
	return b.send("PUT", b.admin+"/api/v1/ns/default/apps/shop", api.App{
		Functions: map[string]api.FunctionSpec{"f": {Module: b.module(), Env: map[string]string{"V": version}}}, Canary: canary,
	})
}

func TestCanaryOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, ctx := b.client(), t.Context()
	b.deployF("1", nil)
	var d api.Deployed
	if got := b.deployF("2", &api.Canary{Percent: 5, Guards: "p95<1s"}); got.status != 200 || json.Unmarshal([]byte(got.body), &d) != nil || d.Functions[0].Rollout.Candidate != 2 {
		t.Fatalf("%+v", got)
	}
	b.counts = map[string]api.RolloutCounts{"f": {Attempts: 17, Errors: 1}}
	f, err := c.Function(ctx, "default", "f")
	if err != nil || f.Rollout == nil || f.Rollout.Phase != api.PhaseProgressing || f.Rollout.Guards != "p95<1s" || f.Rollout.Seen == nil || f.Rollout.Seen.Attempts != 17 {
		t.Errorf("%+v, %v", f.Rollout, err)
	}
	list, err := c.Revisions(ctx, "default", "f")
	if err != nil || list[0].Rollout.Seen.Errors != 1 || list[1].Rollout != nil ||
		!slices.Equal(list[1].Uses, []string{"it has 95% of the traffic", "the canary of revision 2 goes back to it when it fails"}) {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = c.SetTraffic(ctx, "default", "f", api.TrafficRequest{Traffic: []api.Share{{Revision: 1, Percent: 100}}}); err != nil ||
		list[0].Rollout.Phase != api.PhaseAborted || list[0].Rollout.Seen != nil || list[0].Rollout.Reason != "somebody set the traffic to r1=100" {
		t.Errorf("by hand: %+v, %v", list[0].Rollout, err)
	}
	for want, canary := range map[string]api.Canary{
		"canary.percent: 0 is not between 1 and 99, the percent of the keys that a canary begins with": {},
		`canary.guards: "cpu<1%": at 1: there is no metric "cpu"; there are`:                           {Percent: 5, Guards: "cpu<1%"},
	} {
		p := b.deployF("3", &canary).problem(t)
		if p.Status != 400 || !strings.HasPrefix(p.Detail, want) || p.Next != `correct it and deploy again; "fnctl deploy --help" says what a canary takes` {
			t.Errorf("%+v", p)
		}
	}
}

func TestRevisionsOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, ctx := b.client(), t.Context()
	for _, version := range []string{"1", "2", "3", "4"} {
		b.deployF(version, nil)
	}
	r, err := c.Revision(ctx, "default", "f", 2)
	if err != nil || r.Revision != 2 || r.Kind != "native" || r.Spec == nil || r.Spec.Env["V"] != "2" || r.Percent != 0 || len(r.Uses) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := c.DeleteRevision(ctx, "default", "f", 2); err != nil {
		t.Error(err)
	}
	url := b.admin + "/api/v1/ns/default/functions/"
	for request, want := range map[string]api.Problem{
		"DELETE f/revisions/4":    {Type: "https://evoke.run/problems/in-use", Status: 409, Detail: "delete revisions of function f in namespace default: revision 4: in use: it is the newest, and it has 100% of the traffic"},
		"DELETE f/revisions/2":    {Type: "https://evoke.run/problems/unknown-revision", Status: 404, Detail: `function "f" has no revision 2; it keeps 1, 3 to 4`},
		"GET f/revisions/9":       {Type: "https://evoke.run/problems/unknown-revision", Status: 404, Detail: `function "f" has no revision 9; it keeps 1, 3 to 4`},
		"GET f/revisions/r1":      {Type: "https://evoke.run/problems/invalid-request", Status: 400, Detail: `"r1" is not the number of a revision`},
		"DELETE none/revisions/1": {Type: "https://evoke.run/problems/unknown-function", Status: 404, Detail: `no function "none" in namespace "default"`},
	} {
		method, path, _ := strings.Cut(request, " ")
		if p := b.do(method, url+path, "").problem(t); p.Type != want.Type || p.Status != want.Status || p.Detail != want.Detail || p.Next == "" {
			t.Errorf("%s: %+v", request, p)
		}
	}
}

// A dead letter that was redriven to a revision, and has come back, keeps that revision.
func TestARevisionThatADeadLetterNeedsIsNotRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 1)
	c, ctx := b.client(), t.Context()
	app := api.App{Functions: map[string]api.FunctionSpec{"charge": {Module: b.module(), Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "orders"}}}, Env: map[string]string{"V": "2"}}}}
	if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/shop", app); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if _, err := c.Redrive(ctx, "default", api.DeadLetterSelection{All: true, Revision: 1}); err != nil {
		t.Fatal(err)
	}
	if p := problemOf(t, c.DeleteRevision(ctx, "default", "charge", 1)); p.Status != 409 || !strings.HasSuffix(p.Detail, "revision 1: in use: a redriven event or dead letter waits for it") {
		t.Errorf("%+v", p)
	}
}

// A redrive to a revision and the removal of that revision exclude each other: whichever comes first, no dead letter is sent to a revision that is gone.
func TestRedriveToARevisionThatIsBeingRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 1)
	c, ctx := b.client(), t.Context()
	app := api.App{Functions: map[string]api.FunctionSpec{"charge": {Module: b.module(), Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "orders"}}}}}}
	for n := 2; n < 22; n++ { // revision n-1 is in question
		app.Functions["charge"] = api.FunctionSpec{Module: app.Functions["charge"].Module, Triggers: app.Functions["charge"].Triggers, Env: map[string]string{"N": fmt.Sprint(n)}}
		if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/shop", app); got.status != 200 {
			t.Fatalf("%+v", got)
		}
		removed := make(chan error, 1)
		go func() { removed <- c.DeleteRevision(ctx, "default", "charge", n-1) }()
		_, err := c.Redrive(ctx, "default", api.DeadLetterSelection{All: true, Revision: n - 1})
		if gone := <-removed; (err == nil) == (gone == nil) {
			t.Fatalf("redrive to revision %d: %v, its removal: %v", n-1, err, gone)
		}
		trigger, _ := b.registry.Snapshot().Trigger("default", "charge:orders")
		if taken, err := b.table.Take(trigger.ID, 1); err != nil {
			t.Fatal(err)
		} else if len(taken) == 1 { // redriven: it becomes a dead letter again
			a := partition.Attempt{Number: 1, Revision: n - 1, Start: clock, Verdict: int32(abi.Failed), Class: "error"}
			if _, err := b.table.Settle(ctx, &taken[0], a, partition.Next{DeadLetter: true}, partition.Effects{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

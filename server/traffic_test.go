package server

import (
	"testing"

	"github.com/evoke-run/evoke/api"
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

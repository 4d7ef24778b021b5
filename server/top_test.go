package server

import (
	"slices"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestTop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, ctx := b.client(), t.Context()
	if top, err := c.Top(ctx, "default"); err != nil || top == nil || len(top) > 0 {
		t.Errorf("without functions: %v, %v", top, err)
	}
	digest := b.module()
	app := api.App{Functions: map[string]api.FunctionSpec{"idle": {Module: digest}, "busy": {Module: digest}, "busy-too": {Module: digest}}}
	if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/shop", app); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	top, err := c.Top(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range top {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"busy-too", "busy"}) {
		t.Errorf("top lists %q", names)
	}
	f, err := c.Function(ctx, "default", "busy")
	if want := (api.Load{Wanted: 9, Target: 4, Limit: "concurrency", InProgress: 2, Running: 1, Fuel: 1000}); err != nil || f.Load == nil || *f.Load != want || *top[1].Load != want {
		t.Errorf("load %+v, %v", f.Load, err)
	}
	if p := b.do("GET", b.admin+"/api/v1/ns/default/top", "", "Host", "evil.example").problem(t); p.Status != 403 && p.Status != 421 {
		t.Errorf("%+v", p)
	}
}

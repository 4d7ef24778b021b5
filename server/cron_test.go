package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
)

// deployNightly puts a function in force that has two schedules, an http trigger, and one of a topic.
func (b *bundle) deployNightly() api.Deployed {
	b.t.Helper()
	got, err := b.client().Deploy(b.t.Context(), "default", "reports", api.App{Functions: map[string]api.FunctionSpec{"nightly": {Module: b.module(), Triggers: []api.TriggerSpec{
		{Cron: &api.CronTrigger{Schedule: "0 2 * * *", Timezone: "Europe/Berlin"}},
		{Cron: &api.CronTrigger{Schedule: "*/30 * * * * *", Overlap: "skip"}},
		{HTTP: &api.HTTPTrigger{}},
		{Topic: &api.TopicTrigger{Name: "orders"}},
	}}}, Topics: map[string]api.TopicSpec{"orders": {}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// The next five due times are shown at the deploy, and later.
func TestCronTriggersSayWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text := func(list []time.Time) (out []string) {
		for _, t := range list {
			out = append(out, t.Format(time.RFC3339))
		}
		return out
	}
	nights := []string{"2026-02-01T02:00:00+01:00", "2026-02-02T02:00:00+01:00", "2026-02-03T02:00:00+01:00", "2026-02-04T02:00:00+01:00", "2026-02-05T02:00:00+01:00"}
	due := b.deployNightly().Functions[0].Due
	if len(due) != 2 || due[0].Trigger != "nightly:cron" || !slices.Equal(text(due[0].Next), nights) || !due[0].Last.IsZero() {
		t.Fatalf("deployed: %+v", due)
	}
	if due[1].Trigger != "nightly:cron:2" || len(due[1].Next) != 5 || !due[1].Next[0].Equal(clock.Add(30*time.Second)) {
		t.Errorf("deployed: %+v", due[1])
	}
	c, ctx := b.client(), t.Context()
	last := clock.Add(-10 * time.Hour)
	trigger := b.trigger("nightly:cron")
	if _, err := b.table.Fire(ctx, []partition.Firing{{Trigger: trigger.ID, Namespace: "default", Name: trigger.Name, Due: last}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Trigger(ctx, "default", "nightly:cron")
	if err != nil || got.Kind != "cron" || got.Due == nil || !slices.Equal(text(got.Due.Next), nights) || !got.Due.Last.Equal(last) || got.Due.Trigger != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.PauseTrigger(ctx, "default", "nightly:cron"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Trigger(ctx, "default", "nightly:cron"); err != nil || got.Due == nil || len(got.Due.Next) > 0 {
		t.Errorf("paused, it is due %+v, %v", got.Due, err)
	}
	if got, err := c.Trigger(ctx, "default", "nightly:orders"); err != nil || got.Due != nil {
		t.Errorf("a topic trigger is due %+v, %v", got.Due, err)
	}
}

func (b *bundle) trigger(name string) *api.Trigger {
	b.t.Helper()
	t, ok := b.registry.Snapshot().Trigger("default", name)
	if !ok {
		b.t.Fatalf("no trigger %s", name)
	}
	return t
}

func TestRunOfATrigger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployNightly()
	c, ctx := b.client(), t.Context()
	var want []string
	for range 2 { // each is an invocation of its own
		got, err := c.RunTrigger(ctx, "default", "nightly:cron")
		if err != nil || got.Trigger != "nightly:cron" || got.Invocation == "" {
			t.Fatalf("%+v, %v", got, err)
		}
		want = append(want, got.Invocation)
	}
	if got := b.settleAll("nightly:cron"); !slices.Equal(got, want) {
		t.Errorf("it hands out %q, want %q", got, want)
	}
	if _, err := c.PauseTrigger(ctx, "default", "nightly:cron:2"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.RunTrigger(ctx, "default", "nightly:cron:2"); err != nil || got.Invocation == "" {
		t.Errorf("paused: %+v, %v", got, err)
	}
	if got := b.settleAll("nightly:cron:2"); len(got) != 0 {
		t.Errorf("paused, it hands out %q", got)
	}
	for name, want := range map[string]api.Problem{
		"nightly:cron:2": {Status: 409, Type: "firing-overlaps", Detail: `trigger "nightly:cron:2" has overlap: skip, and an earlier firing is not done`, Next: "fnctl invocations ls"},
		"nightly:http":   {Status: 400, Detail: `trigger "nightly:http" is of kind http: it fires when an event comes in, not by a schedule`, Next: "to run the function: fnctl invoke nightly"},
		"nightly:inbox":  {Status: 400, Detail: `of kind inbox`, Next: "fnctl invoke nightly"},
		"nightly:orders": {Status: 400, Detail: `of kind topic`, Next: "to send it an event: fnctl emit orders"},
		"nightly:cron:3": {Status: 404, Detail: `no trigger "nightly:cron:3" in namespace "default"`},
		"nobody:cron":    {Status: 404, Detail: `no trigger "nobody:cron"`},
	} {
		p := b.do("POST", b.admin+"/api/v1/ns/default/triggers/"+name+"/run", "").problem(t)
		if p.Status != want.Status || !strings.HasSuffix(p.Type, want.Type) || !strings.Contains(p.Detail, want.Detail) || !strings.Contains(p.Next, want.Next) || p.Next == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	b.refusePublish(fmt.Errorf("test: %w", partition.ErrDiskLow))
	if _, err := c.RunTrigger(ctx, "default", "nightly:cron"); !hasStatus(err, 507) {
		t.Errorf("a full disk: %v", err)
	}
}

func hasStatus(err error, status int) bool {
	p, ok := errors.AsType[*api.Problem](err)
	return ok && p.Status == status
}

// What the registry says of a wrong schedule is what the person who deploys it reads.
func TestAWrongScheduleIsRefusedAtDeploy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := b.module()
	for schedule, want := range map[string]string{
		"0 0 31 2 *":  `functions.f.on[0].cron.schedule: "0 0 31 2 *" never comes: no day within 10 years is as it says; look at the day and the month`,
		"0 2 * *":     `functions.f.on[0].cron.schedule: "0 2 * *" has 4 fields; write five fields`,
		"0 0 2 * * 9": `functions.f.on[0].cron.schedule: day of week "9" of "0 0 2 * * 9" is wrong`,
	} {
		got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/a", api.App{Functions: map[string]api.FunctionSpec{
			"f": {Module: digest, Triggers: []api.TriggerSpec{{Cron: &api.CronTrigger{Schedule: schedule}}}},
		}})
		if p := got.problem(t); p.Status != 400 || !strings.Contains(p.Detail, want) || p.Next == "" {
			t.Errorf("%s: %+v", schedule, p)
		}
	}
}

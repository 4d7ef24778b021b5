package registry

import (
	"slices"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func onCron(t api.CronTrigger) api.TriggerSpec { return api.TriggerSpec{Cron: &t} }

func TestCronTriggersHaveNamesAndTopicsOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := function("v1", onHTTP(), onCron(api.CronTrigger{Schedule: "@hourly"}), onTopic("cron"), onCron(api.CronTrigger{Schedule: "@daily", Overlap: "queue"}))
	got, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"nightly": f}))
	if want := []string{"nightly:http", "nightly:cron", "nightly:cron:1", "nightly:cron:2"}; !slices.Equal(got.Functions[0].Triggers, want) {
		t.Errorf("deployed %v, want %v", got.Functions[0].Triggers, want)
	}
	snap := run(t, b.Registry)(revision)
	for name, want := range map[string]api.TopicTrigger{"nightly:cron": {Name: "_cron.nightly"}, "nightly:cron:2": {Name: "_cron.nightly.2", Order: "key"}} {
		trigger, ok := snap.Trigger("default", name)
		if !ok || trigger.Kind != "cron" || trigger.Cron == nil || *trigger.Topic != want {
			t.Errorf("%s is %+v", name, trigger)
		}
	}
	if _, ok := snap.Topic("default", "_cron.nightly"); ok {
		t.Error("an internal topic is registered")
	}
}

// A schedule that stays goes on as it was; one that is changed begins anew, or what is due by it today would count as missed.
func TestWhenDueTimesBeginToCount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	b.now = func() time.Time { return now }
	next := run(t, b.Registry)
	deploy := func(c api.CronTrigger) time.Time {
		t.Helper()
		now = now.Add(time.Hour)
		_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"nightly": function("v1", onCron(c))}))
		trigger, _ := next(revision).Trigger("default", "nightly:cron")
		return trigger.Since
	}
	first := deploy(api.CronTrigger{Schedule: "@daily"})
	if !first.Equal(now) {
		t.Errorf("a new one counts from %s, want %s", first, now)
	}
	if again := deploy(api.CronTrigger{Schedule: "@daily", Missed: "all", Overlap: "skip"}); !again.Equal(first) {
		t.Errorf("the same schedule counts from %s, want %s", again, first)
	}
	if other := deploy(api.CronTrigger{Schedule: "@hourly"}); !other.Equal(now) {
		t.Errorf("another schedule counts from %s, want %s", other, now)
	}
	if elsewhere := deploy(api.CronTrigger{Schedule: "@hourly", Timezone: "Asia/Kolkata"}); !elsewhere.Equal(now) {
		t.Errorf("another time zone counts from %s, want %s", elsewhere, now)
	}
}

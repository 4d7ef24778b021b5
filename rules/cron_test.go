package rules

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestWrongCronTriggersAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		on   []api.TriggerSpec
		want string
	}{
		{[]api.TriggerSpec{onCron(api.CronTrigger{})}, "functions.f.on[0].cron.schedule: the schedule is empty; write five fields"},
		{[]api.TriggerSpec{onCron(api.CronTrigger{Schedule: "0 25 * * *"})}, `functions.f.on[0].cron.schedule: hour "25" of "0 25 * * *" is wrong`},
		{[]api.TriggerSpec{onCron(api.CronTrigger{Schedule: "0 0 30 2 *"})}, `functions.f.on[0].cron.schedule: "0 0 30 2 *" never comes`},
		{[]api.TriggerSpec{onCron(api.CronTrigger{Schedule: "@daily", Timezone: "Berlin"})}, `functions.f.on[0].cron.timezone: timezone "Berlin" is unknown; did you mean Europe/Berlin?`},
		{[]api.TriggerSpec{onCron(api.CronTrigger{Schedule: "x", Timezone: "Berlin"})}, `did you mean Europe/Berlin?; functions.f.on[0].cron.schedule: "x" has 1 fields`},
		{[]api.TriggerSpec{onCron(api.CronTrigger{Schedule: "* * * * *", Jitter: api.Duration(time.Minute)})}, "functions.f.on[0].cron.jitter: 1m0s is not shorter than the time between two firings, which can be 1m0s"},
		{[]api.TriggerSpec{onCron(api.CronTrigger{Schedule: "@daily", Missed: "some"})}, `functions.f.on[0].cron.missed: "some" is none of skip, last and all`},
		{[]api.TriggerSpec{onCron(api.CronTrigger{Schedule: "@daily", Overlap: "forbid"})}, `functions.f.on[0].cron.overlap: "forbid" is none of allow, skip and queue`},
		{[]api.TriggerSpec{{Cron: &api.CronTrigger{Schedule: "@daily"}, HTTP: &api.HTTPTrigger{}}}, "functions.f.on[0]: has both http and cron; write a trigger for each"},
	} {
		a := app(map[string]api.FunctionSpec{"f": function(c.on...)})
		err := Deploy("default", "shop", a, kindsOf(a))
		if _, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

package manifest

import "github.com/evoke-run/evoke/api"

const scheduleExample = `a schedule like "0 2 * * *" or @hourly`

// cron reads a schedule alone, or a map.
func (d *decoder) cron(v value) *api.CronTrigger {
	out := &api.CronTrigger{}
	if kind := kindName(v.node); kind != "a map" && v.node != nil {
		d.anyText(&out.Schedule, scheduleExample)(v)
		return out
	}
	scheduled := false
	ok := d.object(v, keys{
		read: map[string]func(value){
			"schedule": func(v value) { scheduled = true; d.anyText(&out.Schedule, scheduleExample)(v) },
			"timezone": d.anyText(&out.Timezone, "the name of a time zone like Europe/Berlin"),
			"missed":   d.oneOf(&out.Missed, "skip", "last", "all"),
			"overlap":  d.oneOf(&out.Overlap, "allow", "skip", "queue"),
			"jitter":   d.duration(&out.Jitter),
		},
	})
	if ok && !scheduled {
		d.fault(v.at(), `%s has no schedule; write { schedule: "0 2 * * *" }`, v.path)
	}
	return out
}

package api

import (
	"context"
	"net/http"
	"time"
)

// CronTrigger runs the function by a schedule (docs/cron.md).
type CronTrigger struct {
	// Schedule is five fields (minute, hour, day of month, month, day of week), six with the second before them, or a word such as @hourly, or @every 90s.
	Schedule string `json:"schedule"`
	// Timezone is a name of the IANA database, "Europe/Berlin". "" is UTC.
	Timezone string `json:"timezone,omitempty"`
	// Missed is what becomes of due times at which nobody could fire: "skip", "last" (default: the last of them fires) or "all" (the last MaxMissed of them fire).
	Missed string `json:"missed,omitempty"`
	// Overlap is what a due time does while an earlier firing is not done: "allow" (default: both run), "skip" (it does not fire) or "queue" (it waits for its turn).
	Overlap string `json:"overlap,omitempty"`
	// Jitter delays each firing by up to so much, by as much each time as its trigger and due time say. Shorter than the time between two firings.
	Jitter Duration `json:"jitter,omitempty"`
}

// MaxMissed is how many missed due times fire at most with missed "all", the last ones.
const MaxMissed = 1000

// Due says when a cron trigger fires.
type Due struct {
	// Trigger is only set where Due stands for itself.
	Trigger string `json:"trigger,omitempty"`
	// Last is the last due time that has passed, whether it fired or not.
	Last time.Time `json:"last,omitzero"`
	// Next are the next due times, without jitter, with the offset of the trigger's time zone; none while it is paused.
	Next []time.Time `json:"next,omitempty"`
}

// TriggerRun answers POST /api/v1/ns/{ns}/triggers/{name}/run.
type TriggerRun struct {
	Trigger    string `json:"trigger"`
	Invocation string `json:"invocation"`
}

// RunTrigger makes a cron trigger fire now, beside its schedule.
func (c *Client) RunTrigger(ctx context.Context, ns, name string) (TriggerRun, error) {
	return get[TriggerRun](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "triggers", name, "run"}})
}

package registry

import (
	"fmt"
	"time"

	"github.com/evoke-run/evoke/api"
)

// cronTopic is where the firings of a function's n-th cron trigger are kept.
func cronTopic(function string, n int) string {
	if n == 1 {
		return "_cron." + function
	}
	return fmt.Sprintf("_cron.%s.%d", function, n)
}

// cronTrigger is a trigger on a topic of its own: what is stored there waits, is retried and given up on like any event.
func cronTrigger(function string, spec *api.CronTrigger, n int) api.Trigger {
	t := api.Trigger{Name: kindTriggerName(function, "cron", n), Kind: "cron", Cron: spec, Topic: &api.TopicTrigger{Name: cronTopic(function, n)}}
	if spec.Overlap == "queue" {
		t.Topic.Order = "key" // all its firings have the same
	}
	return t
}

// since is from when on the due times of a trigger count: the deploy that brought it, or changed when it is due.
func since(t, before *api.Trigger, now time.Time) time.Time {
	if t.Cron == nil {
		return time.Time{}
	}
	if before != nil && before.Cron != nil && before.Cron.Schedule == t.Cron.Schedule && before.Cron.Timezone == t.Cron.Timezone {
		return before.Since
	}
	return now
}

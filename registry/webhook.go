package registry

import (
	"fmt"

	"github.com/evoke-run/evoke/api"
)

// webhookTopic is where the deliveries of a function's n-th webhook trigger are kept.
func webhookTopic(function string, n int) string {
	if n == 1 {
		return "_webhook." + function
	}
	return fmt.Sprintf("_webhook.%s.%d", function, n)
}

// webhookTrigger is a trigger on a topic of its own, like that of a schedule.
func webhookTrigger(function string, spec *api.WebhookTrigger, n int) api.Trigger {
	from := api.TopicTrigger{Name: webhookTopic(function, n), Filter: spec.Filter, Order: spec.Order, OnFailure: spec.OnFailure}
	return api.Trigger{Name: kindTriggerName(function, "webhook", n), Kind: "webhook", Webhook: spec, Topic: &from}
}

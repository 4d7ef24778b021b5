package registry

import (
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

// inboxTopic is where asynchronous invocations of a function are published.
func inboxTopic(function string) string { return "_inbox." + function }

// bind makes the triggers of a function: one for each binding of the spec, in its order, and the inbox last. A trigger's name says its kind or topic
// and how many bindings of that kind, or to that topic, stand before it, so a binding that was there before is found by name and keeps its id. The others get theirs
// from next.
func bind(namespace, function string, on []api.TriggerSpec, before []api.Trigger, next func() uint64) []api.Trigger {
	ids := make(map[string]uint64, len(before))
	for _, t := range before {
		ids[t.Name] = t.ID
	}
	seen, of := map[string]int{}, map[string]int{} // by topic, by kind
	out := make([]api.Trigger, 0, len(on)+1)
	add := func(t api.Trigger) {
		t.Namespace, t.Function = namespace, function
		t.ID = ids[t.Name]
		if t.ID == 0 {
			t.ID = next()
		}
		out = append(out, t)
	}
	for _, s := range on {
		switch {
		case s.HTTP != nil:
			of["http"]++
			add(api.Trigger{Name: kindTriggerName(function, "http", of["http"]), Kind: "http", HTTP: s.HTTP})
		case s.Cron != nil:
			of["cron"]++
			add(cronTrigger(function, s.Cron, of["cron"]))
		case s.Webhook != nil:
			of["webhook"]++
			add(webhookTrigger(function, s.Webhook, of["webhook"]))
		default:
			seen[s.Topic.Name]++
			add(api.Trigger{Name: topicTriggerName(function, s.Topic.Name, seen[s.Topic.Name]), Kind: "topic", Topic: s.Topic})
		}
	}
	add(api.Trigger{Name: function + ":inbox", Kind: "inbox", Topic: &api.TopicTrigger{Name: inboxTopic(function)}})
	return out
}

// kindTriggerName is FUNCTION:KIND, then FUNCTION:KIND:2.
func kindTriggerName(function, kind string, n int) string {
	if n == 1 {
		return function + ":" + kind
	}
	return fmt.Sprintf("%s:%s:%d", function, kind, n)
}

// topicTriggerName is FUNCTION:TOPIC, then FUNCTION:TOPIC:2. A topic that is called like a kind of trigger is FUNCTION:TOPIC:1, then FUNCTION:TOPIC:1:2, or "f:http" and
// "f:http:2" could mean two triggers.
func topicTriggerName(function, topic string, n int) string {
	if slices.Contains([]string{"http", "inbox", "cron", "webhook"}, topic) {
		topic += ":1"
	}
	if n == 1 {
		return function + ":" + topic
	}
	return fmt.Sprintf("%s:%s:%d", function, topic, n)
}

// topicsNamed lists the topics that a spec calls by their full name, in triggers, in allow.emit and for dead letters, sorted.
func topicsNamed(s api.FunctionSpec) []string {
	var out []string
	add := func(text string) {
		if p, err := filter.ParsePattern(text); err == nil && !p.Wildcard() {
			out = append(out, text)
		}
	}
	for _, t := range s.Triggers {
		if t.Topic != nil {
			add(t.Topic.Name)
		}
	}
	for _, topic := range s.Allow.Emit {
		add(topic)
	}
	if s.DeadLetter != nil && s.DeadLetter.Topic != "" {
		add(s.DeadLetter.Topic)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

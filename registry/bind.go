package registry

import (
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

// inboxTopic is where asynchronous invocations of a function are published.
func inboxTopic(function string) string { return "_inbox." + function }

// bind makes the triggers of a function: one for each binding of the spec, in its order, and the inbox last. A trigger's name says its kind, topic
// and how many bindings to that topic stand before it, so a binding that was there before is found by name and keeps its id. The others get theirs
// from next.
func bind(namespace, function string, on []api.TriggerSpec, before []api.Trigger, next func() uint64) []api.Trigger {
	ids := make(map[string]uint64, len(before))
	for _, t := range before {
		ids[t.Name] = t.ID
	}
	seen := map[string]int{}
	out := make([]api.Trigger, 0, len(on)+1)
	add := func(t api.Trigger) {
		t.Namespace, t.Function = namespace, function
		t.ID = ids[t.Name]
		if t.ID == 0 {
			t.ID = next()
		}
		out = append(out, t)
	}
	crons := 0
	for _, s := range on {
		if s.Cron != nil {
			crons++
			add(cronTrigger(function, s.Cron, crons))
			continue
		}
		if s.HTTP != nil {
			add(api.Trigger{Name: function + ":http", Kind: "http", HTTP: s.HTTP})
			continue
		}
		seen[s.Topic.Name]++
		add(api.Trigger{Name: topicTriggerName(function, s.Topic.Name, seen[s.Topic.Name]), Kind: "topic", Topic: s.Topic})
	}
	add(api.Trigger{Name: function + ":inbox", Kind: "inbox", Topic: &api.TopicTrigger{Name: inboxTopic(function)}})
	return out
}

// topicTriggerName is FUNCTION:TOPIC, then FUNCTION:TOPIC:2. A topic that is called like a kind of trigger has its number from the start, or
// "f:http" could mean two triggers.
func topicTriggerName(function, topic string, n int) string {
	if n == 1 && !slices.Contains([]string{"http", "inbox", "cron", "webhook"}, topic) {
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

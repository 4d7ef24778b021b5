package rules

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

// kindCommand is what api.Function.Kind is for a WASI command.
const kindCommand = "wasi-command"

func (f *faults) triggers(path string, on []api.TriggerSpec) {
	if len(on) > maxTriggers {
		f.add(path, "there are %d triggers, the limit is %d; one with * or > can stand for many", len(on), maxTriggers)
		return
	}
	for i, t := range on {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch kinds := kindsOfTrigger(t); {
		case len(kinds) > 1:
			f.add(at, "has both %s; write a trigger for each", strings.Join(kinds, " and "))
		case t.HTTP != nil:
			f.http(at+".http", t.HTTP)
		case t.Topic != nil:
			f.topic(at+".topic", *t.Topic)
		case t.Cron != nil:
			f.cron(at+".cron", *t.Cron)
		case t.Webhook != nil:
			f.webhook(at+".webhook", t.Webhook)
		default:
			f.add(at, "has no kind; set http, topic, cron or webhook")
		}
	}
}

func kindsOfTrigger(t api.TriggerSpec) (kinds []string) {
	for _, k := range [...]struct {
		name string
		set  bool
	}{{"http", t.HTTP != nil}, {"topic", t.Topic != nil}, {"cron", t.Cron != nil}, {"webhook", t.Webhook != nil}} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

func (f *faults) topic(path string, t api.TopicTrigger) {
	f.pattern(path+".name", t.Name)
	if _, err := filter.Parse(t.Filter); err != nil {
		f.add(path+".filter", "%s", err)
	}
	if _, err := api.ParsePosition(t.Start); err != nil {
		f.add(path+".start", "%s", err)
	}
	f.order(path, t.Order, t.OnFailure)
	switch {
	case t.Delivery != "" && t.Delivery != "atLeastOnce" && t.Delivery != "atMostOnce":
		f.add(path+".delivery", "%q is neither atLeastOnce nor atMostOnce", shorten(t.Delivery))
	case t.Delivery == "atMostOnce" && t.Order == "key":
		f.add(path+".delivery", "order: key waits until an event is done, and delivery: atMostOnce does not; leave one of them out")
	}
	if t.Priority != "" {
		if _, err := filter.ParseNumber(t.Priority); err != nil {
			f.add(path+".priority", "%s", err)
		}
		if t.Order == "key" || t.Batch != nil {
			f.add(path+".priority", "order: key and batch take events in the order in which they came; leave priority or them out")
		}
	}
}

func (f *faults) order(path, order, onFailure string) {
	if order != "" && order != "none" && order != "key" {
		f.add(path+".order", "%q is neither none nor key", shorten(order))
	}
	switch {
	case onFailure != "" && onFailure != "skip" && onFailure != "park":
		f.add(path+".onFailure", "%q is neither skip nor park", shorten(onFailure))
	case onFailure == "park" && order != "key":
		f.add(path+".onFailure", "only keys that are kept in order can park; add order: key, or leave it at skip")
	}
}

// batches refuses them where an event would get less than it gets alone.
func (f *faults) batches(path string, s api.FunctionSpec) {
	for at, b := range batchesOf(path, s) {
		if b.Size < 2 || b.Size > api.MaxBatch {
			f.add(at+".size", "%d is not between 2 and %d; leave batch out for one event at a time", b.Size, api.MaxBatch)
		}
		if w := time.Duration(b.Window); w < 0 || w > maxWindow {
			f.add(at+".window", "%s is not between 0 and %s", w, maxWindow)
		}
		if s.Allow.State {
			f.add(at, "state belongs to one key, and the events of a batch have many; leave batch out, or keep the state in a function of its own")
		}
	}
}

func (f *faults) batchesOfCommand(path string, s api.FunctionSpec, kind string) {
	for at := range batchesOf(path, s) {
		if kind == kindCommand {
			f.add(at, "a WASI command reads one event from stdin; leave batch out, or build the function against evoke_v1 with an SDK")
		}
	}
}

// batchesOf yields those of a function with the paths to them.
func batchesOf(path string, s api.FunctionSpec) iter.Seq2[string, *api.BatchSpec] {
	return func(yield func(string, *api.BatchSpec) bool) {
		for i, t := range s.Triggers {
			if t.Topic != nil && t.Topic.Batch != nil && !yield(fmt.Sprintf("%s.on[%d].topic.batch", path, i), t.Topic.Batch) {
				return
			}
		}
	}
}

// deadLetterTopic refuses the shortest loop: a function that would get its own dead letters, fail again and make more.
func (f *faults) deadLetterTopic(path, topic string, on []api.TriggerSpec) {
	if err := filter.ValidTopic(topic); err != nil {
		f.add(path, "%s", err)
		return
	}
	for _, t := range on {
		if t.Topic == nil {
			continue
		}
		if p, err := filter.ParsePattern(t.Topic.Name); err == nil && p.Match(topic) {
			f.add(path, "the function has a trigger on %q, so its dead letters would come back to it; name a topic that it does not listen to", shorten(t.Topic.Name))
		}
	}
}

func (f *faults) pattern(path, topic string) {
	if _, err := filter.ParsePattern(topic); err != nil {
		f.add(path, "%s", err)
		return
	}
	if filter.Internal(topic) {
		f.add(path, "%q has a part that begins with \"_\"; such topics belong to the runtime", topic)
	}
}

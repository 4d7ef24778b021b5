// Package rules says what may be deployed and made: what a number may be, which settings go together, which do not. The server asks it before it changes anything, and
// fnctl before it builds.
package rules

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

const (
	maxName     = 63
	maxSpec     = 512 << 10
	maxTriggers = 100
	minTimeout  = time.Millisecond
	maxTimeout  = 15 * time.Minute
	maxWindow   = 5 * time.Minute
	minMemory   = 1 << 20
	maxMemory   = 4 << 30
)

// kindCommand is what api.Function.Kind is for a WASI command.
const kindCommand = "wasi-command"

// Defaults of api.Retry that a rule about two fields needs.
const (
	defaultRetryInitial = time.Second
	defaultRetryMax     = 5 * time.Minute
)

// The patterns are read-only.
var (
	nameRule   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	envRule    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	digestRule = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	headerRule = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// Deploy reports everything that is wrong with a deploy, as an *InvalidError, sorted by function and topic names. kinds has the kind of each function's module, by the
// function's name.
func Deploy(namespace, app string, spec api.App, kinds map[string]string) error {
	return check(namespace, app, spec, func(f *faults, path, name string) {
		if module := spec.Functions[name].Module; !IsDigest(module) {
			f.add(path+".module", "%q is no module digest, \"sha256:\" and 64 hex digits in lower case", shorten(module))
		}
		if kinds[name] == "" {
			f.add(path+".module", "the kind of the module is not known; upload the module before the deploy")
		}
		f.batchesOfCommand(path, spec.Functions[name], kinds[name])
	})
}

// App is Deploy for an app whose modules are not built yet: nothing is said of them.
func App(namespace, app string, spec api.App) error {
	return check(namespace, app, spec, func(*faults, string, string) {})
}

func check(namespace, app string, spec api.App, module func(f *faults, path, function string)) error {
	f := &faults{}
	f.name("namespace", namespace)
	f.name("app", app)
	if spec.Formerly != "" {
		f.name("formerly", spec.Formerly)
	}
	if len(spec.Functions) == 0 && len(spec.Topics) == 0 {
		f.add("functions", "the app has no function and no topic")
	}
	f.canary(spec.Canary)
	serves := map[Slot]string{}
	for _, name := range slices.Sorted(maps.Keys(spec.Functions)) {
		path := member("functions", name, nameRule)
		f.name(path, name)
		module(f, path, name)
		f.function(path, spec.Functions[name])
		f.batches(path, spec.Functions[name])
		f.invoked(path+".allow.invoke", name, spec.Functions[name].Allow.Invoke)
		f.claimedTwice(path, name, spec.Functions[name].Triggers, serves)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Topics)) {
		if err := filter.ValidTopic(name); err != nil {
			f.add(fmt.Sprintf("topics[%q]", shorten(name)), "%s", err)
		}
		at := member("topics", name, nameRule)
		f.retention(at, spec.Topics[name])
		f.auth(at+".auth", spec.Topics[name].Auth)
		if spec.Topics[name].Auth != nil && !spec.Topics[name].Ingress {
			f.add(at+".auth", "only what comes from outside is checked, and the topic is closed; set ingress, or leave auth out")
		}
	}
	return f.err()
}

// IsDigest says whether a text has the form of a module's digest.
func IsDigest(s string) bool { return digestRule.MatchString(s) }

// member writes parent.name, or parent["name"] when the name could be mistaken for a path.
func member(parent, name string, rule *regexp.Regexp) string {
	if rule.MatchString(name) && len(name) <= maxName {
		return parent + "." + name
	}
	return fmt.Sprintf("%s[%q]", parent, shorten(name))
}

func (f *faults) name(field, name string) {
	switch {
	case name == "":
		f.add(field, "the name is empty")
	case len(name) > maxName:
		f.add(field, "the name has %d characters, the limit is %d", len(name), maxName)
	case !nameRule.MatchString(name):
		f.add(field, "%q is no name: use lower-case letters, digits and inner \"-\", as in order-mailer", shorten(name))
	}
}

func (f *faults) function(path string, s api.FunctionSpec) {
	if d := time.Duration(s.Timeout); d != 0 && (d < minTimeout || d > maxTimeout) {
		f.add(path+".timeout", "%s is not between 1ms and 15m", d)
	}
	if s.Memory != 0 && (s.Memory < minMemory || s.Memory > maxMemory) {
		f.add(path+".memory", "%d bytes is not between 1Mi (1048576) and 4Gi (4294967296)", s.Memory)
	}
	if s.Concurrency < 0 {
		f.add(path+".concurrency", "%d is below 0; 0 means no limit", s.Concurrency)
	}
	f.scale(path, s)
	f.flow(path, s)
	f.env(path+".env", s.Env)
	for i, topic := range s.Allow.Emit {
		f.pattern(fmt.Sprintf("%s.allow.emit[%d]", path, i), topic)
	}
	f.httpTargets(path+".allow.http", s.Allow.HTTP)
	f.secrets(path+".secrets", s.Secrets)
	if s.Retry != nil {
		f.retry(path+".retry", *s.Retry)
	}
	if s.DeadLetter != nil {
		f.keep(path+".deadLetter.keep", s.DeadLetter.Keep)
	}
	f.triggers(path+".on", s.Triggers)
	if s.DeadLetter != nil && s.DeadLetter.Topic != "" {
		f.deadLetterTopic(path+".deadLetter.topic", s.DeadLetter.Topic, s.Triggers)
	}
	if b, err := json.Marshal(s); err != nil {
		f.add(path, "cannot be stored: %s", err)
	} else if len(b) > maxSpec {
		f.add(path, "the settings have %d bytes as JSON, the limit is %d; put large values elsewhere", len(b), maxSpec)
	}
}

func (f *faults) scale(path string, s api.FunctionSpec) {
	if s.Scale.Min < 0 || s.Scale.Min > api.MaxReady {
		f.add(path+".scale.min", "%d is not between 0 and %d", s.Scale.Min, api.MaxReady)
	}
	if s.Scale.Max < 0 {
		f.add(path+".scale.max", "%d is below 0; 0 means no limit", s.Scale.Max)
	}
	if s.Scale.Max > 0 && s.Scale.Min > s.Scale.Max {
		f.add(path+".scale.min", "%d is above max, which is %d", s.Scale.Min, s.Scale.Max)
	}
	if s.Weight < 0 || s.Weight > api.MaxWeight {
		f.add(path+".weight", "%d is not between 1 and %d", s.Weight, api.MaxWeight)
	}
}

func (f *faults) env(path string, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !envRule.MatchString(name) {
			f.add(fmt.Sprintf("%s[%q]", path, shorten(name)), "the name of a variable has letters, digits and \"_\" and does not begin with a digit")
		}
		if strings.ContainsRune(env[name], 0) {
			f.add(fmt.Sprintf("%s[%q]", path, shorten(name)), "the value has a zero byte")
		}
	}
}

func (f *faults) httpTargets(path string, targets []string) {
	if len(targets) > api.MaxHTTPTargets {
		f.add(path, "there are %d targets, the limit is %d; a pattern such as *.example.com stands for many", len(targets), api.MaxHTTPTargets)
	}
	for i, text := range targets {
		if _, err := api.ParseHTTPTarget(text); err != nil {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%s", err)
		}
	}
}

// maxInvoked is how many functions one may invoke.
const maxInvoked = 64

func (f *faults) invoked(path, function string, names []string) {
	if len(names) > maxInvoked {
		f.add(path, "there are %d functions, the limit is %d", len(names), maxInvoked)
	}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		f.name(at, name)
		if name == function {
			f.add(at, "a function cannot be invoked while it waits for what it invoked, so not by itself; emit an event that it gets instead")
		}
	}
}

func (f *faults) secrets(path string, names []string) {
	if len(names) > api.MaxSecrets {
		f.add(path, "there are %d secrets, the limit is %d", len(names), api.MaxSecrets)
	}
	for i, name := range names {
		if !api.IsSecretName(name) {
			f.add(fmt.Sprintf("%s[%d]", path, i), "%q is no name of a secret: it has %s", shorten(name), api.SecretNameRule)
		}
	}
}

func (f *faults) retry(path string, r api.Retry) {
	if r.Attempts != 0 && (r.Attempts < 1 || r.Attempts > 100) {
		f.add(path+".attempts", "%d is not between 1 and 100", r.Attempts)
	}
	if r.Factor != 0 && !(r.Factor >= 1 && r.Factor <= 10) {
		f.add(path+".factor", "%g is not between 1 and 10", r.Factor)
	}
	for _, d := range []struct {
		name  string
		value api.Duration
	}{{"initial", r.Initial}, {"max", r.Max}, {"maxAge", r.MaxAge}} {
		if d.value < 0 {
			f.add(path+"."+d.name, "%s is below zero", time.Duration(d.value))
		}
	}
	initial, longest := orDefault(r.Initial, defaultRetryInitial), orDefault(r.Max, defaultRetryMax)
	if initial > longest {
		f.add(path+".initial", "%s is above max, which is %s", initial, longest)
	}
	if r.Jitter != "" && r.Jitter != "full" && r.Jitter != "none" {
		f.add(path+".jitter", "%q is neither full nor none", shorten(r.Jitter))
	}
}

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

func orDefault(d api.Duration, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

func shorten(s string) string {
	const limit = 64
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Defaults of api.Retry that a rule about two fields needs.
const (
	defaultRetryInitial = time.Second
	defaultRetryMax     = 5 * time.Minute
)

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

func orDefault(d api.Duration, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

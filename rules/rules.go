// Package rules says what may be deployed and made: what a number may be, which settings go together, which do not. The server asks it before it changes anything, and
// fnctl before it builds.
package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
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

func shorten(s string) string {
	const limit = 64
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

// errWouldChange is an answer, not a fault: it ends deploy --diff with an exit code of its own and nothing is reported.
var errWouldChange = errors.New("a deploy would change something")

// What a deploy does to a function or a topic.
const (
	changeCreated   = "created"
	changeUpdated   = "updated"
	changeUnchanged = "unchanged"
	changeRemoved   = "removed"
	changeNone      = "left" // a function of the app that fn.yaml does not have; it stays
)

// difference is one line of what a deploy would change: a setting, or a thing as a whole.
type difference struct {
	Kind    kind   `json:"kind"`
	Name    string `json:"name"`
	Change  string `json:"change"`
	Setting string `json:"setting,omitempty"`
	Old     any    `json:"old,omitempty"` // none = it was not set
	New     any    `json:"new,omitempty"`
}

// diff says what a deploy of app would change, and changes nothing. whole is false when only some functions of the app were asked for.
func (c *cli) diff(ctx context.Context, name string, app api.App, whole bool) ([]difference, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	functions, err := client.Functions(ctx, c.namespace)
	if err != nil {
		return nil, err
	}
	topics, err := client.Topics(ctx, c.namespace)
	if err != nil {
		return nil, err
	}
	out, err := functionDifferences(name, app, functions, whole)
	if err != nil {
		return nil, err
	}
	return append(out, topicDifferences(app, topics)...), nil
}

func functionDifferences(name string, app api.App, there []api.Function, whole bool) (out []difference, err error) {
	now := map[string]api.Function{}
	for _, f := range there {
		now[f.Name] = f
	}
	owns := func(f api.Function) bool { return f.App == name || app.Formerly != "" && f.App == app.Formerly }
	for _, function := range slices.Sorted(maps.Keys(app.Functions)) {
		f, exists := now[function]
		switch {
		case !exists:
			out = append(out, difference{Kind: functionKind, Name: function, Change: changeCreated})
		case !owns(f):
			next := "choose another name, or remove it there first; if that is what the app was called before, fnctl deploy --formerly " + f.App
			return nil, &api.Problem{Status: http.StatusConflict, Title: "conflict", Detail: fmt.Sprintf("function %s belongs to app %s", function, f.App), Next: next}
		case f.App != name:
			out = append(out, difference{Kind: functionKind, Name: function, Change: changeUpdated, Setting: "app", Old: f.App, New: name})
			for _, d := range differencesOf(functionKind, function, f.Spec, app.Functions[function]) {
				if d.Change != changeUnchanged {
					out = append(out, d)
				}
			}
		default:
			out = append(out, differencesOf(functionKind, function, f.Spec, app.Functions[function])...)
		}
	}
	for _, f := range there {
		if _, named := app.Functions[f.Name]; named || !owns(f) || !whole && f.App == name {
			continue
		}
		if f.App != name && !app.Prune {
			out = append(out, difference{Kind: functionKind, Name: f.Name, Change: changeUpdated, Setting: "app", Old: f.App, New: name})
			continue
		}
		change := changeNone
		if app.Prune {
			change = changeRemoved
		}
		out = append(out, difference{Kind: functionKind, Name: f.Name, Change: change})
	}
	return out, nil
}

// topicDifferences are those of topics that fn.yaml describes, and those that a deploy makes because a function names them.
func topicDifferences(app api.App, there []api.Topic) (out []difference) {
	now := map[string]api.Topic{}
	for _, t := range there {
		now[t.Name] = t
	}
	wanted := maps.Clone(app.Topics)
	if wanted == nil {
		wanted = map[string]api.TopicSpec{}
	}
	for _, f := range app.Functions {
		for _, topic := range topicsNamed(f) {
			if _, described := wanted[topic]; !described {
				wanted[topic] = now[topic].Spec
			}
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(wanted)) {
		t, exists := now[topic]
		if !exists {
			out = append(out, difference{Kind: topicKind, Name: topic, Change: changeCreated})
			continue
		}
		if d := differencesOf(topicKind, topic, t.Spec, wanted[topic]); d[0].Change != changeUnchanged {
			out = append(out, d...)
		}
	}
	return out
}

// topicsNamed are the topics that a function names as a whole; the server makes those that are not there.
func topicsNamed(f api.FunctionSpec) (out []string) {
	names := slices.Clone(f.Allow.Emit)
	for _, t := range f.Triggers {
		if t.Topic != nil {
			names = append(names, t.Topic.Name)
		}
	}
	if f.DeadLetter != nil {
		names = append(names, f.DeadLetter.Topic)
	}
	for _, name := range names {
		if p, err := filter.ParsePattern(name); err == nil && !p.Wildcard() {
			out = append(out, name)
		}
	}
	return out
}

// differencesOf compares two specs as the server stores them: it keeps what it was given, and an absent setting has its default.
func differencesOf(what kind, name string, before, after any) (out []difference) {
	compareValues("", plain(before), plain(after), func(setting string, before, after any) {
		out = append(out, difference{Kind: what, Name: name, Change: changeUpdated, Setting: setting, Old: before, New: after})
	})
	if out == nil {
		out = []difference{{Kind: what, Name: name, Change: changeUnchanged}}
	}
	return out
}

// plain is a spec as JSON has it.
func plain(spec any) (v any) {
	b, err := json.Marshal(spec)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		err = d.Decode(&v)
	}
	if err != nil {
		panic(fmt.Sprintf("a spec is no JSON: %v", err)) // our own types
	}
	return v
}

// compareValues tells of every setting that differs. An object is compared by its keys, a list of triggers by what they are for, and everything else as a whole.
func compareValues(path string, before, after any, tell func(setting string, before, after any)) {
	if reflect.DeepEqual(before, after) {
		return
	}
	x, y := parts(before), parts(after)
	if x == nil || y == nil {
		tell(path, before, after)
		return
	}
	if reflect.DeepEqual(x, y) {
		tell(path, before, after) // the same triggers in another order
		return
	}
	all := maps.Clone(x)
	maps.Copy(all, y)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		inner := key
		if path != "" {
			inner = path + "." + key
		}
		compareValues(inner, x[key], y[key], tell)
	}
}

// parts are the parts of a value that are compared one by one; nil when it is compared as a whole.
func parts(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case []any:
		return triggerParts(v)
	}
	return nil
}

// triggerParts gives each trigger of a list a name by its source, "topic(orders)", so that one more does not make all behind it look changed.
func triggerParts(list []any) map[string]any {
	out := map[string]any{}
	for _, item := range list {
		trigger, ok := item.(map[string]any)
		if !ok || len(trigger) != 1 {
			return nil
		}
		for what, settings := range trigger {
			name := triggerSource(what, settings)
			unique := name
			for n := 2; out[unique] != nil; n++ {
				unique = name + ":" + strconv.Itoa(n)
			}
			out[unique] = settings
		}
	}
	return out
}

func triggerSource(what string, settings any) string {
	m, _ := settings.(map[string]any)
	for _, key := range []string{"name", "path", "schedule", "scheme"} {
		if s, ok := m[key].(string); ok {
			return what + "(" + s + ")"
		}
	}
	return what
}

// changesSomething says whether a deploy would do anything.
func changesSomething(list []difference) bool {
	return slices.ContainsFunc(list, func(d difference) bool { return d.Change != changeUnchanged && d.Change != changeNone })
}

// showDiff shows what would change.
func (c *cli) showDiff(name string, list []difference) error {
	counts := map[string]int{}
	seen := map[[2]string]bool{}
	for _, d := range list {
		if at := [2]string{string(d.Kind), d.Name}; !seen[at] {
			seen[at] = true
			counts[d.Change]++
		}
	}
	var words []string
	for _, change := range []string{changeCreated, changeUpdated, changeRemoved, changeUnchanged, changeNone} {
		if n := counts[change]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, change))
		}
	}
	if err := c.differenceList().show(c, list); err != nil {
		return err
	}
	c.say("app %s in namespace %s would have: %s; nothing was changed", name, c.namespace, strings.Join(words, ", "))
	if counts[changeNone] > 0 {
		c.say("note: what is left is not in the manifest any more; fnctl deploy --prune removes it")
	}
	return nil
}

func (c *cli) differenceList() list[difference] {
	type d = difference
	return list[d]{
		name: func(d d) string { return string(d.Kind) + " " + d.Name },
		none: "nothing would be deployed",
		columns: []column[d]{
			{title: "KIND", text: func(d d) string { return string(d.Kind) }},
			{title: "NAME", text: func(d d) string { return d.Name }},
			{title: "CHANGE", text: func(d d) string { return d.Change }},
			{title: "SETTING", text: func(d d) string { return d.Setting }},
			{title: "OLD", text: func(d d) string { return c.valueText(d.Setting, d.Old) }},
			{title: "NEW", text: func(d d) string { return c.valueText(d.Setting, d.New) }},
		},
	}
}

// valueText is a value in a cell of a table; -o wide shows all of it.
func (c *cli) valueText(setting string, v any) string {
	const most = 40 // runes
	var text string
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		text = v
	default:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(v) // it came from JSON
		text = b.String()
	}
	text = oneLine(text)
	if c.format == wide {
		return text
	}
	if setting == "module" {
		return shortDigest(text)
	}
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// kind is one of the words that ls, describe and rm take.
type kind string

const (
	functionKind kind = "function"
	triggerKind  kind = "trigger"
	topicKind    kind = "topic"
	revisionKind kind = "revision" // of a function, which is named before it
	routeKind    kind = "route"    // for ls only
)

// parseKind takes the word in singular, plural or short.
func parseKind(s string) (kind, error) {
	switch strings.ToLower(s) {
	case "function", "functions", "fn":
		return functionKind, nil
	case "trigger", "triggers", "tr":
		return triggerKind, nil
	case "topic", "topics":
		return topicKind, nil
	case "revision", "revisions", "rev":
		return revisionKind, nil
	case "route", "routes":
		return routeKind, nil
	}
	return "", usagef("", "%q is no kind of thing; there are function, trigger, topic, revision and route", s)
}

func kinds(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{string(functionKind), string(triggerKind), string(topicKind), string(revisionKind), string(routeKind)}, cobra.ShellCompDirectiveNoFileComp
}

func (c *cli) lsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls [function | trigger | topic | route | revision FUNCTION]",
		Aliases: []string{"get"},
		Short:   "List functions, triggers, topics, routes or the revisions of a function",
		Example: `  fnctl ls                    # functions
  fnctl ls trigger -o wide
  fnctl ls routes             # what the gateway serves
  fnctl get topics -o json
  fnctl ls revisions charge -o wide`,
		Args:              argCount(0, 2, "one kind, and with revision a FUNCTION"),
		ValidArgsFunction: kinds,
	}
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		what := functionKind
		if len(args) > 0 {
			var err error
			if what, err = parseKind(args[0]); err != nil {
				return err
			}
		}
		switch {
		case what == revisionKind && len(args) == 1:
			return usagef("fnctl ls functions, which shows what there is", "revisions are of a FUNCTION: fnctl ls revision FUNCTION")
		case what == revisionKind:
			return c.revisions(cmd.Context(), args[1])
		case len(args) > 1:
			return usagef(insteadOfLs(what, args[1]), "%s takes one kind, but there is also %q", cmd.CommandPath(), args[1])
		}
		return c.list(cmd.Context(), what)
	}
	return cmd
}

func insteadOfLs(what kind, name string) string {
	if what == routeKind {
		return "fnctl ls routes"
	}
	return "fnctl describe " + string(what) + " " + name
}

// plainLs makes an ls without flags of its own.
func (c *cli) plainLs(short, example string, show func(context.Context, *api.Client) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   short,
		Example: example,
		Args:    argCount(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.call(cmd.Context(), show) },
	}
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	return cmd
}

func (c *cli) list(ctx context.Context, what kind) error {
	return c.call(ctx, func(ctx context.Context, client *api.Client) error {
		switch what {
		case triggerKind:
			return fetchAndShow(ctx, c, client.Triggers, c.triggerList())
		case topicKind:
			return fetchAndShow(ctx, c, client.Topics, c.topicList())
		case routeKind:
			return c.routes(ctx, client)
		}
		return fetchAndShow(ctx, c, client.Functions, c.functionList())
	})
}

// fetchAndShow is for a call that answers with many of T.
func fetchAndShow[T any](ctx context.Context, c *cli, fetch func(ctx context.Context, ns string) ([]T, error), l list[T]) error {
	items, err := fetch(ctx, c.namespace)
	if err != nil {
		return err
	}
	return l.show(c, items)
}

func (c *cli) functionList() list[api.Function] {
	type f = api.Function
	return list[f]{
		name: func(f f) string { return f.Name },
		none: fmt.Sprintf("no functions in namespace %s; deploy one with fnctl deploy", c.namespace),
		columns: []column[f]{
			{title: "FUNCTION", text: func(f f) string { return f.Name }},
			{title: "APP", text: func(f f) string { return f.App }},
			{title: "REVISION", text: func(f f) string { return strconv.Itoa(f.Revision) }},
			{title: "TRIGGERS", text: func(f f) string { return strings.Join(triggerNames(f.Triggers), ", ") }},
			{title: "UPDATED", text: func(f f) string { return c.age(f.Updated) }},
			{title: "KIND", wide: true, text: func(f f) string { return f.Kind }},
			{title: "TIMEOUT", wide: true, text: func(f f) string { return durationText(f.Spec.Timeout) }},
			{title: "MEMORY", wide: true, text: func(f f) string { return sizeText(f.Spec.Memory) }},
			{title: "MODULE", wide: true, text: func(f f) string { return shortDigest(f.Spec.Module) }},
		},
	}
}

// triggerNames leaves out the inbox that every function has, unless it is paused.
func triggerNames(triggers []api.Trigger) []string {
	var names []string
	for _, t := range triggers {
		switch {
		case !t.PausedSince.IsZero():
			names = append(names, t.Name+" (paused)")
		case t.Kind != "inbox":
			names = append(names, t.Name)
		}
	}
	return names
}

func (c *cli) triggerList() list[api.Trigger] {
	type t = api.Trigger
	return list[t]{
		name: func(t t) string { return t.Name },
		none: fmt.Sprintf("no triggers in namespace %s; a function gets one by `on:` in fn.yaml", c.namespace),
		columns: []column[t]{
			{title: "TRIGGER", text: func(t t) string { return t.Name }},
			{title: "KIND", text: func(t t) string { return t.Kind }},
			{title: "FUNCTION", text: func(t t) string { return t.Function }},
			{title: "STATE", text: c.stateText},
			{title: "PENDING", text: stat(func(s api.TriggerStats) int { return s.Pending })},
			{title: "RETRYING", text: stat(func(s api.TriggerStats) int { return s.Retrying })},
			{title: "DEAD", text: stat(func(s api.TriggerStats) int { return s.DeadLetters })},
			{title: "PARKED", wide: true, text: stat(func(s api.TriggerStats) int { return s.Parked })},
			{title: "SERVES", wide: true, text: servesText},
			{title: "FILTER", wide: true, text: func(t t) string { return oneLine(topicOf(t).Filter) }},
			{title: "ORDER", wide: true, text: func(t t) string { return topicOf(t).Order }},
			{title: "SCHEDULE", wide: true, text: func(t t) string { return cronOf(t).Schedule }},
			{title: "NEXT", wide: true, text: dueText},
			{title: "ID", wide: true, text: func(t t) string { return strconv.FormatUint(t.ID, 10) }},
		},
	}
}

func stat(pick func(api.TriggerStats) int) func(api.Trigger) string {
	return func(t api.Trigger) string {
		if t.Stats == nil {
			return ""
		}
		return strconv.Itoa(pick(*t.Stats))
	}
}

func topicOf(t api.Trigger) api.TopicTrigger {
	if t.Topic == nil {
		return api.TopicTrigger{}
	}
	return *t.Topic
}

func (c *cli) topicList() list[api.Topic] {
	type t = api.Topic
	return list[t]{
		name: func(t t) string { return t.Name },
		none: fmt.Sprintf("no topics in namespace %s; a deploy creates those that fn.yaml names", c.namespace),
		columns: []column[t]{
			{title: "TOPIC", text: func(t t) string { return t.Name }},
			{title: "INGRESS", text: func(t t) string { return yesNo(t.Spec.Ingress) }},
			{title: "AGE", text: func(t t) string { return c.age(t.Created) }},
		},
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func durationText(d api.Duration) string {
	if d == 0 {
		return ""
	}
	b, _ := d.MarshalText() // never fails
	return string(b)
}

func sizeText(n int64) string {
	if n == 0 {
		return ""
	}
	return size(n)
}

// shortDigest is enough of a digest to tell modules apart.
func shortDigest(d string) string {
	const n = len("sha256:") + 12
	if len(d) > n {
		return d[:n]
	}
	return d
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) dlqCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "dlq",
		Short: "Dead letters: events that were given up on",
		Example: `  fnctl dlq ls --trigger charge:orders.created
  fnctl dlq peek ID
  fnctl dlq redrive --all --trigger charge:orders.created
  fnctl dlq discard ID --reason "test data"`,
	}, c.dlqLsCommand(), c.dlqPeekCommand(), c.dlqRedriveCommand(), c.dlqDiscardCommand())
}

func (c *cli) dlqLsCommand() *cobra.Command {
	var q api.DeadLetterQuery
	var since string
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List dead letters, the newest first",
		Example: `  fnctl dlq ls
  fnctl dlq ls --trigger charge:orders.created -o name
  fnctl dlq ls --since 2h --filter "type = 'com.shop.order'"
  fnctl dlq ls --parked                      # those that keep a key waiting`,
		Args: argCount(0, 0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Trigger, "trigger", "", "only those of this trigger")
	flags.StringVar(&q.Filter, "filter", "", "only events that this filter matches: CESQL, or JSON of the Subscriptions API (docs/filters.md)")
	flags.StringVar(&since, "since", "", "given up since then: a time span like 10m or 2d, or a time like 2026-01-31T12:00:00Z")
	flags.BoolVar(&q.Parked, "parked", false, "only those whose key stands still (onFailure: park)")
	flags.IntVar(&q.Limit, "limit", 0, "only so many (default what the server allows)")
	flags.StringVar(&q.Page, "page", "", "go on behind an earlier list, which names its --page")
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if q.Since, err = c.since(since); err != nil {
			return err
		}
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error { return c.listDeadLetters(ctx, client, q) })
	}
	return cmd
}

func (c *cli) listDeadLetters(ctx context.Context, client *api.Client, q api.DeadLetterQuery) error {
	page, err := client.DeadLetterPage(ctx, c.namespace, q)
	if err != nil {
		return err
	}
	anyParked := slices.ContainsFunc(page.Letters, func(d api.DeadLetter) bool { return d.Parked })
	if err := c.deadLetterList(anyParked).show(c, page.Letters); err != nil {
		return err
	}
	if page.Next != "" {
		c.say("There are more. Try: the same with --page %s", page.Next)
	}
	return nil
}

// deadLetterList has a column for parked keys when there are any.
func (c *cli) deadLetterList(parked bool) list[api.DeadLetter] {
	type d = api.DeadLetter
	return list[d]{
		name: func(d d) string { return d.ID },
		none: "no dead letters",
		columns: []column[d]{
			{title: "ID", text: func(d d) string { return d.ID }},
			{title: "TRIGGER", text: func(d d) string { return d.Trigger }},
			{title: "EVENT", text: func(d d) string { return d.EventID }},
			{title: "TYPE", text: func(d d) string { return d.EventType }},
			{title: "ATTEMPTS", text: func(d d) string { return strconv.Itoa(len(d.Attempts)) }},
			{title: "AGE", text: func(d d) string { return c.age(d.Time) }},
			{title: "PARKS KEY", wide: !parked, text: parkedText},
			{title: "KEY", wide: true, text: func(d d) string { return d.Key }},
			{title: "REVISION", wide: true, text: func(d d) string { return strconv.Itoa(d.Revision) }},
			{title: "GENERATION", wide: true, text: func(d d) string { return strconv.Itoa(d.Generation) }},
			{title: "CLASS", wide: true, text: func(d d) string { return d.Class }},
			{title: "ERROR", text: func(d d) string { return clip(oneLine(d.Error), c.format == wide) }},
		},
	}
}

// parkedText is the key that stands still, and how many events of it were found waiting.
func parkedText(d api.DeadLetter) string {
	if !d.Parked {
		return ""
	}
	return fmt.Sprintf("%s (%d behind)", d.Key, d.Behind)
}

// clip keeps a table readable; all says to show the whole text.
func clip(s string, all bool) string {
	const limit = 60
	if r := []rune(s); !all && len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

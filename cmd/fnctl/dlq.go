package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) dlqCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "dlq",
		Short: "Dead letters: events that were given up on",
		Example: `  fnctl dlq ls --trigger charge:orders.created
  fnctl dlq peek ID
  fnctl dlq redrive --all --trigger charge:orders.created`,
	}, c.dlqLsCommand(), c.dlqPeekCommand(), c.dlqRedriveCommand(), c.dlqDiscardCommand())
}

func (c *cli) dlqLsCommand() *cobra.Command {
	var trigger string
	var limit int
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List dead letters, the newest first",
		Example: `  fnctl dlq ls
  fnctl dlq ls --trigger charge:orders.created -o name`,
		Args: argCount(0, 0, ""),
	}
	cmd.Flags().StringVar(&trigger, "trigger", "", "only those of this trigger")
	cmd.Flags().IntVar(&limit, "limit", 0, "only so many (default what the server allows)")
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		ctx, cancel := c.limit(cmd.Context())
		defer cancel()
		letters, err := client.DeadLetters(ctx, c.namespace, trigger, limit)
		if err != nil {
			return err
		}
		return c.deadLetterList().show(c, letters)
	}
	return cmd
}

func (c *cli) deadLetterList() list[api.DeadLetter] {
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
			{title: "KEY", wide: true, text: func(d d) string { return d.Key }},
			{title: "REVISION", wide: true, text: func(d d) string { return strconv.Itoa(d.Revision) }},
			{title: "GENERATION", wide: true, text: func(d d) string { return strconv.Itoa(d.Generation) }},
			{title: "CLASS", wide: true, text: func(d d) string { return d.Class }},
			{title: "ERROR", text: func(d d) string { return clip(oneLine(d.Error), c.format == wide) }},
		},
	}
}

// clip keeps a table readable; all says to show the whole text.
func clip(s string, all bool) string {
	const limit = 60
	if r := []rune(s); !all && len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

func (c *cli) dlqPeekCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "peek ID",
		Short: "Show one dead letter: the event and every attempt",
		Example: `  fnctl dlq peek ID
  fnctl dlq peek ID -o json`,
		Args: argCount(1, 1, "the ID of a dead letter; see fnctl dlq ls"),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		ctx, cancel := c.limit(cmd.Context())
		defer cancel()
		d, err := client.DeadLetter(ctx, c.namespace, args[0])
		if err != nil {
			return err
		}
		if c.format != table {
			return c.object(d)
		}
		return c.showDeadLetter(d)
	}
	return cmd
}

func (c *cli) showDeadLetter(d api.DeadLetter) error {
	err := c.fields(
		"ID", d.ID,
		"Trigger", d.Trigger,
		"Function", fmt.Sprintf("%s revision %d", d.Function, d.Revision),
		"Topic", d.Topic,
		"Event", d.EventID,
		"Type", d.EventType,
		"Key", d.Key,
		"Given up", timestamp(d.Time),
		"Class", d.Class,
		"Error", d.Error,
		"Redriven", redrivenText(d.Generation),
	)
	if err != nil {
		return err
	}
	if err := c.print("\n"); err != nil {
		return err
	}
	if err := attemptList().table(c, d.Attempts); err != nil {
		return err
	}
	if len(d.Event) == 0 {
		return nil
	}
	if err := c.print("\n"); err != nil {
		return err
	}
	return c.object(d.Event)
}

func redrivenText(generation int) string {
	if generation == 0 {
		return ""
	}
	return strconv.Itoa(generation) + " times"
}

func attemptList() list[api.Attempt] {
	type a = api.Attempt
	return list[a]{columns: []column[a]{
		{title: "ATTEMPT", text: func(a a) string { return strconv.Itoa(a.Attempt) }},
		{title: "REVISION", text: func(a a) string { return strconv.Itoa(a.Revision) }},
		{title: "STARTED", text: func(a a) string { return timestamp(a.Start) }},
		{title: "TOOK", text: func(a a) string { return time.Duration(a.Duration).Round(time.Microsecond).String() }},
		{title: "VERDICT", text: func(a a) string { return a.Verdict }},
		{title: "CLASS", text: func(a a) string { return a.Class }},
		{title: "ERROR", text: func(a a) string { return oneLine(a.Error) }},
	}}
}

// selection are the flags that name dead letters.
type selection struct {
	all     bool
	trigger string
}

func (s *selection) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.all, "all", false, "all dead letters of --trigger")
	cmd.Flags().StringVar(&s.trigger, "trigger", "", "the trigger whose dead letters --all means")
}

// of makes the selection of ids and flags; exactly one of ids and --all --trigger it must be.
func (s *selection) of(cmd *cobra.Command, ids []string) (api.DeadLetterSelection, error) {
	path := cmd.CommandPath()
	switch {
	case len(ids) == 0 && !s.all:
		return api.DeadLetterSelection{}, usagef(path+" ID, or "+path+" --all --trigger TRIGGER", "%s needs the IDs of dead letters, or --all", path)
	case len(ids) > 0 && (s.all || s.trigger != ""):
		return api.DeadLetterSelection{}, usagef("", "%s takes either IDs or --all with --trigger, not both", path)
	case s.all && s.trigger == "":
		return api.DeadLetterSelection{}, usagef("fnctl ls trigger, then "+path+" --all --trigger TRIGGER", "--all needs --trigger, which says whose dead letters are meant")
	}
	return api.DeadLetterSelection{IDs: ids, Trigger: s.trigger, All: s.all}, nil
}

func (c *cli) dlqRedriveCommand() *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use:   "redrive ID… | --all --trigger TRIGGER",
		Short: "Send dead letters to their trigger again",
		Long: `Send dead letters to their trigger again.

The same event goes to the same trigger, with attempts from the start and with the revision in force now.`,
		Example: `  fnctl dlq redrive ID
  fnctl dlq redrive --all --trigger charge:orders.created`,
	}
	s.addFlags(cmd)
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sel, err := s.of(cmd, args)
		if err != nil {
			return err
		}
		return c.change(cmd.Context(), sel, "redrive", "redrove", (*api.Client).Redrive)
	}
	return cmd
}

func (c *cli) dlqDiscardCommand() *cobra.Command {
	var s selection
	var reason string
	cmd := &cobra.Command{
		Use:   "discard ID… --reason TEXT",
		Short: "Forget dead letters for ever",
		Example: `  fnctl dlq discard ID --reason "test data"
  fnctl dlq discard --all --trigger charge:orders.created --reason "orders were cancelled"`,
	}
	s.addFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the log (required)")
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sel, err := s.of(cmd, args)
		if err != nil {
			return err
		}
		if sel.Reason = strings.TrimSpace(reason); sel.Reason == "" {
			return usagef(`add --reason "test data"`, "discard forgets events for ever, it needs a --reason")
		}
		return c.change(cmd.Context(), sel, "discard", "discarded", (*api.Client).Discard)
	}
	return cmd
}

type changeFunc func(*api.Client, context.Context, string, api.DeadLetterSelection) (api.DeadLetterResult, error)

// change redrives or discards, and says before what it will do and after what it did.
func (c *cli) change(ctx context.Context, sel api.DeadLetterSelection, will, did string, do changeFunc) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	if sel.All {
		c.say("%s: all dead letters of trigger %s in namespace %s", will, sel.Trigger, c.namespace)
	}
	res, err := do(client, ctx, c.namespace, sel)
	if err != nil {
		return err
	}
	c.say("%s %s", did, countText(res.Changed))
	if missing := len(sel.IDs) - res.Changed; !sel.All && missing > 0 {
		c.say("%s not there any more", countText(missing))
	}
	if c.format != table {
		return c.object(res)
	}
	return nil
}

func countText(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return strconv.Itoa(n) + " dead letters"
}

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

func (c *cli) invocationsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "invocations",
		Aliases: []string{"invocation", "inv"},
		Short:   "What runs, what waits and why, what became of it; cancel it",
		Example: `  fnctl invocations ls
  fnctl invocations ls --state retrying --function charge
  fnctl invocations show ID
  fnctl invocations cancel ID --reason "wrong order"`,
	}, c.invocationsLsCommand(), c.invocationsShowCommand(), c.invocationsCancelCommand())
}

var invocationStates = [...]string{"open", "running", "retrying", "delayed", "waiting", "dead", "finished"}

func (c *cli) invocationsLsCommand() *cobra.Command {
	var o api.InvocationOptions
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List invocations: those that are open, or in one state",
		Long: `List invocations: those that are open, or in one state.

Open are running ones (synchronous calls too), retrying and delayed ones by the time they are due, and waiting ones,
the oldest first. WHY says what a waiting one waits for: "key", an earlier event of its key, "batch", others
to fill its batch, "paused", the end of a pause, or "turn", others of its trigger or room
to run. Finished ones are known as long as the history goes back.`,
		Example: `  fnctl invocations ls
  fnctl invocations ls --state delayed --trigger remind:reminders
  fnctl invocations ls --state finished --function charge --limit 20`,
		Args: argCount(0, 0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Function, "function", "", "only those of this function")
	flags.StringVar(&o.Trigger, "trigger", "", "only those of this trigger")
	flags.StringVar(&o.State, "state", invocationStates[0], "one of "+strings.Join(invocationStates[:], ", "))
	flags.IntVar(&o.Limit, "limit", 0, "only so many (default what the server allows)")
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := oneOf("--state", o.State, invocationStates[:]...); err != nil {
			return err
		}
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			found, err := client.Invocations(ctx, c.namespace, o)
			if err != nil {
				return err
			}
			return c.invocationList(o.State).show(c, found)
		})
	}
	return cmd
}

func (c *cli) invocationList(state string) list[api.Invocation] {
	type i = api.Invocation
	return list[i]{
		name: func(i i) string { return i.ID },
		none: "no " + state + " invocations",
		columns: []column[i]{
			{title: "ID", text: func(i i) string { return i.ID }},
			{title: "FUNCTION", text: func(i i) string { return i.Function }},
			{title: "EVENT", text: func(i i) string { return i.EventID }},
			{title: "STATE", text: func(i i) string { return i.State }},
			{title: "WHY", text: whyText},
			{title: "ATTEMPT", text: func(i i) string { return strconv.Itoa(i.Attempt) }},
			{title: "NEXT", text: func(i i) string { return timestamp(i.Due) }},
			{title: "AGE", text: func(i i) string { return c.age(since(i)) }},
			{title: "TRIGGER", wide: true, text: func(i i) string { return i.Trigger }},
			{title: "TYPE", wide: true, text: func(i i) string { return i.EventType }},
			{title: "KEY", wide: true, text: func(i i) string { return i.Key }},
			{title: "ERROR", wide: true, text: func(i i) string { return oneLine(i.Error) }},
		},
	}
}

// whyText is one word for why an invocation is where it is.
func whyText(i api.Invocation) string {
	if i.Why != "" {
		return i.Why
	}
	if i.Class != i.State {
		return i.Class
	}
	return ""
}

// since is the time that the age of an invocation counts from: its end, else when it was stored or called.
func since(i api.Invocation) time.Time {
	for _, t := range []time.Time{i.Ended, i.Stored, i.Started} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func (c *cli) invocationsShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one invocation: its event, every attempt with what it used, and what comes next",
		Example: `  fnctl invocations show ID
  fnctl invocations show ID -o json`,
		Args: argCount(1, 1, "the ID of an invocation; see fnctl invocations ls"),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			return describeOne(ctx, c, client.Invocation, args[0], c.showOneInvocation)
		})
	}
	return cmd
}

func (c *cli) showOneInvocation(i api.Invocation) error {
	err := c.fields(
		"ID", i.ID,
		"Function", i.Function,
		"Trigger", i.Trigger,
		"Topic", i.Topic,
		"Event", i.EventID,
		"Type", i.EventType,
		"Key", i.Key,
		"State", strings.TrimSpace(i.State+" "+waitText(i)),
		"Stored", timestamp(i.Stored),
		"Started", timestamp(i.Started),
		"Next attempt", nextText(i),
		"Ended", timestamp(i.Ended),
	)
	if err != nil {
		return err
	}
	if len(i.Attempts) > 0 {
		if err := c.print("\n"); err != nil {
			return err
		}
		l := attemptList()
		l.columns = append(l.columns, column[api.Attempt]{title: "USED", text: func(a api.Attempt) string { return billText(a.Bill) }})
		if err := l.table(c, i.Attempts); err != nil {
			return err
		}
	}
	if len(i.Event) == 0 {
		return nil
	}
	if err := c.print("\n"); err != nil {
		return err
	}
	return c.object(i.Event)
}

func waitText(i api.Invocation) string {
	switch i.Why {
	case "":
		return ""
	case "key":
		return "(an earlier event of its key is not settled)"
	case "turn":
		return "(others of its trigger come first, or there is no room to run)"
	}
	return "(" + i.Why + ")"
}

func nextText(i api.Invocation) string {
	if i.Due.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d, not before %s", i.Attempt, timestamp(i.Due))
}

func (c *cli) invocationsCancelCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel ID --reason TEXT",
		Short: "End an invocation for good: it is cut if it runs, and not tried again",
		Long: `End an invocation for good: it is cut if it runs, and not tried again.

What it emitted and wrote is dropped. It does not become a dead letter; the reason stays in the log and the history.
The caller of a synchronous call gets status 409.`,
		Example: `  fnctl invocations cancel ID --reason "wrong order"`,
		Args:    argCount(1, 1, "the ID of an invocation; see fnctl invocations ls"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the log (required)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if reason = strings.TrimSpace(reason); reason == "" {
			return usagef(`add --reason "wrong order"`, "cancel ends an invocation for good, it needs a --reason")
		}
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			if err := client.CancelInvocation(ctx, c.namespace, args[0], reason); err != nil {
				return err
			}
			c.say("canceled %s", printable(args[0]))
			return nil
		})
	}
	return cmd
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

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
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			return describeOne(ctx, c, client.DeadLetter, args[0], c.showDeadLetter)
		})
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
		"Parked", peekParked(d),
		"Edited", editedText(d),
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
	if err := c.object(d.Event); err != nil || len(d.Original) == 0 {
		return err
	}
	if err := c.print("\nEdited from:\n"); err != nil {
		return err
	}
	return c.object(d.Original)
}

func peekParked(d api.DeadLetter) string {
	switch {
	case !d.Parked:
		return ""
	case d.Behind == 0:
		return "its key waits until it is redriven or discarded"
	}
	return fmt.Sprintf("its key waits until it is redriven or discarded; found waiting: %d", d.Behind)
}

func editedText(d api.DeadLetter) string {
	if d.Edited == 0 {
		return ""
	}
	return fmt.Sprintf("for redrive %d", d.Edited)
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

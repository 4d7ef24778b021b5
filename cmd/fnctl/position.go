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

func (c *cli) pauseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause TRIGGER | FUNCTION",
		Short: "Let a trigger's events wait until it is resumed",
		Long: `Let a trigger's events wait until it is resumed.

A paused trigger goes on to collect the events that match, and hands none out. What runs already finishes. The pause survives restarts and deploys.
With a FUNCTION all its topic triggers and its inbox are paused; synchronous calls go on.`,
		Example: `  fnctl pause charge:orders.created
  fnctl pause charge`,
		Args: argCount(1, 1, "a TRIGGER or a FUNCTION"),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.setPaused(cmd.Context(), args[0], (*api.Client).PauseTrigger, (*api.Client).PauseFunction)
	}
	return cmd
}

func (c *cli) resumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume TRIGGER | FUNCTION",
		Short: "End a pause",
		Example: `  fnctl resume charge:orders.created
  fnctl resume charge`,
		Args: argCount(1, 1, "a TRIGGER or a FUNCTION"),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.setPaused(cmd.Context(), args[0], (*api.Client).ResumeTrigger, (*api.Client).ResumeFunction)
	}
	return cmd
}

type pauseFunc func(*api.Client, context.Context, string, string) (api.Paused, error)

// setPaused tells triggers and functions apart by the colon that only names of triggers have.
func (c *cli) setPaused(ctx context.Context, name string, trigger, function pauseFunc) error {
	do := function
	if strings.Contains(name, ":") {
		do = trigger
	}
	return c.call(ctx, func(ctx context.Context, client *api.Client) error {
		res, err := do(client, ctx, c.namespace, name)
		if err != nil {
			return err
		}
		return c.showPaused(res)
	})
}

func (c *cli) showPaused(res api.Paused) error {
	for _, t := range res.Triggers {
		if !t.Changed {
			c.say("note: trigger %s was so before", t.Name)
		}
	}
	if c.format != table {
		return c.object(res)
	}
	type t = api.PausedTrigger
	return list[t]{
		name: func(t t) string { return t.Name },
		columns: []column[t]{
			{title: "TRIGGER", text: func(t t) string { return t.Name }},
			{title: "PAUSED SINCE", text: func(t t) string { return timestamp(t.PausedSince) }},
			{title: "PENDING", text: func(t t) string { return strconv.Itoa(t.Pending) }},
		},
	}.table(c, res.Triggers)
}

func (c *cli) replayCommand() *cobra.Command {
	var since, from, to string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "replay TRIGGER --since 2h | --from TOKEN|TIME|earliest [--to TOKEN|TIME]",
		Short: "Hand stored events to a trigger again",
		Long: `Hand stored events to a trigger again.

Events of the range that match the trigger's filter are handed out once more, each as a new invocation. Events that the trigger has not settled are left
alone, and so are dead letters: fnctl dlq redrive is for those. A TOKEN is what fnctl topic tail -o wide shows behind an event.`,
		Example: `  fnctl replay charge:orders.created --since 2h --dry-run
  fnctl replay charge:orders.created --from 2026-01-31T12:00:00Z --to 2026-01-31T13:00:00Z
  fnctl replay charge:orders.created --from earliest`,
		Args: argCount(1, 1, "a TRIGGER; see fnctl ls trigger"),
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "", "from when on: a time span like 2h or 7d, or a time like 2026-01-31T12:00:00Z")
	flags.StringVar(&from, "from", "", "from where on: a token of fnctl topic tail -o wide, a time, or earliest")
	flags.StringVar(&to, "to", "", "up to where, without it: a token or a time (default now)")
	flags.BoolVar(&dryRun, "dry-run", false, "only count the events")
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := api.ReplayRequest{From: from, To: to, DryRun: dryRun}
		if (since == "") == (from == "") {
			return usagef(cmd.CommandPath()+" TRIGGER --since 2h --dry-run", "say where the replay begins, with either --since or --from")
		}
		if since != "" {
			at, err := c.since(since)
			if err != nil {
				return err
			}
			req.From = at.UTC().Format(time.RFC3339Nano)
		}
		if err := checkReplay(req); err != nil {
			return err
		}
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error { return c.replay(ctx, client, args[0], req) })
	}
	return cmd
}

func checkReplay(req api.ReplayRequest) error {
	for _, f := range [...]struct{ flag, text string }{{"--from", req.From}, {"--to", req.To}} {
		if _, err := api.ParsePosition(f.text); err != nil {
			return usagef("", "%s: %w", f.flag, err)
		}
	}
	if req.From == "latest" {
		return usagef("--from earliest, --since 2h, or a token", "--from latest: there is nothing behind it yet")
	}
	return nil
}

func (c *cli) replay(ctx context.Context, client *api.Client, trigger string, req api.ReplayRequest) error {
	res, err := client.Replay(ctx, c.namespace, trigger, req)
	if err != nil {
		return err
	}
	switch {
	case res.DryRun:
		c.say("nothing was changed; would hand out again: %s", eventsText(res.Events))
	case !res.Finished:
		c.say("handed out so far: %s; the replay goes on", eventsText(res.Events))
		c.say("Try: fnctl describe trigger %s", res.Trigger)
	default:
		c.say("handed out again: %s", eventsText(res.Events))
	}
	if c.format != table {
		return c.object(res)
	}
	left := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	return c.fields(
		"Trigger", res.Trigger,
		"From", clip(res.From, false),
		"To", clip(res.To, false),
		"Events", strconv.Itoa(res.Events),
		"Left alone, pending", left(res.Pending),
		"Left alone, dead letters", left(res.DeadLetters),
	)
}

func eventsText(n int) string {
	if n == 1 {
		return "1 event"
	}
	return strconv.Itoa(n) + " events"
}

// stateText is the state of a trigger in a table.
func (c *cli) stateText(t api.Trigger) string {
	switch {
	case !t.PausedSince.IsZero():
		return "paused " + c.age(t.PausedSince)
	case t.Stats != nil && t.Stats.CatchingUp > 0:
		return "catching up"
	case t.Due != nil && len(t.Due.Next) > 0:
		return "due in " + c.untilText(t.Due.Next[0])
	}
	return "active"
}

// positionFields say what describe shows of a trigger's position.
func positionFields(t api.Trigger) []string {
	replay, catching := "", ""
	if r := t.Replay; r != nil {
		replay = "from " + clip(r.From, false)
		if r.To != "" {
			replay += " to " + clip(r.To, false)
		}
	}
	if t.Stats != nil && t.Stats.CatchingUp > 0 {
		catching = fmt.Sprintf("in %d partitions; new events wait until it has, or come in between in a replay", t.Stats.CatchingUp)
	}
	return []string{"Paused since", timestamp(t.PausedSince), "Start", clip(t.Start, false), "Last replay", replay, "Catching up", catching}
}

// sayNotes tells what a deploy left as it was.
func (c *cli) sayNotes(d api.Deployed) {
	for _, f := range d.Functions {
		for _, text := range f.Notes {
			c.say("note: %s", text)
		}
	}
}

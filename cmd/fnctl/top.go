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

func (c *cli) topCommand() *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what functions do now and what limits them",
		Example: `  fnctl top
  fnctl top --every 2s        # again and again, until Ctrl-C
  fnctl top -o json`,
		Args: argCount(0, 0, "no argument"),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.Flags().DurationVar(&every, "every", 0, "show it again after this time, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if every < 0 || every > 0 && every < 100*time.Millisecond {
			return usagef("", "--every %s is too short; the least is 100ms", every)
		}
		return c.top(cmd.Context(), every)
	}
	return cmd
}

func (c *cli) top(ctx context.Context, every time.Duration) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	show := func() error {
		ctx, cancel := c.limit(ctx)
		defer cancel()
		return fetchAndShow(ctx, c, client.Top, c.loadList())
	}
	for {
		if err := show(); err != nil || every == 0 {
			return err
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *cli) loadList() list[api.Function] {
	type f = api.Function
	number := func(pick func(*api.Load) int) func(f) string {
		return func(f f) string { return strconv.Itoa(pick(f.Load)) }
	}
	return list[f]{
		name: func(f f) string { return f.Name },
		none: fmt.Sprintf("no function in namespace %s has anything to do", c.namespace),
		columns: []column[f]{
			{title: "FUNCTION", text: func(f f) string { return f.Name }},
			{title: "RUNNING", text: number(func(l *api.Load) int { return l.Running })},
			{title: "PARKED", text: number(func(l *api.Load) int { return l.Parked })},
			{title: "AWAY", text: number(func(l *api.Load) int { return l.Away })},
			{title: "IN PROGRESS", text: number(func(l *api.Load) int { return l.InProgress })},
			{title: "WANTED", text: number(func(l *api.Load) int { return l.Wanted })},
			{title: "LIMITED BY", text: func(f f) string { return limitText(f.Load) }},
			{title: "FUEL", text: func(f f) string { return count(f.Load.Fuel) }},
		},
	}
}

func limitText(l *api.Load) string {
	if l.Held != "" {
		return l.Held
	}
	return l.Limit
}

// loadText is what a function does now in one line, "" when that is nothing.
func loadText(l *api.Load) string {
	if l == nil || l.Idle() {
		return ""
	}
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(l.Running, "run")
	add(l.Parked, "wait to go on")
	add(l.Away, "sleep")
	add(l.Waiting, "wait to begin")
	add(l.InProgress-l.Running-l.Parked-l.Away-l.Waiting, "being stored")
	text := fmt.Sprintf("%d in progress", l.InProgress)
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	text += fmt.Sprintf(" of %d", l.Wanted)
	if by := limitText(l); by != "" {
		text += ", limited by " + by
	}
	return text
}

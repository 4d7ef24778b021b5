package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) logsCommand() *cobra.Command {
	var o api.LogOptions
	var since string
	cmd := &cobra.Command{
		Use:   "logs [FUNCTION]",
		Short: "Show what functions logged and how their attempts ended",
		Example: `  fnctl logs -f                              # everything, from now on
  fnctl logs charge --since 10m --level warn
  fnctl logs charge -o wide                  # with what each attempt used
  fnctl logs --invocation 01JA… -o jsonl`,
		Args: argCount(0, 1, "one FUNCTION at most"),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "go on with new entries until interrupted")
	flags.StringVar(&since, "since", "", "not older than this: a time span like 10m or 2d, or a time like 2026-01-31T12:00:00Z")
	flags.StringVar(&o.Level, "level", "", "at least this level: debug, info, warn, error")
	flags.StringVar(&o.Invocation, "invocation", "", "only this invocation")
	flags.IntVar(&o.Limit, "limit", 0, "only the newest entries (default what the server allows)")
	c.formatFlag(cmd, table, wide, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			o.Function = args[0]
		}
		if o.Level != "" {
			if err := oneOf("--level", o.Level, "debug", "info", "warn", "error"); err != nil {
				return err
			}
		}
		var err error
		if o.Since, err = c.since(since); err != nil {
			return err
		}
		return c.logs(cmd.Context(), o)
	}
	return cmd
}

// since reads a span of time before now, or a time.
func (c *cli) since(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := api.ParseDuration(s)
	if err != nil {
		return time.Time{}, usagef("--since 10m, --since 2d or --since 2026-01-31T12:00:00Z", "--since %q is neither a span of time nor a time", s)
	}
	return c.now().Add(-d), nil
}

func (c *cli) logs(ctx context.Context, o api.LogOptions) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := c.streamContext(ctx, o.Follow)
	defer cancel()
	return showEach(c, client.Logs(ctx, c.namespace, o), func(e api.LogEntry) string { return c.logLine(c.out, e) })
}

// showEach shows what comes as it comes, one line each.
func showEach[T any](c *cli, stream iter.Seq2[T, error], text func(T) string) error {
	for e, err := range stream {
		if err != nil {
			return err
		}
		if c.format == jsonLines {
			err = c.line(e)
		} else {
			err = c.print("%s\n", text(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// streamContext bounds what ends by itself, and only that.
func (c *cli) streamContext(ctx context.Context, follow bool) (context.Context, context.CancelFunc) {
	if follow {
		return context.WithCancel(ctx)
	}
	return c.limit(ctx)
}

// logLine is one entry for people: time, level, function, message.
func (c *cli) logLine(w io.Writer, e api.LogEntry) string {
	e = printableEntry(e)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", c.paint(w, dim, timestamp(e.Time)), c.paint(w, levelColour(e.Level), fmt.Sprintf("%-5s", e.Level)), e.Function)
	if c.format == wide {
		fmt.Fprintf(&b, " r%d %s", e.Revision, orDash(e.Trigger))
	}
	if e.Invocation != "" {
		fmt.Fprintf(&b, " [%s]", e.Invocation)
	}
	if e.Message != "" {
		b.WriteString(" " + e.Message)
	}
	if e.Attempt != nil {
		b.WriteString(" " + c.attemptText(w, e))
	}
	return b.String()
}

// printableEntry makes harmless what a function may have written. Further lines are indented, so that none looks like an entry of its own.
func printableEntry(e api.LogEntry) api.LogEntry {
	clean := func(s string) string {
		return strings.ReplaceAll(printable(strings.TrimRight(s, "\n")), "\n", "\n    ")
	}
	e.Message, e.Level, e.Invocation = clean(e.Message), clean(e.Level), clean(e.Invocation)
	e.Function, e.Trigger, e.Next = clean(e.Function), clean(e.Trigger), clean(e.Next)
	if e.Attempt != nil {
		a := *e.Attempt
		a.Error, a.Class, a.Verdict = clean(a.Error), clean(a.Class), clean(a.Verdict)
		e.Attempt = &a
	}
	return e
}

// attemptText says how an attempt ended and what comes next.
func (c *cli) attemptText(w io.Writer, e api.LogEntry) string {
	a := e.Attempt
	colour := green
	if a.Verdict != "done" {
		colour = red
	}
	s := fmt.Sprintf("attempt %d %s in %s", a.Attempt, c.paint(w, colour, a.Verdict), time.Duration(a.Duration).Round(time.Microsecond))
	if a.Class != "" && a.Class != a.Verdict {
		s += " (" + a.Class + ")"
	}
	if a.Error != "" && a.Error != e.Message {
		s += ": " + a.Error
	}
	switch e.Next {
	case "":
	case "retry":
		s += ", next attempt"
		if !e.RetryAt.IsZero() {
			s += " at " + timestamp(e.RetryAt)
		}
	case "dead-letter":
		s += ", given up: see fnctl dlq ls"
	default:
		s += ", " + e.Next
	}
	if bill := billText(a.Bill); bill != "" && c.format == wide {
		s += " · " + bill
	}
	return s
}

func levelColour(level string) string {
	switch level {
	case "error":
		return red
	case "warn":
		return yellow
	case "debug":
		return dim
	}
	return ""
}

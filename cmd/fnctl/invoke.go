package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) invokeCommand() *cobra.Command {
	var ev eventFlags
	var async, verbose bool
	cmd := &cobra.Command{
		Use:   "invoke NAME",
		Short: "Run a function with one event",
		Long: `Run a function with one event.

The data of the reply goes to stdout, everything else to stderr. The exit code is 8 when the function failed or rejected the event.`,
		Example: `  fnctl invoke hello -d '{"name": "Ada"}'
  fnctl invoke tally --key octo/repo -d @push.json -v
  date | fnctl invoke hello -d - --content-type text/plain
  fnctl invoke charge --async -d @order.json
  fnctl invoke remind --async --delay 24h -d '{"order": 42}'`,
		Args: argCount(1, 1, "the NAME of a function"),
	}
	flags := cmd.Flags()
	ev.addFlags(cmd)
	flags.BoolVar(&async, "async", false, "hand the event to the function's inbox and do not wait; prints the invocation id")
	flags.BoolVarP(&verbose, "verbose", "v", false, "show also the reply's attributes, what the function logged, and what the attempt used: time, fuel, memory, bytes, host calls")
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ev.hasData = cmd.Flags().Changed("data")
		return c.invoke(cmd.Context(), args[0], &ev, async, verbose)
	}
	return cmd
}

// addFlags adds the flags of attributes that invoke and emit share.
func (f *eventFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.data, "data", "d", "", "data: the text itself, @FILE, or - for stdin")
	flags.StringVar(&f.typ, "type", "", "type of the event, like com.shop.order")
	flags.StringVar(&f.source, "source", "", "source of the event")
	flags.StringVar(&f.subject, "subject", "", "subject of the event")
	flags.StringVar(&f.key, "key", "", "key: what orders events and holds state (partitionkey)")
	flags.StringVar(&f.id, "id", "", "id of the event (default random)")
	flags.StringVar(&f.contentType, "content-type", "", "content type of the data (default JSON, text or bytes, by what it is)")
	flags.StringVar(&f.delay, "delay", "", "hold the event back for this long, like 90s, 24h or 14d")
	flags.StringVar(&f.at, "at", "", "hold the event back until this time, like 2026-01-31T12:00:00Z")
	flags.StringArrayVar(&f.ext, "ext", nil, "extension attribute NAME=VALUE; may be repeated")
}

func (c *cli) invoke(ctx context.Context, name string, ev *eventFlags, async, verbose bool) error {
	if !async && (ev.delay != "" || ev.at != "") {
		return usagef("fnctl invoke "+name+" --async --delay 10m", "only an event for the function's inbox can be held back")
	}
	if err := ev.checkDelay(); err != nil {
		return err
	}
	data, err := c.readData(ev.data)
	if err != nil {
		return err
	}
	body, err := ev.build(data)
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	callCtx, cancel := c.limit(ctx)
	defer cancel()
	reply, err := client.Invoke(callCtx, c.namespace, name, api.InvokeRequest{Event: body, Async: async})
	if err != nil {
		return invokeError(name, err)
	}
	if async {
		return c.showAccepted(name, reply)
	}
	return c.showReply(ctx, client, name, reply, verbose)
}

// invokeError tells a function that failed from a call that failed: with an invocation the function had run.
func invokeError(name string, err error) error {
	var p *api.Problem
	if errors.As(err, &p) && p.Invocation != "" && p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable {
		return &functionError{name: name, verdict: "failed", text: p.Error()}
	}
	return err
}

func (c *cli) showAccepted(name string, reply api.InvokeReply) error {
	if c.format != table {
		return c.object(reply)
	}
	c.say("accepted for %s; follow it with: fnctl logs %s --invocation %s", name, name, reply.Invocation)
	return c.print("%s\n", printable(reply.Invocation))
}

func (c *cli) showReply(ctx context.Context, client *api.Client, name string, r api.InvokeReply, verbose bool) error {
	if c.format != table {
		if err := c.object(r); err != nil {
			return err
		}
	} else if err := c.showData(r.Data); err != nil {
		return err
	}
	if verbose {
		c.showInvocation(ctx, client, name, r)
	}
	colour := green
	if r.Verdict != "done" {
		colour = red
	}
	c.say("%s · %s revision %d · %s · invocation %s", c.paint(c.err, colour, r.Verdict), name, r.Revision,
		time.Duration(r.Duration).Round(time.Microsecond), printable(r.Invocation))
	if verbose {
		c.showBill(r)
	}
	if r.Verdict != "done" {
		return &functionError{name: name, verdict: r.Verdict, class: r.Class, text: r.Error}
	}
	return nil
}

// showData writes the reply as it is; only for a terminal it ends the line.
func (c *cli) showData(data []byte) error {
	if _, err := c.out.Write(data); err != nil {
		return err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' && isTerminal(c.out) {
		return c.print("\n")
	}
	return nil
}

// showBill says below the outcome what the attempt used.
func (c *cli) showBill(r api.InvokeReply) {
	fields := billFields(r.Bill)
	if r.Attempt > 0 {
		fields = append([]string{"Attempt", strconv.Itoa(r.Attempt)}, fields...)
	}
	_ = writeFields(c.err, fields...) // there is nowhere left to report to
}

// showInvocation tells what else is known. It is an extra: when the logs cannot be had, it says so and goes on.
func (c *cli) showInvocation(ctx context.Context, client *api.Client, name string, r api.InvokeReply) {
	if len(r.Attributes) > 0 {
		c.say("attributes: %s", printable(string(r.Attributes)))
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	for e, err := range client.Logs(ctx, c.namespace, api.LogOptions{Function: name, Invocation: r.Invocation}) {
		if err != nil {
			c.say("the function's log is not available: %v", err)
			return
		}
		if e.Attempt == nil {
			c.say("%s", c.logLine(c.err, e))
		}
	}
}

package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) triggerCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "trigger",
		Short: "List triggers and run those with a schedule",
		Example: `  fnctl trigger ls
  fnctl trigger run nightly:cron`,
	}, c.triggerLsCommand(), c.triggerRunCommand())
}

func (c *cli) triggerLsCommand() *cobra.Command {
	return c.plainLs("List triggers", `  fnctl trigger ls -o wide`, func(ctx context.Context, client *api.Client) error {
		return fetchAndShow(ctx, c, client.Triggers, c.triggerList())
	})
}

func (c *cli) triggerRunCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run TRIGGER",
		Short: "Make a cron trigger fire now",
		Long: `Make a cron trigger fire now.

It prints the id of the invocation. The schedule goes on as if nothing had happened. With overlap: skip it is refused while an earlier firing is not done.
The invocation of a paused trigger waits until it is resumed.`,
		Example: `  fnctl trigger run nightly:cron
  fnctl invocations show $(fnctl trigger run nightly:cron)`,
		Args: argCount(1, 1, "a TRIGGER; see fnctl ls trigger"),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error { return c.runTrigger(ctx, client, args[0]) })
	}
	return cmd
}

func (c *cli) runTrigger(ctx context.Context, client *api.Client, name string) error {
	res, err := client.RunTrigger(ctx, c.namespace, name)
	if err != nil {
		return err
	}
	if c.format != table {
		return c.object(res)
	}
	return c.print("%s\n", res.Invocation)
}

// sayDue tells when the cron triggers of a deploy fire.
func (c *cli) sayDue(d api.Deployed) {
	for _, f := range d.Functions {
		for _, due := range f.Due {
			if len(due.Next) > 0 {
				c.say("trigger %s fires at %s", due.Trigger, timesText(due.Next))
			}
		}
	}
}

// timesText has the offset of the trigger's time zone with each.
func timesText(times []time.Time) string {
	var parts []string
	for _, t := range times {
		parts = append(parts, t.Format("2006-01-02 15:04:05 -0700"))
	}
	return strings.Join(parts, ", ")
}

// cronFields say what describe shows of a cron trigger.
func cronFields(t api.Trigger) []string {
	if t.Cron == nil {
		return nil
	}
	fields := []string{
		"Schedule", t.Cron.Schedule,
		"Time zone", cmp.Or(t.Cron.Timezone, "UTC"),
		"Missed", cmp.Or(t.Cron.Missed, "last"),
		"Overlap", cmp.Or(t.Cron.Overlap, "allow"),
		"Jitter", durationText(t.Cron.Jitter),
	}
	if t.Due != nil {
		fields = append(fields, "Last due", timestamp(t.Due.Last), "Fires at", timesText(t.Due.Next))
	}
	return fields
}

func cronOf(t api.Trigger) api.CronTrigger {
	if t.Cron == nil {
		return api.CronTrigger{}
	}
	return *t.Cron
}

// dueText is the next due time of a cron trigger.
func dueText(t api.Trigger) string {
	if t.Due == nil || len(t.Due.Next) == 0 {
		return ""
	}
	return timesText(t.Due.Next[:1])
}

// untilText is how long it is until a time, in the words of age.
func (c *cli) untilText(t time.Time) string {
	return c.age(c.now().Add(-t.Sub(c.now())))
}

package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) rmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm KIND NAME | rm revision FUNCTION rN",
		Short: "Remove a function with its triggers, a topic that nothing names, or a revision that nothing uses",
		Long: `Remove a function with its triggers, a topic that nothing names, or a revision that nothing uses.

A revision is used as long as it is the newest, has traffic, is what a canary goes back to, or an event or dead letter was redriven to it. Those beyond the newest ten
that nothing uses are removed without being asked to.`,
		Example: `  fnctl rm function charge
  fnctl rm topic orders.created
  fnctl rm revision charge r3`,
		Args:              argCount(2, 3, "KIND NAME, like function charge"),
		ValidArgsFunction: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			what, err := parseKind(args[0])
			if err != nil {
				return err
			}
			if what == revisionKind {
				return c.removeRevision(cmd, args[1:])
			}
			if len(args) == 3 {
				return usagef("", "%s takes KIND NAME, but there is also %q", cmd.CommandPath(), args[2])
			}
			return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error { return c.remove(ctx, client, what, args[1]) })
		},
	}
}

func (c *cli) remove(ctx context.Context, client *api.Client, what kind, name string) error {
	switch what {
	case routeKind:
		return usagef("remove it from `on:` in fn.yaml and deploy again", "route %s cannot be removed alone, it belongs to its function", name)
	case triggerKind:
		return usagef("remove it from `on:` in fn.yaml and deploy again", "trigger %s cannot be removed alone, it belongs to its function", name)
	case topicKind:
		if err := client.DeleteTopic(ctx, c.namespace, name); err != nil {
			return err
		}
		c.say("removed topic %s from namespace %s", name, c.namespace)
		return nil
	}
	f, err := client.Function(ctx, c.namespace, name) // to say what goes with it
	if err != nil {
		return err
	}
	if err := client.DeleteFunction(ctx, c.namespace, name); err != nil {
		return err
	}
	c.say("removed function %s (revision %d) from namespace %s", name, f.Revision, c.namespace)
	if triggers := triggerNames(f.Triggers); len(triggers) > 0 {
		c.say("removed its triggers %s", strings.Join(triggers, ", "))
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) trafficCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "traffic FUNCTION [rN=PERCENT…]",
		Short: "Show a function's revisions, or say which of them run its events",
		Long: `Show a function's revisions, or say which of them run its events.

Shares are of keys: a key stays on one revision, for calls and for events of every trigger, and when the share of the newer one of two revisions grows it
keeps the keys it has. Each attempt goes by the traffic in force then. The next deploy that changes the function gives all to its new revision, or with --canary a
part. Traffic that is set by hand ends a canary.`,
		Example: `  fnctl traffic charge
  fnctl traffic charge r7=95 r8=5`,
		Args: argCount(1, 101, "a FUNCTION, and shares like r7=95 r8=5"),
	}
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, jsonLines, nameForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return c.revisions(cmd.Context(), args[0])
		}
		var shares []api.Share
		for _, arg := range args[1:] {
			s, err := parseShare(arg)
			if err != nil {
				return err
			}
			shares = append(shares, s)
		}
		return c.setTraffic(cmd.Context(), args[0], shares)
	}
	return cmd
}

func (c *cli) rollbackCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "rollback FUNCTION [--to rN]",
		Short: "Give all of a function's events to an earlier revision",
		Long: `Give all of a function's events to an earlier revision: the one before the newest that runs any of them now, or the one that --to names.

Triggers stay as the newest deploy has them; module, limits, env and retry are those of the revision. A canary that runs ends. What the other revision left as dead
letters stays so: fnctl dlq redrive.`,
		Example: `  fnctl rollback charge
  fnctl rollback charge --to r7`,
		Args: argCount(1, 1, "a FUNCTION"),
	}
	cmd.Flags().StringVar(&to, "to", "", "the revision, like r7 (default the one before)")
	c.formatFlag(cmd, table, jsonForm, yamlForm, jsonLines, nameForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if to == "" {
			return c.rollback(cmd.Context(), args[0])
		}
		revision, err := parseRevision(to)
		if err != nil {
			return err
		}
		return c.setTraffic(cmd.Context(), args[0], []api.Share{{Revision: revision, Percent: 100}})
	}
	return cmd
}

// parseShare reads "r7=95".
func parseShare(s string) (api.Share, error) {
	name, share, ok := strings.Cut(s, "=")
	percent, err := strconv.Atoi(strings.TrimSuffix(share, "%"))
	if !ok || err != nil {
		return api.Share{}, usagef("fnctl traffic FUNCTION r7=95 r8=5", "%q is not a share; it is a revision and its percent", s)
	}
	revision, err := parseRevision(name)
	return api.Share{Revision: revision, Percent: percent}, err
}

// parseRevision reads "r7" or "7".
func parseRevision(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "r"))
	if err != nil || n < 1 {
		return 0, usagef("fnctl traffic FUNCTION shows what there is", "%q is not a revision such as r7", s)
	}
	return n, nil
}

func (c *cli) revisions(ctx context.Context, function string) error {
	return c.call(ctx, func(ctx context.Context, client *api.Client) error {
		list, err := client.Revisions(ctx, c.namespace, function)
		if err != nil {
			return err
		}
		return c.showRevisions(list)
	})
}

// showRevisions ends with the canary, for people.
func (c *cli) showRevisions(list []api.Revision) error {
	if err := c.revisionList().show(c, list); err != nil || c.format != table && c.format != wide {
		return err
	}
	for _, r := range list {
		if r.Rollout != nil {
			if err := c.print("\n"); err != nil {
				return err
			}
			return c.fields(c.rolloutFields(r.Rollout)...)
		}
	}
	return nil
}

func (c *cli) setTraffic(ctx context.Context, function string, shares []api.Share) error {
	return c.call(ctx, func(ctx context.Context, client *api.Client) error {
		list, err := client.SetTraffic(ctx, c.namespace, function, api.TrafficRequest{Traffic: shares})
		if err != nil {
			return err
		}
		return c.showRevisions(list)
	})
}

func (c *cli) rollback(ctx context.Context, function string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	limited, cancel := c.limit(ctx)
	defer cancel()
	list, err := client.Revisions(limited, c.namespace, function)
	if err != nil {
		return err
	}
	newest := 0
	for _, r := range list { // the newest first
		switch {
		case newest == 0 && r.Percent > 0:
			newest = r.Revision
		case newest > 0:
			return c.setTraffic(ctx, function, []api.Share{{Revision: r.Revision, Percent: 100}})
		}
	}
	return &adviceError{err: fmt.Errorf("function %s keeps no revision before r%d", function, newest), try: "deploy the earlier source again"}
}

func (c *cli) revisionList() list[api.Revision] {
	type r = api.Revision
	return list[r]{
		name: func(r r) string { return "r" + strconv.Itoa(r.Revision) },
		columns: []column[r]{
			{title: "REVISION", text: func(r r) string { return "r" + strconv.Itoa(r.Revision) }},
			{title: "TRAFFIC", text: func(r r) string {
				if r.Percent == 0 {
					return "-"
				}
				return strconv.Itoa(r.Percent) + "%"
			}},
			{title: "DEPLOYED", text: func(r r) string { return c.age(r.Created) }},
			{title: "MODULE", text: func(r r) string { return r.Module }},
			{title: "NEEDED", wide: true, text: func(r r) string { return strings.Join(r.Uses, "; ") }},
		},
		none: "no revisions",
	}
}

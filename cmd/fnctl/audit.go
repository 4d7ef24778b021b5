package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) auditCommand() *cobra.Command {
	var o api.AuditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Who changed what, when and from where; for admins",
		Long: `Who changed what, when and from where; for admins.

Every change through the management API is recorded before it is made, and how it ended after; STATUS is empty when the runtime
ended in between. Neither bodies nor secrets are recorded. It shows what the node that answers has recorded.`,
		Example: `  fnctl audit
  fnctl audit --since 24h -o json`,
		Args: argCount(0, 0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Since, "since", "", "only changes after a time, or from so long ago, like 24h or 7d")
	flags.IntVar(&o.Limit, "limit", 0, "only the newest so many (default 100)")
	c.formatFlag(cmd, table, jsonForm, yamlForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			found, err := client.Audit(ctx, o)
			if err != nil {
				return err
			}
			return auditList().show(c, found)
		})
	}
	return cmd
}

func auditList() list[api.Audit] {
	type a = api.Audit
	return list[a]{
		name: func(a a) string { return a.ID },
		none: "no changes",
		columns: []column[a]{
			{title: "TIME", text: func(a a) string { return timestamp(a.Time) }},
			{title: "WHO", text: func(a a) string { return a.Who }},
			{title: "FROM", text: func(a a) string { return a.Address }},
			{title: "WHAT", text: func(a a) string { return oneLine(a.Method + " " + a.Path()) }},
			{title: "STATUS", text: statusText},
		},
	}
}

func statusText(a api.Audit) string {
	switch {
	case a.Status == 0:
		return ""
	case a.Problem != "":
		return strconv.Itoa(a.Status) + " " + a.Problem
	}
	return strconv.Itoa(a.Status)
}

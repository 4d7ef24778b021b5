package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) tokenCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "Who may use the management API: tokens with roles, which end or are revoked",
		Example: `  fnctl token create ada --role admin
  fnctl token create ci --role deployer --ns shop --expires 90d
  fnctl token ls
  fnctl token revoke ci`,
	}, c.tokenCreateCommand(), c.tokenLsCommand(), c.tokenRevokeCommand())
}

func (c *cli) tokenCreateCommand() *cobra.Command {
	var r api.AccessTokenRequest
	var expires string
	cmd := &cobra.Command{
		Use:   "create NAME --role viewer|deployer|admin",
		Short: "Make a token and print it, once",
		Long: `Make a token and print it, once: the server keeps a hash of it.

A viewer reads: functions, events, logs. A deployer also deploys, invokes and emits, pauses, redrives and removes. An admin also
makes tokens and API keys, backs up, and reads the audit log. With --ns a token is for these namespaces only.

The first token closes a server that was open to everybody on its machine; it must be an admin of all namespaces.`,
		Example: `  fnctl token create ada --role admin
  export FNCTL_TOKEN=$(fnctl token create ci --role deployer --ns shop --expires 90d)`,
		Args: argCount(1, 1, "a NAME for the token"),
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Role, "role", "", "viewer, deployer or admin (required)")
	flags.StringSliceVar(&r.Namespaces, "ns", nil, "only for these namespaces, by comma (default all)")
	flags.StringVar(&expires, "expires", "", "how long it lives, like 12h or 90d (default until it is revoked)")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(api.Roles[:], cobra.ShellCompDirectiveNoFileComp)) // only fails for an unknown flag
	c.formatFlag(cmd, nameForm, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if r.Role == "" {
			return usagef("add --role viewer, --role deployer or --role admin", "token create needs a --role, which says what the token may do")
		}
		if err := oneOf("--role", r.Role, api.Roles[:]...); err != nil {
			return err
		}
		if r.Lifetime, err = lifetime(expires); err != nil {
			return err
		}
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			made, err := client.CreateToken(ctx, args[0], r)
			if err != nil {
				return err
			}
			c.say("made token %s: %s of %s, %s; this is the only time that it is shown", made.Name, made.Role, namespacesText(made.AccessToken), endText(made.Expires))
			if c.format != nameForm {
				return c.object(made)
			}
			return c.print("%s\n", made.Secret)
		})
	}
	return cmd
}

// lifetime reads --expires.
func lifetime(text string) (api.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := api.ParseDuration(text)
	if err != nil {
		return 0, usagef("--expires 90d", "--expires: %v", err)
	}
	if d == 0 {
		return 0, usagef("--expires 90d, or leave it out for one that is good until it is revoked", "--expires is %q, so it would never be good", text)
	}
	return api.Duration(d), nil
}

func (c *cli) tokenLsCommand() *cobra.Command {
	return c.plainLs("List tokens: names, roles, and when they end; never the tokens themselves", `  fnctl token ls`, func(ctx context.Context, client *api.Client) error {
		found, err := client.Tokens(ctx)
		if err != nil {
			return err
		}
		return c.tokenList().show(c, found)
	})
}

func (c *cli) tokenList() list[api.AccessToken] {
	type t = api.AccessToken
	return list[t]{
		name: func(t t) string { return t.Name },
		none: "no tokens",
		columns: []column[t]{
			{title: "NAME", text: func(t t) string { return t.Name }},
			{title: "ROLE", text: func(t t) string { return t.Role }},
			{title: "NAMESPACES", text: namespacesText},
			{title: "ENDS", text: func(t t) string { return c.ends(t.Expires) }},
			{title: "AGE", text: func(t t) string { return c.age(t.Created) }},
			{title: "BY", wide: true, text: func(t t) string { return t.By }},
		},
	}
}

func namespacesText(t api.AccessToken) string {
	if len(t.Namespaces) == 0 {
		return "all"
	}
	return strings.Join(slices.Clone(t.Namespaces), ",")
}

// ends says when something ends, in a table.
func (c *cli) ends(t time.Time) string {
	switch left := t.Sub(c.now()); {
	case t.IsZero():
		return "never"
	case left <= 0:
		return "expired"
	case left < 48*time.Hour:
		return "in " + left.Truncate(time.Minute).String()
	default:
		return fmt.Sprintf("in %dd", int(left.Hours())/24)
	}
}

func endText(t time.Time) string {
	if t.IsZero() {
		return "until it is revoked"
	}
	return "until " + timestamp(t)
}

func (c *cli) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME",
		Short:   "End a token at once",
		Example: `  fnctl token revoke ci`,
		Args:    argCount(1, 1, "the NAME of a token; see fnctl token ls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
				if err := client.RevokeToken(ctx, args[0]); err != nil {
					return err
				}
				c.say("revoked token %s", printable(args[0]))
				return nil
			})
		},
	}
}

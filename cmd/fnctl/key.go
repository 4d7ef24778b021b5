package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) keyCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "key",
		Short: "API keys: who may send data to triggers and topics with auth: key",
		Example: `  fnctl key create web --function checkout --rate 100/s
  fnctl key create partner --topic 'orders.*' --expires 90d
  fnctl key ls
  fnctl key revoke partner`,
	}, c.keyCreateCommand(), c.keyLsCommand(), c.keyRevokeCommand())
}

func (c *cli) keyCreateCommand() *cobra.Command {
	var r api.KeyRequest
	var expires, rate string
	cmd := &cobra.Command{
		Use:   "create NAME [--function F] [--topic T] [--rate 100/s]",
		Short: "Make an API key and print it, once",
		Long: `Make an API key and print it, once: the server keeps a hash of it.

A client sends it as "Authorization: Bearer evk_…" or as "Evoke-Api-Key: evk_…". Without --function and --topic it is for everything
in its namespace that has auth: key in fn.yaml. --rate is what each node lets through; what is more gets 429.`,
		Example: `  fnctl key create web --function checkout --rate 100/s
  fnctl key create partner --topic 'orders.*' --expires 90d`,
		Args: argCount(1, 1, "a NAME for the key"),
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.Functions, "function", nil, "only for these functions, by comma")
	flags.StringSliceVar(&r.Topics, "topic", nil, "only for these topics, by comma; * stands for one token, > for the rest")
	flags.StringVar(&rate, "rate", "", "how many requests each node lets through, like 100/s or 1000/h (default any)")
	flags.StringVar(&expires, "expires", "", "how long it lives, like 12h or 90d (default until it is revoked)")
	c.formatFlag(cmd, nameForm, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if r.Lifetime, err = lifetime(expires); err != nil {
			return err
		}
		if r.Rate, err = parseKeyRate(rate); err != nil {
			return err
		}
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			made, err := client.CreateKey(ctx, c.namespace, args[0], r)
			if err != nil {
				return err
			}
			c.say("made key %s for %s, %s; this is the only time that it is shown", made.Name, keyScope(made.Key), endText(made.Expires))
			if c.format != nameForm {
				return c.object(made)
			}
			return c.print("%s\n", made.Secret)
		})
	}
	return cmd
}

// parseKeyRate reads "100/s", or with a longer period "100/10m".
func parseKeyRate(text string) (*api.KeyRate, error) {
	if text == "" {
		return nil, nil
	}
	count, period, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 {
		return nil, usagef("--rate 100/s, --rate 1000/h or --rate 10/15m", "--rate is %q; it must be a number and a period", text)
	}
	if period == "s" || period == "m" || period == "h" || period == "d" {
		period = "1" + period
	}
	d, err := api.ParseDuration(period)
	if err != nil {
		return nil, usagef("--rate 100/s, --rate 1000/h or --rate 10/15m", "--rate: %v", err)
	}
	return &api.KeyRate{Limit: n, Period: api.Duration(d)}, nil
}

func keyRateText(k api.Key) string {
	if k.Rate == nil {
		return "any"
	}
	period := strings.Replace(durationText(k.Rate.Period), "m0s", "m", 1)
	switch period = strings.Replace(period, "h0m", "h", 1); period {
	case "1s", "1m", "1h":
		period = period[1:]
	case "24h":
		period = "d"
	}
	return fmt.Sprintf("%d/%s", k.Rate.Limit, period)
}

// keyScope is what a key is for.
func keyScope(k api.Key) string {
	var parts []string
	if len(k.Functions) > 0 {
		parts = append(parts, "functions "+strings.Join(k.Functions, ","))
	}
	if len(k.Topics) > 0 {
		parts = append(parts, "topics "+strings.Join(k.Topics, ","))
	}
	return cmp.Or(strings.Join(parts, " and "), "everything in namespace "+k.Namespace)
}

func (c *cli) keyLsCommand() *cobra.Command {
	return c.plainLs("List API keys: names, what they are for, and when they end; never the keys themselves", `  fnctl key ls`, func(ctx context.Context, client *api.Client) error {
		return fetchAndShow(ctx, c, client.Keys, c.keyList())
	})
}

func (c *cli) keyList() list[api.Key] {
	type k = api.Key
	return list[k]{
		name: func(k k) string { return k.Name },
		none: "no API keys in namespace " + c.namespace,
		columns: []column[k]{
			{title: "NAME", text: func(k k) string { return k.Name }},
			{title: "FOR", text: keyScope},
			{title: "RATE", text: keyRateText},
			{title: "ENDS", text: func(k k) string { return c.ends(k.Expires) }},
			{title: "AGE", text: func(k k) string { return c.age(k.Created) }},
			{title: "BY", wide: true, text: func(k k) string { return k.By }},
		},
	}
}

func (c *cli) keyRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME",
		Short:   "End an API key at once",
		Example: `  fnctl key revoke partner`,
		Args:    argCount(1, 1, "the NAME of an API key; see fnctl key ls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
				if err := client.RevokeKey(ctx, c.namespace, args[0]); err != nil {
					return err
				}
				c.say("revoked key %s in namespace %s", printable(args[0]), c.namespace)
				return nil
			})
		},
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func (c *cli) secretCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "secret",
		Short: "Set, list and remove secrets",
		Long:  `Set, list and remove secrets: values that functions may read when their fn.yaml lists them, and that nothing shows.`,
		Example: `  fnctl secret set stripe_key < key.txt
  fnctl secret ls
  fnctl secret rm stripe_key`,
	}, c.secretSetCommand(), c.secretLsCommand(), c.secretRmCommand())
}

func (c *cli) secretSetCommand() *cobra.Command {
	var file, keepOld string
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Make a secret, or exchange its value",
		Long: `Make a secret, or exchange its value. Functions see it with their next event, without a deploy.

The value comes from stdin, less one line end at its end, or from a file as it is; never from the command line, which others can see. With --keep-old webhooks go on taking
the value before for so long, so that who signs can change over meanwhile.`,
		Example: `  fnctl secret set stripe_key < key.txt
  openssl rand -hex 32 | fnctl secret set webhook_key --keep-old 24h
  fnctl secret set tls_key --from-file key.pem`,
		Args: secretSetArgs,
	}
	cmd.Flags().StringVar(&file, "from-file", "", "read the value from this file")
	cmd.Flags().StringVar(&keepOld, "keep-old", "", "how long webhooks also take the value before, like 24h or 7d (at most 30d)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := api.SecretRequest{}
		if keepOld != "" {
			d, err := api.ParseDuration(keepOld)
			if err != nil || d < 0 || api.Duration(d) > api.MaxKeepOld {
				return usagef("--keep-old 24h", "--keep-old %q is no time span from 0 to 30d", keepOld)
			}
			req.KeepOld = api.Duration(d)
		}
		if !api.IsSecretName(args[0]) {
			return usagef("", "%q is no name of a secret: it has %s", args[0], api.SecretNameRule)
		}
		var err error
		if req.Value, err = c.readSecret(args[0], file); err != nil {
			return err
		}
		return c.setSecret(cmd, args[0], req)
	}
	return cmd
}

// secretSetArgs does not repeat what may be the value.
func secretSetArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("printf %s \"$VALUE\" | fnctl secret set "+args[0], "a value on the command line can be seen by others, and stays in the history of the shell; it comes from stdin or --from-file")
	}
	return argCount(1, 1, "a NAME")(cmd, args)
}

func (c *cli) readSecret(name, file string) ([]byte, error) {
	var value []byte
	from := "stdin"
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--from-file: %w", err), try: "--from-file FILE with a file that is there, or the value on stdin"}
		}
		defer f.Close() // only read
		if value, err = readSecretFrom(f, file); err != nil {
			return nil, err
		}
		from = file
	} else {
		if isTerminal(c.in) {
			c.say("Type the value, which is shown, then Enter and Ctrl-D:")
		}
		var err error
		if value, err = readSecretFrom(c.in, from); err != nil {
			return nil, err
		}
		value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	}
	if len(value) == 0 {
		return nil, usagef("printf %s \"$VALUE\" | fnctl secret set "+name, "the value from %s is empty", from)
	}
	return value, nil
}

func readSecretFrom(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, api.MaxSecret+3)) // a line end may come off
	if err != nil {
		return nil, fmt.Errorf("read the value from %s: %w", name, err)
	}
	if len(b) > api.MaxSecret+2 {
		return nil, usagef("a secret that opens the rest, like a key", "the value from %s has more than %s", name, size(api.MaxSecret))
	}
	return b, nil
}

func (c *cli) setSecret(cmd *cobra.Command, name string, req api.SecretRequest) error {
	return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
		s, err := client.SetSecret(ctx, c.namespace, name, req)
		if err != nil {
			return err
		}
		done := "set"
		if !s.Created.Equal(s.Updated) {
			done = "changed"
		}
		c.say("%s secret %s in namespace %s (%s)", done, name, c.namespace, size(int64(len(req.Value))))
		if !s.OldUntil.IsZero() {
			c.say("webhooks take the value before until %s", s.OldUntil.Local().Format(time.DateTime))
		}
		return nil
	})
}

func (c *cli) secretLsCommand() *cobra.Command {
	return c.plainLs("List secrets, without their values", `  fnctl secret ls -o wide`, func(ctx context.Context, client *api.Client) error {
		return fetchAndShow(ctx, c, client.Secrets, c.secretList())
	})
}

func (c *cli) secretList() list[api.Secret] {
	type s = api.Secret
	return list[s]{
		name: func(s s) string { return s.Name },
		none: fmt.Sprintf("no secrets in namespace %s; make one with fnctl secret set NAME", c.namespace),
		columns: []column[s]{
			{title: "SECRET", text: func(s s) string { return s.Name }},
			{title: "USED BY", text: func(s s) string { return strings.Join(s.UsedBy, ", ") }},
			{title: "CREATED", text: func(s s) string { return c.age(s.Created) }},
			{title: "UPDATED", text: func(s s) string { return c.age(s.Updated) }},
			{title: "OLD UNTIL", text: func(s s) string { return timestamp(s.OldUntil) }},
			{title: "KEY", wide: true, text: func(s s) string { return s.Key }},
			{title: "PROBLEM", wide: true, text: func(s s) string { return s.Problem }},
		},
	}
}

func (c *cli) secretRmCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a secret that nothing names",
		Example: `  fnctl secret rm stripe_key
  fnctl secret rm stripe_key --force    # also when a function names it`,
		Args: argCount(1, 1, "a NAME"),
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove it though functions name it; they find it gone")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.call(cmd.Context(), func(ctx context.Context, client *api.Client) error {
			if err := client.DeleteSecret(ctx, c.namespace, args[0], force); err != nil {
				return err
			}
			c.say("removed secret %s from namespace %s", args[0], c.namespace)
			return nil
		})
	}
	return cmd
}

package main

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// versions is what `fnctl version` shows.
type versions struct {
	Client clientVersion `json:"client"`
	Server *api.Version  `json:"server,omitempty"`
}

type clientVersion struct {
	Version string `json:"version"`
	Go      string `json:"go"`
}

func (c *cli) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of fnctl and, when it answers, of the server",
		Example: `  fnctl version
  fnctl version -o json`,
		Args: argCount(0, 0, ""),
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.call(cmd.Context(), c.version) }
	return cmd
}

func (c *cli) version(ctx context.Context, client *api.Client) error {
	v := versions{Client: clientVersion{Version: buildVersion(), Go: runtime.Version()}}
	server, err := client.Version(ctx)
	var unreachable *api.UnreachableError
	switch {
	case err == nil:
		v.Server = &server
	case errors.As(err, &unreachable):
		c.say("no server: %v", err) // its absence is no failure of a question for versions
	default:
		return err
	}
	if c.format != table {
		return c.object(v)
	}
	return c.showVersions(v)
}

func (c *cli) showVersions(v versions) error {
	pairs := []string{"Client", v.Client.Version + " (" + v.Client.Go + ")"}
	if s := v.Server; s != nil {
		pairs = append(pairs, "Server", s.Version+" ("+s.Go+")", "ABI", s.ABI, "Gateway", s.Gateway)
	}
	return c.fields(pairs...)
}

// buildVersion is what the go command stamped into the program.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

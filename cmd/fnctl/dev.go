package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// devFlags say how fnctl dev runs its runtime.
type devFlags struct {
	file, dataDir, listen, admin string
	temp                         bool
	runtime                      []string // settings behind --
}

func (c *cli) devCommand() *cobra.Command {
	var o devFlags
	cmd := &cobra.Command{
		Use:   "dev [DIR | -f fn.yaml] [-- RUNTIME SETTING…]",
		Short: "Run an app here, and bring what is saved into force at once",
		Long: `Run an app here, and bring what is saved into force at once.

It starts a runtime of its own, deploys the app, and watches the sources of all functions, wherever they lie, and fn.yaml. What is saved is built and deployed by the ordinary way, so no event is
lost. What cannot be built or deployed is said, and what ran before goes on. The logs of all functions are shown as they come.

On a terminal there are keys: e sends a test event (events/*.json), r sends the last one again, d shows dead letters and redrives them, h helps, q ends. Ctrl-C ends it, too, and the runtime with it.

What the runtime keeps is in .evoke beside fn.yaml, so that topics, state and dead letters are there again the next time; with --temp it begins with nothing and leaves nothing behind.
The runtime is the program runtime: it is found beside fnctl, on PATH, or by FNCTL_RUNTIME. Contexts, FNCTL_SERVER and EVOKE_* are not for it; settings behind -- are.`,
		Example: `  fnctl dev                          # the fn.yaml here
  fnctl dev ./shop --temp
  fnctl dev --listen 127.0.0.1:0 --admin 127.0.0.1:0     # on free ports
  fnctl dev -o jsonl                 # what happens, for programs
  fnctl dev -- --fetch-allow 127.0.0.0/8                 # functions may send requests to this machine`,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.resolveDev(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "", "the manifest (default fn.yaml in DIR)")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address of the gateway; port 0 takes a free one")
	flags.StringVar(&o.admin, "admin", "127.0.0.1:8081", "address of the management API")
	flags.StringVar(&o.dataDir, "data-dir", "", "where the runtime keeps everything (default .evoke beside the manifest)")
	flags.BoolVar(&o.temp, "temp", false, "begin with nothing, and remove everything at the end")
	c.formatFlag(cmd, table, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if n := cmd.ArgsLenAtDash(); n >= 0 {
			args, o.runtime = args[:n], args[n:]
		}
		file, rest := manifestFile(o.file, args)
		if len(rest) > 0 {
			return usagef("fnctl dev DIR, with a directory that has a fn.yaml", "%q is no directory with a fn.yaml, and fnctl dev runs whole apps", rest[0])
		}
		if o.temp && o.dataDir != "" {
			return usagef("only one of them", "--temp has a directory of its own, and --data-dir names another")
		}
		o.file = file
		return c.dev(cmd.Context(), o)
	}
	return cmd
}

// resolveDev is resolve for a server that is not there yet. No token of another one goes to it.
func (c *cli) resolveDev(cmd *cobra.Command) error {
	for _, flag := range []string{"server", "token", "context"} {
		if cmd.Flags().Changed(flag) {
			return usagef("fnctl deploy --"+flag+" …, for a server that runs", "fnctl dev runs a server of its own, and takes no --%s", flag)
		}
	}
	c.namespace = cmp.Or(c.namespace, c.getenv("FNCTL_NAMESPACE"), defaultNamespace)
	return nil
}

func (c *cli) dev(ctx context.Context, o devFlags) (err error) {
	path, err := c.findRuntime("fnctl dev")
	if err != nil {
		return err
	}
	if _, err := os.Stat(o.file); err != nil {
		_, err := readManifest(o.file) // has the words for it
		return err
	}
	dir := real(filepath.Dir(o.file))
	switch {
	case o.temp:
		if o.dataDir, err = os.MkdirTemp("", "fnctl-dev-"); err != nil {
			return &adviceError{err, "TMPDIR=DIR with a directory that can be written, or without --temp"}
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dataDir)) }()
	case o.dataDir == "":
		o.dataDir = filepath.Join(dir, ".evoke")
		if err := devDir(o.dataDir); err != nil {
			return err
		}
	}
	d := &devSession{
		c: c, dir: dir, file: o.file, manifest: []string{filepath.Join(dir, filepath.Base(o.file)), real(o.file)},
		sources: newSources(dir, c.builders()), screen: devScreen{c: c}, ready: make(chan struct{}), ended: make(chan struct{}), work: make(chan struct{}, 1),
	}
	defer d.sources.close()
	d.runtime = devRuntime{path: path, dataDir: o.dataDir, args: slices.Clone(o.runtime), listen: o.listen, admin: o.admin, kill: make(chan struct{})}
	return d.run(ctx)
}

// otherCommands is what a command in another terminal needs to reach the runtime of fnctl dev: nothing, when it would reach it anyhow.
func (c *cli) otherCommands(admin string) string {
	var flags string
	plain := cli{getenv: c.getenv, err: c.err}
	if err := plain.resolve(); err != nil || !sameServer(cmp.Or(plain.server, api.DefaultServer), admin) {
		flags = " --server " + admin
	}
	if c.namespace != plain.namespace {
		flags += " -n " + c.namespace
	}
	return flags
}

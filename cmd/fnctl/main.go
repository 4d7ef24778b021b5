// Command fnctl is the tool people use: it builds and deploys functions, sends events, and shows what became of them.
//
// stdout is data, all else goes to stderr. Exit codes are in errors.go.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole program: it answers the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := &cli{in: stdin, out: stdout, err: stderr, getenv: os.Getenv, now: time.Now}
	return c.execute(ctx, args)
}

// cli is one run of the program: its streams, its surroundings and the flags all commands share.
type cli struct {
	in           io.Reader
	out, err     io.Writer
	getenv       func(string) string
	now          func() time.Time
	goCommand    string                                     // "" for the one on PATH
	cargoCommand string                                     // "" for the one on PATH
	cacheDir     string                                     // where the SDK is unpacked to; "" for the user's
	dir          string                                     // where fnctl new makes a project; "" = here
	sleep        func(context.Context, time.Duration) error // between the pages of what is paced; nil = it does

	// The flags, and after resolve what they come to.
	server, token, namespace string
	context                  string // --context
	ca, caFrom               string // a file with certificates, and who names it
	from                     string // who names the server
	timeout                  time.Duration
	format                   string
}

func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	// A command cut short reports what it was cut in; what matters is that somebody wanted it to stop.
	if ctx.Err() != nil && !errors.Is(err, context.DeadlineExceeded) {
		return exitInterrupted
	}
	if !isAnswer(err) {
		c.report(cmd, err)
	}
	return exitCode(err)
}

const rootExample = `  fnctl new hello                            # a project with a function to begin with
  fnctl dev                                  # run it here, and what is saved at once
  fnctl test                                 # run it on its events, without a server
  fnctl deploy                               # build and deploy the fn.yaml here
  fnctl invoke hello -d '{"name": "Ada"}'    # call a function
  fnctl emit orders.created --type com.shop.order -d @order.json
  fnctl logs -f                              # what happens now
  fnctl dlq ls                               # what was given up on`

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "fnctl",
		Short: "Build, deploy and watch Evoke functions",
		Long: `Build, deploy and watch Evoke functions.

The server is found by --server, else FNCTL_SERVER, else the current context (fnctl context), else ` + api.DefaultServer + `; its token by --token,
else FNCTL_TOKEN, else the context. FNCTL_CA names a file with the certificate of a server that the system does not know.

Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unauthorised, 6 unreachable, 7 timeout,
8 the function returned an error, 9 deploy --diff: something would change, 130 interrupted.`,
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return c.resolve() }
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err: err} })
	flags := root.PersistentFlags()
	flags.StringVar(&c.server, "server", "", "address of the management API (default FNCTL_SERVER, else the context's, else "+api.DefaultServer+")")
	flags.StringVar(&c.token, "token", "", "token of the management API (default FNCTL_TOKEN, else the context's)")
	flags.StringVarP(&c.namespace, "namespace", "n", "", "namespace (default FNCTL_NAMESPACE, else the context's, else "+defaultNamespace+")")
	flags.StringVar(&c.context, "context", "", "use this context for the command; see fnctl context")
	flags.DurationVar(&c.timeout, "timeout", 2*time.Minute, "how long one call to the server may take; does not end what follows with -f")
	root.AddCommand(
		c.newCommand(),
		c.devCommand(),
		c.buildCommand(),
		c.testCommand(),
		c.deployCommand(),
		c.lsCommand(),
		c.describeCommand(),
		c.topCommand(),
		c.rmCommand(),
		c.invokeCommand(),
		c.emitCommand(),
		c.logsCommand(),
		c.topicCommand(),
		c.triggerCommand(),
		c.filterCommand(),
		c.secretCommand(),
		c.tokenCommand(),
		c.keyCommand(),
		c.auditCommand(),
		c.contextCommand(),
		c.doctorCommand(),
		c.dlqCommand(),
		c.invocationsCommand(),
		c.backupCommand(),
		c.restoreCommand(),
		c.pauseCommand(),
		c.resumeCommand(),
		c.replayCommand(),
		c.trafficCommand(),
		c.rollbackCommand(),
		c.schemaCommand(),
		c.sdkCommand(),
		c.apiCommand(),
		c.versionCommand(),
		c.completionCommand(),
	)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"}) // --help says it all
	return root
}

// client makes a client for the server that resolve has found.
func (c *cli) client() (*api.Client, error) {
	web, err := c.web()
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.ClientOptions{Server: c.server, Token: c.token, HTTP: web})
	if err != nil {
		return nil, &usageError{err: err}
	}
	return client, nil
}

// errTimeout is why a call of the server ended early.
type errTimeout struct{ after time.Duration }

func (e errTimeout) Error() string { return "no answer after " + e.after.String() }

// Unwrap makes it what it is: a deadline.
func (errTimeout) Unwrap() error { return context.DeadlineExceeded }

// limit bounds one call of the server by --timeout.
func (c *cli) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, c.timeout, errTimeout{c.timeout})
}

// call has do ask the server, for no longer than --timeout. It is for commands that do only that; the others use client and limit themselves.
func (c *cli) call(ctx context.Context, do func(context.Context, *api.Client) error) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	return do(ctx, client)
}

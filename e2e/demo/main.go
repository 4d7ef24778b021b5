// Command demo does the main job end to end, with the real programs and real webhook payloads, and counts every event at the end.
//
//	go run ./e2e/demo -runtime bin/runtime -fnctl bin/fnctl
//
// It deploys examples/github, sends every payload as GitHub would, kills the runtime in the middle and starts it again, looks at the dead letters of the
// buggy function, deploys the repaired one, redrives, and compares what is on the topics with what must be there. Exit code 0 when every event is there
// exactly once; 1 names what is missing or doubled. Everything happens in a temporary directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options of the demo.
type options struct {
	runtime, fnctl string // the programs
	example        string // the folder of the app, with its payloads
	timeout        time.Duration
	keep           bool // the temporary directory, also after success
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&o.runtime, "runtime", "bin/runtime", "the runtime `program`")
	flags.StringVar(&o.fnctl, "fnctl", "bin/fnctl", "the fnctl `program`")
	flags.StringVar(&o.example, "example", "examples/github", "the `folder` of the app")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up after this time")
	flags.BoolVar(&o.keep, "keep", false, "keep the data directory and the log of the runtime")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(errOut, "demo: unknown argument %q\nTry: go run ./e2e/demo -h\n", flags.Arg(0))
		return 2
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("the demo did not end within %s", o.timeout))
	defer cancel()
	if err := demo(ctx, o, out); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		fmt.Fprintf(errOut, "\nFAILED: %v\n", err)
		return 1
	}
	return 0
}

// demo makes the place to work in and takes it away again.
func demo(ctx context.Context, o options, out io.Writer) (err error) {
	payloads, err := loadPayloads(o.example)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "evoke-demo-")
	if err != nil {
		return err
	}
	n, err := newNode(o, dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer func() {
		n.kill()
		if err != nil || o.keep {
			fmt.Fprintf(out, "\nThe data and the log of the runtime are in %s.\n", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	s := &story{o: o, node: n, payloads: payloads, out: out}
	return s.tell(ctx)
}

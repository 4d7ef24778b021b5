package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/evoke-run/evoke/trial"
)

// testCommand runs a function on events that come over stdin.
const testCommand = "test"

const testUsage = `runtime test runs a function on events, without a server; fnctl test starts it.

usage: runtime test

stdin has JSON values: a function with its module, then events. For each of them stdout has one JSON value.
It stores nothing, and what the function asks of others is answered from what comes with the event.

example: fnctl test
`

// test returns the exit code, like run.
func test(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		fmt.Fprint(stderr, testUsage)
		return 0
	}
	if len(args) > 0 {
		fmt.Fprintf(stderr, "runtime test: it takes no arguments, but there is %q; try: fnctl test\n", args[0])
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := trial.Run(ctx, stdin, stdout); err != nil {
		fmt.Fprintf(stderr, "runtime test: %v\n", err)
		return 1
	}
	return 0
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/evoke-run/evoke/node"
)

// restoreCommand fills an empty data directory with a backup.
const restoreCommand = "restore"

const restoreUsage = `runtime restore fills an empty data directory with what "fnctl backup" wrote.

usage: runtime restore [--SETTING VALUE …] FILE|-

The settings are those of the runtime; data-dir, partitions and etcd matter here. No runtime may run on the directory.

example: runtime restore --data-dir /var/lib/evoke evoke.backup
`

// restore returns the exit code, like run.
func restore(args []string, getenv func(string) string, stdin io.Reader, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "runtime restore: %v\n", err)
		return code
	}
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		fmt.Fprint(stderr, restoreUsage)
		return 0
	}
	if len(args) == 0 || strings.HasPrefix(args[len(args)-1], "-") && args[len(args)-1] != "-" {
		return fail(2, errors.New("the last argument must be the FILE of the backup, or - for stdin; try: runtime restore --help"))
	}
	name := args[len(args)-1]
	config, err := node.LoadConfig(args[:len(args)-1], getenv, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(2, err)
	}
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fail(2, fmt.Errorf("read backup: %w", err))
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := node.Restore(ctx, config, in, node.NewLogger(config, stderr))
	if err != nil {
		return fail(1, fmt.Errorf("%s: %w", name, err))
	}
	fmt.Fprintf(stderr, "restored the backup of %s into %s: %d partitions, %d modules\n",
		result.Time.Format(time.RFC3339), config.DataDir, result.Partitions, result.Modules)
	if result.Sealed != "" {
		fmt.Fprintf(stderr, "a backup does not have the key of the secrets: put the key file of the old runtime into %s as secrets.key, or name it with --secrets-key-file\n%s\n",
			config.DataDir, result.Sealed)
	}
	return 0
}

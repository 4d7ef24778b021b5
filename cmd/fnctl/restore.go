package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (c *cli) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE|- [-- SETTING…]",
		Short: "Fill an empty data directory with a backup",
		Long: `Fill an empty data directory with a backup, so that a runtime can start there. It needs no server: it runs "runtime restore" with the runtime
beside fnctl or on PATH. What follows -- are settings of the runtime, such as --partitions 4 or --etcd URL.`,
		Example: `  fnctl restore evoke.backup --data-dir /var/lib/evoke`,
		Args:    argCount(1, -1, "a FILE, or - for stdin"),
	}
	dir := cmd.Flags().String("data-dir", "", "the data directory to fill (default that of the runtime: EVOKE_DATA_DIR, else evoke-data)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if n := cmd.ArgsLenAtDash(); n > 1 || n < 0 && len(args) > 1 {
			return usagef("", "%s takes one FILE, but there is also %q", cmd.CommandPath(), args[1])
		}
		settings := args[1:]
		if *dir != "" {
			settings = append([]string{"--data-dir", *dir}, settings...)
		}
		return c.restore(cmd.Context(), args[0], settings)
	}
	return cmd
}

func (c *cli) restore(ctx context.Context, name string, settings []string) error {
	program, err := findRuntime()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, append(append([]string{"restore"}, settings...), name)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it removes what it has made
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.in, c.out, c.err
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitUsage {
		return usagef("fnctl restore --help", "runtime restore refused its arguments, as said above")
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", name, err)
	}
	return nil
}

// findRuntime is the runtime beside this program, else on PATH.
func findRuntime() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "runtime")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	program, err := exec.LookPath("runtime")
	if err != nil {
		return "", &adviceError{err: errors.New("find the runtime: it is neither beside fnctl nor on PATH"), try: "runtime restore FILE where the runtime is installed"}
	}
	return program, nil
}

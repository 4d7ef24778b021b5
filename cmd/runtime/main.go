// Command runtime runs Evoke.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/evoke-run/evoke/node"
	"github.com/evoke-run/evoke/sandbox"
)

// compileCommand makes this program the process that compiles one module. The runtime starts it itself.
const compileCommand = "compile-module"

func main() {
	if len(os.Args) > 1 && os.Args[1] == compileCommand {
		os.Exit(sandbox.RunCompiler(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// run returns the exit code: 0 after a stop, 1 for a failure, 2 for wrong usage, 3 when another node has taken over, 4 when an address to listen on is taken, 5 when the data directory is.
func run(args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == "version" {
		fmt.Fprintln(stdout, node.Version)
		return 0
	}
	if len(args) > 0 && args[0] == restoreCommand {
		return restore(args[1:], getenv, stdin, stderr)
	}
	if len(args) > 0 && args[0] == testCommand {
		return test(args[1:], stdin, stdout, stderr)
	}
	config, err := node.LoadConfig(args, getenv, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "runtime: %v\n", err)
		return 2
	}
	if config.Compiler, err = compiler(); err != nil {
		fmt.Fprintf(stderr, "runtime: find this program's own file: %v\n", err)
		return 1
	}
	leaveOneFree(&config, getenv)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if config.StopWithStdin {
		go func() { // ends with the process: nothing interrupts a read
			_, _ = io.Copy(io.Discard, stdin) // whatever ended it
			stop()
		}()
	}
	log := node.NewLogger(config, stderr)
	n, err := node.New(ctx, config, log)
	if err != nil && ctx.Err() != nil {
		log.Info("stopped before it was ready", "err", err)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "runtime: %v\n", err)
		return exitCode(err)
	}
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err = n.Run(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "runtime: %v\n", err)
	return exitCode(err)
}

// exitCode is for those who start runtimes, such as fnctl dev.
func exitCode(err error) int {
	switch {
	case errors.Is(err, node.ErrDeposed):
		return 3
	case errors.Is(err, syscall.EADDRINUSE):
		return 4
	case errors.Is(err, node.ErrInUse):
		return 5
	}
	return 1
}

// leaveOneFree lets Go run one more goroutine at a time than there are processors, and guests as many as there are. When guests keep all processors busy, each step
// of another event's way, from the request to the settled outcome, would else wait for one of them to make room; with a thread to spare the system gives it its
// turn at once.
func leaveOneFree(c *node.Config, getenv func(string) string) {
	processors := runtime.GOMAXPROCS(0)
	if c.Running == 0 {
		c.Running = processors
	}
	if getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors + 1)
	}
}

// compilerFile is another build of this program that compiles modules in its place, "" = none. It is for the linker (-X main.compilerFile=PATH) of race-detecting
// builds, which compile seven times slower than others and have nothing to detect there.
var compilerFile string

// compiler is the command that makes this very program compile a module, also when its file has been replaced meanwhile.
func compiler() ([]string, error) {
	if compilerFile != "" {
		return []string{compilerFile, compileCommand}, nil
	}
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe", compileCommand}, nil
	}
	path, err := os.Executable()
	return []string{path, compileCommand}, err
}

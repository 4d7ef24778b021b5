package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
	"github.com/evoke-run/evoke/manifest"
)

func (c *cli) testCommand() *cobra.Command {
	var file, junit string
	var opts testOptions
	cmd := &cobra.Command{
		Use:   "test [DIR | -f fn.yaml] [FUNCTION…]",
		Short: "Run the functions of a fn.yaml on the events in events/",
		Long: `Run the functions of a fn.yaml on the events in events/, without a server.

Each events/NAME.json (events/FUNCTION/NAME.json, when there are several functions) is given to the function in the real sandbox, and what it replies, emits and
writes into its state is compared with NAME.golden.json beside it. Times may differ, and what its "ignore" lists. A file with a list of events is a batch. What the function asks of others comes from NAME.stubs.json, else stubs.json.

The sandbox is the program runtime: it is found beside fnctl, on PATH, or by FNCTL_RUNTIME.`,
		Example: `  fnctl test                         # all events of ./events
  fnctl test ./shop charge           # only those of the function charge
  fnctl test --update                # what comes now is what is expected from now on
  fnctl test -v                      # with what the functions logged
  fnctl test --junit report.xml      # for CI`,
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the manifest (default fn.yaml in DIR)")
	cmd.Flags().BoolVarP(&opts.verbose, "verbose", "v", false, "show what the functions logged, also of events that come to what is expected")
	cmd.Flags().BoolVar(&opts.update, "update", false, "write what comes into the golden files, where it is not what they have")
	cmd.Flags().StringVar(&junit, "junit", "", "write a report in JUnit's format to this file, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, names := manifestFile(file, args)
		m, err := readManifest(file)
		if err != nil {
			return err
		}
		functions, err := selectFunctions(m, file, names)
		if err != nil {
			return err
		}
		suites, err := findTests(filepath.Dir(file), len(m.Functions) == 1, functions)
		if err != nil {
			return err
		}
		for _, stray := range strays(filepath.Dir(file), m.Functions) {
			c.say("warning: %s", stray)
		}
		if err := c.runTests(cmd.Context(), filepath.Dir(file), suites, opts); err != nil {
			return err
		}
		if junit != "" {
			if err := writeJUnit(junit, suites); err != nil {
				return err
			}
		}
		return c.summary(suites)
	}
	return cmd
}

type testOptions struct {
	update  bool // of golden files
	verbose bool
}

// suite is the events of one function.
type suite struct {
	function manifest.Function
	cases    []*testCase
}

// runTests builds all functions and runs each in a process of its own.
func (c *cli) runTests(ctx context.Context, dir string, suites []suite, opts testOptions) error {
	runtime, err := c.findRuntime("fnctl test")
	if err != nil {
		return err
	}
	var m manifest.Manifest
	for _, s := range suites {
		m.Functions = append(m.Functions, s.function)
	}
	modules, err := c.buildAll(ctx, &m, dir)
	if err != nil {
		return err
	}
	for i, s := range suites {
		s.function = m.Functions[i]
		if err := c.runSuite(ctx, runtime, s, modules[i].module, opts); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) runSuite(ctx context.Context, runtime string, s suite, module []byte, opts testOptions) (err error) {
	t, err := startTrial(ctx, runtime, api.Trial{Function: s.function.Name, Module: module, Spec: s.function.Spec, Cache: c.compiledDir()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	for _, warning := range t.report.Warnings {
		c.say("warning: function %s: %s", s.function.Name, warning)
	}
	for _, one := range s.cases {
		result, err := t.try(one.trial)
		if err != nil {
			return err
		}
		if err := one.judge(result, opts.update); err != nil { // a golden file that cannot be read keeps no other event from its test
			one.faults = append(one.faults, err.Error())
		}
		if err := c.showCase(one, opts.verbose); err != nil {
			return err
		}
	}
	return nil
}

// compiledDir is where compiled functions are kept between tests; "" = nowhere, because there is no place for caches that can be written to. Tests take longer then.
func (c *cli) compiledDir() string {
	base, err := gobuild.CacheDir(c.cacheDir)
	if err != nil {
		return ""
	}
	dir := filepath.Join(base, "compiled")
	if os.MkdirAll(dir, 0o755) != nil {
		return ""
	}
	return dir
}

// showCase prints a line for an event, and below it what went wrong and, then or always, what was logged.
func (c *cli) showCase(t *testCase, verbose bool) error {
	word, colour := "ok", green
	switch {
	case len(t.faults) > 0:
		word, colour = "FAIL", red
	case t.updated:
		word, colour = "wrote", yellow
	}
	if err := c.print("%s %s\n", c.paint(c.out, colour, word)+"     "[len(word):], printable(t.file)); err != nil {
		return err
	}
	for _, fault := range t.faults {
		for line := range linesOf(fault) {
			colour := ""
			switch {
			case line != "" && line[0] == '-':
				colour = red
			case line != "" && line[0] == '+':
				colour = green
			}
			if err := c.print("      %s\n", c.paint(c.out, colour, printable(line))); err != nil {
				return err
			}
		}
	}
	if len(t.faults) == 0 && !verbose {
		return nil
	}
	for _, line := range t.result.Log {
		if err := c.print("      log %s: %s\n", line.Level, strings.ReplaceAll(printable(line.Message), "\n", "\n        ")); err != nil {
			return err
		}
	}
	return nil
}

// summary ends the command.
func (c *cli) summary(suites []suite) error {
	all, failed, updated := 0, 0, 0
	for _, s := range suites {
		all += len(s.cases)
		failed += tally(s.cases, func(t *testCase) bool { return len(t.faults) > 0 })
		updated += tally(s.cases, func(t *testCase) bool { return t.updated })
	}
	if failed > 0 {
		return &adviceError{err: notAsExpected{failed, all}, try: "fnctl test --update, when what comes is right"}
	}
	if updated > 0 {
		c.say("%d golden files written, %d were right", updated, all-updated)
		return nil
	}
	c.say("%s came to what is expected", plural(all, "event"))
	return nil
}

// notAsExpected is how many events did not come to what is expected.
type notAsExpected struct{ failed, all int }

func (e notAsExpected) Error() string {
	return fmt.Sprintf("%d of %s did not come to what is expected", e.failed, plural(e.all, "event"))
}

func tally(cases []*testCase, is func(*testCase) bool) (n int) {
	for _, t := range cases {
		if is(t) {
			n++
		}
	}
	return n
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

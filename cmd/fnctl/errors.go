package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
	"github.com/evoke-run/evoke/manifest"
)

// The exit codes; scripts count on them.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitConflict     = 4
	exitUnauthorised = 5
	exitUnreachable  = 6
	exitTimeout      = 7
	exitFunction     = 8
	exitWouldChange  = 9
	exitInterrupted  = 130
)

// usageError is a command line that makes no sense.
type usageError struct {
	err error
	try string // what to type instead; empty for --help
}

func usagef(try, format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...), try: try}
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// adviceError is an error with what to try about it.
type adviceError struct {
	err error
	try string
}

func (e *adviceError) Error() string { return e.err.Error() }
func (e *adviceError) Unwrap() error { return e.err }

// functionError says that everything worked but the function did not.
type functionError struct{ name, verdict, class, text string }

func (e *functionError) Error() string {
	s := "function " + e.name + " " + e.verdict
	if e.class != "" && e.class != e.verdict {
		s += " (" + e.class + ")"
	}
	if e.text != "" {
		s += ": " + e.text
	}
	return s
}

// exitCode is the one table error → exit code.
func exitCode(err error) int {
	var usage *usageError
	var function *functionError
	var problem *api.Problem
	var unreachable *api.UnreachableError
	var letters *failedLetters
	var unwell *errUnwell
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errWouldChange):
		return exitWouldChange
	case errors.As(err, &unwell):
		return unwell.code
	case errors.As(err, &letters):
		return letters.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &function):
		return exitFunction
	case errors.As(err, &problem):
		return problemCode(problem)
	case errors.As(err, &unreachable):
		return exitUnreachable
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

func problemCode(p *api.Problem) int {
	switch p.Status {
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict:
		return exitConflict
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitUnauthorised
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return exitTimeout
	case http.StatusBadGateway, http.StatusServiceUnavailable: // a proxy without a server behind it, a server that stops
		return exitUnreachable
	}
	return exitFailed
}

// isAnswer says whether an error is an answer that has been shown, and only the exit code is left to give.
func isAnswer(err error) bool {
	return errors.Is(err, errNoMatch) || errors.Is(err, errWouldChange) || errors.As(err, new(*errUnwell))
}

// report writes an error for people: what, which input, what to try.
func (c *cli) report(cmd *cobra.Command, err error) {
	fmt.Fprintf(c.err, "%s %s\n", c.paint(c.err, red, "error:"), printable(err.Error()))
	if try := c.advice(cmd, err); try != "" {
		fmt.Fprintf(c.err, "Try: %s\n", printable(try))
	}
}

func (c *cli) advice(cmd *cobra.Command, err error) string {
	var usage *usageError
	var advice *adviceError
	var problem *api.Problem
	var unreachable *api.UnreachableError
	var function *functionError
	var letters *failedLetters
	switch {
	case errors.As(err, &letters):
		return "fnctl dlq ls, which shows what there is"
	case errors.As(err, &usage):
		if usage.try != "" {
			return usage.try
		}
		return cmd.CommandPath() + " --help"
	case errors.As(err, &advice):
		return advice.try
	case errors.As(err, &problem):
		if strings.HasSuffix(problem.Type, "/unknown-path") && cmd.Name() != apiName {
			return "the address of the management API, http://127.0.0.1:8081 unless it was set; if it is that, fnctl version shows whether the two fit"
		}
		return c.problemAdvice(problem)
	case errors.Is(err, http.ErrSchemeMismatch):
		return "http:// in the address of the server, which does not speak TLS"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "FNCTL_CA=FILE with the certificate of the server, or of who signed it"
	case errors.As(err, &unreachable):
		return "start one with `runtime`, or name another with --server or FNCTL_SERVER"
	case errors.As(err, &function):
		return fmt.Sprintf("fnctl logs %s -n %s", function.name, c.namespace)
	case errors.Is(err, context.DeadlineExceeded):
		return "again with a longer --timeout, or `fnctl logs` to see what the server does"
	}
	try := buildAdvice(err)
	if try != "" && cmd.Name() == deployName { // it builds everything before it asks the server for anything
		try += "; nothing was changed on the server"
	}
	return try
}

// wantsTLS is what net/http answers a request without TLS, before any handler has it.
const wantsTLS = "Client sent an HTTP request to an HTTPS server."

func (c *cli) problemAdvice(p *api.Problem) string {
	if set := setSecrets(p, " -n "+c.namespace); set != "" {
		return set + ", and deploy again"
	}
	if p.Next != "" {
		return p.Next
	}
	if p.Detail == wantsTLS {
		return "https:// in the address of the server"
	}
	switch problemCode(p) {
	case exitUnauthorised:
		return "the server's token with --token or FNCTL_TOKEN (EVOKE_ADMIN_TOKEN of the runtime)"
	case exitNotFound:
		return fmt.Sprintf("fnctl ls -n %s", c.namespace)
	case exitUnreachable:
		return "again in a moment"
	}
	return "fnctl version, to see whether the server fits this fnctl"
}

// setSecrets are the commands, with flags, that set what an app lacks; "" = it lacks nothing.
func setSecrets(p *api.Problem, flags string) string {
	var out []string
	for _, f := range p.Faults {
		if set := "fnctl secret set " + f.Secret + flags; f.Secret != "" && !slices.Contains(out, set) {
			out = append(out, set)
		}
	}
	return strings.Join(out, ", ")
}

func buildAdvice(err error) string {
	var toolchain *gobuild.ToolchainError
	var compile *gobuild.CompileError
	var script *jsbuild.Error
	var faults manifest.Faults
	var advisor interface{ Advice() string }
	switch {
	case errors.As(err, &advisor):
		return advisor.Advice()
	case errors.As(err, &toolchain):
		return "install Go from https://go.dev/dl, or build the module elsewhere and name the file with wasm:"
	case errors.As(err, &compile) && strings.Contains(compile.Output, "requires exactly one main package"):
		return "make it `package main` with an empty func main() {}"
	case errors.As(err, &compile) && compile.Missing() != "":
		return fmt.Sprintf("go get %s in %s (go mod init first, when there is no go.mod), or correct the import", compile.Missing(), compile.Dir)
	case errors.As(err, &compile):
		return "correct the code in " + compile.Dir
	case errors.As(err, &script) && script.Try != "":
		return script.Try
	case errors.As(err, &script), errors.As(err, &faults), errors.As(err, new(*checkError)):
		return "correct the places named above"
	}
	return ""
}

// noSuchCommand reports a word that is no command below cmd.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	try := ""
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		try = cmd.CommandPath() + " " + near[0]
	}
	return usagef(try, "%s has no command %q", cmd.CommandPath(), args[0])
}

// argCount is for commands that take from least to most arguments; names say what they are.
func argCount(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("", "%s needs %s", cmd.CommandPath(), names)
		case most >= 0 && len(args) > most:
			if most == 0 {
				return usagef("", "%s takes no arguments, but there is %q", cmd.CommandPath(), args[0])
			}
			return usagef("", "%s takes %s, but there is also %q", cmd.CommandPath(), names, args[most])
		}
		return nil
	}
}

// oneOf reports a value that is none of the words; what names the flag or argument.
func oneOf(what, v string, words ...string) error {
	if slices.Contains(words, v) {
		return nil
	}
	return usagef("", "%s is %q; it must be one of %s", what, v, strings.Join(words, ", "))
}

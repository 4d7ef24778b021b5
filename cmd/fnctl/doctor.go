package main

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/rustbuild"
	"github.com/evoke-run/evoke/manifest"
)

// abiOfSDK is what functions are built for here; a server says what it runs.
const abiOfSDK = "evoke_v1"

// mostSkew is how far apart clocks may be. HTTP says the time in whole seconds, and an answer takes its time.
const mostSkew = 5 * time.Second

// finding is what doctor says of one thing.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"` // "ok", "warning" or "wrong"
	Detail string `json:"detail"`
	Try    string `json:"try,omitempty"`

	code int // the exit code when it is wrong
}

const (
	fine    = "ok"
	warning = "warning"
	wrong   = "wrong"
)

// errUnwell ends doctor with the exit code of the first thing that is wrong; what it is has been said.
type errUnwell struct{ code int }

func (e *errUnwell) Error() string { return "something is wrong" }

func (c *cli) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [DIR]",
		Short: "Find out why fnctl does not work here: toolchain, server, token, clock, versions",
		Long: `Find out why fnctl does not work here: toolchain, server, token, clock, versions.

It looks at the go command and at cargo, as far as the fn.yaml in DIR (default .) needs them, at the contexts and variables that say which server is meant, and at that server: whether it answers, in what version,
whether it takes the token, and whether its clock and this one agree. It changes nothing.

It ends with 0 when nothing is wrong, warnings or not; else with the exit code of the first thing that is: 5 unauthorised, 6 unreachable, 7 timeout, 2 settings, 1 other.`,
		Example: `  fnctl doctor
  fnctl doctor ./shop -o json`,
		Args:              argCount(0, 1, "a DIR with a fn.yaml"),
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // what keeps others from beginning is a finding here
	}
	c.formatFlag(cmd, table, jsonForm, yamlForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "."
		if len(args) > 0 {
			dir = args[0]
		}
		findings := c.checkToolchains(cmd.Context(), dir)
		findings = append(findings, c.checkServer(cmd.Context())...)
		return c.showFindings(findings)
	}
	return cmd
}

// checkToolchains looks for what builds functions here. Only those who write functions in Rust hear of Rust.
func (c *cli) checkToolchains(ctx context.Context, dir string) []finding {
	findings := []finding{c.checkGo(ctx, dir)}
	if crates, _ := functionsOf(dir, isCrate); crates {
		findings = append(findings, c.checkRust(ctx, dir))
	}
	return findings
}

func (c *cli) checkRust(ctx context.Context, dir string) finding {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	found, err := c.builders().rust.Toolchain(ctx, dir)
	if err != nil {
		return finding{Check: "rust", Result: wrong, Detail: err.Error(), Try: buildAdvice(err), code: exitFailed}
	}
	return finding{Check: "rust", Result: fine, Detail: found.Version + ", " + found.Target}
}

// checkGo looks for the go command. Without a function that needs one, none is needed.
func (c *cli) checkGo(ctx context.Context, dir string) finding {
	f := finding{Check: "go", Result: fine}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	found, err := c.builders().golang.Toolchain(ctx)
	if err == nil {
		f.Detail = found
		return f
	}
	f.Detail, f.Try, f.code = err.Error(), buildAdvice(err), exitFailed
	isGo := func(dir string, f manifest.Function) bool { return f.Wasm == "" && !f.Script() && !isCrate(dir, f) }
	switch needs, known := functionsOf(dir, isGo); {
	case needs:
		f.Result = wrong
	case known:
		f.Detail += "; no function of " + filepath.Join(dir, "fn.yaml") + " needs it"
		f.Try = ""
	default:
		f.Result = warning
	}
	return f
}

func isCrate(dir string, f manifest.Function) bool {
	return f.Source != "" && rustbuild.IsCrate(under(dir, f.Source))
}

// functionsOf says whether the app of a directory has functions of a kind; known is false when there is no manifest to ask.
func functionsOf(dir string, is func(dir string, f manifest.Function) bool) (some, known bool) {
	file := filepath.Join(dir, "fn.yaml")
	src, err := os.ReadFile(file)
	if err != nil {
		return false, false
	}
	m, err := manifest.Parse(file, src)
	if err != nil {
		return false, false // what is wrong with it, deploy says
	}
	return slices.ContainsFunc(m.Functions, func(f manifest.Function) bool { return is(dir, f) }), true
}

// checkServer goes as far as it gets: without an answer nothing can be said of the rest.
func (c *cli) checkServer(ctx context.Context) []finding {
	if err := c.resolve(); err != nil {
		return []finding{c.failure("settings", err)}
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	clock := &clockReader{now: c.now}
	client, err := c.doctorClient(clock)
	if err != nil {
		return []finding{c.failure("settings", err)}
	}
	at := fmt.Sprintf("%s, from %s", serverText(c.server), c.from)
	v, err := client.Version(ctx)
	switch {
	case err != nil && (!clock.answered() || isProxyAlone(err)):
		f := c.failure("server", err)
		f.Detail += " (" + c.from + ")"
		return []finding{f}
	case !isOurs(v, err):
		return []finding{{
			Check: "server", Result: wrong, Detail: at + ", answers, and is no management API of Evoke", Try: "the address that `runtime` was given as --admin; the one of --listen is the gateway", code: exitFailed,
		}}
	}
	out := []finding{{Check: "server", Result: fine, Detail: at}, clock.finding()}
	if err != nil {
		return append(out, c.failure("token", err))
	}
	return append(out, versionFinding(buildVersion(), v), abiFinding(v), c.checkToken(ctx, client))
}

// isProxyAlone says whether something in front of the server answered that there is none behind it.
func isProxyAlone(err error) bool {
	var p *api.Problem
	return errors.As(err, &p) && problemCode(p) == exitUnreachable
}

// isOurs says whether who answered is a management API. Its refusals have a type, and its gateway does not know what a version is.
func isOurs(v api.Version, err error) bool {
	if err == nil {
		return v.ABI != ""
	}
	var p *api.Problem
	return errors.As(err, &p) && p.Type != "" && p.Status != http.StatusNotFound
}

// failure is an error as a finding, with the words and the exit code that any command has for it.
func (c *cli) failure(check string, err error) finding {
	cmd := &cobra.Command{Use: "fnctl"}
	return finding{Check: check, Result: wrong, Detail: err.Error(), Try: c.advice(cmd, err), code: exitCode(err)}
}

func serverText(server string) string {
	if server == "" {
		return api.DefaultServer
	}
	return server
}

// doctorClient is the client of all commands, with a look at the clock of the server.
func (c *cli) doctorClient(clock *clockReader) (*api.Client, error) {
	web, err := c.web()
	if err != nil {
		return nil, err
	}
	clock.next = http.DefaultTransport
	if web != nil {
		clock.next = web.Transport
	}
	client, err := api.NewClient(api.ClientOptions{Server: c.server, Token: c.token, HTTP: &http.Client{Transport: clock}})
	if err != nil {
		return nil, &usageError{err: err}
	}
	return client, nil
}

// clockReader compares the clock of who answers with ours.
type clockReader struct {
	next http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	seen bool
	// The server's time in the first answer that had one, and ours half-way between question and answer.
	theirs, ours time.Time
}

func (r *clockReader) RoundTrip(req *http.Request) (*http.Response, error) {
	asked := r.now()
	res, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answered := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = true
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil && r.theirs.IsZero() {
		r.theirs, r.ours = date, asked.Add(answered.Sub(asked)/2)
	}
	return res, nil
}

func (r *clockReader) answered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

func (r *clockReader) finding() finding {
	r.mu.Lock()
	defer r.mu.Unlock()
	return clockFinding(r.theirs, r.ours)
}

func clockFinding(theirs, ours time.Time) finding {
	f := finding{Check: "clock", Result: fine}
	if theirs.IsZero() {
		f.Result, f.Detail = warning, "the server does not say what time it has"
		return f
	}
	skew := theirs.Sub(ours).Round(time.Second)
	switch {
	case skew.Abs() <= mostSkew:
		f.Detail = "agrees with the server's"
		return f
	case skew > 0:
		f.Detail = fmt.Sprintf("the server's is %s ahead of this one", skew)
	default:
		f.Detail = fmt.Sprintf("the server's is %s behind this one", -skew)
	}
	f.Result, f.Try = warning, "NTP on both machines: tokens end, webhooks are believed and cron triggers fire by the server's clock"
	return f
}

// versionFinding compares releases. Within one minor version everything fits.
func versionFinding(client string, server api.Version) finding {
	f := finding{Check: "version", Result: fine, Detail: fmt.Sprintf("fnctl %s, server %s", client, server.Version)}
	ours, theirs := "go"+strings.TrimPrefix(client, "v"), "go"+strings.TrimPrefix(server.Version, "v") // package version compares those
	ours, _, _ = strings.Cut(ours, "-")
	theirs, _, _ = strings.Cut(theirs, "-")
	if !version.IsValid(ours) || !version.IsValid(theirs) || strings.HasPrefix(client, "v0.0.0-") {
		return f // built from sources
	}
	switch order := version.Compare(version.Lang(ours), version.Lang(theirs)); {
	case order > 0:
		f.Result, f.Try = warning, "fnctl "+server.Version+", or a newer runtime: the server may not know what this fnctl asks for"
	case order < 0:
		f.Result, f.Try = warning, "fnctl "+server.Version+": this one may not know what the server can do"
	}
	return f
}

func abiFinding(v api.Version) finding {
	f := finding{Check: "abi", Result: fine, Detail: v.ABI}
	if v.ABI != abiOfSDK {
		f.Result, f.code = wrong, exitFailed
		f.Detail = fmt.Sprintf("the server runs functions for %s, and this fnctl builds them for %s", v.ABI, abiOfSDK)
		f.Try = "the fnctl that came with the server"
	}
	return f
}

// noModule is the digest of no module: asking for it needs what a deploy needs, and changes nothing.
const noModule = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func (c *cli) checkToken(ctx context.Context, client *api.Client) finding {
	f := finding{Check: "token", Result: fine, Detail: "may deploy to namespace " + c.namespace}
	if _, err := client.Functions(ctx, c.namespace); err != nil {
		return c.failure("token", err)
	}
	_, err := client.HasModule(ctx, noModule)
	var p *api.Problem
	switch {
	case errors.As(err, &p) && p.Status == http.StatusForbidden:
		f.Result, f.Detail, f.Try = warning, "may look at namespace "+c.namespace+", and not deploy to it", "a token with the role deployer: fnctl token create NAME --role deployer"
	case err != nil:
		return c.failure("token", err)
	case c.token == "":
		f.Detail = "none, and the server needs none"
	}
	return f
}

func (c *cli) showFindings(findings []finding) error {
	if err := findingList.show(c, findings); err != nil {
		return err
	}
	code := exitOK
	for _, f := range findings {
		if f.Result == wrong && code == exitOK {
			code = f.code
		}
		if f.Result != fine && f.Try != "" && c.format == table {
			c.say("%s: try %s", f.Check, printable(f.Try))
		}
	}
	if code != exitOK {
		return &errUnwell{code}
	}
	return nil
}

var findingList = list[finding]{
	name: func(f finding) string { return f.Check },
	columns: []column[finding]{
		{title: "CHECK", text: func(f finding) string { return f.Check }},
		{title: "RESULT", text: func(f finding) string { return f.Result }},
		{title: "DETAIL", text: func(f finding) string { return oneLine(f.Detail) }},
	},
}

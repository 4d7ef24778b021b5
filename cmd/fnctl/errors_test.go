package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestEachExitCode(t *testing.T) {
	t.Parallel()
	problem := func(status int, next string) map[string]any {
		return map[string]any{"GET /ns/default/functions/f": api.Problem{Status: status, Title: "title", Detail: "detail", Next: next}}
	}
	for _, tc := range []struct {
		name    string
		answers map[string]any
		args    string
		code    int
		stderr  string
	}{
		{"ok", map[string]any{"GET /ns/default/functions": []api.Function{{Name: "f"}}}, "ls -o name", 0, ""},
		{"failed", problem(507, "make room"), "describe f", 1, "error: detail\nTry: make room\n"},
		{"failed without advice", problem(500, ""), "describe f", 1, "error: detail\nTry: fnctl version, to see whether the server fits this fnctl\n"},
		{"not found", problem(404, ""), "describe f", 3, "error: detail\nTry: fnctl ls -n default\n"},
		{
			"the gateway", map[string]any{"GET /ns/default/functions/f": api.Problem{Type: "https://evoke.run/problems/unknown-path", Status: 404, Detail: "nothing is served at this path", Next: "fnctl ls routes"}}, "describe f", 3,
			"error: nothing is served at this path\nTry: the address of the management API, http://127.0.0.1:8081 unless it was set; if it is that, fnctl version shows whether the two fit\n",
		},
		{
			"a path of nothing", map[string]any{"GET /nope": api.Problem{Type: "https://evoke.run/problems/unknown-path", Status: 404, Detail: "nothing is served at this path", Next: "check the path"}}, "api /nope", 3,
			"error: nothing is served at this path\nTry: check the path\n",
		},
		{"conflict", problem(409, "rename it"), "describe f", 4, "error: detail\nTry: rename it\n"},
		{"unauthorised", problem(401, ""), "describe f", 5, "error: detail\nTry: the server's token with --token or FNCTL_TOKEN (EVOKE_ADMIN_TOKEN of the runtime)\n"},
		{"forbidden", problem(403, "ask"), "describe f", 5, "error: detail\nTry: ask\n"},
		{"draining", problem(503, ""), "describe f", 6, "error: detail\nTry: again in a moment\n"},
		{"server's timeout", problem(504, "wait"), "describe f", 7, "error: detail\nTry: wait\n"},
		{
			"function", map[string]any{"POST /ns/default/functions/f/invoke": api.InvokeReply{Verdict: "failed", Class: "trap", Error: "unreachable", Revision: 2}},
			"invoke f", 8, "failed · f revision 2 · 0s · invocation \nerror: function f failed (trap): unreachable\nTry: fnctl logs f -n default\n",
		},
		{
			"function with a problem", map[string]any{"POST /ns/default/functions/f/invoke": api.Problem{Status: 502, Title: "trapped", Detail: "it trapped", Invocation: "i"}},
			"invoke f", 8, "error: function f failed: it trapped\nTry: fnctl logs f -n default\n",
		},
		{"no command", nil, "deplyo", 2, "error: fnctl has no command \"deplyo\"\nTry: fnctl deploy\n"},
		{"no such command at all", nil, "xyzzy", 2, "error: fnctl has no command \"xyzzy\"\nTry: fnctl --help\n"},
		{"no sub-command", nil, "dlq rm", 2, "error: fnctl dlq has no command \"rm\"\nTry: fnctl dlq ls\n"},
		{"unknown flag", nil, "ls --wat", 2, "error: unknown flag: --wat\nTry: fnctl ls --help\n"},
		{"flag of a wrong type", nil, "logs --limit x", 2, "error: invalid argument \"x\" for \"--limit\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nTry: fnctl logs --help\n"},
		{"missing argument", nil, "describe", 2, "error: fnctl describe needs KIND NAME, or the NAME of a function\nTry: fnctl describe --help\n"},
		{"extra argument", nil, "invoke a b", 2, "error: fnctl invoke takes the NAME of a function, but there is also \"b\"\nTry: fnctl invoke --help\n"},
		{"argument where none is", nil, "topic ls a", 2, "error: fnctl topic ls takes no arguments, but there is \"a\"\nTry: fnctl topic ls --help\n"},
		{"unknown kind", nil, "ls pods", 2, "error: \"pods\" is no kind of thing; there are function, trigger, topic, revision and route\nTry: fnctl ls --help\n"},
		{"unknown format", nil, "ls -o xml", 2, "error: -o is \"xml\"; it must be one of table, wide, json, yaml, name, jsonl\nTry: fnctl ls --help\n"},
		{"bad server", nil, "ls --server localhost", 2, "error: server \"localhost\" is not an address like http://127.0.0.1:8081\nTry: fnctl ls --help\n"},
		{"bad since", nil, "logs --since yesterday", 2, "error: --since \"yesterday\" is neither a span of time nor a time\nTry: --since 10m, --since 2d or --since 2026-01-31T12:00:00Z\n"},
		{"bad level", nil, "logs --level loud", 2, "error: --level is \"loud\"; it must be one of debug, info, warn, error\nTry: fnctl logs --help\n"},
		{"emit without type", nil, "emit a -d {}", 2, "error: an event needs a type\nTry: fnctl emit a --type com.example.thing\n"},
		{"bad data", nil, "emit a --type t --content-type application/json -d {", 2, "error: the data is not valid JSON: unexpected end of JSON input\nTry: --content-type text/plain, or correct the data\n"},
		{"no data file", nil, "invoke f -d @/nowhere/x", 2, "error: data of -d @/nowhere/x: open /nowhere/x: no such file or directory\nTry: -d @FILE with a file that is there, -d - for stdin, or -d with the data itself\n"},
		{"bad ext", nil, "emit a --type t --ext Tenant=x", 2, "error: --ext \"Tenant=x\" is not NAME=VALUE with a name of lower-case letters and digits\nTry: --ext tenant=acme\n"},
		{"ext twice", nil, "emit a --type t --ext b=1 --ext b=2", 2, "error: --ext b=2: b has a value already\nTry: fnctl emit --help\n"},
		{"ext and flag", nil, "emit a --type t --delay 1s --ext evokedelay=2s", 2, "error: --ext evokedelay=2s: evokedelay has a value already\nTry: fnctl emit --help\n"},
		{"ext that has a flag", nil, "emit a --type t --ext subject=x", 2, "error: --ext subject=x: subject is an attribute and no extension; those that may be set have flags of their own\nTry: fnctl emit --help\n"},
		{"ext that has none", nil, "emit a --type t --ext time=x", 2, "error: --ext time=x: time is an attribute and no extension; those that may be set have flags of their own\nTry: fnctl emit --help\n"},
		{"rm trigger", nil, "rm trigger f:http", 2, "error: trigger f:http cannot be removed alone, it belongs to its function\nTry: remove it from `on:` in fn.yaml and deploy again\n"},
		{"redrive nothing", nil, "dlq redrive", 2, "error: fnctl dlq redrive needs the IDs of dead letters, or --all\nTry: fnctl dlq redrive ID, or fnctl dlq redrive --all --trigger TRIGGER\n"},
		{"redrive both", nil, "dlq redrive a --all", 2, "error: fnctl dlq redrive takes either IDs or --all with --trigger, --filter, --since and --parked, not both\nTry: fnctl dlq redrive --help\n"},
		{"redrive at no rate", nil, "dlq redrive --all --rate 50", 2, "error: invalid argument \"50\" for \"--rate\" flag: it is a number from 1 on in a time, like 50/s, 10/m or 100/h\nTry: fnctl dlq redrive --help\n"},
		{"redrive to no revision", nil, "dlq redrive a --to-revision 0", 2, "error: --to-revision is 0; revisions count from 1\nTry: fnctl dlq redrive --help\n"},
		{"edit many", nil, "dlq redrive a b --edit", 2, "error: an edit is for one dead letter, and needs its ID\nTry: fnctl dlq redrive ID --edit\n"},
		{"edit all", nil, "dlq redrive --all --edit-file -", 2, "error: an edit is for one dead letter, and needs its ID\nTry: fnctl dlq redrive ID --edit\n"},
		{"edit twice", nil, "dlq redrive a --edit --edit-file -", 2, "error: fnctl dlq redrive takes either --edit or --edit-file, not both\nTry: fnctl dlq redrive --help\n"},
		{"edit and try", nil, "dlq redrive a --edit --dry-run", 2, "error: --edit has nothing to do in a --dry-run\nTry: fnctl dlq redrive ID --edit-file FILE --dry-run\n"},
		{"edit file is no JSON", nil, "dlq redrive a --edit-file -", 2, "error: --edit-file -: the event is not JSON: unexpected end of JSON input\nTry: a CloudEvent as JSON; fnctl dlq peek ID -o json shows the one that failed as \"event\"\n"},
		{"edit file is not there", nil, "dlq redrive a --edit-file no/such", 2, "error: --edit-file: open no/such: no such file or directory\nTry: a CloudEvent as JSON; fnctl dlq peek ID -o json shows the one that failed as \"event\"\n"},
		{"list since when", nil, "dlq ls --since yesterday", 2, "error: --since \"yesterday\" is neither a span of time nor a time\nTry: --since 10m, --since 2d or --since 2026-01-31T12:00:00Z\n"},
		{"discard without reason", nil, "dlq discard a", 2, "error: discard forgets events for ever, it needs a --reason\nTry: add --reason \"test data\"\n"},
		{"unknown shell", nil, "completion tcsh", 2, "error: the shell is \"tcsh\"; it must be one of bash, zsh, fish, powershell\nTry: fnctl completion --help\n"},
		{"no manifest", nil, "deploy ./nowhere", 2, "error: there is no manifest nowhere/fn.yaml\nTry: the same with a DIR that has a fn.yaml; fnctl new makes one\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := newFake(t, tc.answers).fnctl(strings.Fields(tc.args)...)
			if got.code != tc.code || got.stderr != tc.stderr {
				t.Errorf("exit code %d, want %d; stderr\n%s\nwant\n%s", got.code, tc.code, got.stderr, tc.stderr)
			}
			if tc.code != exitOK && got.out != "" {
				t.Errorf("an error wrote to stdout: %q", got.out)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	got := execute(t.Context(), t, "", nil, "ls", "--server", "http://127.0.0.1:1")
	got.want(t, exitUnreachable, "", "error: reach the server at http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\n"+
		"Try: start one with `runtime`, or name another with --server or FNCTL_SERVER\n")
}

// hangs answers the header and then nothing, until the client goes. The header leaves early, so that started says a request is under way.
func hangs(started func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		started()
		<-r.Context().Done()
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{"GET /ns/default/functions": hangs(func() {})})
	got := f.fnctl("ls", "--timeout", "20ms")
	got.want(t, exitTimeout, "", fmt.Sprintf("error: call %s: no answer after 20ms\n", f.url)+
		"Try: again with a longer --timeout, or `fnctl logs` to see what the server does\n")
}

func TestInterruptedIsQuiet(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"logs -f", "topic tail a -f", "ls"} {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFake(t, map[string]any{
			"GET /ns/default/logs?follow=true":            hangs(cancel),
			"GET /ns/default/topics/a/events?follow=true": hangs(cancel),
			"GET /ns/default/functions":                   hangs(cancel),
		})
		f.fnctlIn(ctx, "", strings.Fields(args)...).want(t, exitInterrupted, "", "")
	}
}

func TestOnlyWhatEndsByItselfHasATimeout(t *testing.T) {
	t.Parallel()
	c := &cli{timeout: time.Minute}
	for _, follow := range []bool{true, false} {
		ctx, cancel := c.streamContext(t.Context(), follow)
		if _, limited := ctx.Deadline(); limited == follow {
			t.Errorf("follow %v: limited %v", follow, limited)
		}
		cancel()
	}
}

func TestServerThatEndsAFollowedStream(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{"GET /ns/default/logs?follow=true": stub{200, `{"message":"last"}` + "\n"}})
	got := f.fnctl("logs", "-f", "-o", "jsonl")
	if got.code != exitUnreachable || !strings.Contains(got.out, `"message":"last"`) || !strings.Contains(got.stderr, "the server ended the stream") {
		t.Errorf("got %+v", got)
	}
}

func TestTokenAndNamespace(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{"GET /ns/blue/functions": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer flag" {
			t.Errorf("Authorization %q", got)
		}
		io.WriteString(w, "[]")
	})})
	env := map[string]string{"FNCTL_SERVER": f.url, "FNCTL_TOKEN": "env"}
	execute(t.Context(), t, "", env, "ls", "-n", "blue", "--token", "flag").want(t, 0, "", "no functions in namespace blue; deploy one with fnctl deploy\n")
}

// What a server or a function wrote must not steer the terminal.
func TestControlCharactersAreShown(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/functions/f": api.Problem{Status: 404, Detail: "no \x1b[2Jf"},
		"GET /ns/default/functions":   []api.Function{{Name: "a\x1b]0;x\a"}},
		"GET /ns/default/logs":        stub{200, `{"level":"info","function":"f","message":"one\u001b[31m\ntwo"}` + "\n"},
	})
	if got := f.fnctl("describe", "f"); !strings.HasPrefix(got.stderr, `error: no \x1b[2Jf`) {
		t.Errorf("got %q", got.stderr)
	}
	if got := f.fnctl("ls", "-o", "name"); got.out != `a\x1b]0;x\x07`+"\n" {
		t.Errorf("got %q", got.out)
	}
	if got := f.fnctl("logs"); got.out != ` info  f one\x1b[31m`+"\n    two\n" {
		t.Errorf("got %q", got.out)
	}
}

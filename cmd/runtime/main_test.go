package main

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/node"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/none.yaml"
	for _, tt := range []struct {
		args           []string
		env            map[string]string
		code           int
		stdout, stderr string
	}{
		{args: []string{"version"}, stdout: node.Version},
		{args: []string{"--help"}, stdout: "EVOKE_DATA_DIR"},
		{args: []string{"--lisen", "x"}, code: 2, stderr: "flag provided but not defined: -lisen; try: runtime --help"},
		{args: []string{"restore"}, code: 2, stderr: "the last argument must be the FILE of the backup, or - for stdin; try: runtime restore --help"},
		{args: []string{"restore", "--data-dir", "x", "--force"}, code: 2, stderr: "the last argument must be the FILE"},
		{args: []string{"restore", "--help"}, stderr: "usage: runtime restore [--SETTING VALUE …] FILE|-"},
		{args: []string{"restore", file}, code: 2, stderr: "read backup: open " + file},
		{args: []string{"restore", "--partitions", "0", file}, code: 2, stderr: "partitions: 0 is not from 1 to 1024"},
		{args: []string{"restore", "--data-dir", t.TempDir() + "/d", "main.go"}, code: 1, stderr: "main.go: not a backup: it does not begin with EVOKEBAK"},
		{args: []string{"test", "me"}, code: 2, stderr: `runtime test: it takes no arguments, but there is "me"; try: fnctl test`},
		{args: []string{"test", "--help"}, stderr: "usage: runtime test"},
		{args: []string{"extra"}, code: 2, stderr: `unexpected argument "extra"; try: runtime --help`},
		{args: []string{"--partitions", "many"}, code: 2, stderr: `--partitions: "many" is not a whole number`},
		{args: []string{"--config", file}, code: 2, stderr: "read configuration: open " + file},
		{env: map[string]string{"EVOKE_DRAIN": "soon"}, code: 2, stderr: `EVOKE_DRAIN: "soon" is not a duration such as 30s`},
		{args: []string{"--listen", "nowhere", "--log-level", "loud"}, code: 2, stderr: `listen: "nowhere" is not an address such as 127.0.0.1:8080` + "\n" + `log-level: "loud" is not debug`},
		{args: []string{"--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"}, code: 1, stderr: "no token guards it: set EVOKE_ADMIN_TOKEN"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(tt.args, func(name string) string { return tt.env[name] }, strings.NewReader(""), &stdout, &stderr)
		if code != tt.code || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%v %v: code %d\nstdout %s\nstderr %s\nwant code %d, %q, %q", tt.args, tt.env, code, &stdout, &stderr, tt.code, tt.stdout, tt.stderr)
		}
	}
}

// Guests are as many as there are processors, and Go runs one goroutine more, unless somebody has said otherwise.
func TestOneProcessorIsLeftFree(t *testing.T) { //nolint:paralleltest // it changes the process
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	c := node.NewConfig()
	leaveOneFree(&c, func(string) string { return "" })
	if now := runtime.GOMAXPROCS(0); c.Running != before || now != before+1 {
		t.Errorf("%d guests on %d threads, there are %d processors", c.Running, now, before)
	}
	runtime.GOMAXPROCS(before)
	c.Running = 7
	leaveOneFree(&c, func(string) string { return "5" })
	if now := runtime.GOMAXPROCS(0); c.Running != 7 || now != before {
		t.Errorf("%d guests on %d threads, want what was said", c.Running, now)
	}
}

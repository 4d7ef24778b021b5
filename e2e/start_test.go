package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong with how the runtime is called or configured ends it with code 2, before it touches anything; what is wrong with its surroundings with
// code 1. In both cases the last words say what, which and what to try.
func TestStartsThatFail(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := filepath.Join(t.TempDir(), "evoke.yaml")
	if err := os.WriteFile(file, []byte("# mine\nlisten: 127.0.0.1:0\nlog-levl: debug\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"unknown key in the file": {[]string{"--config", file}, 2, []string{"evoke.yaml:3:1: unknown key \"log-levl\"", "known are data-dir, listen"}},
		"file that is not there":  {[]string{"--config", "/nowhere.yaml"}, 2, []string{"read configuration: open /nowhere.yaml: no such file"}},
		"unknown flag":            {[]string{"--lisen", "x"}, 2, []string{"-lisen", "try: runtime --help"}},
		"argument":                {[]string{"serve"}, 2, []string{`unexpected argument "serve"`, "try: runtime --help"}},
		"bad values, all at once": {[]string{"--partitions", "0", "--drain", "soon", "--log-level", "loud"}, 2, []string{
			"partitions: 0 is not from 1 to 1024", `--drain: "soon" is not a duration such as 30s`, `log-level: "loud" is not debug, info, warn or error`,
		}},
		"address that is none":   {[]string{"--listen", "8080"}, 2, []string{`listen: "8080" is not an address such as 127.0.0.1:8080`}},
		"gateway address in use": {[]string{"--listen", taken.Addr().String()}, 4, []string{taken.Addr().String(), "address already in use", "choose another --listen"}},
		"admin address in use":   {[]string{"--admin", taken.Addr().String()}, 4, []string{taken.Addr().String(), "address already in use", "choose another --admin"}},
		"admin for everybody without a token": {[]string{"--admin", "0.0.0.0:0"}, 1, []string{
			"can be reached from outside and no token guards it: set EVOKE_ADMIN_TOKEN, or listen on 127.0.0.1",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t, filepath.Join(t.TempDir(), "data"), tc.args...)
			code, stderr := p.fails(t)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			_, said, _ := strings.Cut("\n"+stderr, "\nruntime: ") // behind what was logged before
			contains(t, said, tc.want...)
			if _, err := os.Stat(p.dir); tc.code == 2 && err == nil {
				t.Error("it made a data directory")
			}
		})
	}
}

func TestEnvironmentConfigures(t *testing.T) {
	t.Parallel()
	p := launchEnv(t, dataDir(t), "EVOKE_LOG_FORMAT=yaml")
	code, stderr := p.fails(t)
	if code != 2 {
		t.Errorf("exit code %d", code)
	}
	contains(t, stderr, `log-format: "yaml" is not text or json`)
	p = launchEnv(t, dataDir(t), "EVOKE_PARTITIONS=many")
	_, stderr = p.fails(t)
	contains(t, stderr, `EVOKE_PARTITIONS: "many" is not a whole number`)
}

func TestDataDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := start(t, dir)
	second := launch(t, dir)
	code, stderr := second.fails(t)
	if code != 5 {
		t.Errorf("exit code %d", code)
	}
	contains(t, stderr, fmt.Sprintf("data directory %s is in use by the process with id %d; stop it or choose another --data-dir", dir, first.pid()))
	if r := send(t, "GET", first.admin+"/readyz", nil, nil); r.status != 200 {
		t.Errorf("the first: %d %s", r.status, r.body)
	}
}

// A runtime that was killed holds its directory no longer, and its addresses are not taken for those of the next.
func TestKilledRuntimeLeavesNothingInTheWay(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	start(t, dir).kill()
	p := start(t, dir)
	if r := send(t, "GET", p.admin+"/readyz", nil, nil); r.status != 200 {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	if err := p.terminate(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "addresses.json")); !os.IsNotExist(err) {
		t.Errorf("addresses.json after a stop: %v", err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	help, err := runProgram(t, programs.runtime, "--help")
	if err != nil {
		t.Error(err)
	}
	contains(t, help, "usage: runtime", "--data-dir", "EVOKE_DATA_DIR", "--min-free", "example: ")
	version, err := runProgram(t, programs.runtime, "version")
	if err != nil || strings.Count(version, "\n") != 1 {
		t.Errorf("version: %q, %v", version, err)
	}
}

// guarded is a runtime whose management API asks for a token.
func guarded(t *testing.T) *app {
	t.Helper()
	a := newApp(t, start(t, dataDir(t), "--admin-token", "s3cret"))
	a.token = "s3cret"
	return a
}

func TestManagementIsGuarded(t *testing.T) {
	t.Parallel()
	a := guarded(t)
	token := func(s string) []string { return []string{"Bearer " + s} }
	for name, tc := range map[string]struct {
		path   string
		header http.Header
		status int
		want   []string
	}{
		"token":       {"/api/v1/version", http.Header{"Authorization": token("s3cret")}, 200, []string{`"version"`}},
		"no token":    {"/api/v1/version", nil, 401, []string{"unauthorized", "the request has no bearer token", "EVOKE_ADMIN_TOKEN", "FNCTL_TOKEN"}},
		"wrong token": {"/api/v1/version", http.Header{"Authorization": token("s3creT")}, 401, []string{"the bearer token is not the server's"}},
		"metrics":     {"/metrics", nil, 401, []string{"unauthorized"}},
		"foreign origin": {"/api/v1/version", http.Header{"Authorization": token("s3cret"), "Origin": {"https://evil.example"}}, 403, []string{
			"foreign-origin", `a page of \"https://evil.example\" may not call the management API`,
		}},
		"foreign host": {"/api/v1/version", http.Header{"Authorization": token("s3cret"), "Host": {"evil.example"}}, 421, []string{
			"foreign-host", `not served as \"evil.example\"`, "--admin-hosts",
		}},
		"health is open": {"/healthz", nil, 200, []string{"ok"}},
	} {
		r := send(t, "GET", a.rt.admin+tc.path, tc.header, nil)
		if r.status != tc.status {
			t.Errorf("%s: %d %s, want %d", name, r.status, r.body, tc.status)
		}
		contains(t, r.body, tc.want...)
	}
}

func TestFnctlWithAWrongToken(t *testing.T) {
	t.Parallel()
	a := guarded(t)
	a.must(t, "ls", "functions")
	a.token = "guess"
	r := a.fnctl(t, "ls", "functions")
	if r.code != 5 {
		t.Errorf("fnctl ls: %s; want exit code 5", r)
	}
	contains(t, r.stderr, "the bearer token is not the server's", "FNCTL_TOKEN")
}

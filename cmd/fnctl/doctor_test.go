package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// at answers v with a clock that is ahead by skew.
func at(skew time.Duration, v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", now.Add(skew).Format(http.TimeFormat))
		if p, refused := v.(api.Problem); refused {
			writeProblem(w, p)
			return
		}
		json.NewEncoder(w).Encode(v)
	}
}

var (
	runs       = api.Version{Version: "0.1.0-dev", Go: "go1.26.0", ABI: "evoke_v1", Gateway: "127.0.0.1:8080"}
	noSuch     = api.Problem{Status: 404, Type: "https://evoke.run/problems/not-found", Title: "not found", Detail: "no module"}
	refused    = api.Problem{Status: 401, Type: "https://evoke.run/problems/unauthorized", Title: "A token is needed", Detail: "the token is unknown"}
	onlyViewer = api.Problem{Status: 403, Type: "https://evoke.run/problems/forbidden", Title: "The token may not do this", Detail: "this needs the role deployer"}
)

func healthy(skew time.Duration) map[string]any {
	return map[string]any{"GET /version": at(skew, runs), "GET /ns/default/functions": at(skew, []api.Function{}), "HEAD /modules/" + noModule: at(skew, noSuch)}
}

func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t, healthy(0))
	got := f.fnctl("doctor", twoModules(t))
	lines := strings.Split(fold(got.out), "\n")
	if len(lines) > 1 {
		lines[1] = strings.Join(strings.Fields(lines[1])[:2], " ") // the version of Go is of this machine
	}
	want := "CHECK RESULT DETAIL\ngo ok\nserver ok " + f.url + ", from FNCTL_SERVER\nclock ok agrees with the server's\nversion ok fnctl " + buildVersion() + ", server 0.1.0-dev\n" +
		"abi ok evoke_v1\ntoken ok none, and the server needs none"
	if got.code != 0 || got.stderr != "" || strings.Join(lines, "\n") != want {
		t.Errorf("%+v\nwant\n%s", got, want)
	}
	if asked := f.requests(); asked != "GET /version\nGET /ns/default/functions\nHEAD /modules/"+noModule {
		t.Errorf("asked\n%s", asked)
	}
	if got := f.fnctl("doctor", "-n", "default", "--token", "evt_x"); !strings.Contains(got.out, "may deploy to namespace default") {
		t.Errorf("%+v", got)
	}
	var list []finding
	if got := f.fnctl("doctor", "-o", "json"); json.Unmarshal([]byte(got.out), &list) != nil || len(list) != 6 || list[1].Check != "server" || list[1].Result != "ok" {
		t.Errorf("%s", got.out)
	}
}

// Each trouble has its line, what to try, and the exit code that other commands have for it.
func TestDoctorFindsTroubles(t *testing.T) {
	t.Parallel()
	with := func(key string, answer any) map[string]any {
		answers := healthy(0)
		answers[key] = answer
		return answers
	}
	otherABI, newer := runs, runs
	otherABI.ABI, newer.Version = "evoke_v2", "2.0.0"
	for _, test := range []struct {
		name    string
		answers map[string]any
		code    int
		line    string
		try     string
	}{
		{"clock ahead", healthy(90 * time.Second), 0, "clock warning the server's is 1m30s ahead of this one", "clock: try NTP on both machines"},
		{"clock behind", healthy(-time.Hour), 0, "clock warning the server's is 1h0m0s behind this one", "clock: try NTP on both machines"},
		{"a second is nothing", healthy(3 * time.Second), 0, "clock ok agrees with the server's", ""},
		{"token refused", with("GET /version", at(0, refused)), exitUnauthorised, "token wrong the token is unknown", "token: try the server's token with --token or FNCTL_TOKEN"},
		{"another namespace", with("GET /ns/default/functions", at(0, onlyViewer)), exitUnauthorised, "token wrong this needs the role deployer", "token: try the server's token"},
		{"a viewer", with("HEAD /modules/"+noModule, at(0, onlyViewer)), 0, "token warning may look at namespace default, and not deploy to it", "token: try a token with the role deployer: fnctl token create NAME --role deployer"},
		{"another ABI", with("GET /version", at(0, otherABI)), 1, "abi wrong the server runs functions for evoke_v2, and this fnctl builds them for evoke_v1", "abi: try the fnctl that came with the server"},
		{"the gateway", with("GET /version", at(0, noSuch)), 1, ", from FNCTL_SERVER, answers, and is no management API of Evoke", "server: try the address that `runtime` was given as --admin"},
		{"another program", with("GET /version", stub{200, "hello"}), 1, ", answers, and is no management API of Evoke", "--admin"},
		{"a proxy alone", with("GET /version", stub{502, "bad gateway"}), exitUnreachable, "server wrong bad gateway (FNCTL_SERVER)", "server: try again in a moment"},
	} {
		got := newFake(t, test.answers).fnctl("doctor", twoModules(t))
		if got.code != test.code || !strings.Contains(fold(got.out), test.line) || !strings.Contains(got.stderr, test.try) || test.try == "" && got.stderr != "" {
			t.Errorf("%s: exit code %d\n%s%s\nwant %d %s, %s", test.name, got.code, got.out, got.stderr, test.code, test.line, test.try)
		}
	}
}

func TestDoctorWithoutAServer(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	got := execute(t.Context(), t, "", map[string]string{"FNCTL_SERVER": closed.URL}, "doctor")
	if got.code != exitUnreachable || !strings.Contains(got.out, "reach the server at "+closed.URL) || !strings.Contains(got.out, "connection refused (FNCTL_SERVER)") ||
		!strings.Contains(got.stderr, "server: try start one with `runtime`, or name another with --server or FNCTL_SERVER") {
		t.Errorf("%+v", got)
	}
	got = execute(t.Context(), t, "", map[string]string{"FNCTL_SERVER": "example.com"}, "doctor")
	if got.code != exitUsage || !strings.Contains(got.out, `server "example.com" is not an address like`) {
		t.Errorf("%+v", got)
	}
	u := newUser(t)
	u.write("current: gone\n", 0o600)
	if got := u.fnctl("doctor"); got.code != exitUsage || !strings.Contains(got.out, `there is no context "gone"`) || !strings.Contains(got.stderr, "settings: try fnctl context set gone --server URL") {
		t.Errorf("%+v", got)
	}
}

// A toolchain that is missing is wrong where fn.yaml needs one, a warning where there is no fn.yaml, and nothing where it needs none.
func TestDoctorLooksForTheToolchain(t *testing.T) {
	t.Parallel()
	f := newFake(t, healthy(0))
	sources := writeFiles(t, map[string]string{"fn.yaml": goFunctions})
	const missing = "no go command on PATH; building a Go function needs Go 1.24 or newer"
	for dir, want := range map[string]struct {
		code      int
		line, try string
	}{
		sources:       {1, "go wrong " + missing, "go: try install Go from https://go.dev/dl, or build the module elsewhere and name the file with wasm:\n"},
		t.TempDir():   {0, "go warning " + missing, "go: try install Go from https://go.dev/dl, or build the module elsewhere and name the file with wasm:\n"},
		twoModules(t): {0, "go ok " + missing + "; no function of ", ""},
	} {
		c, out, stderr := newCLI(t, "", map[string]string{"FNCTL_SERVER": f.url})
		c.goCommand = filepath.Join(t.TempDir(), "go")
		code := c.execute(t.Context(), []string{"doctor", dir})
		if code != want.code || !strings.Contains(fold(out.String()), want.line) || stderr.String() != want.try {
			t.Errorf("%s: exit code %d\n%s%s\nwant %+v", dir, code, out, stderr, want)
		}
	}
}

func TestVersionsThatFit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ client, server, result, try string }{
		{"v0.2.0", "0.2.7", fine, ""},
		{"v0.2.0-rc.1", "0.2.0", fine, ""},
		{"v0.3.0", "v0.2.9", warning, "fnctl v0.2.9, or a newer runtime: the server may not know what this fnctl asks for"},
		{"v0.3.0", "1.0.0", warning, "fnctl 1.0.0: this one may not know what the server can do"},
		{"(devel)", "0.2.0", fine, ""},
		{"v0.0.0-20260101000000-abcdefabcdef", "0.2.0", fine, ""},
		{"v0.2.0", "", fine, ""},
	} {
		if got := versionFinding(test.client, api.Version{Version: test.server}); got.Result != test.result || got.Try != test.try {
			t.Errorf("%s and %s: %+v", test.client, test.server, got)
		}
	}
}

// Rust is named only where a function is in Rust.
func TestDoctorLooksForRust(t *testing.T) {
	t.Parallel()
	f := newFake(t, healthy(0))
	const manifestOf = "version: 1\napp: a\nfunctions:\n  f: { source: ./f }\n"
	inRust := writeFiles(t, map[string]string{"fn.yaml": manifestOf, "f/Cargo.toml": ""})
	inGo := writeFiles(t, map[string]string{"fn.yaml": manifestOf, "f/main.go": ""})
	for dir, want := range map[string]struct {
		code      int
		line, try string
	}{
		inRust: {1, "rust wrong no cargo command on PATH; building a Rust function needs cargo, rustc 1.63 or newer, and the target wasm32-wasip1", "rust: try "},
		inGo:   {0, "", ""},
	} {
		c, out, stderr := newCLI(t, "", map[string]string{"FNCTL_SERVER": f.url})
		c.cargoCommand = filepath.Join(t.TempDir(), "cargo")
		code := c.execute(t.Context(), []string{"doctor", dir})
		if code != want.code || !strings.Contains(fold(out.String()), want.line) || strings.Contains(out.String(), "rust") != (want.line != "") || !strings.HasPrefix(stderr.String(), want.try) {
			t.Errorf("%s: exit code %d\n%s%s\nwant %+v", dir, code, out, stderr, want)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/sandbox/wasmtest/hostile"
)

// fakeScripts prints like the benchmark of scripts of package sandbox.
func fakeScripts() int {
	for _, h := range handlers {
		fmt.Printf("BenchmarkScript/%s/isolated-2 \t 10\t  4000 ns/op\t   3000 cpu-ns/op\nBenchmarkScript/%s/never-reset-2 \t 10\t  4000 ns/op\t   2000 cpu-ns/op\n", h.benchmark, h.benchmark)
	}
	return 0
}

// fakeWorkerd answers every request, and says where on what is its control descriptor here.
func fakeWorkerd() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	said, _ := json.Marshal(map[string]any{"event": "listen", "port": l.Addr().(*net.TCPAddr).Port}) // strings and numbers always marshal
	fmt.Println(string(said))
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	return 1
}

// neverShown is a greeting that fakeDev never comes to.
const neverShown = "hello-3"

// fakeNew makes a project of one file, as fnctl new.
func fakeNew(name, language string) int {
	text := map[string]string{"ts": "text: `hello`", "go": `"text": "hello"`}[language]
	err := os.Mkdir(name, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(name, "main."+language), []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fakeDev answers what the file of the project says, as fnctl dev does some time later.
func fakeDev() int {
	source, err := filepath.Glob("main.*")
	if err != nil || len(source) != 1 {
		fmt.Fprintln(os.Stderr, "no project", err)
		return 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/fn/hello", func(w http.ResponseWriter, _ *http.Request) {
		text, err := os.ReadFile(source[0])
		if strings.Contains(string(text), neverShown) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s Ada %v", strings.Trim(string(text), "`\""), err)
	})
	return fakeServe(".evoke", l, mux)
}

func fakeAuthoring(t *testing.T) authoringBuilt {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join("testdata", "script", "order.js"))
	if err != nil {
		t.Fatal(err)
	}
	return authoringBuilt{runtime: self, fnctl: self, tests: self, script: script, workerd: []string{self, "serve", "orders.capnp"}}
}

func TestAuthoringWithTinyNumbers(t *testing.T) {
	t.Parallel()
	needProc(t)
	s, _ := quick(t)
	s.rounds, s.limit = 1, 5*time.Minute // the engine of scripts is compiled first
	rows, err := s.measureAuthoring(t.Context(), fakeAuthoring(t))
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "ts_isolated_json_us", "ts_isolated_async_us", "ts_isolated_one_us", "ts_http_cpu", "ts_cold_first_event_ms", "ts_kill_lateness_ms",
		"ts_kill_lateness_p50_ms", "ts_save_to_visible_ms", "go_save_to_visible_ms", "ts_deployed_function_kib")
	if r := rows[0]; r.Value != 3 || r.AgainstValue != 2 || r.Ratio != 1.5 {
		t.Errorf("%+v", r)
	}
	if r := rows[3]; r.Against != "workerd" {
		t.Errorf("%+v", r)
	}
	endless := 0
	for _, h := range hostile.Scripts() {
		if h.Endless() {
			endless++
		}
	}
	if r := rows[5]; r.Runs != endless*s.rounds || endless < 41 {
		t.Errorf("%d kills of %d hostile scripts", r.Runs, endless)
	}
}

func TestAuthoringWithoutWorkerd(t *testing.T) {
	t.Parallel()
	needProc(t)
	s, _ := quick(t)
	b := fakeAuthoring(t)
	b.workerd = nil
	requests, err := s.newScriptRequests(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := requests.round(t.Context()); err != nil {
		t.Error(err)
	}
	if r := requests.rows()[0]; r.Against != "" || r.Runs != 1 {
		t.Errorf("%+v", r)
	}
	if err := requests.close(); err != nil {
		t.Error(err)
	}
}

func TestSaveThatIsNeverVisible(t *testing.T) {
	t.Parallel()
	needProc(t)
	s, _ := quick(t)
	dev, err := s.newDevProjects(t.Context(), fakeAuthoring(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.round(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("too late"))
	defer cancel()
	if err := dev.round(ctx); err == nil || !strings.Contains(err.Error(), "too late: the last answer was") || !strings.Contains(err.Error(), `not "`+neverShown+` Ada"`) {
		t.Error(err)
	}
	for _, r := range dev.rows() {
		if r.Runs != 1 || r.Against != "target" {
			t.Errorf("%+v", r)
		}
	}
	if err := dev.close(); err != nil {
		t.Error(err)
	}
}

func TestScriptBenchmarksThatSayNothing(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	if err := s.newScriptEvents("true").round(t.Context()); err == nil || !strings.Contains(err.Error(), "do not tell the cpu-ns/op of json") {
		t.Error(err)
	}
}

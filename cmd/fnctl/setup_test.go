package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// now is the time of all tests.
var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// fake is a server of the management API: answers by "METHOD /path", and what was asked.
type fake struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	answers map[string]any
	asked   []string
}

// stub answers with a status and a body as it is.
type stub struct {
	status int
	body   string
}

func newFake(t *testing.T, answers map[string]any) *fake {
	t.Helper()
	f := &fake{t: t, answers: answers}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("read request: %v", err)
	}
	asked := r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), "/api/v1")
	f.mu.Lock()
	answer, ok := f.answers[asked]
	line := asked
	if len(body) > 0 && r.Header.Get("Content-Type") != "application/wasm" {
		line += " " + string(body)
	}
	f.asked = append(f.asked, line)
	f.mu.Unlock()
	switch a := answer.(type) {
	case nil:
		if !ok {
			writeProblem(w, api.Problem{Status: http.StatusNotFound, Title: "not found", Detail: "there is no " + asked})
		}
	case stub:
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
	case api.Problem:
		writeProblem(w, a)
	case http.HandlerFunc:
		a(w, r)
	default:
		json.NewEncoder(w).Encode(a)
	}
}

func writeProblem(w http.ResponseWriter, p api.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// requests are all requests so far.
func (f *fake) requests() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.asked, "\n")
}

// result of a run.
type result struct {
	code        int
	out, stderr string
}

// fnctl runs the program against the fake.
func (f *fake) fnctl(args ...string) result { return f.fnctlIn(f.t.Context(), "", args...) }

func (f *fake) fnctlIn(ctx context.Context, stdin string, args ...string) result {
	f.t.Helper()
	return execute(ctx, f.t, stdin, map[string]string{"FNCTL_SERVER": f.url}, args...)
}

func execute(ctx context.Context, t *testing.T, stdin string, env map[string]string, args ...string) result {
	t.Helper()
	c, out, stderr := newCLI(t, stdin, env)
	code := c.execute(ctx, args)
	return result{code, out.String(), stderr.String()}
}

func newCLI(t *testing.T, stdin string, env map[string]string) (c *cli, out, stderr *bytes.Buffer) {
	t.Helper()
	out, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return &cli{
		in: strings.NewReader(stdin), out: out, err: stderr, cacheDir: filepath.Join(t.TempDir(), "cache"),
		getenv: func(name string) string { return env[name] }, now: func() time.Time { return now },
	}, out, stderr
}

func (r result) want(t *testing.T, code int, out, stderr string) {
	t.Helper()
	if r.code != code || r.out != out || r.stderr != stderr {
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nwant:\n%s\nstderr:\n%s\nwant:\n%s", r.code, code, r.out, out, r.stderr, stderr)
	}
}

// writeFiles makes a directory of files and answers it.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

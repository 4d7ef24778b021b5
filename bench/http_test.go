package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// needProc skips where the kernel does not tell what a process uses.
func needProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("CPU time and memory of a process come from Linux's /proc")
	}
}

// The programs are the real yardstick, also for the rivals, and a fake runtime; all are the test binary.
func TestHTTPWithTinyNumbers(t *testing.T) {
	t.Parallel()
	needProc(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := quick(t)
	rows, err := s.measureHTTP(t.Context(), built{runtime: self, checks: self, guest: []byte("\x00asm"), rivals: []rival{{"extism", []string{self, peerArg}, plainAddress}}})
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "ready_ms", "idle_rss_mib", "binary_mib", "echo_1k", "echo_1k_cpu", "echo_1k_p99", "publish_202", "publish_202_cpu", "publish_202_p99",
		"http_echo_1k_cpu", "http_echo_1k_cpu_vs_extism", "http_p99_ms", "publish_single_cpu", "publish_batch100_cpu",
		"check_jwt_us", "check_jwt_es256_us", "check_jwt_again_us", "check_key_us")
	if rows[1].Value < 1 || rows[2].Value < 1 || rows[3].Value == 0 {
		t.Errorf("%+v", rows)
	}
}

func TestRivalThatSaysNoAddress(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := quick(t)
	none := &process{gateway: "127.0.0.1:1"}
	e, err := s.newEchoes(none, none, []rival{
		{"extism", []string{self, peerArg}, plainAddress}, {"workerd", []string{self, peerArg}, workerdAddress},
	})
	if err == nil || !strings.Contains(err.Error(), "workerd does not say where it listens: \"127.0.0.1:") {
		t.Error(err)
	}
	if len(e.rivals) != 1 || e.kill() != nil {
		t.Errorf("%d rivals", len(e.rivals))
	}
}

func TestWorkerdAddress(t *testing.T) {
	t.Parallel()
	if got, err := workerdAddress(`{"event":"listen","socket":"http","port":4711}`); err != nil || got != "127.0.0.1:4711" {
		t.Errorf("%q, %v", got, err)
	}
}

// Nobody gets an answer for longer than all calls take: each is late by what it waited for the one before.
func TestPaceCountsFromWhenACallIsDue(t *testing.T) {
	t.Parallel()
	const calls, stall = 10, 20 * time.Millisecond
	var made atomic.Int64
	out, err := pace(t.Context(), 1, 1e6, calls*time.Microsecond, func(context.Context, int) error {
		made.Add(1)
		time.Sleep(stall)
		return nil
	})
	if err != nil || made.Load() != calls || out.n != calls {
		t.Fatalf("%d calls, %+v, %v", made.Load(), out, err)
	}
	if longest := quantile(out.latencies, 1); longest < (calls-1)*stall {
		t.Errorf("the last of %d calls, %v each, took %v", calls, stall, longest)
	}
	broken := errors.New("broken")
	if _, err := pace(t.Context(), 2, 1000, time.Minute, func(context.Context, int) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestRuntimeThatDoesNotStart(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = startRuntime(t.Context(), self, filepath.Join(t.TempDir(), brokenDir))
	if err == nil || !strings.Contains(err.Error(), "start the runtime: it ended: exit status 1\nno disk") {
		t.Error(err)
	}
	_, _, err = startRuntime(t.Context(), filepath.Join(t.TempDir(), "absent"), t.TempDir())
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestLoadRefusesAnotherStatus(t *testing.T) {
	t.Parallel()
	needProc(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no room", http.StatusInsufficientStorage) }))
	defer server.Close()
	_, err := loadOn(server).run(t.Context(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "answered 507 Insufficient Storage, want 200: no room") {
		t.Error(err)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	needProc(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the connection close
		cancel(why)
		<-r.Context().Done()
	}))
	defer server.Close()
	if _, err := loadOn(server).run(ctx, time.Minute); !errors.Is(err, why) {
		t.Error(err)
	}
}

// loadOn is load of two connections; the CPU time is that of the test itself.
func loadOn(server *httptest.Server) *load {
	return &load{addr: server.Listener.Addr().String(), connections: 2, status: http.StatusOK, request: poster("/echo"), process: &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}}
}

func TestBareEcho(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	bareEcho().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/echo", strings.NewReader("hello")))
	if rec.Code != http.StatusOK || rec.Body.String() != "hello" {
		t.Errorf("%d %q", rec.Code, rec.Body)
	}
}

func TestPublishedEventsHaveIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	next := publisher("/bench")
	seen := map[string]bool{}
	for range 5 {
		req := readRequest(t, next(nil))
		id := req.Header.Get("ce-id")
		if id == "" || seen[id] {
			t.Errorf("id %q came before", id)
		}
		seen[id] = true
		body, err := io.ReadAll(req.Body)
		if err != nil || len(body) != payloadSize || req.URL.Path != "/topics/bench" || req.Header.Get("ce-specversion") != "1.0" {
			t.Errorf("%d bytes to %s, %v", len(body), req.URL, err)
		}
	}
}

func TestBatchesHaveAHundredEventsOfTheirOwn(t *testing.T) {
	t.Parallel()
	next := batchPublisher()
	seen := map[string]bool{}
	for range 3 {
		req := readRequest(t, next(nil))
		var events []struct {
			ID   string
			Data []byte `json:"data_base64"`
		}
		if err := json.NewDecoder(req.Body).Decode(&events); err != nil || len(events) != batchSize || req.Header.Get("Content-Type") != "application/cloudevents-batch+json" {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for _, e := range events {
			if seen[e.ID] || len(e.Data) != payloadSize {
				t.Errorf("event %s has %d bytes", e.ID, len(e.Data))
			}
			seen[e.ID] = true
		}
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	root, err := sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "bench", "testdata", "echo", "main.go")); err != nil {
		t.Error(err)
	}
}

func TestBuildShowsWhatTheToolchainSays(t *testing.T) {
	t.Parallel()
	err := buildProgram(t.Context(), t.TempDir(), "runtime", filepath.Join(t.TempDir(), "out"))
	if err == nil || !strings.Contains(err.Error(), "go build in ") || !strings.Contains(err.Error(), "go.mod") {
		t.Error(err)
	}
}

func readRequest(t *testing.T, raw []byte) *http.Request {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

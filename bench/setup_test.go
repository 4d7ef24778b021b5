package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/node"
	"github.com/evoke-run/evoke/sandbox"
)

// TestMain lets the test binary be the programs that are measured: started again with the yardstick's argument or as a runtime, it is one of them.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == realRuntime:
		os.Exit(serveRuntime(os.Args[1:]))
	case len(os.Args) == 2 && os.Args[1] == peerArg:
		os.Exit(servePeer(os.Stdout, os.Stderr))
	case len(os.Args) == 3 && os.Args[1] == stallArg:
		os.Exit(serveStall(os.Args[2], os.Stdout, os.Stderr))
	case len(os.Args) == 2 && (os.Args[1] == fakePlugin || os.Args[1] == brokenPlugin):
		os.Exit(fakeExtism(os.Args[1]))
	case len(os.Args) == 3 && os.Args[1] == backlogArg:
		os.Exit(serveBacklog(os.Args[2], os.Stdin, os.Stdout, os.Stderr))
	case len(os.Args) == 2 && filepath.Base(os.Args[1]) == "jetstream":
		os.Exit(fakeJetStream(os.Stdin, os.Stdout))
	case len(os.Args) == 4 && os.Args[2] == "-test.bench=^BenchmarkCheck":
		os.Exit(fakeChecks(os.Args))
	case len(os.Args) == 4 && strings.HasPrefix(os.Args[2], "-test.bench=^BenchmarkScript"):
		os.Exit(fakeScripts())
	case len(os.Args) > 2 && os.Args[1] == "serve": // as workerd is started
		os.Exit(fakeWorkerd())
	case len(os.Args) > 2 && os.Args[1] == "new":
		os.Exit(fakeNew(os.Args[2], os.Args[4]))
	case len(os.Args) > 2 && os.Args[1] == "dev":
		os.Exit(fakeDev())
	case len(os.Args) > 2 && os.Args[1] == "--data-dir":
		os.Exit(fakeRuntime(os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

// realRuntime as the name of the test binary makes it a runtime that is none of the fakes.
const realRuntime = "runtime"

func serveRuntime(args []string) int {
	const compile = "compile-module"
	if args[0] == compile {
		return sandbox.RunCompiler(args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	config, err := node.LoadConfig(args, os.Getenv, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	config.Compiler = []string{os.Args[0], compile}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := node.New(ctx, config, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err == nil {
		err = n.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// brokenDir as the last part of the data directory makes the fake runtime fail to start.
const brokenDir = "broken"

// fakeRuntime answers like a runtime, from memory; it is ready when it was asked once.
func fakeRuntime(dir string) int {
	if filepath.Base(dir) == brokenDir {
		fmt.Fprintln(os.Stderr, "no disk")
		return 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var asked atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !asked.Swap(true) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("PUT /api/v1/modules/{digest}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("PUT /api/v1/ns/default/apps/{app}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	mux.HandleFunc("GET /api/v1/ns/default/functions", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") })
	mux.HandleFunc("POST /fn/spin", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) })
	mux.HandleFunc("POST /fn/{name}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "many") })
	mux.HandleFunc("POST /fn/echo", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "echo") })
	mux.HandleFunc("POST /topics/bench", acceptOnce())
	return fakeServe(dir, l, mux)
}

// fakeServe answers until SIGTERM, and writes down where.
func fakeServe(dir string, l net.Listener, handler http.Handler) int {
	raw, _ := json.Marshal(map[string]string{"gateway": l.Addr().String(), "admin": l.Addr().String()}) // strings always marshal
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 1
	}
	if err := os.WriteFile(filepath.Join(dir, "addresses.json"), raw, 0o600); err != nil {
		return 1
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		l.Close()
	}()
	http.Serve(l, handler)
	return 0
}

// acceptOnce refuses an event whose id came before.
func acceptOnce() http.HandlerFunc {
	var seen sync.Map
	return func(w http.ResponseWriter, r *http.Request) {
		event := r.Header.Get("ce-source") + " " + r.Header.Get("ce-id")
		if event == " " { // a batch, which is told by its first event
			head := make([]byte, 200)
			n, _ := io.ReadFull(r.Body, head)
			event = string(head[:n])
		}
		if _, again := seen.LoadOrStore(event, true); again {
			http.Error(w, "published twice", http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "{}")
	}
}

// quick is a session with tiny numbers. What it says ends up in said.
func quick(t *testing.T) (s *session, said *strings.Builder) {
	t.Helper()
	said = &strings.Builder{}
	return &session{
		dir: t.TempDir(), rounds: 2, slice: 20 * time.Millisecond, idle: time.Millisecond, limit: 5 * time.Minute,
		say: func(format string, args ...any) { fmt.Fprintf(said, format+"\n", args...) },
	}, said
}

// wantRows checks that the rows have these names, in this order, and numbers.
func wantRows(t *testing.T, rows []row, names ...string) {
	t.Helper()
	if len(rows) != len(names) {
		t.Errorf("%d rows, want %d", len(rows), len(names))
	}
	for i, r := range rows {
		if i < len(names) && r.Case != names[i] {
			t.Errorf("row %d is %q, want %q", i, r.Case, names[i])
		}
		if r.Unit == "" || r.Runs < 1 || r.Value < 0 || r.Against != "" && r.AgainstValue < 0 {
			t.Errorf("row %+v", r)
		}
	}
}

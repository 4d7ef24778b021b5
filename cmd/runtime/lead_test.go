package main

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/evoke-run/evoke/registry"
)

// readyWriter is a stderr that tells when the runtime is ready.
type readyWriter struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
}

func (w *readyWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Contains(p, []byte("msg=ready")) {
		close(w.ready)
	}
	return w.text.Write(p)
}

func (w *readyWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// A runtime that is replaced ends with a code of its own and says by whom.
func TestExitCodeOfARuntimeThatWasReplaced(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := url.URL{Scheme: "http", Host: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.TickMs, cfg.ElectionMs = t.TempDir(), "fatal", 10, 100
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls, cfg.ListenPeerUrls = []url.URL{at}, []url.URL{at}, nil
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	<-etcd.Server.ReadyNotify()

	dir, stderr, code := t.TempDir(), &readyWriter{ready: make(chan struct{})}, make(chan int, 1)
	go func() {
		args := []string{"--data-dir", dir, "--etcd", at.String(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--drain", "1s"}
		code <- run(args, func(string) string { return "" }, strings.NewReader(""), &bytes.Buffer{}, stderr)
	}()
	select {
	case <-stderr.ready:
	case c := <-code:
		t.Fatalf("code %d\n%s", c, stderr)
	}
	id, err := os.ReadFile(filepath.Join(dir, "ID"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.Dial([]string{at.String()}, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // the test is over
	r, err := registry.New(registry.Options{Client: client, ModuleDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	lead, err := r.Lead(t.Context(), registry.Candidate{Node: "other", Directory: strings.TrimSpace(string(id))})
	if err != nil {
		t.Fatal(err)
	}
	if c := <-code; c != 3 {
		t.Errorf("code %d, want 3", c)
	}
	for _, want := range []string{"stopping: this node leads no more", "runtime: stopped: another node may lead now: the lease of the leader is lost: node other has taken over"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr does not say %q:\n%s", want, stderr)
		}
	}
	if err := lead.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

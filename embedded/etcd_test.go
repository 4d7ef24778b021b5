package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, dir string) *embedded.Etcd {
	t.Helper()
	e, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

func put(t *testing.T, e *embedded.Etcd, key, value string) {
	t.Helper()
	if _, err := e.Client().Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, e *embedded.Etcd, key string) string {
	t.Helper()
	r, err := e.Client().Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kvs) == 0 {
		return ""
	}
	return string(r.Kvs[0].Value)
}

func TestKeepsKeysAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	for i := range 3 {
		e := start(t, dir)
		if i > 0 && get(t, e, "last") != fmt.Sprint(i-1) {
			t.Fatalf("start %d: last is %q, want %d", i, get(t, e, "last"), i-1)
		}
		put(t, e, "last", fmt.Sprint(i))
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwoServersInOneProcessAreApart(t *testing.T) {
	t.Parallel()
	one, two := start(t, filepath.Join(t.TempDir(), "etcd")), start(t, filepath.Join(t.TempDir(), "etcd"))
	put(t, one, "k", "one")
	put(t, two, "k", "two")
	if a, b := get(t, one, "k"), get(t, two, "k"); a != "one" || b != "two" {
		t.Fatalf("got %q and %q", a, b)
	}
}

func TestWatchSeesWrites(t *testing.T) {
	t.Parallel()
	e := start(t, filepath.Join(t.TempDir(), "etcd"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := e.Client().Watch(ctx, "k", clientv3.WithCreatedNotify())
	<-events
	put(t, e, "k", "v")
	if r := <-events; r.Err() != nil || string(r.Events[0].Kv.Value) != "v" {
		t.Fatalf("got %+v, %v", r, r.Err())
	}
	cancel()
	for range events {
	}
}

func TestOneTransactionHoldsAWholeApp(t *testing.T) {
	t.Parallel()
	e := start(t, filepath.Join(t.TempDir(), "etcd"))
	ops := make([]clientv3.Op, embedded.MaxTxnOps)
	for i := range ops {
		ops[i] = clientv3.OpPut(fmt.Sprintf("k/%04d", i), strings.Repeat("v", 2048)) // 8 MiB in all
	}
	if _, err := e.Client().Txn(t.Context()).Then(ops...).Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	start(t, dir)
	_, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	if !errors.Is(err, embedded.ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	for _, want := range []string{dir, "by another runtime", "choose another data directory"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestStartReportsWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped by the test"))
	for _, c := range []struct {
		ctx       context.Context
		dir, want string
	}{
		{t.Context(), "", "no directory given"},
		{t.Context(), filepath.Join(file, "etcd"), "not a directory"},
		{cancelled, filepath.Join(t.TempDir(), "etcd"), "stopped by the test"},
	} {
		_, err := embedded.Start(c.ctx, embedded.Options{Dir: c.dir})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Start(%q): %v, want %q", c.dir, err, c.want)
		}
	}
}

func TestCloseIsIdempotentAndEndsCalls(t *testing.T) {
	t.Parallel()
	e := start(t, filepath.Join(t.TempDir(), "etcd"))
	var closing sync.WaitGroup
	for range 4 {
		closing.Go(func() {
			if err := e.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	closing.Wait()
	if _, err := e.Client().Put(t.Context(), "k", "v"); err == nil {
		t.Error("a put after Close succeeded")
	}
}

// TestOpensNoPort compares the sockets the process listens on before and after a start.
func TestOpensNoPort(t *testing.T) {
	before := listening(t)
	start(t, filepath.Join(t.TempDir(), "etcd"))
	if after := listening(t); after != before {
		t.Fatalf("%d listening sockets after the start, %d before", after, before)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if after := listening(t); after != before+1 {
		t.Fatalf("the count of listening sockets does not see a listener: %d after, %d before", after, before)
	}
}

// listening counts this process's sockets in state LISTEN (0A), TCP and unix (flag 00010000).
func listening(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	mine := map[string]bool{}
	for _, fd := range fds {
		if link, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(link, "socket:[") {
			mine[strings.Trim(strings.TrimPrefix(link, "socket:"), "[]")] = true
		}
	}
	n := 0
	for file, col := range map[string][3]int{"tcp": {3, 9}, "tcp6": {3, 9}, "unix": {3, 6}} {
		raw, err := os.ReadFile("/proc/self/net/" + file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			f := strings.Fields(line)
			if len(f) > col[1] && (f[col[0]] == "0A" || f[col[0]] == "00010000") && mine[f[col[1]]] {
				n++
			}
		}
	}
	return n
}

func TestQuietStartLogsNothing(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	e, err := embedded.Start(t.Context(), embedded.Options{
		Dir:    filepath.Join(t.TempDir(), "etcd"),
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, e, "k", "v")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if log.String() != "" {
		t.Errorf("logged:\n%s", log.String())
	}
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	goflag "flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/audit"
	"github.com/evoke-run/evoke/embedded"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/triggers"
)

// etcd is shared by the tests; each run of each has its own prefix. TestMain sets it before they run.
var etcd *embedded.Etcd

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "evoke-server")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if etcd, err = embedded.Start(context.Background(), embedded.Options{Dir: dir}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = m.Run()
	if whole := goflag.Lookup("test.run").Value.String() == ""; code == 0 && whole && len(theContract().unseen()) > 0 {
		fmt.Fprintln(os.Stderr, "no test has seen these operations of openapi.json succeed:", strings.Join(theContract().unseen(), ", "))
		code = 1
	}
	if err := etcd.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// clock is the time of all tests' servers.
var clock = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// bundle is a server on real parts but the scheduler, which runs functions by call.
type bundle struct {
	*Server
	t        *testing.T
	registry *registry.Registry
	table    *partition.Table
	history  *history.Store
	reg      *prometheus.Registry
	gateway  string // base URLs
	admin    string
	stop     func() error  // ends Run's ctx and waits
	ended    chan struct{} // closed when Run has returned
	logged   *syncBuffer

	// admit is what the table is asked before a publish.
	admit atomic.Pointer[error]
	fakeScheduler
}

// fakeScheduler calls what a test sets; WaitInForce is real enough for the table to know its triggers.
type fakeScheduler struct {
	call  func(ctx context.Context, c scheduler.Call) (scheduler.Reply, error)
	check func(ctx context.Context, wasm []byte) (string, error)
	// cancel and calls are of the invocations.
	cancel func(namespace, invocation, reason string) error
	calls  map[string][]scheduler.RunningCall
	// counts are of the candidates of canaries, by function.
	counts map[string]api.RolloutCounts

	mu       sync.Mutex
	snapshot *registry.Snapshot
	newer    chan struct{} // closed and replaced with each snapshot
}

func setup(t *testing.T, change ...func(*Options)) *bundle {
	t.Helper()
	b := &bundle{t: t, reg: prometheus.NewRegistry(), logged: &syncBuffer{}}
	b.newer = make(chan struct{})
	b.check = func(context.Context, []byte) (string, error) { return "native", nil }
	b.openRegistry()
	b.openTable()
	var err error
	if b.history, err = history.Open(history.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.history.Close() })
	changes, err := audit.Open(audit.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = changes.Close() })
	o := Options{
		Gateway: listen(t), Admin: listen(t),
		Registry: b.registry, Table: b.table, Scheduler: schedulerOf{b},
		Cron:    triggers.New(triggers.Options{Table: b.table, Now: func() time.Time { return clock }, Logger: slog.New(slog.DiscardHandler)}),
		History: b.history, Audit: changes,
		Metrics: b.reg, Version: api.Version{Version: "v1.2.3", Go: "go1.26", ABI: "evoke_v1"}, DrainTimeout: 5 * time.Second,
		Now:    func() time.Time { return clock },
		Logger: slog.New(slog.NewTextHandler(b.logged, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	if b.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	b.Server.newID = func() string { return "0123456789abcdef" }
	b.gateway, b.admin = "http://"+o.Gateway.Addr().String(), "http://"+o.Admin.Addr().String()
	b.start()
	return b
}

func (b *bundle) start() {
	ctx, cancel := context.WithCancel(context.Background())
	b.ended = make(chan struct{})
	var err error
	go func() {
		defer close(b.ended)
		err = b.Server.Run(ctx)
	}()
	b.stop = sync.OnceValue(func() error {
		cancel()
		<-b.ended
		return err
	})
	b.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := b.stop(); err != nil {
			b.t.Error(err)
		}
	})
}

func (b *bundle) openRegistry() {
	dir := b.t.TempDir() // its name is like no other, also when a test runs again in this process: what etcd keeps has it as a prefix
	keys, err := registry.OpenKeyRing(filepath.Join(dir, "secrets.key"), true)
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := registry.New(registry.Options{Client: etcd.Client(), Prefix: filepath.ToSlash(dir) + "/", ModuleDir: dir, SecretKeys: keys})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx, b.changed); err != nil && !errors.Is(err, context.Canceled) {
			b.t.Error(err)
		}
	}()
	b.t.Cleanup(func() { cancel(); <-done })
	b.registry = r
	if _, err := b.waitSnapshot(context.Background(), 0); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) openTable() {
	fatal := func(err error) { b.t.Error(err) }
	log, err := local.Open(local.Options{Dir: "log", Partitions: 2, FS: vfs.NewMem(), Fatal: fatal})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = log.Close() })
	b.table, err = partition.Open(context.Background(), partition.Options{
		Log: log, Dir: "state", FS: vfs.NewMem(), Partitions: 2, Epoch: 1, Ready: func() {}, Fatal: fatal,
		Admit: func() error {
			if err := b.admit.Load(); err != nil {
				return *err
			}
			return nil
		},
		Logger: slog.New(slog.DiscardHandler), Registerer: b.reg,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = b.table.Close() })
}

func (b *bundle) refusePublish(err error) { b.admit.Store(&err) }

func (b *bundle) changed(s *registry.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fakeScheduler.snapshot = s
	close(b.newer)
	b.newer = make(chan struct{})
}

func (b *bundle) waitSnapshot(ctx context.Context, revision int64) (*registry.Snapshot, error) {
	for {
		b.mu.Lock()
		s, newer := b.fakeScheduler.snapshot, b.newer
		b.mu.Unlock()
		if s != nil && s.Revision >= revision {
			return s, nil
		}
		select {
		case <-newer:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// schedulerOf gives the bundle the methods of a scheduler.
type schedulerOf struct{ b *bundle }

func (s schedulerOf) Call(ctx context.Context, c scheduler.Call) (scheduler.Reply, error) {
	return s.b.call(ctx, c)
}

func (s schedulerOf) CheckModule(ctx context.Context, _ string, wasm []byte, _ api.FunctionSpec) (string, []string, error) {
	kind, err := s.b.check(ctx, wasm)
	return kind, []string{"a warning"}, err
}

// Load has work for functions whose name begins with "busy".
func (s schedulerOf) Load(f *api.Function) api.Load {
	if !strings.HasPrefix(f.Name, "busy") {
		return api.Load{}
	}
	return api.Load{Wanted: 9, Target: len(f.Name), Limit: "concurrency", InProgress: len(f.Name) - 2, Running: 1, Fuel: 1000}
}

// WaitsFor has every invocation run that was taken.
func (s schedulerOf) WaitsFor(i *partition.Invocation) (string, time.Time) {
	if i.State == partition.Running {
		return "", time.Time{}
	}
	return "scale.max", time.Time{}
}

func (s schedulerOf) RolloutCounts(_, function string) (api.RolloutCounts, bool) {
	n, ok := s.b.counts[function]
	return n, ok
}

func (s schedulerOf) RunningCalls(namespace string) []scheduler.RunningCall {
	return s.b.calls[namespace]
}

func (s schedulerOf) Cancel(_ context.Context, namespace, invocation, reason string) error {
	return s.b.cancel(namespace, invocation, reason)
}

func (s schedulerOf) WaitInForce(ctx context.Context, revision int64) error {
	snapshot, err := s.b.waitSnapshot(ctx, revision)
	if err != nil {
		return err
	}
	var triggers []partition.Trigger
	for _, t := range snapshot.Triggers("") {
		if t.Topic != nil {
			trigger, err := scheduler.TopicTrigger(t)
			if err != nil {
				return err
			}
			triggers = append(triggers, trigger)
		}
	}
	return s.b.table.SetTriggers(ctx, uint64(snapshot.Revision), triggers)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// module uploads some bytes and returns their digest.
func (b *bundle) module() string {
	b.t.Helper()
	wasm := []byte("\x00asm")
	sum := sha256.Sum256(wasm)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if got := b.do("PUT", b.admin+"/api/v1/modules/"+digest, string(wasm)); got.status != 204 {
		b.t.Fatalf("upload: %d %s", got.status, got.body)
	}
	return digest
}

// deployShop puts an app in force: a served function, one that is not, an open topic, a closed one.
func (b *bundle) deployShop() {
	b.t.Helper()
	digest := b.module()
	app := api.App{
		Functions: map[string]api.FunctionSpec{
			"hello":  {Module: digest, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}}},
			"cart":   {Module: digest, Allow: api.Allow{State: true}, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{Key: "header.X-User"}}}},
			"charge": {Module: digest, Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "orders"}}}},
		},
		Topics: map[string]api.TopicSpec{"orders": {Ingress: true}, "internal": {}},
	}
	for _, ns := range []string{"default", "acme"} {
		got := b.send("PUT", b.admin+"/api/v1/ns/"+ns+"/apps/shop", app)
		if got.status != 200 {
			b.t.Fatalf("deploy: %d %s", got.status, got.body)
		}
	}
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem reads the answer as one.
func (a answer) problem(t *testing.T) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d is no problem: %s %q", a.status, a.header.Get("Content-Type"), a.body)
	}
	if p.Status != a.status {
		t.Errorf("problem says status %d, the answer %d", p.Status, a.status)
	}
	return p
}

// do sends a request; header is name, value, name, value.
func (b *bundle) do(method, url, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
		if strings.EqualFold(header[i], "Host") {
			req.Host = header[i+1]
		}
	}
	res, err := b.http().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// send is do with a JSON body.
func (b *bundle) send(method, url string, v any, header ...string) answer {
	b.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(method, url, string(text), append(header, "Content-Type", "application/json")...)
}

// stored lists the events of a topic.
func (b *bundle) stored(ns, topic string) []event.Event {
	b.t.Helper()
	var out []event.Event
	_, err := b.table.Tail(ns, topic, partition.Cursor{}, time.Time{}, 0, func(r partition.TopicRecord) error {
		out = append(out, r.Event)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

package scheduler

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/embedded"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/fetch"
	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// etcd is one server for all tests of the package; every test has its own prefix. It is set before the first test and only read after.
var etcd *embedded.Etcd

func TestMain(m *testing.M) { goleak.VerifyTestMain(withEtcd{m}) }

type withEtcd struct{ m *testing.M }

func (w withEtcd) Run() int {
	dir, err := os.MkdirTemp("", "scheduler")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	if etcd, err = embedded.Start(context.Background(), embedded.Options{Dir: filepath.Join(dir, "etcd")}); err != nil {
		panic(err)
	}
	code := w.m.Run()
	if err := etcd.Close(); err != nil {
		panic(err)
	}
	return code
}

var prefixes atomic.Int64

// bundle is a scheduler that runs on real parts.
type bundle struct {
	t         *testing.T
	table     *partition.Table
	registry  *registry.Registry
	scheduler *Scheduler
	history   *history.Store
	app       api.App
	kinds     map[string]string
	stop      func() // ends the scheduler's Run and waits for it
}

func setup(t *testing.T, change func(*Options)) *bundle {
	t.Helper()
	return setupWith(t, nil, change)
}

// setupWith is setup with a registry of the test's own.
func setupWith(t *testing.T, r *registry.Registry, change func(*Options)) *bundle {
	t.Helper()
	b := &bundle{t: t, app: api.App{Functions: map[string]api.FunctionSpec{}, Topics: map[string]api.TopicSpec{}}, kinds: map[string]string{}}
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	closing := func(f func() error) {
		t.Cleanup(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	fatal := func(err error) { t.Errorf("fatal: %v", err) }
	quiet := slog.New(slog.DiscardHandler)
	ready := make(chan struct{}, 1)
	log, err := local.Open(local.Options{Dir: filepath.Join(dir, "log"), Partitions: 4, Fatal: fatal})
	check(err)
	closing(log.Close)
	b.table, err = partition.Open(t.Context(), partition.Options{
		Log: log, Dir: filepath.Join(dir, "state"), Partitions: 4, Epoch: 1, Fatal: fatal, Logger: quiet,
		Ready: func() {
			select {
			case ready <- struct{}{}:
			default:
			}
		},
	})
	check(err)
	closing(b.table.Close)
	b.history, err = history.Open(history.Options{Dir: filepath.Join(dir, "history")})
	check(err)
	closing(b.history.Close)
	box, err := sandbox.New(t.Context(), sandbox.Options{Logger: quiet})
	check(err)
	closing(func() error { return box.Close(context.Background()) })
	if b.registry = r; r == nil {
		b.registry, err = registry.New(registry.Options{Client: etcd.Client(), Prefix: fmt.Sprintf("/s%d/", prefixes.Add(1)), ModuleDir: filepath.Join(dir, "modules")})
		check(err)
	}
	client := fetch.New(fetch.Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(client.Close)
	o := Options{Table: b.table, Registry: b.registry, Sandbox: box, Fetch: client, History: b.history, Ready: ready, Logger: quiet}
	if change != nil {
		change(&o)
	}
	b.scheduler = New(o)
	b.run()
	return b
}

// run starts what node starts: the registry's loop and the scheduler's.
func (b *bundle) run() {
	ctx, cancel := context.WithCancel(context.Background())
	following, cancelFollowing := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- b.scheduler.Run(ctx) }()
	go func() {
		ended <- b.registry.Run(following, func(s *registry.Snapshot) {
			if err := b.scheduler.Apply(following, s); err != nil && following.Err() == nil {
				b.t.Errorf("apply: %v", err)
			}
		})
	}()
	stopped := false
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		err := <-ended
		cancelFollowing()
		if err := errors.Join(err, <-ended); err != nil {
			b.t.Error(err)
		}
	}
	b.t.Cleanup(b.stop)
}

// deploy adds a function to the app and waits until it is in force.
func (b *bundle) deploy(name string, module []byte, spec api.FunctionSpec) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	sum := sha256.Sum256(module)
	spec.Module = "sha256:" + hex.EncodeToString(sum[:])
	if err := b.registry.PutModule(ctx, spec.Module, bytes.NewReader(module)); err != nil {
		b.t.Fatal(err)
	}
	b.app.Functions[name], b.kinds[name] = spec, "native"
	_, revision, err := b.registry.Deploy(ctx, "default", "app", b.app, b.kinds)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.scheduler.WaitInForce(ctx, revision); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) publish(topic string, events ...event.Event) {
	b.t.Helper()
	if _, err := b.table.Publish(b.t.Context(), "default", topic, events); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) call(function string, e event.Event) Reply {
	b.t.Helper()
	r, err := b.scheduler.Call(b.t.Context(), Call{Namespace: "default", Function: function, Event: e})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// seated is how many guests have begun.
func (b *bundle) seated() int {
	p := b.scheduler.processors
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seats.list) - len(p.seats.empty)
}

// settling is how many events have ended and are not settled yet.
func (b *bundle) settling() (n int) {
	p := b.scheduler.processors
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range b.scheduler.shares() {
		n += p.demand(s, 1).settling
	}
	return n
}

// patience is how long a test waits for what never fails to come but on a machine that has other work.
const patience = time.Minute

// eventually waits, at each change of any partition, until ok.
func (b *bundle) eventually(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.After(patience)
	for {
		changed := b.table.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			b.t.Fatalf("not in time: %s", what)
		}
	}
}

func (b *bundle) stats(trigger string) partition.Stats {
	b.t.Helper()
	tr, ok := b.registry.Snapshot().Trigger("default", trigger)
	if !ok {
		b.t.Fatalf("no trigger %s", trigger)
	}
	return b.table.Stats(tr.ID)
}

func (b *bundle) letters() (all []partition.DeadLetter) {
	b.t.Helper()
	if err := b.table.DeadLetters("default", 0, func(d partition.DeadLetter) error { all = append(all, d); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *bundle) stored(topic string) (all []partition.TopicRecord) {
	b.t.Helper()
	_, err := b.table.Tail("default", topic, partition.Cursor{}, time.Time{}, 0, func(r partition.TopicRecord) error { all = append(all, r); return nil })
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *bundle) entries() (all []api.LogEntry) {
	b.t.Helper()
	if err := b.history.Query(history.Filter{Namespace: "default"}, 1000, func(e api.LogEntry) error { all = append(all, e); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return all
}

func newEvent(id, key string) event.Event {
	return event.Event{ID: id, Source: "/test", Type: "t", Subject: key}
}

func onTopic(topic string) []api.TriggerSpec {
	return []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: topic}}}
}

// counts adds one to the state entry "n" (four bytes) and, when emits names a topic, emits an event to it.
func counts(emits string) []byte {
	m, i := wasmtest.NewGuest()
	const opGet, opSet, name, request, topic, ev = 0x100, 0x120, 0x140, 0x160, 0x200, 0x300
	m.Memory(1)
	m.Data(opGet, []byte(abi.OpStateGet))
	m.Data(opSet, []byte(abi.OpStateSet))
	m.Data(name, []byte("n"))
	m.Data(request, []byte{1, 0, 0, 0, 'n', 0, 0, 0, 0})
	m.Data(topic, []byte(emits))
	body := `{"type":"counted"}`
	m.Data(ev, []byte(body))
	const value = request + 5
	code := [][]byte{
		wasmtest.Call(i.Call, opGet, int32(len(abi.OpStateGet)), name, 1), wasmtest.LocalSet(0),
		wasmtest.LocalGet(0), wasmtest.I32Const(0), wasmtest.I32Const(value), wasmtest.I32Const(4), wasmtest.Call(i.CallRead), wasmtest.Drop(),
		wasmtest.I32Const(value), wasmtest.I32Const(value), {0x28, 0, 0}, wasmtest.I32Const(1), wasmtest.Add(), {0x36, 0, 0},
		wasmtest.Call(i.Call, opSet, int32(len(abi.OpStateSet)), request, 9), wasmtest.Drop(),
		wasmtest.Call(i.Reply, abi.ReplyData, value, 4), wasmtest.Drop(),
	}
	if emits != "" {
		code = append(code, wasmtest.Call(i.Emit, topic, int32(len(emits)), ev, int32(len(body))), wasmtest.Drop())
	}
	return m.Handle(append(code, wasmtest.I32Const(0))...).Bytes()
}

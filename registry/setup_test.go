package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/embedded"
)

// server is one etcd for all tests of the package; every test has its own prefix. It is set before the first test and only read after.
var server *embedded.Etcd

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(running{m})
}

type running struct{ m *testing.M }

func (r running) Run() int {
	dir, err := os.MkdirTemp("", "registry")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server, err = embedded.Start(context.Background(), embedded.Options{Dir: filepath.Join(dir, "etcd")})
	if err != nil {
		panic(err)
	}
	code := r.m.Run()
	if err := server.Close(); err != nil {
		panic(err)
	}
	return code
}

var prefixes atomic.Int64

type bundle struct {
	*Registry
	options Options
}

func setup(t *testing.T) *bundle {
	t.Helper()
	o := Options{
		Client:    server.Client(),
		Prefix:    fmt.Sprintf("/test-%d/", prefixes.Add(1)),
		ModuleDir: t.TempDir(),
		Now:       func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
	return &bundle{Registry: open(t, o), options: o}
}

func open(t *testing.T, o Options) *Registry {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run follows the registry until the test ends; next returns once a snapshot has reached a revision.
func run(t *testing.T, r *Registry) (next func(revision int64) *Snapshot) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	snapshots := make(chan *Snapshot, 1024)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, func(s *Snapshot) { snapshots <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	var last *Snapshot
	return func(revision int64) *Snapshot {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for last == nil || last.Revision < revision {
			select {
			case s := <-snapshots:
				if last != nil && s.Revision < last.Revision {
					t.Fatalf("snapshot went back from revision %d to %d", last.Revision, s.Revision)
				}
				last = s
			case <-deadline:
				t.Fatalf("no snapshot at revision %d", revision)
			}
		}
		return last
	}
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func function(module string, on ...api.TriggerSpec) api.FunctionSpec {
	return api.FunctionSpec{Module: digestOf([]byte(module)), Triggers: on}
}

func onTopic(name string) api.TriggerSpec {
	return api.TriggerSpec{Topic: &api.TopicTrigger{Name: name}}
}

func onHTTP() api.TriggerSpec { return api.TriggerSpec{HTTP: &api.HTTPTrigger{}} }

func app(functions map[string]api.FunctionSpec) api.App { return api.App{Functions: functions} }

// kindsOf says that all modules are native.
func kindsOf(a api.App) map[string]string {
	kinds := map[string]string{}
	for name := range a.Functions {
		kinds[name] = "native"
	}
	return kinds
}

func (b *bundle) deploy(t *testing.T, name string, a api.App) (api.Deployed, int64) {
	t.Helper()
	d, revision, err := b.Deploy(t.Context(), "default", name, a, kindsOf(a))
	if err != nil {
		t.Fatal(err)
	}
	return d, revision
}

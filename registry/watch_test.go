package registry

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

func TestRunShowsEveryDeploy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if b.Snapshot() != nil {
		t.Error("there is a snapshot before Run")
	}
	next := run(t, b.Registry)
	empty := next(0)
	for i := 1; i <= 5; i++ {
		_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function(fmt.Sprint(i))}))
		s := next(revision)
		if f, ok := s.Function("default", "charge"); !ok || f.Revision != i {
			t.Fatalf("at revision %d charge is %+v, want its revision %d", revision, f, i)
		}
		if r := b.Snapshot().Revision; r < revision {
			t.Fatalf("Snapshot is at %d, want %d", r, revision)
		}
	}
	if len(empty.Functions("")) != 0 {
		t.Error("the first snapshot has changed")
	}
}

func TestUnchangedDeployReturnsARevisionThatIsReached(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := app(map[string]api.FunctionSpec{"charge": function("v1", onTopic("a"))})
	_, written := b.deploy(t, "shop", a)
	next := run(t, b.Registry)
	next(written)
	// writes elsewhere in the same etcd move its revision, but nothing that Run sees
	if _, err := b.client.Put(t.Context(), b.options.Prefix[:len(b.options.Prefix)-1]+"-elsewhere", "x"); err != nil {
		t.Fatal(err)
	}
	_, again := b.deploy(t, "shop", a)
	if again != written {
		t.Errorf("unchanged deploy holds at %d, want %d", again, written)
	}
	next(again)
}

func TestRestartShowsTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v1", onHTTP(), onTopic("a"))}))
	before := run(t, b.Registry)(revision)
	after := run(t, open(t, b.options))(revision)
	x, _ := before.Trigger("default", "charge:a")
	y, ok := after.Trigger("default", "charge:a")
	if !ok || x.ID != y.ID || y.Function != "charge" || y.Namespace != "default" {
		t.Errorf("trigger was %+v, is %+v", x, y)
	}
}

func TestSnapshotListsByNamespaceAndName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var revision int64
	for _, namespace := range []string{"b", "a-b", "a"} {
		a := app(map[string]api.FunctionSpec{"two": function("v1", onTopic("t")), "one": function("v1")})
		var err error
		if _, revision, err = b.Deploy(t.Context(), namespace, "shop", a, kindsOf(a)); err != nil {
			t.Fatal(err)
		}
	}
	s := run(t, b.Registry)(revision)
	var got string
	for _, namespace := range []string{"", "a", "a-b", "b", "none"} {
		for _, f := range s.Functions(namespace) {
			got += f.Namespace + "/" + f.Name + " "
		}
		got += "| "
	}
	if want := "a/one a/two a-b/one a-b/two b/one b/two | a/one a/two | a-b/one a-b/two | b/one b/two | | "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := len(s.Triggers("a")); n != 3 { // two:t and two inboxes
		t.Errorf("%d triggers in a, want 3", n)
	}
}

// TestCompactionIsSurvived compacts away what a watch that was behind wanted to see.
func TestCompactionIsSurvived(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, first := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v1")}))
	watch := &lateWatcher{Watcher: b.client.Watcher, opened: make(chan struct{}), goOn: make(chan struct{})}
	o := b.options
	o.Client = withWatcher(t, watch)
	next := run(t, open(t, o))
	next(first)
	<-watch.opened // Run wants to watch from the revision after first, and is held up
	_, second := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v2")}))
	_, third := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v3")}))
	if _, err := b.client.Compact(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	close(watch.goOn)
	if f, _ := next(third).Function("default", "charge"); f.Revision != 3 {
		t.Errorf("after the compaction charge is %+v; second was %d", f, second)
	}
	_, fourth := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v4")}))
	if f, _ := next(fourth).Function("default", "charge"); f.Revision != 4 {
		t.Errorf("later charge is %+v", f)
	}
}

// withWatcher is a client of the same server that watches in another way.
func withWatcher(t *testing.T, w clientv3.Watcher) *clientv3.Client {
	c := clientv3.NewCtxClient(t.Context())
	c.KV, c.Watcher = server.Client().KV, w
	return c
}

// lateWatcher holds up the first watch.
type lateWatcher struct {
	clientv3.Watcher
	once         sync.Once
	opened, goOn chan struct{}
}

func (w *lateWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	w.once.Do(func() {
		close(w.opened)
		<-w.goOn
	})
	return w.Watcher.Watch(ctx, key, opts...)
}

// TestBrokenWatchLoadsAgain ends the first watch at once.
func TestBrokenWatchLoadsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.options
	o.Client = withWatcher(t, &brokenWatcher{Watcher: b.client.Watcher})
	next := run(t, open(t, o))
	_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v1")}))
	if _, ok := next(revision).Function("default", "charge"); !ok {
		t.Error("charge is not there")
	}
}

type brokenWatcher struct {
	clientv3.Watcher
	once sync.Once
}

func (w *brokenWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	var broken chan clientv3.WatchResponse
	w.once.Do(func() {
		broken = make(chan clientv3.WatchResponse)
		close(broken)
	})
	if broken != nil {
		return broken
	}
	return w.Watcher.Watch(ctx, key, opts...)
}

func TestValueThatCannotBeReadIsLeftOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v1"), "other": function("v1")}))
	next(revision)
	resp, err := b.client.Put(t.Context(), b.keys.function("default", "charge"), "{")
	if err != nil {
		t.Fatal(err)
	}
	s := next(resp.Header.Revision)
	if f, ok := s.Function("default", "charge"); !ok || f.Revision != 1 {
		t.Errorf("charge is %+v, want the last good one", f)
	}
	if _, ok := run(t, open(t, b.options))(resp.Header.Revision).Function("default", "other"); !ok {
		t.Error("a new registry does not show the other function")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx, func(*Snapshot) { cancel() }) }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Run does not end")
		}
	}
}

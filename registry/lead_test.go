package registry

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/embedded"
)

// lead takes the lead and gives it back with the test.
func lead(t *testing.T, r *Registry, c Candidate) *Leadership {
	t.Helper()
	l, err := r.Lead(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Release(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// leadLater begins to wait for the lead. waits gets the line that says so.
func leadLater(t *testing.T, o Options, c Candidate) (waits <-chan string, leads <-chan *Leadership) {
	t.Helper()
	lines, got := make(chan string, 16), make(chan *Leadership, 1)
	o.Logger = slog.New(slog.NewTextHandler(lineWriter(lines), nil))
	r := open(t, o)
	go func() {
		l, err := r.Lead(t.Context(), c)
		if err != nil {
			t.Error(err)
			close(got)
			return
		}
		got <- l
	}()
	return lines, got
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func release(t *testing.T, l *Leadership) {
	t.Helper()
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const long = time.Hour // so that a test that has to wait for a lease to run out does not end

// A node that was killed is started again on its data directory: the lease that it has left is no reason to wait.
func TestEpochsGrowOverStarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	last := uint64(0)
	for range 3 {
		l := lead(t, open(t, b.options), Candidate{Node: "node-1", Directory: "d", TTL: long})
		if l.Epoch <= last {
			t.Fatalf("epoch %d after %d", l.Epoch, last)
		}
		last = l.Epoch
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Lead(ctx, Candidate{Node: "node-1", Directory: "d"}); err == nil || !strings.Contains(err.Error(), "announce leader node-1") {
		t.Errorf("got %v", err)
	}
}

func TestLeaderThatWasReplacedHearsOfItAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := lead(t, b.Registry, Candidate{Node: "old", Directory: "d", TTL: long})
	next := lead(t, open(t, b.options), Candidate{Node: "new", Directory: "d", TTL: long})
	<-old.Done()
	if err := old.Err(); !errors.Is(err, ErrLeaseLost) || !strings.Contains(err.Error(), "node new has taken over, data directory d, at 2026-01-02T03:04:05Z") {
		t.Errorf("got %v", err)
	}
	if err := old.Release(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-next.Done():
		t.Errorf("with the old one the new one is lost: %v", next.Err())
	default:
	}
}

func TestNextLeaderWaitsUntilTheFirstStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := lead(t, b.Registry, Candidate{Node: "one", Directory: "1", TTL: long})
	waits, leads := leadLater(t, b.options, Candidate{Node: "two", Directory: "2", TTL: long})
	for line, want := <-waits, []string{"another node leads; waiting", "leader=one", "directory=1", "since=2026-01-02T03:04:05Z", "ttl=1h0m0s"}; len(want) > 0; want = want[1:] {
		if !strings.Contains(line, want[0]) {
			t.Errorf("%q does not say %q", line, want[0])
		}
	}
	select {
	case <-leads:
		t.Fatal("two lead")
	default:
	}
	release(t, first)
	second := <-leads
	if second.Epoch <= first.Epoch {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}
	if first.Previous != (Leader{}) || second.Previous != (Leader{"one", "1", "2026-01-02T03:04:05Z"}) {
		t.Errorf("before the first came %+v, before the second %+v", first.Previous, second.Previous)
	}
	if err := first.Err(); err != nil {
		t.Errorf("the first one, released, says %v", err)
	}
	release(t, second)
}

func TestWaitForTheLeadEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lead(t, b.Registry, Candidate{Node: "one", Directory: "1", TTL: long})
	ctx, cancel := context.WithCancelCause(t.Context())
	lines, o := make(chan string, 16), b.options
	o.Logger = slog.New(slog.NewTextHandler(lineWriter(lines), nil))
	go func() {
		<-lines
		cancel(errors.New("stopped by the test"))
	}()
	_, err := open(t, o).Lead(ctx, Candidate{Node: "two", Directory: "2"})
	if err == nil || !strings.Contains(err.Error(), "announce leader two: wait for one to stop: stopped by the test") {
		t.Errorf("got %v", err)
	}
}

// The first one dies without a word: its lease runs out.
func TestLeaseOfADeadLeaderRunsOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := lead(t, b.Registry, Candidate{Node: "one", Directory: "1", TTL: time.Second})
	waits, leads := leadLater(t, b.options, Candidate{Node: "two", Directory: "2"})
	<-waits
	first.cancel() // no renewal any more, and nothing given back
	<-first.Done()
	second := <-leads
	if second == nil || second.Epoch <= first.Epoch {
		t.Fatalf("%+v after epoch %d", second, first.Epoch)
	}
	release(t, second)
}

// A process that was suspended finds its lease gone. As long as nobody has led since, it leads on, in the same epoch; else it is done.
func TestLeaseThatIsGoneIsTakenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := lead(t, b.Registry, Candidate{Node: "one", Directory: "1", TTL: long})
	epoch := l.Epoch
	changes := server.Client().Watch(t.Context(), b.keys.leader(), clientv3.WithRev(l.revision+1))
	for round := range 3 { // so that it is found out again and again
		now, err := server.Client().Get(t.Context(), b.keys.leader())
		if err != nil || len(now.Kvs) != 1 {
			t.Fatalf("round %d: %d keys, %v", round, len(now.Kvs), err)
		}
		if _, err := server.Client().Revoke(t.Context(), clientv3.LeaseID(now.Kvs[0].Lease)); err != nil {
			t.Fatal(err)
		}
		for back := false; !back; {
			for _, e := range (<-changes).Events {
				back = back || e.IsCreate()
			}
		}
	}
	if l.Epoch != epoch {
		t.Errorf("the epoch was %d and is %d", epoch, l.Epoch)
	}
	select {
	case <-l.Done():
		t.Errorf("lost: %v", l.Err())
	default:
	}
	waits, leads := leadLater(t, b.options, Candidate{Node: "two", Directory: "2"})
	<-waits
	release(t, l)
	release(t, <-leads)
	if err := l.regain(t.Context()); !errors.Is(err, ErrLeaseLost) || !strings.Contains(err.Error(), "node two has taken over") {
		t.Errorf("taken again when another had led: %v", err)
	}
	if now, err := server.Client().Get(t.Context(), b.keys.leader()); err != nil || len(now.Kvs) > 0 {
		t.Errorf("somebody leads: %v, %v", now.Kvs, err)
	}
}

// An etcd that is silent for too long ends the lead of a node whose etcd others can reach, and of no other.
func TestLeaderWithoutEtcd(t *testing.T) {
	t.Parallel()
	for name, alone := range map[string]bool{"shared": false, "own": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd, err := embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(t.TempDir(), "etcd")})
			if err != nil {
				t.Fatal(err)
			}
			r := open(t, Options{Client: etcd.Client(), ModuleDir: t.TempDir()})
			l, err := r.Lead(t.Context(), Candidate{Node: "n", Directory: "d", Alone: alone, TTL: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if err := etcd.Close(); err != nil {
				t.Fatal(err)
			}
			if alone {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				select {
				case <-l.Done():
					t.Errorf("lost: %v", l.Err())
				case <-ctx.Done():
				}
				l.cancel()
				<-l.Done()
				return
			}
			<-l.Done()
			if err := l.Err(); !errors.Is(err, ErrLeaseLost) || !strings.Contains(err.Error(), "etcd does not answer") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLeaderThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := server.Client().Put(t.Context(), b.keys.leader(), "{"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Lead(t.Context(), Candidate{Node: "n"}); err == nil || !strings.Contains(err.Error(), "read registry key "+b.keys.leader()) {
		t.Errorf("got %v", err)
	}
}

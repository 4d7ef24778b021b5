package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/archive"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/eventlog/local"
)

// nodeLog is a shared log as one node has it, which may be cut off from it without a word, or be so slow that what it appends comes late.
type nodeLog struct {
	eventlog.Log

	mu      sync.Mutex
	cut     bool
	holds   bool
	held    []func()
	holding chan struct{} // gets something when a record is held back
}

func newNodeLog(shared eventlog.Log) *nodeLog {
	return &nodeLog{Log: shared, holding: make(chan struct{}, 1)}
}

func (l *nodeLog) Append(partition int, span uint32, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.cut:
	case l.holds:
		l.held = append(l.held, func() { l.Log.Append(partition, span, data) })
		wake(l.holding)
	default:
		l.Log.Append(partition, span, data)
	}
}

func (l *nodeLog) Follow(partition int, from uint64, apply func([]eventlog.Record)) (stop func(), err error) {
	return l.Log.Follow(partition, from, func(records []eventlog.Record) {
		l.mu.Lock()
		cut := l.cut
		l.mu.Unlock()
		if !cut {
			apply(records)
		}
	})
}

func (l *nodeLog) set(cut, holds bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.holds = cut, holds
}

// hold waits until n records are held back.
func (l *nodeLog) hold(n int) {
	for {
		l.mu.Lock()
		held := len(l.held)
		l.mu.Unlock()
		if held >= n {
			return
		}
		<-l.holding
	}
}

// release appends what was held back.
func (l *nodeLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, late := range l.held {
		late()
	}
	l.held, l.holds = nil, false
}

// cluster is nodes that share a log, each with a state of its own.
type cluster struct {
	t   *testing.T
	log *local.Log
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	log, err := local.Open(local.Options{
		Dir: "log", Partitions: 4, MemTableSize: 256 << 10, FS: vfs.NewMem(), Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cluster{t, log}
}

// clusterNode is one of them.
type clusterNode struct {
	machineRoom
	log     *nodeLog
	deposed chan error
}

// follow starts a node on a disk with its state, or an empty one.
func (c *cluster) follow(name string, disk *vfs.MemFS) (*clusterNode, error) {
	c.t.Helper()
	ready := make(chan struct{}, 1)
	n := &clusterNode{machineRoom: machineRoom{t: c.t, disk: disk, ready: ready, died: make(chan error, 1)}, log: newNodeLog(c.log), deposed: make(chan error, 2)}
	table, err := Follow(Options{
		Log: n.log, Dir: "state", FS: disk, Partitions: 4, Node: name, Fatal: n.fatal, Deposed: func(err error) { n.deposed <- err },
		Ready: func() { wake(ready) }, Logger: slog.New(slog.DiscardHandler),
	})
	n.table = table
	return n, err
}

func (c *cluster) mustFollow(name string, disk *vfs.MemFS) *clusterNode {
	c.t.Helper()
	n, err := c.follow(name, disk)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (n *clusterNode) lead(epoch uint64) {
	n.t.Helper()
	n.epoch = epoch
	if err := n.table.Lead(n.t.Context(), epoch); err != nil {
		n.t.Fatal(err)
	}
	if err := n.table.SetTriggers(n.t.Context(), epoch, []Trigger{onTopic(1, "in")}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *clusterNode) close() {
	n.t.Helper()
	if err := n.table.Close(); err != nil {
		n.t.Error(err)
	}
}

// exportState is what a node that shares the log takes over.
func exportState(t *testing.T, table *Table) []byte {
	t.Helper()
	v, err := table.View()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.WriteState(w), w.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func importState(t *testing.T, in []byte) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewMem()
	im, err := NewImporter(ImportOptions{Dir: "state", FS: disk, Partitions: 4, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(pour(im, in), im.Close()); err != nil {
		t.Fatal(err)
	}
	return disk
}

// loadUntil publishes until n events are acknowledged and goes on; what it returns ends it.
func (n *clusterNode) loadUntil(sent []atomic.Int64, goal, acknowledged int) (end func()) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	var handling sync.WaitGroup
	handling.Go(func() { n.handle(ctx) })
	producing := n.load(ctx, sent, goal)
	n.await(sent, acknowledged)
	return func() {
		cancel()
		producing.Wait()
		handling.Wait()
	}
}

// await waits until n events are acknowledged.
func (n *clusterNode) await(sent []atomic.Int64, acknowledged int) {
	for changed := n.table.Changed(); total(sent) < acknowledged; changed = n.table.Changed() {
		if total(sent) < acknowledged {
			<-changed
		}
	}
}

// checkReplay compares the state of a node, when nobody leads any more, with the one that all of the log makes.
func (c *cluster) checkReplay(disk *vfs.MemFS) {
	c.t.Helper()
	moved, fresh := c.mustFollow("moved", disk), c.mustFollow("fresh", vfs.NewMem())
	defer moved.close()
	defer fresh.close()
	got, want := moved.entries(), fresh.entries()
	for key, value := range want {
		if got[key] != value {
			c.t.Errorf("state %q is %x, a replay of the log gives %x", key, got[key], value)
		}
	}
	for key, value := range got {
		if _, ok := want[key]; !ok {
			c.t.Errorf("state %q is %x, a replay of the log does not give it", key, value)
		}
	}
}

// entries is the whole state but for the journal of the deduplication, whose entries are by groups of records as they came.
func (n *clusterNode) entries() map[string]string {
	n.t.Helper()
	all := map[string]string{}
	for _, p := range n.table.parts {
		err := scan(n.table.db, p.machine.store.key(0)[:2], func(key, value []byte) error {
			if key[0] != keyDedup {
				all[fmt.Sprintf("%d %s", p.index, key)] = string(value)
			}
			return nil
		})
		if err != nil {
			n.t.Fatal(err)
		}
		remembered := 0
		for _, e := range p.machine.dedup.entries {
			remembered += int(e.offset)
		}
		all[fmt.Sprint(p.index, " remembers")] = fmt.Sprint(len(p.machine.dedup.entries), remembered)
	}
	return all
}

// A leader is gone in the middle of its work. Another node goes on, from an export that is older or already following, and what the first one promised is kept.
func TestLeaderDiesWithoutAWord(t *testing.T) {
	t.Parallel()
	const producers, each = 8, 60
	for name, warm := range map[string]bool{"imports then": false, "has followed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			a := c.mustFollow("a", vfs.NewMem())
			a.lead(7)
			sent := make([]atomic.Int64, producers)
			end := a.loadUntil(sent, each, producers*each/4)
			disk := importState(t, exportState(t, a.table))
			var b *clusterNode
			if warm {
				b = c.mustFollow("b", disk)
			}
			a.await(sent, producers*each/2)
			a.log.set(true, false)
			if !warm {
				b = c.mustFollow("b", disk)
			}
			if list, err := b.table.Take(1, 10); len(list) > 0 || len(b.table.Ready()) > 0 || err != nil {
				t.Errorf("a node that only follows hands out %v, is ready for %v, %v", ids(list), b.table.Ready(), err)
			}
			if _, err := b.table.Publish(t.Context(), "default", "in", manyEvents(1, someKey)); !errors.Is(err, errFollows) {
				t.Errorf("publish at a node that only follows: %v", err)
			}
			if a.table.Directory() != b.table.Directory() {
				t.Error("positions that the first node gave out are of another directory for the second")
			}
			b.lead(9)
			end()
			b.load(t.Context(), sent, each).Wait()
			b.drainAndCheck(producers, each)
			a.close()
			b.close()
			c.checkReplay(b.disk)
		})
	}
}

// A leader that was replaced does not know it, and what it appended before comes late. It does no harm, is told, and hands nothing out any more.
func TestZombieDoesNoHarm(t *testing.T) {
	t.Parallel()
	const producers, each = 8, 60
	c := newCluster(t)
	a := c.mustFollow("a", vfs.NewMem())
	a.lead(7)
	b := c.mustFollow("b", importState(t, exportState(t, a.table)))
	sent := make([]atomic.Int64, producers)
	end := a.loadUntil(sent, each, producers*each/3)
	a.log.set(false, true)
	a.log.hold(producers / 2)
	b.lead(9)
	if err := <-a.deposed; !errors.Is(err, ErrDeposed) || !strings.Contains(err.Error(), `node "b" leads in epoch 9`) {
		t.Errorf("the zombie was told %v", err)
	}
	_, late := a.table.parts[0].append(&deliveredRecord{}) // it knows by now
	if !errors.Is(late, ErrDeposed) {
		t.Errorf("append of a leader that was told: %v", late)
	}
	if list, err := a.table.Take(1, 10); len(list) > 0 || len(a.table.Ready()) > 0 || err != nil {
		t.Errorf("the zombie hands out %v, is ready for %v, %v", ids(list), a.table.Ready(), err)
	}
	a.log.release()
	end() // should the zombie have acknowledged what it held back, that will be missing
	b.load(t.Context(), sent, each).Wait()
	b.drainAndCheck(producers, each)
	if err := a.table.Lead(t.Context(), 8); err == nil || !strings.Contains(err.Error(), "was led in epoch 9, this start has epoch 8") {
		t.Errorf("lead in an old epoch: %v", err)
	}
	a.close()
	b.close()
	c.checkReplay(b.disk)
	c.checkReplay(a.disk)
}

// What is held back of a zombie is told to its callers.
func TestCallersOfAZombieAreTold(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a, b := c.mustFollow("a", vfs.NewMem()), c.mustFollow("b", vfs.NewMem())
	a.lead(1)
	if _, err := a.table.Publish(t.Context(), "default", "in", manyEvents(8, someKey)); err != nil {
		t.Fatal(err)
	}
	d, err := a.table.Take(1, 1)
	if err != nil || len(d) != 1 {
		t.Fatal(d, err)
	}
	a.log.set(false, true)
	errs := make(chan error, 2)
	go func() {
		_, err := a.table.Publish(t.Context(), "default", "in", manyEvents(9, someKey)[8:])
		errs <- err
	}()
	go func() {
		_, err := a.table.Settle(t.Context(), &d[0], attemptOf(d[0], 0, ""), Next{}, Effects{})
		errs <- err
	}()
	a.log.hold(2)
	b.lead(2)
	a.log.release()
	for range 2 {
		if err := <-errs; !errors.Is(err, ErrDeposed) {
			t.Errorf("got %v, want %v", err, ErrDeposed)
		}
	}
	if s := b.table.Stats(1); s.Pending != 8 {
		t.Errorf("%d events are pending, want the 8 that were acknowledged", s.Pending)
	}
	a.close()
	b.close()
}

// The leader trims what its own state does not need. A state that was exported before is too old then, says so, and another export is not; while a view is open nothing
// is trimmed.
func TestStateThatTheLogDoesNotGoOnFrom(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a := c.mustFollow("a", vfs.NewMem())
	a.calm = true
	a.lead(1)
	age := func() {
		t.Helper()
		if err := a.table.retainer.round(&Retention{}); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(from int) {
		t.Helper()
		if _, err := a.table.Publish(t.Context(), "default", "in", manyEvents(from+100, someKey)[from:]); err != nil {
			t.Fatal(err)
		}
		a.handleFirst(100, 0)
		a.awaitOutputs(100)
	}
	old := exportState(t, a.table)
	publish(0)
	a.table.retainer.now = func() time.Time { return time.Now().Add(8 * day) }
	view, err := a.table.View()
	if err != nil {
		t.Fatal(err)
	}
	age()
	ok := c.mustFollow("b", importState(t, old)) // nothing is gone yet
	ok.close()
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	age()
	for name, disk := range map[string]*vfs.MemFS{"old": importState(t, old), "empty": vfs.NewMem()} {
		n, err := c.follow("b", disk)
		if err == nil {
			t.Errorf("%s: it follows", name)
			n.close()
			continue
		}
		for _, want := range []string{"replay partition ", "too far behind the log", "import the state of the node that leads"} {
			if !errors.Is(err, ErrBehind) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
	b := c.mustFollow("b", importState(t, exportState(t, a.table)))
	want := a.observe()
	b.lead(2)
	if got := b.observe(); !maps.Equal(got, want) {
		t.Errorf("the second node has\n%v\nthe first had\n%v", got, want)
	}
	a.close()
	b.close()
}

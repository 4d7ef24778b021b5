package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/archive"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// nodeLog is a shared log as one node has it, which may be cut off from it without a word, or be so slow that what it appends comes late.
type nodeLog struct {
	eventlog.Log

	mu         sync.Mutex
	cut, holds bool
	held       []func()
}

func (l *nodeLog) Append(partition int, span uint32, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.cut:
	case l.holds:
		l.held = append(l.held, func() { l.Log.Append(partition, span, data) })
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

// release appends what was held back, and says how much that was.
func (l *nodeLog) release() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.held)
	for _, late := range l.held {
		late()
	}
	l.held, l.holds = nil, false
	return n
}

// wire is a way to a server that can be cut.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn

	ends sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: to}
	w.ends.Go(w.accept)
	t.Cleanup(func() {
		w.cutOff()
		_ = l.Close() // once
		w.ends.Wait()
	})
	return w
}

func (w *wire) url() string { return "http://" + w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		w.mu.Lock()
		if w.cut || err != nil {
			_ = in.Close() // whoever it is may try again
			if err == nil {
				_ = out.Close()
			}
			w.mu.Unlock()
			continue
		}
		w.conns = append(w.conns, in, out)
		w.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			w.ends.Go(func() {
				_, _ = io.Copy(way[1], way[0])
				_ = errors.Join(way[0].Close(), way[1].Close())
			})
		}
	}
}

// cutOff ends what there is and lets nothing through any more.
func (w *wire) cutOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for _, c := range w.conns {
		_ = c.Close()
	}
}

// startEtcd starts one for several nodes.
func startEtcd(t *testing.T) (host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	at := []url.URL{{Scheme: "http", Host: host}}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.TickMs, cfg.ElectionMs = t.TempDir(), "fatal", 10, 100
	cfg.MaxTxnOps = 4096
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls, cfg.ListenPeerUrls = at, at, nil
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	<-etcd.Server.ReadyNotify()
	return host
}

// sharedNode is a node of a cluster.
type sharedNode struct {
	*testNode
	shared *nodeLog
	etcd   *wire
	config Config
	ended  chan error // what Run answers
	leads  chan struct{}
	logged *lockedBuffer
}

// cluster is an etcd and a log that nodes share.
type cluster struct {
	t    *testing.T
	etcd string
	log  *local.Log
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	log, err := local.Open(local.Options{Dir: filepath.Join(t.TempDir(), "log"), Partitions: 4, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cluster{t, startEtcd(t), log}
}

// start begins a node, which serves when its turn to lead has come; leads is closed then.
func (c *cluster) start(name, dir string) *sharedNode {
	c.t.Helper()
	n := &sharedNode{
		shared: &nodeLog{Log: c.log}, etcd: newWire(c.t, c.etcd), config: freeConfig(dir), ended: make(chan error, 1), leads: make(chan struct{}), logged: &lockedBuffer{},
	}
	n.config.Etcd, n.config.Node, n.config.Partitions, n.config.Drain = []string{n.etcd.url()}, name, 4, time.Second
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		node, err := newNode(ctx, n.config, NewLogger(n.config, n.logged), parts{log: n.shared, leaseTTL: time.Second})
		if err != nil {
			n.ended <- err
			return
		}
		client, err := api.NewClient(api.ClientOptions{Server: "http://" + node.Admin(), HTTP: oneShot()})
		n.testNode = &testNode{Node: node, client: client, log: n.logged}
		close(n.leads)
		n.ended <- errors.Join(err, node.Run(ctx))
	}()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-n.ended
	})
	c.t.Cleanup(func() {
		if err := stop(); err != nil {
			c.t.Errorf("%s: %v\n%s", name, err, n.logged)
		}
	})
	return n
}

// awaitLead waits until the node leads and serves.
func (n *sharedNode) awaitLead(t *testing.T) {
	t.Helper()
	select {
	case <-n.leads:
	case err := <-n.ended:
		n.ended <- nil
		t.Fatalf("%v\n%s", err, n.logged)
	}
	if _, err := n.client.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// awaitLine waits until a node has logged something.
func (n *sharedNode) awaitLine(t *testing.T, line string) {
	t.Helper()
	for !strings.Contains(n.logged.String(), line) {
		select {
		case <-t.Context().Done():
			t.Fatal(line)
		case <-time.After(5 * time.Millisecond): // a log has no signal
		}
	}
}

const idSize, keySize = 4, 2 // of the events that counter expects

// counter adds one to the state of the event's key and emits two events with the id of the event as data: one with its key, and one whose key is its id.
func counter() []byte {
	m, i := wasmtest.NewGuest()
	const opGet, opSet, name, request, topic, other, ordered, moved = 0x100, 0x120, 0x140, 0x160, 0x200, 0x220, 0x300, 0x400
	m.Memory(1)
	m.Data(opGet, []byte(abi.OpStateGet))
	m.Data(opSet, []byte(abi.OpStateSet))
	m.Data(name, []byte("n"))
	m.Data(request, []byte{1, 0, 0, 0, 'n', 0, 0, 0, 0})
	m.Data(topic, []byte("done"))
	m.Data(other, []byte("moved"))
	const orderedEvent, movedEvent = `{"type":"t","subject":"kk","data":"iiii"}`, `{"type":"t","subject":"iiii"}`
	m.Data(ordered, []byte(orderedEvent))
	m.Data(moved, []byte(movedEvent))
	const value = request + 5
	read := func(part, to, size int32) [][]byte {
		return [][]byte{wasmtest.Call(i.EventRead, 0, part, 0, to, size), wasmtest.Drop()}
	}
	code := slices.Concat(
		read(int32(abi.PartID), ordered+int32(strings.Index(orderedEvent, "iiii")), idSize),
		read(int32(abi.PartSubject), ordered+int32(strings.Index(orderedEvent, "kk")), keySize),
		read(int32(abi.PartID), moved+int32(strings.Index(movedEvent, "iiii")), idSize),
		[][]byte{
			wasmtest.Call(i.Call, opGet, int32(len(abi.OpStateGet)), name, 1), wasmtest.LocalSet(0),
			wasmtest.LocalGet(0), wasmtest.I32Const(0), wasmtest.I32Const(value), wasmtest.I32Const(4), wasmtest.Call(i.CallRead), wasmtest.Drop(),
			wasmtest.I32Const(value), wasmtest.I32Const(value), wasmtest.Load(), wasmtest.I32Const(1), wasmtest.Add(), wasmtest.Store(),
			wasmtest.Call(i.Call, opSet, int32(len(abi.OpStateSet)), request, 9), wasmtest.Drop(),
			wasmtest.Call(i.Emit, topic, 4, ordered, int32(len(orderedEvent))), wasmtest.Drop(),
			wasmtest.Call(i.Emit, other, 5, moved, int32(len(movedEvent))), wasmtest.Drop(),
			wasmtest.I32Const(0),
		})
	return m.Handle(code...).Bytes()
}

func (n *sharedNode) deployCounter(t *testing.T) {
	t.Helper()
	module := counter()
	digest := digestOf(module)
	if err := n.client.PutModule(t.Context(), digest, module); err != nil {
		t.Fatal(err)
	}
	_, err := n.client.Deploy(t.Context(), "default", "app", api.App{
		Functions: map[string]api.FunctionSpec{"count": {
			Module: digest, Allow: api.Allow{State: true, Emit: []string{"done", "moved"}},
			Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "work", Order: "key"}}},
		}},
		Topics: map[string]api.TopicSpec{"work": {Ingress: true}, "done": {}, "moved": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// producers publish in the order of a key, each event again until it is acknowledged.
type producers struct {
	each int
	sent [4]atomic.Int64 // by key: how many were acknowledged
	acks chan struct{}   // gets something when one was

	running sync.WaitGroup
}

func keyOf(k int) string        { return fmt.Sprint("k", k) }
func eventID(k, i int) string   { return fmt.Sprintf("%c%03d", 'a'+k, i) }
func (p *producers) total() int { return total(p.sent[:]) }

func total(sent []atomic.Int64) (n int) {
	for i := range sent {
		n += int(sent[i].Load())
	}
	return n
}

// begin publishes at a node until all is acknowledged, the node refuses, or ctx ends.
func (p *producers) begin(ctx context.Context, n *sharedNode) {
	for k := range p.sent {
		p.running.Go(func() {
			for i := int(p.sent[k].Load()); i < p.each; i++ {
				body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/p","type":"t","subject":%q}`, eventID(k, i), keyOf(k))
				if _, err := n.client.Publish(ctx, "default", "work", api.EventJSON, []byte(body)); err != nil {
					return
				}
				p.sent[k].Add(1)
				select {
				case p.acks <- struct{}{}:
				default:
				}
			}
		})
	}
}

func (p *producers) await(n int) {
	for p.total() < n {
		<-p.acks
	}
}

// handOver gives a second data directory what the first node has at this moment: its state, and its modules, which are files of each node.
func handOver(t *testing.T, from *sharedNode) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "modules"), os.DirFS(filepath.Join(from.config.DataDir, "modules"))); err != nil {
		t.Fatal(err)
	}
	view, err := from.table.View()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out)
	if err == nil {
		err = errors.Join(view.WriteState(w), w.Close())
	}
	if err := errors.Join(err, view.Close()); err != nil {
		t.Fatal(err)
	}
	im, err := partition.NewImporter(partition.ImportOptions{Dir: filepath.Join(dir, "state"), Partitions: 4, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := archive.NewReader(&out)
	for err == nil {
		var kind archive.Kind
		var payload []byte
		if kind, payload, err = blocks.Next(); err == nil {
			err = im.Block(kind, payload)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := errors.Join(im.Finish(), im.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Two whole nodes share an etcd and a log. The one that leads goes away in the middle of its work, in three ways; the other one, which has begun with an export of its
// state, goes on. What was acknowledged is there, every effect happened once, in the order of its key, and the state is the one that the log makes.
func TestAnotherNodeGoesOn(t *testing.T) {
	t.Parallel()
	const each = 60
	for name, c := range map[string]struct {
		fail  func(a *sharedNode)
		after func(t *testing.T, a *sharedNode) // when b leads
	}{
		"it dies without a word": {fail: func(a *sharedNode) {
			a.shared.set(true, false)
			a.etcd.cutOff()
		}},
		"it cannot reach etcd": {fail: func(a *sharedNode) { a.etcd.cutOff() }},
		"what it appends comes late": {
			fail: func(a *sharedNode) {
				a.shared.set(false, true)
				a.etcd.cutOff()
			},
			after: func(t *testing.T, a *sharedNode) {
				t.Helper()
				if n := a.shared.release(); n == 0 {
					t.Error("nothing was held back")
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t)
			a := cluster.start("a", t.TempDir())
			a.awaitLead(t)
			a.deployCounter(t)
			p := &producers{each: each, acks: make(chan struct{}, 1)}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.begin(ctx, a)
			p.await(each)
			b := cluster.start("b", handOver(t, a))
			b.awaitLine(t, "another node leads; waiting")
			if line := b.logged.String(); !strings.Contains(line, "leader=a") {
				t.Errorf("it does not say who leads: %s", line)
			}
			p.await(2 * each)
			c.fail(a)
			b.awaitLead(t)
			if c.after != nil {
				c.after(t, a)
			}
			if err := <-a.ended; !errors.Is(err, ErrDeposed) || !errors.Is(err, partition.ErrDeposed) && !errors.Is(err, registry.ErrLeaseLost) {
				t.Errorf("the first node ended with %v", err)
			}
			a.ended <- nil
			cancel()
			p.running.Wait()
			p.begin(t.Context(), b)
			p.running.Wait()
			if n := p.total(); n != 4*each {
				t.Fatalf("%d events were acknowledged, want %d", n, 4*each)
			}
			b.awaitIdle(t)
			cluster.check(t, b, each)
		})
	}
}

// awaitIdle waits until nothing is pending and everything has arrived.
func (n *sharedNode) awaitIdle(t *testing.T) {
	t.Helper()
	for {
		changed := n.table.Changed()
		moved := len(read(t, n.table, "moved", ""))
		if stats := n.stats(t); stats.Pending == 0 && moved == len(read(t, n.table, "done", "")) {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatalf("%+v, %d have arrived\n%s", n.stats(t), moved, n.logged)
		}
	}
}

func (n *sharedNode) stats(t *testing.T) partition.Stats {
	t.Helper()
	return n.table.Stats(n.trigger(t))
}

// trigger is the one of the topic work; the function's inbox has another.
func (n *sharedNode) trigger(t *testing.T) uint64 {
	t.Helper()
	list, err := n.client.Triggers(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(tr api.Trigger) bool { return tr.Topic != nil && tr.Topic.Name == "work" })
	if i < 0 {
		t.Fatalf("no trigger of the topic work: %+v", list)
	}
	return list[i].ID
}

// read gives what the events of a topic say, in their order: their data, or without one their key.
func read(t *testing.T, table *partition.Table, topic, key string) (all []string) {
	t.Helper()
	_, err := table.Tail("default", topic, partition.Cursor{}, time.Time{}, 0, func(r partition.TopicRecord) error {
		switch said := strings.Trim(string(r.Event.Data), `"`); {
		case key == "":
			all = append(all, r.Event.Subject)
		case r.Event.Subject == key:
			all = append(all, said)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (c *cluster) check(t *testing.T, n *sharedNode, each int) {
	t.Helper()
	fresh, err := partition.Follow(partition.Options{
		Log: c.log, Dir: filepath.Join(t.TempDir(), "state"), Partitions: 4, Ready: func() {}, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		Logger: n.Node.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close() //nolint:errcheck // it is only read
	for who, table := range map[string]*partition.Table{"the node": n.table, "a replay of the log": fresh} {
		var all []string
		for k := range 4 {
			var want []string
			for i := range each {
				want = append(want, eventID(k, i))
			}
			all = append(all, want...)
			if got := read(t, table, "done", keyOf(k)); !slices.Equal(got, want) {
				t.Errorf("%s: events of key %d were done in this order: %v, want %v", who, k, got, want)
			}
			value, _, err := table.State("default", "count", keyOf(k), "n")
			if err != nil || !bytes.Equal(value, []byte{byte(each), 0, 0, 0}) {
				t.Errorf("%s: the counter of key %d is %v, %v", who, k, value, err)
			}
		}
		moved := read(t, table, "moved", "")
		if slices.Sort(moved); !slices.Equal(moved, all) {
			t.Errorf("%s: other partitions got %v, want %v", who, moved, all)
		}
		letters := 0
		if err := table.DeadLetters("default", 0, func(partition.DeadLetter) error { letters++; return nil }); err != nil || letters > 0 {
			t.Errorf("%s: %d dead letters, %v", who, letters, err)
		}
	}
	if got, want := n.stats(t), fresh.Stats(n.trigger(t)); !reflect.DeepEqual(got, want) {
		t.Errorf("the node has %+v, a replay of the log gives %+v", got, want)
	}
}

// A node that waits for its turn can be told to stop, and one that stops lets the next one lead at once.
func TestStandByAndCleanStop(t *testing.T) {
	t.Parallel()
	host := startEtcd(t)
	config := func(name string) Config {
		c := freeConfig(t.TempDir())
		c.Etcd, c.Node = []string{"http://" + host}, name
		return c
	}
	start := func(ctx context.Context, c Config, log io.Writer) (*Node, error) {
		return newNode(ctx, c, NewLogger(c, log), parts{leaseTTL: time.Hour}) // so that nobody waits for one to run out
	}
	one, err := start(t.Context(), config("one"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	waiting := signalWriter{"another node leads", make(chan struct{}, 1)}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-waiting.seen
		cancel(errors.New("told to stop"))
	}()
	two := config("two")
	if n, err := start(ctx, two, waiting); err == nil || !strings.Contains(err.Error(), "wait for one to stop: told to stop") {
		t.Fatalf("%v, %v", n, err)
	}
	mustBeFree(t, two.DataDir)
	next := make(chan *Node, 1)
	var log lockedBuffer
	go func() {
		n, err := start(t.Context(), two, io.MultiWriter(waiting, &log))
		if err != nil {
			t.Error(err)
		}
		next <- n
	}()
	<-waiting.seen
	if err := one.close(); err != nil {
		t.Fatal(err)
	}
	n := <-next
	if n == nil {
		t.FailNow()
	}
	if !strings.Contains(log.String(), "another node has led before, whose log is in its own data directory") {
		t.Errorf("it does not say that it has another log: %s", log.String())
	}
	if n.lead.Epoch <= one.lead.Epoch {
		t.Errorf("epoch %d after %d", n.lead.Epoch, one.lead.Epoch)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
}

// signalWriter tells when a text was written.
type signalWriter struct {
	text string
	seen chan struct{}
}

func (w signalWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		select {
		case w.seen <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

// The lease of a process that was killed is no reason to wait for the next one on its data directory, which has the lock and so knows that the other one is dead.
func TestStartAfterAKillDoesNotWait(t *testing.T) {
	t.Parallel()
	host := startEtcd(t)
	c := freeConfig(t.TempDir())
	c.Etcd = []string{"http://" + host}
	id, err := directoryID(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.Dial(c.Etcd, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // the test is over
	killed, err := registry.New(registry.Options{Client: client, ModuleDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	lead, err := killed.Lead(t.Context(), registry.Candidate{Node: c.Node, Directory: id, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer lead.Release(t.Context()) //nolint:errcheck // it is lost
	n, err := New(t.Context(), c, NewLogger(c, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	<-lead.Done()
	if !errors.Is(lead.Err(), registry.ErrLeaseLost) || n.lead.Epoch <= lead.Epoch {
		t.Errorf("%v, epoch %d after %d", lead.Err(), n.lead.Epoch, lead.Epoch)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
}

func TestDirectoryIDStays(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	first, err1 := directoryID(dir)
	again, err2 := directoryID(dir)
	second, err3 := directoryID(other)
	if err := errors.Join(err1, err2, err3); err != nil || first == "" || first != again || first == second {
		t.Errorf("%q, %q, %q, %v", first, again, second, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ID"), nil, 0o600); err != nil { // as a crash may leave it
		t.Fatal(err)
	}
	if next, err := directoryID(dir); err != nil || next == "" || next == first {
		t.Errorf("%q, %v", next, err)
	}
	if _, err := directoryID(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("an id of no directory")
	}
}

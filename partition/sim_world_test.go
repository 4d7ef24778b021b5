package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/eventlog"
)

const (
	simPartitions  = 3
	simDedupWindow = time.Minute
	simDedupLimit  = 12
)

// simWorld is one run of the simulation: nodes with real tables over one simulated log, moved on step by step. Between two steps everything stands still:
// synctest.Wait returns when every goroutine of the tables waits for something. So a run follows from its seed alone.
type simWorld struct {
	t      *testing.T
	seed   uint64
	broken string     // the rule that is left out of the model
	rng    *rand.Rand // of this step

	mu     sync.Mutex // guards what a table's goroutines change
	stores []*simStore
	calls  []*simCall
	wrong  []string

	nodes       []*simNode // alive, in the order in which they began to lead, those that only follow anywhere between
	epoch       uint64
	files       *vfs.MemFS
	checkpoints []string // directories with a state of some node at some time
	exports     []simExport
	dirs        int

	wanted     map[uint64]Trigger
	ids        []uint64 // of all triggers that ever were
	generation uint64
	replays    uint64
	nonces     int
	told       map[string]string // nonce of an acknowledged event → topic and id

	tracing bool
	trace   []string
}

// simNode is one process.
type simNode struct {
	world   *simWorld
	epoch   uint64 // 0 while it only follows
	dir     string
	log     *simLog
	models  []*simState // of each partition, at what this node has applied
	checked []uint64    // per partition: the offset up to which the state was compared
	table   *Table      // nil when it is dead
	leads   bool        // or believes so
	deposed error       // what it was told
	lost    bool        // it was told by who is not the log
	dead    bool
	ctx     context.Context
	stop    context.CancelFunc
	held    []*simHeld
	looked  map[ID]bool // handed out at least once
	past    *catchUp
	busy    map[string]bool // what one goroutine of a table does, and does not begin again before it has ended
}

// simHeld is a delivery that was taken and has no verdict yet.
type simHeld struct {
	Delivery
	read     StateRead // as it was when the delivery was taken
	settling bool
}

// simCall is a call of a client under way in a goroutine of its own.
type simCall struct {
	verify func() // set when it has returned
}

func newSimWorld(t *testing.T, seed uint64, broken string) *simWorld {
	w := &simWorld{t: t, seed: seed, broken: broken, files: vfs.NewMem(), wanted: map[uint64]Trigger{}, told: map[string]string{}}
	for range simPartitions {
		w.stores = append(w.stores, &simStore{})
	}
	return w
}

func (w *simWorld) newModel(partition int) *simState {
	s := newSimState(partition, simPartitions, simDedupWindow.Milliseconds(), simDedupLimit)
	s.broken = w.broken
	return s
}

func (w *simWorld) logf(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%s "+format, append([]any{time.Now().Format("15:04:05.000")}, args...)...))
	}
}

func (w *simWorld) found(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// finding is the first thing that was wrong.
func (w *simWorld) finding() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) == 0 {
		return ""
	}
	return w.wrong[0]
}

// steps runs the first n steps but those that are left out, then lets everything finish. It returns the first finding and the step at which it showed.
func (w *simWorld) steps(n int, leaveOut map[int]bool) (finding string, at int) {
	defer w.end()
	defer func() {
		if r := recover(); r != nil {
			finding = fmt.Sprint("panic: ", r)
		}
	}()
	w.reseed(1 << 32)
	w.start()
	for at = range n {
		if leaveOut[at] {
			continue
		}
		w.reseed(uint64(at))
		w.step()
		w.afterStep()
		if f := w.finding(); f != "" {
			return f, at
		}
	}
	w.reseed(1 << 33)
	w.drain()
	return w.finding(), n
}

// reseed gives each step random numbers of its own, so that leaving out one does not change the others.
func (w *simWorld) reseed(step uint64) { w.rng = rand.New(rand.NewPCG(w.seed, step)) }

// start boots the first node and puts all triggers in force; their control records are still on their way.
func (w *simWorld) start() {
	w.boot("")
	w.flow()
	for id := uint64(1); id <= uint64(len(simTriggers)); id++ {
		w.wanted[id], w.ids = simDefinition(id), append(w.ids, id)
	}
	w.setTriggers(w.nodes[0])
}

func (w *simWorld) end() {
	for len(w.nodes) > 0 {
		w.kill(w.nodes[0])
	}
}

// settleDown waits until nothing moves and hands back what returned.
func (w *simWorld) settleDown() {
	synctest.Wait()
	for {
		w.mu.Lock()
		var verify func()
		for i, c := range w.calls {
			if c.verify != nil {
				verify = c.verify
				w.calls = append(w.calls[:i:i], w.calls[i+1:]...)
				break
			}
		}
		w.mu.Unlock()
		if verify == nil {
			return
		}
		verify()
	}
}

// call runs a client's call until it waits for something; what it returns is run when the world stands still.
func (w *simWorld) call(f func() (verify func())) {
	c := &simCall{}
	w.mu.Lock()
	w.calls = append(w.calls, c)
	w.mu.Unlock()
	go func() {
		verify := f()
		w.mu.Lock()
		c.verify = verify
		w.mu.Unlock()
	}()
	synctest.Wait()
}

// boot starts a process on the state in a directory, "" for none. It leads when its lead records are stored and delivered. A state that the log does not go on from any
// more gives nil.
func (w *simWorld) boot(dir string) *simNode {
	n := w.follow(simBegin{dir: dir})
	if n != nil {
		w.lead(n)
	}
	return n
}

// follow starts a process that follows the log and does not lead.
func (w *simWorld) follow(b simBegin) *simNode {
	if b.dir == "" {
		b.dir = w.newDir()
	}
	n := &simNode{
		world: w, dir: b.dir, models: make([]*simState, simPartitions), checked: make([]uint64, simPartitions), busy: map[string]bool{},
	}
	n.log = newSimLog(n, simPartitions)
	n.ctx, n.stop = context.WithCancel(context.Background())
	w.logf("a node begins on %s", b.dir)
	table, err := Follow(Options{
		Log: n.log, Dir: b.dir, FS: w.files, Partitions: simPartitions, Node: b.dir,
		Ready: func() {}, Deposed: func(err error) { n.deposed = err }, Fatal: func(err error) { w.found("fatal: %v", err) },
		byHand: true, behind: simBehind, step: 3, DedupWindow: simDedupWindow, DedupLimit: simDedupLimit, replyAge: simReplyAge, Logger: slog.New(slog.DiscardHandler),
	})
	if w.checkBegin(n, b, table, err); err != nil {
		w.logf("it does not: %v", err)
		return nil
	}
	n.table = table
	w.nodes = append(w.nodes, n)
	return n
}

// lead lets a node that follows lead, in the next epoch.
func (w *simWorld) lead(n *simNode) {
	w.epoch++
	n.epoch = w.epoch
	w.nodes = append(slices.DeleteFunc(w.nodes, func(o *simNode) bool { return o == n }), n)
	w.logf("the node on %s begins epoch %d", n.dir, n.epoch)
	w.call(func() func() {
		err := n.table.Lead(n.ctx, n.epoch)
		return func() { n.led(err) }
	})
	w.settleDown()
}

func (w *simWorld) newDir() string {
	w.dirs++
	return fmt.Sprint("state-", w.dirs)
}

func (n *simNode) led(err error) {
	w := n.world
	switch {
	case n.dead: // it was killed meanwhile
	case err == nil:
		n.leads = true
		w.logf("epoch %d leads", n.epoch)
	case n.epoch < w.epoch:
		w.logf("epoch %d does not lead: %v", n.epoch, err)
		w.kill(n)
	default:
		w.found("lead in epoch %d: %v", n.epoch, err)
		w.kill(n)
	}
}

// kill ends a process at once. What it appended may still be stored, and its directory is what the next one may begin with.
func (w *simWorld) kill(n *simNode) {
	for i, o := range w.nodes {
		if o == n {
			w.nodes = append(w.nodes[:i:i], w.nodes[i+1:]...)
		}
	}
	if n.dead {
		return
	}
	w.mu.Lock()
	n.dead, n.leads = true, false
	w.mu.Unlock()
	w.logf("kill epoch %d on %s", n.epoch, n.dir)
	n.log.die()
	n.stop()
	synctest.Wait()
	w.close(n)
	w.settleDown()
}

func (w *simWorld) close(n *simNode) {
	if n.table == nil {
		return
	}
	if err := n.table.Close(); err != nil {
		w.found("close: %v", err)
	}
	n.table = nil
	w.checkpoints = append(w.checkpoints, n.dir)
}

// checkpoint keeps the state of a node as it is now: a crash that loses the newest part of the state, or a copy for another node, begins there.
func (w *simWorld) checkpoint(n *simNode) {
	dir := w.newDir()
	if err := n.table.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		w.found("checkpoint: %v", err)
		return
	}
	w.checkpoints = append(w.checkpoints, dir)
	w.logf("epoch %d: state kept in %s", n.epoch, dir)
}

// someNode is one that leads or believes so, mostly the newest; nil when there is none.
func (w *simWorld) someNode() *simNode {
	var open []*simNode
	for _, n := range w.nodes {
		if n.leads {
			open = append(open, n)
		}
	}
	if len(open) == 0 {
		return nil
	}
	if w.rng.IntN(4) == 0 {
		return open[w.rng.IntN(len(open))]
	}
	return open[len(open)-1]
}

func (w *simWorld) nonce() string {
	w.nonces++
	return fmt.Sprint("n", w.nonces)
}

// gone says whether a call failed because its node is dead or leads no more, which is no finding.
func (w *simWorld) gone(n *simNode, what string, err error) bool {
	if err == nil {
		return false
	}
	deposed := errors.Is(err, ErrDeposed) || errors.Is(err, eventlog.ErrTrimmed) // by the one that leads now
	if !(n.dead && (errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled))) && !(deposed && (n.epoch < w.epoch || n.lost)) {
		w.found("%s at epoch %d: %v", what, n.epoch, err)
	}
	w.logf("epoch %d: %s: %v", n.epoch, what, err)
	return true
}

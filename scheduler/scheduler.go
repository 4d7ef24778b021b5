// Package scheduler runs what partitions say is ready, and synchronous calls: it keeps one compiled module for each function in force, takes events within
// limits, runs each attempt in the sandbox, and decides what becomes of an event.
//
//	ready ─► dispatch ─► execute ─► attempt ─► decide ─► settle ─► done | retry | dead letter
//	                        ▲                                │
//	                        └──────── conflict: again ◄──────┘
package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/inflight"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sandbox"
)

// Errors of Call: the function did not get to say a verdict, and not because of what it is.
var (
	ErrNotFound    = errors.New("no such function")
	ErrBusy        = errors.New("no room for another call")
	ErrDraining    = errors.New("the runtime is stopping")
	ErrConflict    = errors.New("the state of this key keeps changing under the call")
	ErrUnavailable = errors.New("the function cannot be loaded")
)

// Options of New.
type Options struct {
	Table    *partition.Table
	Registry *registry.Registry
	Sandbox  *sandbox.Runtime
	History  *history.Store

	// InFlight notes the attempts that run and knows those that ran when the last process died; nil = nobody does.
	InFlight *inflight.File

	// Ready is the signal that partition.Options.Ready sets; the scheduler reads it.
	Ready <-chan struct{}

	// Running is how many guests run at once; 0 = twice the processors.
	Running int
	// Taken is how many events may be taken and not settled; 0 = 256.
	Taken int
	// Calls is how many synchronous calls may run or wait; 0 = 1,024.
	Calls int
	// Drain is how long Run waits, when it is told to stop, for what has started; 0 = 30 s.
	Drain time.Duration

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Scheduler is the one of this node.
type Scheduler struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics
	keys    keyLocks
	pins    *pins

	rollouts  *rollouts
	collector *collector

	crew *crew

	seats    *seats        // of guests that run
	onces    onces         // calls with a key that run
	unwanted unwanted      // canceled before they ran
	blamed   bool          // see blame; only used by Apply
	taken    chan struct{} // a token for each event that is taken and not settled
	calls    chan struct{} // a token for each synchronous call
	freed    chan struct{} // set when a taken event has ended; read by Run

	// work is the context of attempts. It ends only when draining takes too long.
	work    context.Context
	cutWork context.CancelCauseFunc

	mu        sync.Mutex
	functions map[functionName]*function
	triggers  map[uint64]functionName // topic and inbox triggers
	paused    map[uint64]struct{}     // triggers whose pause is in force; nil = none
	inForce   int64                   // registry revision
	forced    chan struct{}           // closed and replaced when inForce grows
	draining  bool
	active    sync.WaitGroup // executes and calls
}

type functionName struct{ namespace, name string }

// New needs everything in its options but the numbers.
func New(o Options) *Scheduler {
	if o.Running == 0 {
		o.Running = 2 * runtime.GOMAXPROCS(0)
	}
	if o.Taken == 0 {
		o.Taken = 256
	}
	if o.Calls == 0 {
		o.Calls = 1024
	}
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	s := &Scheduler{
		opts: o, log: o.Logger, metrics: newMetrics(o.Registerer), keys: newKeyLocks(),
		seats: newSeats(o.Running, o.InFlight), taken: make(chan struct{}, o.Taken), calls: make(chan struct{}, o.Calls),
		freed:     make(chan struct{}, 1),
		functions: map[functionName]*function{}, triggers: map[uint64]functionName{}, forced: make(chan struct{}),
	}
	s.pins = &pins{scheduler: s}
	s.rollouts, s.collector = newRollouts(s), newCollector(s)
	s.crew = newCrew(o.Taken, s.finish)
	s.work, s.cutWork = context.WithCancelCause(context.Background())
	return s
}

// Run takes and runs events until ctx ends. Then it takes no more, refuses calls, and waits for what has started; what is not finished after Options.Drain
// is cut and given back without an attempt counted.
func (s *Scheduler) Run(ctx context.Context) error {
	defer s.upkeep(ctx)()
	for {
		s.dispatch()
		select {
		case <-s.opts.Ready:
		case <-s.freed:
		case <-ctx.Done():
			s.drain()
			return nil
		}
	}
}

func (s *Scheduler) drain() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	idle := make(chan struct{})
	go func() { // ends with the last execute or call; drain waits for it below in any case
		s.active.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(s.opts.Drain):
		s.log.Warn("cut what did not finish in time; it runs again after the next start", "waited", s.opts.Drain)
		s.cutWork(ErrDraining)
		<-idle
	}
	s.crew.leave()
	s.closeFunctions()
}

// begin counts an execute or call in, unless the scheduler stops. Whoever got true calls active.Done.
func (s *Scheduler) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		s.active.Add(1)
	}
	return !s.draining
}

// fairShare is how many events one trigger gets before the next has its turn.
const fairShare = 16

// dispatch takes events in turns over the triggers that have some, until there is no room or nothing to take.
func (s *Scheduler) dispatch() {
	for progress := true; progress; {
		progress = false
		for id := range s.opts.Table.Ready() {
			f := s.acquireTrigger(id)
			if f == nil {
				continue
			}
			n := s.dispatchTrigger(f, id)
			progress = progress || n > 0
			s.release(f)
			if len(s.taken) == cap(s.taken) {
				return
			}
		}
	}
}

func (s *Scheduler) dispatchTrigger(f *function, trigger uint64) int {
	room := s.room(f)
	if room == 0 {
		return 0
	}
	deliveries, err := s.opts.Table.Take(trigger, room)
	if err != nil {
		s.log.Error("cannot read waiting events", "trigger", trigger, "err", err)
	}
	for i := len(deliveries); i < room; i++ {
		s.giveBack(f)
	}
	for i := range deliveries {
		s.start(f, &deliveries[i])
	}
	return len(deliveries)
}

// room reserves places for as many events as may start now, at most a fair share.
func (s *Scheduler) room(f *function) int {
	n := 0
	for ; n < fairShare; n++ {
		if !f.enter() {
			break
		}
		select {
		case s.taken <- struct{}{}:
			continue
		default:
		}
		f.leave()
		break
	}
	return n
}

func (s *Scheduler) giveBack(f *function) {
	<-s.taken
	f.leave()
}

// start runs a delivery in a goroutine that drain waits for.
func (s *Scheduler) start(f *function, d *partition.Delivery) {
	if !s.begin() {
		s.giveBack(f)
		s.opts.Table.Release(d)
		return
	}
	f.hold()
	s.crew.start(job{f, d})
}

// finish brings a delivery that has started to its end.
func (s *Scheduler) finish(j job) {
	defer s.active.Done()
	s.execute(s.work, j.function, j.delivery)
	s.release(j.function)
	s.giveBack(j.function)
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

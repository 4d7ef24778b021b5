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
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/fetch"
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
	Fetch    *fetch.Client // makes the requests of functions
	History  *history.Store

	// InFlight notes the attempts that run and knows those that ran when the last process died; nil = nobody does.
	InFlight *inflight.File

	// Ready is the signal that partition.Options.Ready sets; the scheduler reads it.
	Ready <-chan struct{}

	// Running is how many guests run at once; 0 = as many as there are processors. Guests that sleep are not among them.
	Running int
	// Begun is how many guests may have begun at once, those that run, sleep and wait to go on; 0 = 512.
	Begun int
	// Memory is how many bytes they may take together, each counted with the limit of its function; 0 = no limit.
	Memory int64
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

	processors *processors
	seats      *seats        // of guests that have begun
	onces      onces         // calls with a key that run
	unwanted   unwanted      // canceled before they ran
	blamed     bool          // see blame; only used by Apply
	calls      chan struct{} // a token for each synchronous call
	freed      chan struct{} // set when there may be room for more; read by Run

	patience time.Duration // of invoked functions

	// work is the context of attempts. It ends only when draining takes too long.
	work    context.Context
	cutWork context.CancelCauseFunc

	// Only Apply uses these.
	applied   *registry.Snapshot // nil = none, or the last one not to its end
	wanted    *partition.TriggerSet
	retention partition.Retention
	broken    map[functionName]struct{} // could not be loaded

	mu        sync.Mutex
	functions map[functionName]*function
	triggers  map[uint64]*function // topic and inbox triggers
	paces     map[uint64]*pace
	paused    map[uint64]struct{} // triggers whose pause is in force
	inForce   int64               // registry revision
	forced    chan struct{}       // closed and replaced when inForce grows
	draining  bool
	active    sync.WaitGroup // executes and calls
}

type functionName struct{ namespace, name string }

// New needs everything in its options but the numbers.
func New(o Options) *Scheduler {
	if o.Running == 0 {
		o.Running = runtime.GOMAXPROCS(0)
	}
	if o.Begun == 0 {
		o.Begun = 512
	}
	if o.Memory == 0 {
		o.Memory = math.MaxInt64
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
		seats: newSeats(o.Begun, o.InFlight), calls: make(chan struct{}, o.Calls), freed: make(chan struct{}, 1), patience: invokePatience,
		functions: map[functionName]*function{}, triggers: map[uint64]*function{}, paces: map[uint64]*pace{}, paused: map[uint64]struct{}{},
		broken: map[functionName]struct{}{}, forced: make(chan struct{}),
	}
	s.processors = newProcessors(o.Running, o.Memory, o.Taken, s.seats, s.wake)
	if o.Registerer != nil {
		o.Registerer.MustRegister(newLoadCollector(s))
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
	start, events := time.Now(), s.processors.inProgress()
	s.log.Info("stopping: no more events are taken; waiting for those that run", "events", events, "at_most", s.opts.Drain)
	idle := make(chan struct{})
	go func() { // ends with the last execute or call; drain waits for it below in any case
		s.active.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(s.opts.Drain):
		s.log.Warn("stopping: cut what did not finish in time; it runs again after the next start, and no attempt is counted",
			"events", s.processors.inProgress(), "waited", s.opts.Drain)
		s.cutWork(ErrDraining)
		<-idle
	}
	s.log.Info("stopping: nothing runs any more", "waited", time.Since(start).Round(time.Millisecond))
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

// ready is a trigger that has something, with its function, which is held.
type ready struct {
	trigger  uint64
	function *function
}

// dispatch takes events in turns over the triggers that have some, until there is no room or nothing to take. What has used least is first.
func (s *Scheduler) dispatch() {
	for progress := true; progress && !s.processors.full(); {
		progress = false
		for _, next := range s.ready() {
			if s.dispatchTrigger(next.function, next.trigger) > 0 {
				progress = true
			}
			s.release(next.function)
		}
	}
}

func (s *Scheduler) ready() (list []ready) {
	for id := range s.opts.Table.Ready() {
		if f := s.acquireTrigger(id); f != nil {
			list = append(list, ready{id, f})
		}
	}
	s.processors.inOrder(list)
	return list
}

func (s *Scheduler) dispatchTrigger(f *function, trigger uint64) int {
	pace := s.pace(trigger)
	room := s.room(f, pace)
	if room == 0 {
		return 0
	}
	deliveries, err := s.opts.Table.Take(trigger, room)
	if err != nil {
		s.log.Error("cannot read waiting events", "trigger", trigger, "err", err)
	}
	s.exit(f, pace, room-len(deliveries))
	for i := range deliveries {
		s.start(f, &deliveries[i])
	}
	return len(deliveries)
}

// room reserves places for events that may be taken now. Each is given back by exit.
func (s *Scheduler) room(f *function, pace *pace) int {
	if f.flow.full() {
		s.processors.limit(f.share, heldByAside)
		return 0
	}
	paced, _ := pace.take(ahead)
	room := s.processors.enter(f.share, f.memory(), paced)
	pace.done(paced - room)
	return room
}

// exit is for n events that have ended, or were not taken.
func (s *Scheduler) exit(f *function, pace *pace, n int) {
	s.processors.exit(f.share, n)
	pace.done(n)
}

// start runs a delivery in a goroutine that drain waits for.
func (s *Scheduler) start(f *function, d *partition.Delivery) {
	if !s.begin() {
		s.exit(f, s.pace(d.ID.Trigger), 1)
		s.opts.Table.Release(d)
		return
	}
	f.hold()
	s.crew.start(job{f, d})
}

// finish brings a delivery that has started to its end.
func (s *Scheduler) finish(j job) {
	defer s.active.Done()
	s.pass(s.work, j.function, j.delivery)
	s.release(j.function)
	s.exit(j.function, s.pace(j.delivery.ID.Trigger), 1)
	s.wake()
}

// pass brings a delivery by the rules of its function, and executes it if it may run now.
func (s *Scheduler) pass(ctx context.Context, f *function, d *partition.Delivery) {
	p, how, err := f.flow.enter(ctx, d)
	switch {
	case err != nil:
		s.log.Error("cannot ask whether an event may run; it is asked again", "function", f.spec.Name, "event_id", d.Event.ID, "err", err)
		s.opts.Table.Release(d)
	case how == dropped:
		s.drop(ctx, f, d)
	case how == passed:
		s.execute(ctx, f, d)
		p.leave()
	}
}

// wake lets Run look for events again.
func (s *Scheduler) wake() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

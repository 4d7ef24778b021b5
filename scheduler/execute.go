package scheduler

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// freeConflicts is how often an attempt runs again after a conflict before it waits for the others of its key.
const freeConflicts = 3

// execute brings one delivery to its outcome: attempt, decide, settle; again what could not be settled. It runs by the revision that the desk, or else the traffic in
// force now, says.
func (s *Scheduler) execute(ctx context.Context, f *function, d *partition.Delivery) {
	if d = s.settleUnfit(ctx, f, d); d == nil {
		return
	}
	switch {
	case d.Revision != 0: // it is alone
		s.executeAs(ctx, f, d, d.Revision)
	case len(f.currentTraffic()) == 0:
		s.executeIn(ctx, f, d)
	default:
		for revision, part := range f.byRevision(d) {
			s.executeAs(ctx, f, part, revision)
		}
	}
}

// executeIn is execute by the revision that runs it.
func (s *Scheduler) executeIn(ctx context.Context, f *function, d *partition.Delivery) {
	switch {
	case f.once[d.ID.Trigger]:
		s.executeOnce(ctx, f, d)
	case len(d.More) > 0:
		s.executeBatch(ctx, f, d)
	default:
		s.executeOn(ctx, f, d)
	}
}

// executeOn brings one event to its outcome.
func (s *Scheduler) executeOn(ctx context.Context, f *function, d *partition.Delivery) {
	turn := s.turn(f, d.Event.Key())
	defer turn.end()
	for conflicts := 0; ; conflicts++ {
		turn.after(conflicts)
		a := s.attempt(ctx, f, invocationOf(d))
		if a.givenBack(ctx) {
			s.opts.Table.Release(d)
			return
		}
		outcome, err := s.settle(ctx, f, d, a)
		if err != nil {
			s.cannotSettle(f, d, err)
			return
		}
		if outcome != partition.Conflict {
			return
		}
		s.metrics.conflicts.Inc()
	}
}

func (s *Scheduler) cannotSettle(f *function, d *partition.Delivery, err error) {
	s.log.Error("cannot settle; the event runs again", "function", f.spec.Name, "event_id", d.Event.ID, "err", err)
	s.opts.Table.Release(d)
}

// turn is an invocation's place among those of its function and key: free at first, in line once it, or others of its key, have clashed too often.
type turn struct {
	keys   *keyLocks
	key    stateKey
	unlock func()
}

func (s *Scheduler) turn(f *function, key string) *turn {
	t := &turn{keys: &s.keys, key: stateKey{f.spec.Namespace, f.spec.Name, key}}
	t.unlock = t.keys.lockIfBusy(t.key)
	return t
}

// after says how many conflicts there were so far.
func (t *turn) after(conflicts int) {
	if conflicts == freeConflicts && t.unlock == nil {
		t.unlock = t.keys.lock(t.key)
	}
}

func (t *turn) end() {
	if t.unlock != nil {
		t.unlock()
	}
}

// settle decides what becomes of the event and stores it together with the effects. It goes on when the scheduler stops: the work is done.
func (s *Scheduler) settle(ctx context.Context, f *function, d *partition.Delivery, a attempt) (partition.Outcome, error) {
	first := d.First
	if first.IsZero() {
		first = a.start
	}
	next, why := f.policy.decide(try{attempt: d.Attempt, first: first, now: time.Now(), result: a.result, canceled: a.cut != nil}, rand.Float64())
	kept := a.kept()
	if why != "" && next.DeadLetter && a.result.Verdict != abi.Rejected {
		kept.Error += " (" + why + ")"
	}
	if next.DeadLetter {
		a.effects = s.deadLetterCopy(f, d, kept)
	}
	outcome, err := s.opts.Table.Settle(context.WithoutCancel(ctx), d, kept, next, a.effects)
	if err == nil && outcome == partition.Applied {
		s.record(f, a, next)
	}
	return outcome, err
}

// invocation is what an attempt is an attempt of.
type invocation struct {
	id, trigger string
	number      int
	event       *event.Event
	triggerID   uint64                     // 0 for a synchronous call
	call        bool                       // synchronous
	batch       string                     // the id of the first one, when there are several; else ""
	once        *partition.Once            // of a call that its client may repeat
	before      func(start time.Time) bool // asked when it has its seat, whether it may run; nil = it may
	more        []invocation               // of a batch: those behind the first, which stands for all in the history
	caller      *host                      // of a function that another one invoked
	asked       string                     // what it was asked: see host.asks
}

// attempt is one finished try.
type attempt struct {
	invocation
	revision int
	start    time.Time
	duration time.Duration
	parked   time.Duration // of it, while it was the turn of others
	result   sandbox.Result
	effects  partition.Effects // of a verdict done
	trace    event.TraceParent // where the attempt is; zero = its event is in no trace, and it emitted nothing
	held     bool              // it did not run: its trigger has been paused since it was taken, or invocation.before said no
	cut      *cut              // somebody canceled it; nil = nobody
	pushed   bool              // a host that it sent requests to has too much to do
	host     *host             // nil when it did not run
}

// attempt runs the function on the event in a fresh sandbox, once it is its turn to begin.
func (s *Scheduler) attempt(ctx context.Context, f *function, inv invocation) attempt {
	a := attempt{invocation: inv, revision: f.spec.Revision}
	g, err := s.place(ctx, f, &inv)
	if err != nil {
		a.start = time.Now()
		a.result, a.held = canceledResult(err.Error()), true
		return a
	}
	a.held = s.isPaused(inv.triggerID) || inv.before != nil && !inv.before(time.Now())
	if a.held {
		s.processors.end(g, 0)
		return a
	}
	limited := withDeadline(ctx, f.timeout())
	g.deadline = limited
	h := &host{scheduler: s, function: f, invocation: inv, guest: g}
	switch {
	case inv.caller != nil:
		h.key, h.stateView = inv.caller.key, inv.caller.view(f.spec.Name).copied()
	case inv.batch == "": // the events of a batch have many keys
		h.key = inv.event.Key()
	}
	a.start, a.host = time.Now(), h
	s.seats.sit(g.seat, sitting{invocation: inv, function: f, start: a.start, stop: func() { limited.cancel(context.Canceled) }})
	for one := range inv.all() {
		if reason, ok := s.unwanted.remove(one.id); ok {
			s.seats.cut(one.id, f.spec.Namespace, reason)
		}
	}
	a.result = inv.run(limited, f.module, h)
	a.duration = time.Since(a.start)
	a.parked = limited.stop()
	a.cut = s.seats.leave(g.seat)
	s.processors.end(g, a.result.Bill.Fuel)
	if a.cut != nil {
		bill := a.result.Bill
		a.result = canceledResult(a.cut.reason)
		a.result.Bill = bill
	}
	h.tracing()
	a.pushed = h.fetches.heed(&a.result)
	if a.result.Verdict == abi.Done {
		a.effects, a.result = h.finish(a.result)
	}
	a.trace = h.tracing().trace
	a.result = forAll(a.result, 1+len(inv.more))
	f.series.attempt(&a)
	s.learn(f, &a)
	return a
}

// place waits until an attempt may begin.
func (s *Scheduler) place(ctx context.Context, f *function, inv *invocation) (*guest, error) {
	if inv.caller != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.patience, errNoPlace)
		defer cancel()
	}
	g, ok := s.processors.start(ctx, f.share, f.flow.use(inv.event), 1+len(inv.more), f.memory())
	if !ok {
		return nil, context.Cause(ctx)
	}
	return g, nil
}

// givenBack says that nothing is decided: it did not run, or a stop has cut it, which is not the event's fault.
func (a *attempt) givenBack(ctx context.Context) bool {
	return a.held || ctx.Err() != nil && a.cut == nil && !a.allDone()
}

func canceledResult(reason string) sandbox.Result {
	return sandbox.Result{Verdict: abi.Failed, Class: sandbox.ClassCanceled, Reason: reason, RetryAfter: -1}
}

// bill is what the attempt used, in the API's form. The two structs have the same fields, and this stops to compile when one changes alone.
func (a *attempt) bill() api.Bill { return api.Bill(a.result.Bill) }

const (
	defaultTimeout = 30 * time.Second
	defaultMemory  = 64 << 20 // sandbox.Settings
)

// memory is what one of its guests may take, in bytes.
func (f *function) memory() int64 { return memoryOf(&f.spec.Spec) }

func memoryOf(s *api.FunctionSpec) int64 {
	if s.Memory > 0 {
		return s.Memory
	}
	return defaultMemory
}

func (f *function) timeout() time.Duration {
	if f.spec.Spec.Timeout > 0 {
		return time.Duration(f.spec.Spec.Timeout)
	}
	return defaultTimeout
}

// maxError is how much of an error's text the log keeps, in bytes.
const maxError = 4 << 10

// kept is what the log keeps of the attempt.
func (a *attempt) kept() partition.Attempt {
	return partition.Attempt{
		Number: a.number, Revision: a.revision, Start: a.start, Duration: a.duration,
		Verdict: int32(a.result.Verdict), Class: a.result.Class, Error: cutError(a.result.Reason),
	}
}

func cutError(text string) string { return text[:min(len(text), maxError)] }

// nextCanceled is what history says of the last attempt of an event that was canceled.
const nextCanceled = "canceled"

// record writes the attempt's closing line to the history.
func (s *Scheduler) record(f *function, a attempt, next partition.Next) {
	f.series.settled(a.revision, next)
	entry := a.entry(f)
	entry.Level = "info"
	entry.Attempt = a.shown()
	if a.result.Verdict != abi.Done {
		entry.Level = "error"
	}
	switch {
	case next.DeadLetter:
		entry.Next = "dead-letter"
	case next.Cancel:
		entry.Next = nextCanceled
	case !next.RetryAt.IsZero():
		entry.Next, entry.RetryAt = "retry", next.RetryAt
	}
	s.opts.History.Append(entry)
}

// shown is the attempt in the API's form.
func (a *attempt) shown() *api.Attempt {
	shown := &api.Attempt{
		Attempt: a.number, Revision: a.revision, Start: a.start, Duration: api.Duration(a.duration),
		Verdict: a.result.Verdict.Name(), Class: a.result.Class, Error: a.result.Reason, Bill: a.bill(),
	}
	if a.trace != (event.TraceParent{}) {
		shown.Trace, shown.Span = hex.EncodeToString(a.trace.Trace[:]), hex.EncodeToString(a.trace.Span[:])
	}
	return shown
}

func (inv *invocation) entry(f *function) api.LogEntry {
	return api.LogEntry{
		Time: time.Now(), Namespace: f.spec.Namespace, Function: f.spec.Name, Revision: f.spec.Revision,
		Invocation: inv.id, EventID: inv.event.ID, Trigger: inv.trigger, Batch: inv.batch,
	}
}

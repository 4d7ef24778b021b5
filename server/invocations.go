package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
)

// States of invocations that a list may be asked for beside those of partition. Finished ones are known from the history, as long as that goes back.
const (
	stateOpen     = "open"
	stateFinished = "finished"
)

var invocationStates = []string{
	stateOpen, string(partition.Running), string(partition.Retrying), string(partition.Delayed), string(partition.Waiting), string(partition.Dead), stateFinished,
}

// invocationQuery is what a list is asked for.
type invocationQuery struct {
	namespace, function, state string
	trigger                    *api.Trigger // nil = all
	limit                      int
}

func (s *Server) invocationQuery(c echo.Context) (invocationQuery, error) {
	q := invocationQuery{namespace: namespace(c), function: c.QueryParam("function"), state: cmp.Or(c.QueryParam("state"), stateOpen)}
	if !slices.Contains(invocationStates, q.state) {
		return q, refuse(errInvalid, "", "state %q is not one of %s", q.state, strings.Join(invocationStates, ", "))
	}
	var err error
	if q.limit, err = limit(c, standardLimit); err != nil {
		return q, err
	}
	q.limit = min(q.limit, maxInvocations)
	if name := c.QueryParam("trigger"); name != "" {
		if q.trigger, err = s.findTrigger(q.namespace, name); err != nil {
			return q, err
		}
	}
	if q.function != "" {
		if _, ok := s.o.Registry.Snapshot().Function(q.namespace, q.function); !ok {
			return q, refuse(errUnknownFunction, "\"fnctl ls functions\" shows what there is", "no function %q in namespace %q", q.function, q.namespace)
		}
	}
	return q, nil
}

// maxInvocations bounds a list.
const maxInvocations = 10_000

func (s *Server) invocations(c echo.Context) error {
	q, err := s.invocationQuery(c)
	if err != nil {
		return err
	}
	var found []api.Invocation
	switch q.state {
	case string(partition.Dead):
		found, err = s.deadInvocations(q)
	case stateFinished:
		found, err = s.finishedInvocations(q)
	default:
		found, err = s.openInvocations(q)
	}
	if err != nil {
		return fmt.Errorf("list invocations: %w", err)
	}
	return c.JSON(http.StatusOK, list(found[:min(len(found), q.limit)]))
}

// openInvocations begin with synchronous calls, which only the scheduler knows.
func (s *Server) openInvocations(q invocationQuery) ([]api.Invocation, error) {
	var out []api.Invocation
	if q.state == stateOpen || q.state == string(partition.Running) {
		for _, r := range s.o.Scheduler.RunningCalls(q.namespace) {
			if (q.function == "" || q.function == r.Function) && (q.trigger == nil || q.trigger.Name == r.Trigger) {
				out = append(out, runningCall(r))
			}
		}
	}
	ask := partition.InvocationQuery{Namespace: q.namespace, Function: q.function, Limit: q.limit}
	if q.trigger != nil {
		ask.Trigger = q.trigger.ID
	}
	states := []partition.InvocationState{partition.InvocationState(q.state)}
	switch {
	case q.state == stateOpen:
		states[0] = ""
	case states[0] == partition.Waiting: // some that were taken wait as well
		states = append(states, partition.Running)
	}
	for _, ask.State = range states {
		pending, err := s.o.Table.Invocations(ask)
		if err != nil {
			return nil, err
		}
		for i := range pending {
			if one := s.pending(&pending[i]); q.state == stateOpen || q.state == one.State {
				out = append(out, one)
			}
		}
	}
	return out, nil
}

func (s *Server) deadInvocations(q invocationQuery) ([]api.Invocation, error) {
	var out []api.Invocation
	var trigger uint64
	if q.trigger != nil {
		trigger = q.trigger.ID
	}
	err := s.o.Table.DeadLetters(q.namespace, trigger, func(d partition.DeadLetter) error {
		if q.function == "" || q.function == d.Trigger.Function {
			i := partition.Invocation{
				ID: d.ID, Generation: d.Generation, Trigger: d.Trigger, Topic: d.Topic, State: partition.Dead, Attempts: d.Attempts, Event: d.Event,
			}
			one := invocation(&i)
			one.Ended, one.Attempts = d.Time, nil
			out = append(out, one)
		}
		if len(out) >= 2*q.limit+1024 { // keep memory small without sorting at every one
			out = lastEnded(out, q.limit)
		}
		return nil
	})
	return lastEnded(out, q.limit), err
}

func lastEnded(list []api.Invocation, n int) []api.Invocation {
	slices.SortStableFunc(list, func(a, b api.Invocation) int { return b.Ended.Compare(a.Ended) })
	return list[:min(n, len(list))]
}

// finishedInvocations come from the closing lines of their last attempts, the newest first.
func (s *Server) finishedInvocations(q invocationQuery) ([]api.Invocation, error) {
	f := history.Filter{Namespace: q.namespace, Function: q.function, Last: true}
	if q.trigger != nil {
		f.Trigger = q.trigger.Name
	}
	var out []api.Invocation
	err := s.o.History.Query(f, q.limit, func(e api.LogEntry) error {
		out = append(out, finished(&e))
		return nil
	})
	slices.Reverse(out)
	return out, err
}

func finished(e *api.LogEntry) api.Invocation {
	a := e.Attempt
	return api.Invocation{
		ID: e.Invocation, Function: e.Function, Trigger: e.Trigger, EventID: e.EventID, State: finishedState(e), Attempt: a.Attempt, Revision: e.Revision,
		Class: a.Class, Error: a.Error, Ended: e.Time,
	}
}

// finishedState is the verdict, or that it was canceled or dropped.
func finishedState(e *api.LogEntry) string {
	if e.Next == "canceled" || e.Next == "dropped" {
		return e.Next
	}
	return e.Attempt.Verdict
}

func runningCall(r scheduler.RunningCall) api.Invocation {
	return api.Invocation{
		ID: r.Invocation, Function: r.Function, Trigger: r.Trigger, EventID: r.EventID, EventType: r.EventType, Key: r.Key,
		State: string(partition.Running), Attempt: 1, Revision: r.Revision, Started: r.Start,
	}
}

// pending is an invocation with what partitions do not know: what it waits for, when they say that it runs or that it is its turn.
func (s *Server) pending(i *partition.Invocation) api.Invocation {
	out := invocation(i)
	if i.State == partition.Running || i.State == partition.Waiting && i.Why == partition.WaitsForTurn {
		if out.Why, out.Due = s.o.Scheduler.WaitsFor(i); out.Why != "" {
			out.State = string(partition.Waiting)
		}
	}
	return out
}

func invocation(i *partition.Invocation) api.Invocation {
	out := api.Invocation{
		ID: i.Name(), Function: i.Trigger.Function, Trigger: i.Trigger.Name, Topic: i.Topic, EventID: i.Event.ID, EventType: i.Event.Type, Key: i.Event.Key(),
		State: string(i.State), Why: i.Why, Attempt: i.Finished + 1, Stored: i.Stored, Due: i.Due,
	}
	if i.State == partition.Dead && len(i.Attempts) > 0 {
		out.Attempt = i.Attempts[len(i.Attempts)-1].Number
	}
	for _, a := range i.Attempts {
		out.Attempts = append(out.Attempts, attempt(a))
		out.Revision, out.Class, out.Error = a.Revision, a.Class, a.Error // of the last
	}
	return out
}

func attempt(a partition.Attempt) api.Attempt {
	return api.Attempt{
		Attempt: a.Number, Revision: a.Revision, Start: a.Start, Duration: api.Duration(a.Duration),
		Verdict: abi.Verdict(a.Verdict).Name(), Class: a.Class, Error: a.Error,
	}
}

// invocation shows one with its event and attempts, from the state and the history: what has ended is only known from there.
func (s *Server) invocation(c echo.Context) error {
	ns, name := namespace(c), param(c, "id")
	out, err := s.findOpen(ns, name)
	if err != nil {
		return err
	}
	if out != nil {
		name = out.ID // with its generation
	}
	past, err := s.pastAttempts(ns, name)
	if err != nil {
		return err
	}
	if out == nil {
		out = s.findRunningCall(ns, name)
	}
	if out == nil {
		out = ended(past)
	}
	if out == nil {
		return refuse(errNoInvocation, "", "no invocation %q in namespace %q waits, runs or is in the history", name, ns)
	}
	out.Attempts = withBills(out.Attempts, past)
	return c.JSON(http.StatusOK, out)
}

// findOpen looks for a pending one or a dead letter; nil when it is neither. Of a generation that was named, no other one is meant.
func (s *Server) findOpen(ns, name string) (*api.Invocation, error) {
	id, generation, err := partition.ParseInvocation(name)
	if err != nil {
		return nil, nil
	}
	i, err := s.o.Table.Invocation(id)
	if errors.Is(err, partition.ErrNotFound) || err == nil && (i.Trigger.Namespace != ns || generation != 0 && i.Generation != generation) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up invocation %s: %w", name, err)
	}
	out := s.pending(&i)
	if out.Event, err = i.Event.MarshalJSON(); err != nil {
		return nil, fmt.Errorf("encode event %q: %w", i.Event.ID, err)
	}
	return &out, nil
}

func (s *Server) findRunningCall(ns, name string) *api.Invocation {
	for _, r := range s.o.Scheduler.RunningCalls(ns) {
		if r.Invocation == name {
			out := runningCall(r)
			return &out
		}
	}
	return nil
}

// pastAttempts are the closing lines of an invocation's attempts, of all its generations.
func (s *Server) pastAttempts(ns, name string) (out []api.LogEntry, err error) {
	id, generation, err := partition.ParseInvocation(name)
	if err != nil {
		return s.attemptLines(ns, name)
	}
	for g := range uint32(maxGenerations) {
		lines, err := s.attemptLines(ns, (&partition.Invocation{ID: id, Generation: g}).Name())
		if err != nil {
			return nil, err
		}
		if len(lines) == 0 && g >= generation {
			break
		}
		out = append(out, lines...)
	}
	return out, nil
}

// maxGenerations bounds how often the history is searched for one invocation.
const maxGenerations = 20

func (s *Server) attemptLines(ns, name string) (out []api.LogEntry, err error) {
	err = s.o.History.Query(history.Filter{Namespace: ns, Invocation: name, Attempts: true}, standardLimit, func(e api.LogEntry) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the attempts of invocation %s: %w", name, err)
	}
	return out, nil
}

// ended is what the history knows of an invocation: nil when that is nothing.
func ended(past []api.LogEntry) *api.Invocation {
	if len(past) == 0 {
		return nil
	}
	out := finished(&past[len(past)-1])
	for i := range past {
		out.Attempts = append(out.Attempts, *past[i].Attempt)
	}
	return &out
}

// withBills adds what the attempts used; the log does not keep that, the history does for as long as it goes back.
func withBills(attempts []api.Attempt, past []api.LogEntry) []api.Attempt {
	for i := range attempts {
		for _, e := range past {
			if a := e.Attempt; a.Attempt == attempts[i].Attempt && a.Start.UnixMilli() == attempts[i].Start.UnixMilli() {
				attempts[i].Bill = a.Bill
			}
		}
	}
	return list(attempts)
}

func (s *Server) cancelInvocation(c echo.Context) error {
	ns, name := namespace(c), param(c, "id")
	var req api.CancelRequest
	if err := s.readJSON(c, &req); err != nil {
		return err
	}
	if strings.TrimSpace(req.Reason) == "" {
		return refuse(errInvalid, "say why, with --reason: it is kept in the log", "to cancel an invocation needs a reason")
	}
	err := s.o.Scheduler.Cancel(c.Request().Context(), ns, name, req.Reason)
	if errors.Is(err, scheduler.ErrNotOpen) {
		return s.notOpen(ns, name)
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// notOpen says what became of an invocation that cannot be canceled.
func (s *Server) notOpen(ns, name string) error {
	open, err := s.findOpen(ns, name)
	if err == nil && open != nil && open.State == string(partition.Dead) {
		return refuse(errEnded, "\"fnctl dlq discard "+name+"\" forgets it", "invocation %s is a dead letter: it does not run any more", name)
	}
	past, err := s.pastAttempts(ns, name)
	if err == nil && len(past) > 0 {
		return refuse(errEnded, "", "invocation %s has ended: %s", name, finishedState(&past[len(past)-1]))
	}
	return refuse(errNoInvocation, "", "no invocation %q in namespace %q waits or runs", name, ns)
}

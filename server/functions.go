package server

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/scheduler"
)

func (s *Server) functions(c echo.Context) error {
	return c.JSON(http.StatusOK, list(s.o.Registry.Snapshot().Functions(namespace(c))))
}

// list makes an empty list of nil, so that JSON says [] and not null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (s *Server) function(c echo.Context) error {
	f, err := s.findFunction(c)
	if err != nil {
		return err
	}
	out := *f // a snapshot is never changed
	out.Rollout = s.withCounts(f)
	out.Triggers = make([]api.Trigger, len(f.Triggers))
	for i := range f.Triggers {
		out.Triggers[i] = s.withStats(&f.Triggers[i])
	}
	load := s.o.Scheduler.Load(f)
	out.Load = &load
	return c.JSON(http.StatusOK, out)
}

// top lists the functions that have something to do, those with the most in progress first.
func (s *Server) top(c echo.Context) error {
	busy := []api.Function{}
	for _, f := range s.o.Registry.Snapshot().Functions(namespace(c)) {
		load := s.o.Scheduler.Load(f)
		if load.Idle() {
			continue
		}
		out := *f
		out.Load = &load
		busy = append(busy, out)
	}
	slices.SortStableFunc(busy, func(a, b api.Function) int {
		return cmp.Or(cmp.Compare(b.Load.InProgress, a.Load.InProgress), cmp.Compare(b.Load.Wanted, a.Load.Wanted))
	})
	return c.JSON(http.StatusOK, busy)
}

func (s *Server) findFunction(c echo.Context) (*api.Function, error) {
	ns, name := namespace(c), param(c, "name")
	f, ok := s.o.Registry.Snapshot().Function(ns, name)
	if !ok {
		return nil, refuse(errUnknownFunction, "\"fnctl ls functions\" shows what there is", "no function %q in namespace %q", name, ns)
	}
	return f, nil
}

func (s *Server) deleteFunction(c echo.Context) error {
	if _, err := s.findFunction(c); err != nil {
		return err
	}
	name := param(c, "name")
	revision, err := s.o.Registry.DeleteFunction(c.Request().Context(), namespace(c), name)
	if err != nil {
		return err
	}
	if err := s.o.Scheduler.WaitInForce(c.Request().Context(), revision); err != nil {
		return fmt.Errorf("function %q is deleted, but wait until that is in force: %w", name, err)
	}
	return c.NoContent(http.StatusNoContent)
}

// invoke runs a function, or hands the event to its inbox. A function that fails is a successful answer that says so.
func (s *Server) invoke(c echo.Context) error {
	f, err := s.findFunction(c)
	if err != nil {
		return err
	}
	var req api.InvokeRequest
	if err := s.readJSON(c, &req); err != nil {
		return err
	}
	e, err := s.invokeEvent(req.Event)
	if err != nil {
		return err
	}
	if req.Async {
		events := []event.Event{e}
		if err := s.delay(c.Request().Header, events); err != nil {
			return err
		}
		e = events[0]
		invocation, _, err := s.enqueue(c.Request().Context(), f, e)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusAccepted, api.InvokeReply{Invocation: invocation})
	}
	if err := s.refuseDelay(c.Request().Header, &e); err != nil {
		return err
	}
	r, err := s.o.Scheduler.Call(c.Request().Context(), scheduler.Call{Namespace: f.Namespace, Function: f.Name, Event: e})
	if err != nil {
		return callError(f.Name, err)
	}
	return c.JSON(http.StatusOK, invokeReply(r))
}

// invokeEvent fills in what a person at the command line leaves out.
func (s *Server) invokeEvent(text json.RawMessage) (event.Event, error) {
	var e event.Event
	if len(text) > 0 && string(text) != "null" {
		if err := e.UnmarshalJSON(text); err != nil {
			return event.Event{}, invalidEvent(err)
		}
	}
	if e.ID == "" {
		e.ID = s.newID()
	}
	if e.Source == "" {
		e.Source = "/fnctl"
	}
	if e.Type == "" {
		e.Type = "dev.evoke.invoke"
	}
	if e.Time.IsZero() {
		e.Time = s.now().UTC()
	}
	return e, checkEvent(&e)
}

func invokeReply(r scheduler.Reply) api.InvokeReply {
	out := api.InvokeReply{
		Invocation: r.Invocation, Verdict: r.Verdict.Name(), Class: r.Class, Error: r.Error,
		Data: r.Data, Revision: r.Revision, Attempt: r.Attempt, Duration: api.Duration(r.Duration), Bill: r.Bill,
	}
	if json.Valid(r.Attributes) { // what a guest writes may be anything
		out.Attributes = r.Attributes
	}
	return out
}

func (s *Server) triggers(c echo.Context) error {
	out := []api.Trigger{}
	for _, t := range s.o.Registry.Snapshot().Triggers(namespace(c)) {
		out = append(out, s.withStats(t))
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) trigger(c echo.Context) error {
	t, err := s.findTrigger(namespace(c), param(c, "name"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.withStats(t))
}

func (s *Server) findTrigger(ns, name string) (*api.Trigger, error) {
	t, ok := s.o.Registry.Snapshot().Trigger(ns, name)
	if !ok {
		return nil, refuse(errUnknownTrigger, "", "no trigger %q in namespace %q", name, ns)
	}
	return t, nil
}

func (s *Server) withStats(t *api.Trigger) api.Trigger {
	out := *t // snapshots are shared
	n := s.o.Table.Stats(t.ID)
	out.Stats = &api.TriggerStats{
		Pending: n.Pending, Retrying: n.Retrying, Waits: s.waits(t, &n), DeadLetters: n.DeadLetters, Parked: n.Parked, Behind: n.Behind, CatchingUp: n.CatchingUp,
		OldestDeadLetter: n.OldestDeadLetter, OldestParked: n.OldestParked,
	}
	if t.Cron != nil {
		out.Due = s.o.Cron.Due(t, upcoming)
	}
	return out
}

// waits says what the pending events of a trigger wait for that do not run.
func (s *Server) waits(t *api.Trigger, n *partition.Stats) (out []api.Waits) {
	add := func(why string, count int) {
		if count > 0 {
			out = append(out, api.Waits{For: why, Count: count})
		}
	}
	left := n.Pending - n.Running - n.Timed - n.Queued
	add("time", n.Timed)
	add(partition.WaitsForKey, n.Queued)
	for why, count := range n.Aside {
		add(why, count)
		left -= count
	}
	if left > 0 {
		why := partition.WaitsPaused
		if t.PausedSince.IsZero() {
			of := partition.Trigger{ID: t.ID, Namespace: t.Namespace, Function: t.Function}
			why, _ = s.o.Scheduler.WaitsFor(&partition.Invocation{State: partition.Waiting, Trigger: of})
		}
		add(why, left)
	}
	slices.SortFunc(out, func(a, b api.Waits) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.For, b.For)) })
	return out
}

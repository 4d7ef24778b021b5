package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

// deadLetters lists the newest first, without their events.
func (s *Server) deadLetters(c echo.Context) error {
	n, err := limit(c, standardLimit)
	if err != nil {
		return err
	}
	var trigger uint64
	if name := c.QueryParam("trigger"); name != "" {
		t, err := s.findTrigger(namespace(c), name)
		if err != nil {
			return err
		}
		trigger = t.ID
	}
	var found []api.DeadLetter
	err = s.o.Table.DeadLetters(namespace(c), trigger, func(d partition.DeadLetter) error {
		found = append(found, deadLetter(&d))
		if len(found) >= 2*n+1024 { // keep memory small without sorting at every one
			found = newest(found, n)
		}
		return c.Request().Context().Err()
	})
	if err != nil {
		return fmt.Errorf("list dead letters: %w", err)
	}
	return c.JSON(http.StatusOK, list(newest(found, n)))
}

func newest(d []api.DeadLetter, n int) []api.DeadLetter {
	slices.SortStableFunc(d, func(a, b api.DeadLetter) int { return b.Time.Compare(a.Time) })
	return d[:min(n, len(d))]
}

func (s *Server) deadLetter(c echo.Context) error {
	d, err := s.findDeadLetter(namespace(c), param(c, "id"))
	if err != nil {
		return err
	}
	out := deadLetter(&d)
	if out.Event, err = d.Event.MarshalJSON(); err != nil {
		return fmt.Errorf("encode event %q: %w", d.Event.ID, err)
	}
	return c.JSON(http.StatusOK, out)
}

// findDeadLetter treats those of other namespaces as absent.
func (s *Server) findDeadLetter(ns, id string) (partition.DeadLetter, error) {
	parsed, err := partition.ParseID(id)
	if err != nil {
		return partition.DeadLetter{}, refuse(errInvalid, "\"fnctl dlq ls\" shows the ids", "%v", err)
	}
	d, err := s.o.Table.DeadLetter(parsed)
	if errors.Is(err, partition.ErrNotFound) || err == nil && d.Trigger.Namespace != ns {
		return partition.DeadLetter{}, refuse(errNoDeadLetter, "", "no dead letter %s in namespace %q", id, ns)
	}
	if err != nil {
		return partition.DeadLetter{}, fmt.Errorf("look up dead letter %s: %w", id, err)
	}
	return d, nil
}

func (s *Server) redrive(c echo.Context) error {
	return s.change(c, func(ctx context.Context, ids []partition.ID, _ string) (int, error) {
		return s.o.Table.Redrive(ctx, ids)
	})
}

func (s *Server) discard(c echo.Context) error {
	return s.change(c, func(ctx context.Context, ids []partition.ID, reason string) (int, error) {
		if reason == "" {
			return 0, refuse(errInvalid, "say why, with --reason: it is kept in the log", "a discard needs a reason")
		}
		return s.o.Table.Discard(ctx, ids, reason)
	})
}

// change resolves a selection and hands it on.
func (s *Server) change(c echo.Context, do func(ctx context.Context, ids []partition.ID, reason string) (int, error)) error {
	var selection api.DeadLetterSelection
	if err := s.readJSON(c, &selection); err != nil {
		return err
	}
	ids, err := s.selected(c.Request().Context(), namespace(c), selection)
	if err != nil {
		return err
	}
	n, err := do(c.Request().Context(), ids, selection.Reason)
	if err != nil {
		return fmt.Errorf("change dead letters: %w", err)
	}
	return c.JSON(http.StatusOK, api.DeadLetterResult{Changed: n})
}

// selected finds all ids before anything is changed: one that is wrong changes nothing.
func (s *Server) selected(ctx context.Context, ns string, sel api.DeadLetterSelection) ([]partition.ID, error) {
	byID := len(sel.IDs) > 0
	if byID == (sel.Trigger != "" || sel.All) {
		return nil, refuse(errInvalid, "send \"ids\", or \"trigger\", or \"all\": true", "the selection must name dead letters either by ids or by trigger, or be all")
	}
	var ids []partition.ID
	if byID {
		for _, id := range sel.IDs {
			d, err := s.findDeadLetter(ns, id)
			if err != nil {
				return nil, err
			}
			ids = append(ids, d.ID)
		}
		return ids, nil
	}
	var trigger uint64
	if sel.Trigger != "" {
		t, err := s.findTrigger(ns, sel.Trigger)
		if err != nil {
			return nil, err
		}
		trigger = t.ID
	}
	err := s.o.Table.DeadLetters(ns, trigger, func(d partition.DeadLetter) error {
		ids = append(ids, d.ID)
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return ids, nil
}

// deadLetter leaves the event out.
func deadLetter(d *partition.DeadLetter) api.DeadLetter {
	out := api.DeadLetter{
		ID: d.ID.String(), Trigger: d.Trigger.Name, Function: d.Trigger.Function, Topic: d.Topic, Time: d.Time, Generation: int(d.Generation),
		EventID: d.Event.ID, EventType: d.Event.Type, Key: d.Event.Key(), Attempts: make([]api.Attempt, len(d.Attempts)),
	}
	for i, a := range d.Attempts {
		out.Attempts[i] = api.Attempt{
			Attempt: a.Number, Revision: a.Revision, Start: a.Start, Duration: api.Duration(a.Duration),
			Verdict: verdictName(abi.Verdict(a.Verdict)), Class: a.Class, Error: a.Error,
		}
		out.Revision, out.Class, out.Error = a.Revision, a.Class, a.Error // of the last
	}
	return out
}

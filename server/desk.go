package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
)

// maxSelected is how many dead letters one call changes.
const maxSelected = 1000

func (s *Server) redrive(c echo.Context) error {
	return s.change(c, func(ctx context.Context, ns string, sel api.DeadLetterSelection, list []partition.LetterID) ([]partition.LetterOutcome, error) {
		wishes := make([]partition.Redriving, len(list))
		for i, l := range list {
			wishes[i] = partition.Redriving{Letter: l, Revision: sel.Revision}
		}
		if sel.Event != nil {
			var err error
			if wishes[0].Edited, err = s.editedEvent(ns, sel); err != nil {
				return nil, err
			}
		}
		if sel.Revision == 0 {
			return s.redriveAs(ctx, sel, wishes, list)
		}
		var out []partition.LetterOutcome
		err := s.o.Registry.Hold(ctx, func() (err error) { // the revision is not removed before it is known that these need it
			if err = s.checkRevision(ctx, ns, sel.Revision, list); err == nil {
				out, err = s.redriveAs(ctx, sel, wishes, list)
			}
			return err
		})
		return out, err
	})
}

func (s *Server) redriveAs(ctx context.Context, sel api.DeadLetterSelection, wishes []partition.Redriving, list []partition.LetterID) ([]partition.LetterOutcome, error) {
	if sel.DryRun {
		return s.tryRedrive(list)
	}
	return s.o.Table.RedriveAs(ctx, wishes)
}

func (s *Server) discard(c echo.Context) error {
	return s.change(c, func(ctx context.Context, _ string, sel api.DeadLetterSelection, list []partition.LetterID) ([]partition.LetterOutcome, error) {
		switch {
		case sel.Reason == "":
			return nil, refuse(errInvalid, "say why, with --reason: it is kept in the log", "a discard needs a reason")
		case sel.Revision != 0 || sel.Event != nil:
			return nil, refuse(errInvalid, "leave them out, or redrive", "\"revision\" and \"event\" are for a redrive, not for a discard")
		case sel.DryRun:
			return make([]partition.LetterOutcome, len(list)), nil // all of them would be
		}
		return s.o.Table.DiscardLetters(ctx, list, sel.Reason)
	})
}

// tryRedrive says what a redrive would answer.
func (s *Server) tryRedrive(list []partition.LetterID) ([]partition.LetterOutcome, error) {
	out := make([]partition.LetterOutcome, len(list))
	for i, l := range list {
		d, err := s.o.Table.DeadLetter(l.ID)
		switch {
		case errors.Is(err, partition.ErrNotFound):
			out[i] = partition.LetterGone
		case err != nil:
			return nil, err
		case d.TriggerGone:
			out[i] = partition.LetterOrphaned
		}
	}
	return out, nil
}

// changeFunc answers an outcome for each of the list.
type changeFunc func(ctx context.Context, ns string, sel api.DeadLetterSelection, list []partition.LetterID) ([]partition.LetterOutcome, error)

// change resolves a selection, hands it on, and answers what became of each letter.
func (s *Server) change(c echo.Context, do changeFunc) error {
	var sel api.DeadLetterSelection
	if err := s.readJSON(c, &sel); err != nil {
		return err
	}
	if err := checkSelection(&sel); err != nil {
		return err
	}
	out := api.DeadLetterResult{Letters: []api.DeadLetterOutcome{}}
	ctx, ns := c.Request().Context(), namespace(c)
	list, err := s.selected(ns, &sel, &out)
	if err != nil {
		return err
	}
	outcomes, err := do(ctx, ns, sel, list)
	if err != nil {
		return fmt.Errorf("change dead letters: %w", err)
	}
	for i, l := range list {
		o := api.DeadLetterOutcome{ID: l.ID.String(), Outcome: outcomeName(outcomes[i])}
		switch {
		case l == noLetter(l.ID):
			o.Outcome = api.LetterGone
		case o.Outcome == api.LetterChanged && sel.DryRun:
			o.Outcome = api.LetterSelected
		case o.Outcome == api.LetterChanged:
			out.Changed++
		}
		out.Letters = append(out.Letters, o)
	}
	return c.JSON(http.StatusOK, out)
}

func outcomeName(o partition.LetterOutcome) string {
	switch o {
	case partition.LetterChanged:
		return api.LetterChanged
	case partition.LetterOrphaned:
		return api.LetterNoTrigger
	case partition.LetterKeyChanged:
		return api.LetterKeyChanged
	}
	return api.LetterGone
}

func checkSelection(sel *api.DeadLetterSelection) error {
	byID := len(sel.IDs) > 0
	filtered := sel.Trigger != "" || sel.Filter != "" || sel.Parked || !sel.Since.IsZero()
	switch {
	case byID == (filtered || sel.All):
		return refuse(errInvalid, "send \"ids\", or \"trigger\", or \"all\": true", "the selection must name dead letters either by ids or by trigger, or be all")
	case len(sel.IDs) > maxSelected:
		return refuse(errInvalid, "send them in several requests", "there are %d ids, one request takes %d", len(sel.IDs), maxSelected)
	case sel.Limit < 0 || sel.Limit > maxSelected:
		return refuse(errInvalid, "", "limit %d is not between 0 and %d", sel.Limit, maxSelected)
	case sel.Revision < 0:
		return refuse(errInvalid, "\"fnctl ls\" shows the revision in force, the ones before it count down to 1", "revision %d is below 1", sel.Revision)
	case sel.Event != nil && len(sel.IDs) != 1:
		return refuse(errInvalid, "send one id with the event", "an edited event is for one dead letter, not %d", len(sel.IDs))
	}
	return nil
}

// noLetter stands for an id that names no dead letter: its generation cannot be.
func noLetter(id partition.ID) partition.LetterID {
	return partition.LetterID{ID: id, Generation: ^uint32(0)}
}

// selected finds the letters of one call, and sets in out how to go on.
func (s *Server) selected(ns string, sel *api.DeadLetterSelection, out *api.DeadLetterResult) ([]partition.LetterID, error) {
	if len(sel.IDs) > 0 {
		return s.selectedByID(ns, sel.IDs)
	}
	q, err := s.letterQuery(ns, sel.Trigger, sel.Filter)
	if err != nil {
		return nil, err
	}
	q.Since, q.Before, q.Parked = sel.Since, sel.Before, sel.Parked
	if q.Before.IsZero() {
		q.Before = s.o.Table.Clock().Add(time.Millisecond) // and not this machine's, which may have been set back
	}
	var after partition.ID
	if sel.After != "" {
		if after, err = partition.ParseID(sel.After); err != nil {
			return nil, refuse(errInvalid, "take it from \"next\" of the answer before", "after: %v", err)
		}
	}
	n := sel.Limit
	if n == 0 {
		n = maxSelected
	}
	list, next, more, err := s.o.Table.Walk(q, after, n)
	if err != nil {
		return nil, fmt.Errorf("find dead letters: %w", err)
	}
	out.Before = q.Before
	if more {
		out.Next = next.String()
	}
	return list, nil
}

// selectedByID reads all ids before anything is changed: one that is none changes nothing.
func (s *Server) selectedByID(ns string, ids []string) ([]partition.LetterID, error) {
	var list []partition.LetterID
	for _, id := range ids {
		parsed, err := parseLetterID(id)
		if err != nil {
			return nil, err
		}
		d, err := s.findDeadLetter(ns, id)
		switch {
		case errors.Is(err, errNoDeadLetter):
			list = append(list, noLetter(parsed))
		case err != nil:
			return nil, err
		default:
			list = append(list, partition.LetterID{ID: d.ID, Generation: d.Generation})
		}
	}
	return list, nil
}

// checkRevision says before anything is redriven that a revision is not there.
func (s *Server) checkRevision(ctx context.Context, ns string, revision int, list []partition.LetterID) error {
	if revision == 0 {
		return nil
	}
	checked := map[string]bool{}
	for _, l := range list {
		d, err := s.o.Table.DeadLetter(l.ID)
		if errors.Is(err, partition.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		name := d.Trigger.Function
		if checked[name] || d.TriggerGone {
			continue
		}
		checked[name] = true
		if err := s.hasRevision(ctx, ns, name, revision); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) hasRevision(ctx context.Context, ns, name string, revision int) error {
	f, ok := s.o.Registry.Snapshot().Function(ns, name)
	if !ok {
		return refuse(errUnknownFunction, "", "no function %q in namespace %q", name, ns)
	}
	_, err := s.o.Registry.Revision(ctx, f, revision)
	if !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	return s.noRevision(ctx, ns, name, revision)
}

// noRevision says which ones there are instead.
func (s *Server) noRevision(ctx context.Context, ns, name string, revision int) error {
	kept, err := s.o.Registry.RevisionNumbers(ctx, ns, name)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		return refuse(errNoRevision, "", "function %q has no revision %d", name, revision)
	}
	return refuse(errNoRevision, "name one of those, or leave it out for the one in force", "function %q has no revision %d; it keeps %s", name, revision, rangesText(kept))
}

// rangesText writes sorted numbers, "3, 5 to 14".
func rangesText(sorted []int) string {
	var parts []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		if j == i {
			parts = append(parts, strconv.Itoa(sorted[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d to %d", sorted[i], sorted[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// isErrorAttribute: these are shown with a dead letter and belong to it, not to the event.
func isErrorAttribute(x event.Extension) bool {
	return x.Name == "knativeerrordest" || x.Name == "knativeerrorcode" || x.Name == "knativeerrordata"
}

// editedEvent reads the event of a selection. What JSON does not show of an HTTP request stays as it was.
func (s *Server) editedEvent(ns string, sel api.DeadLetterSelection) (*event.Event, error) {
	var e event.Event
	if err := e.UnmarshalJSON(sel.Event); err != nil {
		return nil, invalidEvent(err)
	}
	e.Extensions = slices.DeleteFunc(e.Extensions, isErrorAttribute)
	d, err := s.findDeadLetter(ns, sel.IDs[0])
	if errors.Is(err, errNoDeadLetter) {
		return &e, nil // the answer says that it is gone
	}
	if err != nil {
		return nil, err
	}
	e.Request = d.Event.Request
	if err := checkEvent(&e); err != nil {
		return nil, err
	}
	if e.Key() != d.Event.Key() {
		return nil, refuse(errInvalidEvent, "keep partitionkey and subject, or publish it as an event of its own (fnctl emit) and discard this one",
			"the edited event has the key %q, the dead letter %q; the key decides order, state and place, so it cannot change", e.Key(), d.Event.Key())
	}
	return &e, nil
}

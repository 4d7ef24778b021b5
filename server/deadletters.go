package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/scheduler"
)

// deadLetters lists the newest first, without their events.
func (s *Server) deadLetters(c echo.Context) error {
	n, err := limit(c, standardLimit)
	if err != nil {
		return err
	}
	q, err := s.letterQuery(namespace(c), c.QueryParam("trigger"), c.QueryParam("filter"))
	if err != nil {
		return err
	}
	if q.Since, err = s.since(c); err != nil {
		return err
	}
	if q.Parked, err = flag(c, "parked"); err != nil {
		return err
	}
	page, err := parsePage(c.QueryParam("page"))
	if err != nil {
		return err
	}
	letters, next, more, err := s.o.Table.Newest(q, page, n)
	if err != nil {
		return fmt.Errorf("list dead letters: %w", err)
	}
	if more {
		c.Response().Header().Set(api.NextPage, formatPage(next))
	}
	out := make([]api.DeadLetter, len(letters))
	for i := range letters {
		out[i] = deadLetter(&letters[i])
	}
	return c.JSON(http.StatusOK, out)
}

// letterQuery reads what lists and selections have in common.
func (s *Server) letterQuery(ns, trigger, text string) (partition.LetterQuery, error) {
	q := partition.LetterQuery{Namespace: ns}
	var err error
	if trigger != "" {
		if q.Trigger, err = s.letterTrigger(ns, trigger); err != nil {
			return q, err
		}
	}
	if strings.TrimSpace(text) != "" {
		if q.Filter, err = filter.Parse(text); err != nil {
			return q, refuse(errInvalid, "write it as in fn.yaml, for instance \"type = 'com.shop.order' AND subject LIKE 'a%'\"", "filter: %v", err)
		}
	}
	return q, nil
}

// letterTrigger also finds a trigger that was removed, as long as it has dead letters.
func (s *Server) letterTrigger(ns, name string) (uint64, error) {
	t, err := s.findTrigger(ns, name)
	if err == nil {
		return t.ID, nil
	}
	stats, tableErr := s.o.Table.LetterStats()
	if tableErr != nil {
		return 0, fmt.Errorf("look up trigger %s: %w", name, tableErr)
	}
	for id, l := range stats {
		if l.Trigger.Namespace == ns && l.Trigger.Name == name {
			return id, nil
		}
	}
	return 0, err
}

// A page of a list is named by the last entry of the one before, as unix milliseconds and id: "1769860800000_3-1042-17".
func formatPage(p partition.LetterPage) string {
	return strconv.FormatInt(p.Time.UnixMilli(), 10) + "_" + p.ID.String()
}

func parsePage(text string) (partition.LetterPage, error) {
	if text == "" {
		return partition.LetterPage{}, nil
	}
	at, id, _ := strings.Cut(text, "_")
	ms, err := strconv.ParseInt(at, 10, 64)
	parsed, err2 := partition.ParseID(id)
	if err != nil || err2 != nil {
		return partition.LetterPage{}, refuse(errInvalid, "take it from the "+api.NextPage+" header of the page before", "page %q is none that a list has named", text)
	}
	return partition.LetterPage{Time: time.UnixMilli(ms), ID: parsed}, nil
}

func (s *Server) deadLetter(c echo.Context) error {
	d, err := s.findDeadLetter(namespace(c), param(c, "id"))
	if err != nil {
		return err
	}
	out := deadLetter(&d)
	e := d.Event
	if f, ok := s.o.Registry.Snapshot().Function(d.Trigger.Namespace, d.Trigger.Function); ok && f.Spec.DeadLetter != nil && f.Spec.DeadLetter.Knative {
		e = scheduler.WithKnativeError(e, f, out.Class, out.Error)
	}
	if out.Event, err = e.MarshalJSON(); err != nil {
		return fmt.Errorf("encode event %q: %w", e.ID, err)
	}
	if d.EditedAt > 0 {
		original, err := s.o.Table.Original(&d)
		if err != nil {
			return fmt.Errorf("read the original of dead letter %s: %w", d.ID, err)
		}
		if out.Original, err = original.MarshalJSON(); err != nil {
			return fmt.Errorf("encode event %q: %w", original.ID, err)
		}
	}
	return c.JSON(http.StatusOK, out)
}

// findDeadLetter treats those of other namespaces as absent.
func (s *Server) findDeadLetter(ns, id string) (partition.DeadLetter, error) {
	parsed, err := parseLetterID(id)
	if err != nil {
		return partition.DeadLetter{}, err
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

func parseLetterID(id string) (partition.ID, error) {
	parsed, err := partition.ParseID(id)
	if err != nil {
		return partition.ID{}, refuse(errInvalid, "\"fnctl dlq ls\" shows the ids", "%v", err)
	}
	return parsed, nil
}

// deadLetter leaves the event out.
func deadLetter(d *partition.DeadLetter) api.DeadLetter {
	out := api.DeadLetter{
		ID: d.ID.String(), Trigger: d.Trigger.Name, Function: d.Trigger.Function, Topic: d.Topic, Time: d.Time, Generation: int(d.Generation),
		EventID: d.Event.ID, EventType: d.Event.Type, Key: d.Event.Key(), Attempts: make([]api.Attempt, len(d.Attempts)),
		Parked: d.Parked, Behind: d.Behind, TriggerGone: d.TriggerGone, Edited: int(d.EditedAt),
	}
	for i, a := range d.Attempts {
		out.Attempts[i] = attempt(a)
		out.Revision, out.Class, out.Error = a.Revision, a.Class, a.Error // of the last
	}
	return out
}

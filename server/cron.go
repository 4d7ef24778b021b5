package server

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/triggers"
)

// upcoming is how many due times of a cron trigger are shown.
const upcoming = 5

// runTrigger makes a cron trigger fire now. What other kinds wait for comes from outside, and other commands send it.
func (s *Server) runTrigger(c echo.Context) error {
	t, err := s.findTrigger(namespace(c), param(c, "name"))
	if err != nil {
		return err
	}
	if t.Cron == nil {
		return refuse(errInvalid, insteadOfRun(t), "trigger %q is of kind %s: it fires when an event comes in, not by a schedule", t.Name, t.Kind)
	}
	invocation, err := s.o.Cron.RunNow(c.Request().Context(), t)
	switch {
	case errors.Is(err, triggers.ErrOverlaps):
		return refuse(triggers.ErrOverlaps, "", "trigger %q has overlap: skip, and an earlier firing is not done", t.Name)
	case errors.Is(err, triggers.ErrGone):
		return refuse(errUnknownTrigger, "", "trigger %q has just been removed", t.Name)
	case err != nil:
		return err
	}
	return c.JSON(http.StatusAccepted, api.TriggerRun{Trigger: t.Name, Invocation: invocation})
}

func insteadOfRun(t *api.Trigger) string {
	switch t.Kind {
	case "topic":
		return "to send it an event: fnctl emit " + t.Topic.Name
	case "http", "inbox":
		return "to run the function: fnctl invoke " + t.Function
	}
	return "send it an event of its kind"
}

// showDue tells of the cron triggers of a deploy when they fire.
func (s *Server) showDue(ns string, d *api.Deployed) {
	for i := range d.Functions {
		f, ok := s.o.Registry.Snapshot().Function(ns, d.Functions[i].Name)
		if !ok {
			continue // removed meanwhile
		}
		for j := range f.Triggers {
			if t := &f.Triggers[j]; t.Cron != nil {
				due := s.o.Cron.Due(t, upcoming)
				due.Trigger = t.Name
				d.Functions[i].Due = append(d.Functions[i].Due, *due)
			}
		}
	}
}

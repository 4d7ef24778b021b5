package server

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/registry"
)

func (s *Server) revisions(c echo.Context) error {
	f, err := s.findFunction(c)
	if err != nil {
		return err
	}
	list, err := s.o.Registry.Revisions(c.Request().Context(), f)
	if err != nil {
		return err
	}
	wanted := s.o.Table.WantedRevisions(f.Namespace, f.Name)
	for i := range list {
		s.complete(f, &list[i], wanted)
	}
	return c.JSON(http.StatusOK, list)
}

// complete adds what the registry does not know of a revision.
func (s *Server) complete(f *api.Function, r *api.Revision, wanted map[int]int) {
	r.Uses = registry.Uses(f, r.Revision, wanted)
	if r.Rollout != nil {
		r.Rollout = s.withCounts(f)
	}
}

// withCounts is the rollout of a function with what its candidate has done; nil when it has none.
func (s *Server) withCounts(f *api.Function) *api.Rollout {
	if f.Rollout == nil {
		return nil
	}
	out := *f.Rollout // a snapshot is never changed
	if seen, ok := s.o.Scheduler.RolloutCounts(f.Namespace, f.Name); ok && out.Running() {
		out.Seen = &seen
	}
	return &out
}

func (s *Server) revision(c echo.Context) error {
	f, n, err := s.findRevision(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	list, err := s.o.Registry.Revisions(ctx, f)
	if err != nil {
		return err
	}
	of, err := s.o.Registry.Revision(ctx, f, n)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Revision == n {
			s.complete(f, &r, s.o.Table.WantedRevisions(f.Namespace, f.Name))
			r.Kind, r.Spec = of.Kind, &of.Spec
			return c.JSON(http.StatusOK, r)
		}
	}
	return s.noRevision(ctx, f.Namespace, f.Name, n) // removed in between
}

// deleteRevision removes one that nothing uses.
func (s *Server) deleteRevision(c echo.Context) error {
	f, n, err := s.findRevision(c)
	if err != nil {
		return err
	}
	err = s.o.Registry.DeleteRevision(c.Request().Context(), f.Namespace, f.Name, n, func() map[int]int {
		return s.o.Table.WantedRevisions(f.Namespace, f.Name)
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// findRevision reads the revision of the path, which is kept.
func (s *Server) findRevision(c echo.Context) (f *api.Function, n int, err error) {
	if f, err = s.findFunction(c); err != nil {
		return nil, 0, err
	}
	text := param(c, "revision")
	if n, err = strconv.Atoi(text); err != nil || n < 1 {
		return nil, 0, refuse(errInvalid, "name it by its number, which \"fnctl traffic "+f.Name+"\" shows", "%q is not the number of a revision", text)
	}
	return f, n, s.hasRevision(c.Request().Context(), f.Namespace, f.Name, n)
}

// setTraffic answers when the traffic is in force: an event that is taken after it runs by it.
func (s *Server) setTraffic(c echo.Context) error {
	f, err := s.findFunction(c)
	if err != nil {
		return err
	}
	var req api.TrafficRequest
	if err := s.readJSON(c, &req); err != nil {
		return err
	}
	ctx := c.Request().Context()
	for _, share := range req.Traffic {
		if err := s.hasRevision(ctx, f.Namespace, f.Name, share.Revision); err != nil && share.Revision > 0 {
			return err
		}
	}
	revision, err := s.o.Registry.SetTraffic(ctx, f.Namespace, f.Name, req.Traffic)
	if err != nil {
		return err
	}
	if err := s.o.Scheduler.WaitInForce(ctx, revision); err != nil {
		return fmt.Errorf("it is written, but wait until that is in force: %w", err)
	}
	return s.revisions(c)
}

package server

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
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
	return c.JSON(http.StatusOK, list)
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

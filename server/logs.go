package server

import (
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/history"
)

// logs streams the newest entries, oldest first, and with follow those that come.
func (s *Server) logs(c echo.Context) error {
	f, err := s.logFilter(c)
	if err != nil {
		return err
	}
	n, err := limit(c, standardLimit)
	if err != nil {
		return err
	}
	follow, err := flag(c, "follow")
	if err != nil {
		return err
	}
	out, done := s.newStream(c)
	defer done()
	send := func(e api.LogEntry) error { return out.send(e) }
	if follow {
		return out.end(s.o.History.FollowFrom(out.ctx, f, n, send))
	}
	return out.end(s.o.History.Query(f, n, send))
}

func (s *Server) logFilter(c echo.Context) (history.Filter, error) {
	since, err := s.since(c)
	if err != nil {
		return history.Filter{}, err
	}
	level := c.QueryParam("level")
	if level != "" && !slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
		return history.Filter{}, refuse(errInvalid, "", "level %q is not debug, info, warn or error", level)
	}
	return history.Filter{
		Namespace: namespace(c), Function: c.QueryParam("function"), Invocation: c.QueryParam("invocation"), Since: since, MinLevel: level,
	}, nil
}

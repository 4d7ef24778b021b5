package server

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
)

// maxAuditName bounds what one part of a path may add to a line of the audit log.
const maxAuditName = 256

// recorded makes a change and records it: who, what, from where before it is made, how it ended after. What cannot be recorded is not done.
func (s *Server) recorded(c echo.Context, r *endpoint, who actor) error {
	entry := s.auditEntry(c, r, who)
	refused := who.may(r, param(c, "ns"))
	if err := s.o.Audit.Begin(entry, refused == nil && r.about != aCall); err != nil {
		s.log.Error("a change was refused: the audit log cannot be written", slog.Any("err", err))
		return refuse(errUnrecorded, "", "%s", errUnrecorded)
	}
	err := refused
	if err == nil {
		err = r.handler(c)
	}
	status, problem := outcomeOf(c, err)
	if err := s.o.Audit.End(entry.ID, status, problem); err != nil {
		s.log.Error("the outcome of a change is missing in the audit log", slog.String("route", entry.Route), slog.Int("status", status), slog.Any("err", err))
	}
	return err
}

func (s *Server) auditEntry(c echo.Context, r *endpoint, who actor) api.Audit {
	a := api.Audit{ID: randomID(), Time: s.now().UTC(), Who: who.who, Address: s.client(c.Request()).String(), Method: r.method, Route: r.path}
	for _, name := range c.ParamNames() {
		if a.Names == nil {
			a.Names = map[string]string{}
		}
		value := param(c, name)
		a.Names[name] = strings.ToValidUTF8(value[:min(len(value), maxAuditName)], "")
	}
	return a
}

// outcomeOf is what the client is going to be told.
func outcomeOf(c echo.Context, err error) (status int, problem string) {
	switch {
	case err == nil:
		return c.Response().Status, ""
	case clientGone(c.Request().Context(), err):
		return statusClientGone, "client-gone"
	}
	p, _, _ := answerFor(translate(err))
	return p.Status, slugOf(err)
}

// slugOf is the end of the type of an error's answer.
func slugOf(err error) string {
	p, _, _ := answerFor(translate(err))
	return p.Type[strings.LastIndexByte(p.Type, '/')+1:]
}

// maxAudit bounds the changes of one answer.
const maxAudit = 10_000

func (s *Server) audit(c echo.Context) error {
	n, err := limit(c, standardLimit)
	if err != nil {
		return err
	}
	since, err := s.since(c)
	if err != nil {
		return err
	}
	changes, damaged, err := s.o.Audit.Read(since, min(n, maxAudit))
	if err != nil {
		return err
	}
	if damaged > 0 {
		s.log.Warn("the audit log has lines that cannot be read", slog.Int("lines", damaged))
	}
	return c.JSON(http.StatusOK, list(changes))
}

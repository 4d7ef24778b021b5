package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/evoke-run/evoke/api"
)

// adminRoutes is the whole management API.
func (s *Server) adminRoutes() *echo.Echo {
	e := s.newEcho("admin")
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{})), s.guard)

	v1 := e.Group("/api/v1", s.guard)
	v1.GET("/version", s.version)
	v1.GET("/openapi.json", s.openAPI)
	v1.GET("/backup", s.backup)
	v1.HEAD("/modules/:digest", s.hasModule)
	v1.PUT("/modules/:digest", s.putModule)

	ns := v1.Group("/ns/:ns")
	ns.PUT("/apps/:app", s.deploy)
	ns.GET("/functions", s.functions)
	ns.GET("/top", s.top)
	ns.GET("/functions/:name", s.function)
	ns.DELETE("/functions/:name", s.deleteFunction)
	ns.POST("/functions/:name/invoke", s.invoke)
	ns.GET("/functions/:name/revisions", s.revisions)
	ns.GET("/functions/:name/revisions/:revision", s.revision)
	ns.DELETE("/functions/:name/revisions/:revision", s.deleteRevision)
	ns.PUT("/functions/:name/traffic", s.setTraffic)
	ns.POST("/functions/:name/pause", s.pauseFunction)
	ns.POST("/functions/:name/resume", s.resumeFunction)
	ns.GET("/triggers", s.triggers)
	ns.GET("/triggers/:name", s.trigger)
	ns.POST("/triggers/:name/pause", s.pauseTrigger)
	ns.POST("/triggers/:name/resume", s.resumeTrigger)
	ns.POST("/triggers/:name/replay", s.replay)
	ns.POST("/triggers/:name/run", s.runTrigger)
	ns.GET("/topics", s.topics)
	ns.GET("/topics/:name", s.topic)
	ns.DELETE("/topics/:name", s.deleteTopic)
	ns.POST("/topics/:name/events", s.emit)
	ns.GET("/topics/:name/events", s.tail)
	ns.GET("/secrets", s.secrets)
	ns.GET("/secrets/:name", s.secret)
	ns.PUT("/secrets/:name", s.putSecret)
	ns.DELETE("/secrets/:name", s.deleteSecret)
	ns.GET("/logs", s.logs)
	ns.GET("/invocations", s.invocations)
	ns.GET("/invocations/:id", s.invocation)
	ns.POST("/invocations/:id/cancel", s.cancelInvocation)
	ns.GET("/deadletters", s.deadLetters)
	ns.GET("/deadletters/:id", s.deadLetter)
	ns.POST("/deadletters/redrive", s.redrive)
	ns.POST("/deadletters/discard", s.discard)
	return e
}

// isHealth names the paths of probes: open to all, because they tell nothing, and answered during a drain.
func isHealth(path string) bool { return path == "/healthz" || path == "/readyz" }

func (s *Server) healthz(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

func (s *Server) readyz(c echo.Context) error {
	if s.gate.isClosed() {
		return errDraining
	}
	if err := s.o.Ready(); err != nil {
		return refuse(errNotReady, "", "%v", err)
	}
	return c.String(http.StatusOK, "ready\n")
}

func (s *Server) version(c echo.Context) error { return c.JSON(http.StatusOK, s.o.Version) }

// readJSON decodes the body into v. A key that v does not have is an error: what was misspelt would otherwise be silently absent.
func (s *Server) readJSON(c echo.Context, v any) error {
	body, release, err := s.bodies.read(c, maxBody)
	defer release()
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return jsonFault(err)
	}
	if d.More() {
		return refuse(errInvalid, "send one JSON object", "the body goes on after its JSON object")
	}
	return nil
}

func jsonFault(err error) error {
	if errors.Is(err, io.EOF) {
		return refuse(errInvalid, "send a JSON object", "the body is empty")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return refuse(errInvalid, "", "key %q cannot be a JSON %s", wrong.Field, wrong.Value)
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if key, ok := strings.CutPrefix(text, "unknown field "); ok {
		return refuse(errInvalid, "remove it or correct its spelling", "unknown key %s", key)
	}
	return refuse(errInvalid, "", "the body is not the JSON expected here: %s", text)
}

// limit reads ?limit=; absent or 0 is standard.
func limit(c echo.Context, standard int) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, refuse(errInvalid, "", "limit %q is not a whole number from 0 on", text)
	}
	if n == 0 {
		return standard, nil
	}
	return n, nil
}

// since reads ?since=, a time or a duration back from now; absent is the zero time.
func (s *Server) since(c echo.Context) (time.Time, error) {
	text := c.QueryParam("since")
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	d, err := api.ParseDuration(text)
	if err != nil {
		return time.Time{}, refuse(errInvalid, "", "since %q is neither an RFC 3339 time such as 2026-01-31T12:00:00Z nor a duration such as 10m", text)
	}
	return s.now().Add(-d), nil
}

// flag reads a boolean of the query; absent is false.
func flag(c echo.Context, name string) (bool, error) {
	text := c.QueryParam(name)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, refuse(errInvalid, "", "%s %q is neither true nor false", name, text)
	}
	return v, nil
}

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

// endpoint is one row of the management API. What it does not say, its role above all, it does not have: a row without a role is served to nobody.
type endpoint struct {
	method, path string // below /api/v1
	role         role   // the least that a token needs
	about        about
	handler      echo.HandlerFunc
}

// about says what an endpoint touches. A token that is bound to namespaces may use those of its namespaces, and those about the program.
type about int

const (
	aNamespace about = iota // the one in its path
	aCall                   // the same, and it sends or calls, perhaps often
	theProgram              // nothing that belongs to anybody
	everything              // all namespaces
)

// managementRoutes is the one table of the management API: who may do what.
func (s *Server) managementRoutes() []endpoint {
	return []endpoint{
		{"GET", "/version", viewer, theProgram, s.version},
		{"GET", "/openapi.json", viewer, theProgram, s.openAPI},
		{"GET", "/backup", admin, everything, s.backup},
		{"GET", "/audit", admin, everything, s.audit},
		{"HEAD", "/modules/:digest", deployer, theProgram, s.hasModule},
		{"PUT", "/modules/:digest", deployer, theProgram, s.putModule},
		{"GET", "/tokens", admin, everything, s.tokens},
		{"PUT", "/tokens/:name", admin, everything, s.createToken},
		{"DELETE", "/tokens/:name", admin, everything, s.revokeToken},

		{"PUT", "/ns/:ns/apps/:app", deployer, aNamespace, s.deploy},
		{"GET", "/ns/:ns/functions", viewer, aNamespace, s.functions},
		{"GET", "/ns/:ns/top", viewer, aNamespace, s.top},
		{"GET", "/ns/:ns/functions/:name", viewer, aNamespace, s.function},
		{"DELETE", "/ns/:ns/functions/:name", deployer, aNamespace, s.deleteFunction},
		{"POST", "/ns/:ns/functions/:name/invoke", deployer, aCall, s.invoke},
		{"GET", "/ns/:ns/functions/:name/revisions", viewer, aNamespace, s.revisions},
		{"GET", "/ns/:ns/functions/:name/revisions/:revision", viewer, aNamespace, s.revision},
		{"DELETE", "/ns/:ns/functions/:name/revisions/:revision", deployer, aNamespace, s.deleteRevision},
		{"PUT", "/ns/:ns/functions/:name/traffic", deployer, aNamespace, s.setTraffic},
		{"POST", "/ns/:ns/functions/:name/pause", deployer, aNamespace, s.pauseFunction},
		{"POST", "/ns/:ns/functions/:name/resume", deployer, aNamespace, s.resumeFunction},
		{"GET", "/ns/:ns/triggers", viewer, aNamespace, s.triggers},
		{"GET", "/ns/:ns/triggers/:name", viewer, aNamespace, s.trigger},
		{"POST", "/ns/:ns/triggers/:name/pause", deployer, aNamespace, s.pauseTrigger},
		{"POST", "/ns/:ns/triggers/:name/resume", deployer, aNamespace, s.resumeTrigger},
		{"POST", "/ns/:ns/triggers/:name/replay", deployer, aNamespace, s.replay},
		{"POST", "/ns/:ns/triggers/:name/run", deployer, aNamespace, s.runTrigger},
		{"GET", "/ns/:ns/topics", viewer, aNamespace, s.topics},
		{"GET", "/ns/:ns/topics/:name", viewer, aNamespace, s.topic},
		{"DELETE", "/ns/:ns/topics/:name", deployer, aNamespace, s.deleteTopic},
		{"POST", "/ns/:ns/topics/:name/events", deployer, aCall, s.emit},
		{"GET", "/ns/:ns/topics/:name/events", viewer, aNamespace, s.tail},
		{"GET", "/ns/:ns/secrets", viewer, aNamespace, s.secrets},
		{"GET", "/ns/:ns/secrets/:name", viewer, aNamespace, s.secret},
		{"PUT", "/ns/:ns/secrets/:name", deployer, aNamespace, s.putSecret},
		{"DELETE", "/ns/:ns/secrets/:name", deployer, aNamespace, s.deleteSecret},
		{"GET", "/ns/:ns/keys", admin, aNamespace, s.keys},
		{"PUT", "/ns/:ns/keys/:name", admin, aNamespace, s.createKey},
		{"DELETE", "/ns/:ns/keys/:name", admin, aNamespace, s.revokeKey},
		{"GET", "/ns/:ns/logs", viewer, aNamespace, s.logs},
		{"GET", "/ns/:ns/invocations", viewer, aNamespace, s.invocations},
		{"GET", "/ns/:ns/invocations/:id", viewer, aNamespace, s.invocation},
		{"POST", "/ns/:ns/invocations/:id/cancel", deployer, aNamespace, s.cancelInvocation},
		{"GET", "/ns/:ns/deadletters", viewer, aNamespace, s.deadLetters},
		{"GET", "/ns/:ns/deadletters/:id", viewer, aNamespace, s.deadLetter},
		{"POST", "/ns/:ns/deadletters/redrive", deployer, aNamespace, s.redrive},
		{"POST", "/ns/:ns/deadletters/discard", deployer, aNamespace, s.discard},
	}
}

// adminRoutes serves the table, the probes and the metrics.
func (s *Server) adminRoutes() *echo.Echo {
	e := s.newEcho("admin")
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	show := echo.WrapHandler(promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{}))
	e.GET("/metrics", s.guard(endpoint{method: "GET", role: viewer, about: everything, handler: show}))
	for _, r := range s.managementRoutes() {
		e.Add(r.method, "/api/v1"+r.path, named(s.guard(r)))
	}
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
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field == "" {
		return refuse(errInvalid, "send a JSON object", "the body is no JSON object, but of the kind %s", wrong.Value)
	} else if ok {
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

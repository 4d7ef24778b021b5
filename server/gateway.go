package server

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/wire"
)

const defaultNamespace = "default"

// gatewayRoutes serves what deploys have opened, and nothing else.
func (s *Server) gatewayRoutes() *echo.Echo {
	e := s.newEcho("gateway")
	for _, prefix := range [...]string{"", "/@:ns"} {
		e.POST(prefix+"/topics/:topic", named(s.ingest))
		for _, path := range [...]string{"/fn/:function", "/fn/:function/*"} {
			e.RouteNotFound(prefix+path, named(s.callFunction)) // any method; Any takes only those that echo knows
		}
		e.RouteNotFound(prefix+"/webhooks/:webhook", named(s.webhook))
		e.RouteNotFound(prefix+"/*", named(s.callRoute))
	}
	return e
}

// named refuses paths with nothing where a name belongs, /fn//x or /@/fn/x, which echo takes: no name is empty, and who writes one of those does not mean the default
// namespace. /api/v1/ns//functions/x is what a script sends whose variable is not set.
func named(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for i, name := range c.ParamNames() {
			if name != "*" && c.ParamValues()[i] == "" {
				return refuse(errUnknownPath, "", "nothing is served at this path: it has no name where one belongs")
			}
		}
		return next(c)
	}
}

// ingest takes events from outside into a topic that is open for them. An absent topic and a closed one get the same answer.
func (s *Server) ingest(c echo.Context) error {
	ns, name := namespace(c), param(c, "topic")
	topic, ok := s.o.Registry.Snapshot().Topic(ns, name)
	if !ok || !topic.Spec.Ingress {
		return refuse(errUnknownTopic, "declare it in fn.yaml, \"topics: { "+name+": { ingress: true } }\", and run fnctl deploy",
			"no topic %q is open for events from outside", name)
	}
	who, err := s.authenticate(c.Request(), entrance{namespace: ns, topic: name, auth: topic.Spec.Auth})
	if err != nil {
		return err
	}
	return s.store(c, ns, name, &who)
}

// store answers 202 when all events of the request are durable; when one is not valid, none is stored. They get the
// identity of who sent them; with nil they keep what they say of it themselves.
func (s *Server) store(c echo.Context, ns, topic string, who *auth.Identity) error {
	body, release, err := s.bodies.read(c, maxBody)
	defer release()
	if err != nil {
		return err
	}
	body, releasePlain, err := s.bodies.plain(c.Request().Header, body, maxBody)
	defer releasePlain()
	if err != nil {
		return err
	}
	events, err := decodeEvents(c.Request().Header, body)
	if err != nil {
		return err
	}
	parent, state := traceOf(c.Request().Header)
	for i := range events {
		events[i].CarryTrace(parent, state)
		if who != nil {
			setIdentity(&events[i], *who)
		}
	}
	if err := s.delay(c.Request().Header, events); err != nil {
		return err
	}
	var stored []partition.Stored
	if len(events) > 0 {
		if stored, err = s.o.Table.Publish(c.Request().Context(), ns, topic, events); err != nil {
			return err
		}
	}
	return answerPublished(c, events, stored)
}

// answerPublished tells where events are, which are durable.
func answerPublished(c echo.Context, events []event.Event, stored []partition.Stored) error {
	return c.Blob(http.StatusAccepted, echo.MIMEApplicationJSON, appendPublished(make([]byte, 0, 32+64*len(stored)), events, stored))
}

// appendPublished appends api.Published as encoding/json would.
func appendPublished(b []byte, events []event.Event, stored []partition.Stored) []byte {
	b = append(b, `{"events":[`...)
	for i, at := range stored {
		if i > 0 {
			b = append(b, ',')
		}
		b = wire.AppendJSON(append(b, `{"id":`...), events[i].ID)
		b = strconv.AppendInt(append(b, `,"partition":`...), int64(at.Partition), 10)
		b = strconv.AppendUint(append(b, `,"offset":`...), at.Offset, 10)
		if at.Duplicate {
			b = append(b, `,"duplicate":true`...)
		}
		b = append(b, '}')
	}
	return append(b, "]}\n"...)
}

// namespace is that of the path, or the default one on paths without.
func namespace(c echo.Context) string {
	if ns := param(c, "ns"); ns != "" {
		return ns
	}
	return defaultNamespace
}

// param is a path parameter, decoded: echo matches the path as it came when it has unusual escapes, such as %3A.
func param(c echo.Context, name string) string {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v
	}
	if decoded, err := url.PathUnescape(v); err == nil {
		return decoded
	}
	return v
}

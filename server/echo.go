package server

import (
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
)

// newEcho is a router with what both sides share. side is "gateway" or "admin".
func (s *Server) newEcho(side string) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard) // what goes wrong comes to fail
	e.HTTPErrorHandler = s.fail
	e.Use(s.track(side)) // one: echo chains them anew for every request
	return e
}

// track counts a request in, bounds how long a client may take to send and to receive, and measures.
func (s *Server) track(side string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := s.now()
			s.setDeadlines(c)
			defer func() { s.metrics.observe(side, c.Path(), c.Response().Status, s.now().Sub(start)) }()
			if err := s.survive(next, c); err != nil {
				s.fail(err, c) // here, so that the status is known to observe
			}
			return nil
		}
	}
}

// survive makes a panic an error, which fail logs with the stack.
func (s *Server) survive(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler: //nolint:errorlint // a value, and net/http compares it the same way
			panic(r)
		default:
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return s.admit(next, c)
}

// setDeadlines ignores errors: a transport without deadlines needs none. The one for reading ends when the body is read; that of the connection's last reply is only in the
// way of who is to be told to go on.
func (s *Server) setDeadlines(c echo.Context) {
	rc := http.NewResponseController(c.Response())
	if c.Request().Header["Expect"] != nil {
		_ = rc.SetWriteDeadline(time.Time{})
	}
	if c.Request().Body != http.NoBody {
		_ = rc.SetReadDeadline(time.Now().Add(s.bodyTimeout))
	}
	c.Response().Before(func() { _ = rc.SetWriteDeadline(time.Now().Add(writeTimeout)) })
}

// admit refuses new requests during a drain; health is answered to the end.
func (s *Server) admit(next echo.HandlerFunc, c echo.Context) error {
	if isHealth(c.Path()) {
		return next(c)
	}
	if !s.gate.enter() {
		c.Response().Header().Set("Connection", "close")
		return errDraining
	}
	defer s.gate.leave()
	if s.o.Registry.Snapshot() == nil {
		return refuse(errNotReady, "", "the registry is not loaded yet")
	}
	return next(c)
}

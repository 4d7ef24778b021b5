package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// fail answers an error as application/problem+json, RFC 9457. It is the last to see an error, so it also logs what is our fault.
func (s *Server) fail(err error, c echo.Context) {
	if clientGone(c.Request().Context(), err) {
		c.Response().Status = statusClientGone // for the metrics only, nothing is sent
		return
	}
	if errors.Is(err, context.Canceled) {
		err = errDraining // nobody else cancels
	}
	p, after, known := answerFor(translate(err))
	if !known {
		s.log.Error("request failed", slog.String("route", c.Path()), slog.Any("err", err))
	}
	if c.Response().Committed {
		// The status is sent; only a broken connection still tells the client that what it has is not all.
		panic(http.ErrAbortHandler)
	}
	h := c.Response().Header()
	if after > 0 {
		h.Set("Retry-After", retryAfter(after))
	}
	switch f, ok := errors.AsType[*fault](err); {
	case ok && f.challenge != "":
		h.Set("WWW-Authenticate", f.challenge)
	case errors.Is(err, errSignature):
		h.Set("WWW-Authenticate", `Signature realm="evoke"`)
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="evoke"`)
	}
	if p.Invocation != "" {
		h.Set("Evoke-Invocation", p.Invocation)
	}
	h.Set("Content-Type", "application/problem+json")
	c.Response().WriteHeader(p.Status)
	_ = json.NewEncoder(c.Response()).Encode(p) // a client that does not take its answer has gone
}

// statusClientGone is nginx's number for it.
const statusClientGone = 499

// clientGone says that nobody waits for the answer: the request's context ended, and not because the server stops.
func clientGone(ctx context.Context, err error) bool {
	return errors.Is(err, errClientGone) || errors.Is(err, context.Canceled) && context.Cause(ctx) == context.Canceled
}

// retryAfter is in whole seconds, at least one.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

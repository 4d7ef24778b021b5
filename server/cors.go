package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
)

// preflight answers the question of a browser, whether a page may send a request, for a route that has cors; done is false when it is no such question.
func (s *Server) preflight(c echo.Context, w *way) (done bool, err error) {
	r, h := c.Request(), c.Response().Header()
	origin, method := r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || origin == "" || method == "" {
		return false, nil
	}
	to, err := w.target(method, http.Header{})
	if err != nil || to.http.CORS == nil {
		return false, nil // what the function says to OPTIONS, if it takes that
	}
	cors := to.http.CORS
	if !allowOrigin(h, cors, origin) {
		return true, refuse(errCORS, "add it to cors.origins of the trigger in fn.yaml and deploy", "pages of %q may not call this route", origin)
	}
	methods := cors.Methods
	if len(methods) == 0 {
		if methods = to.http.Methods; len(methods) == 0 {
			methods = []string{method}
		}
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	if headers := allowedHeaders(cors, r.Header.Values("Access-Control-Request-Headers")); headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	if cors.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.FormatInt(int64(time.Duration(cors.MaxAge)/time.Second), 10))
	}
	return true, c.NoContent(http.StatusNoContent)
}

// share sets what lets a page of another origin read the answer, be it a reply or a problem.
func (to *target) share(h http.Header, r *http.Request) {
	cors := to.http.CORS
	if cors == nil {
		return
	}
	if origin := r.Header.Get("Origin"); origin == "" {
		if !slices.Contains(cors.Origins, "*") {
			h.Add("Vary", "Origin") // another one would get another answer
		}
		return
	} else if !allowOrigin(h, cors, origin) {
		return
	}
	if len(cors.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(cors.Expose, ", "))
	}
}

// allowOrigin names the origin to the browser when it is one of those allowed.
func allowOrigin(h http.Header, cors *api.CORS, origin string) bool {
	if slices.Contains(cors.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
		return true
	}
	h.Add("Vary", "Origin")
	if !slices.Contains(cors.Origins, strings.ToLower(origin)) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if cors.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

// allowedHeaders are those that a page wants to send, if all may be, else those that may.
func allowedHeaders(cors *api.CORS, wanted []string) string {
	switch {
	case len(cors.Headers) == 0:
		return "Content-Type"
	case slices.Contains(cors.Headers, "*"):
		return strings.Join(wanted, ", ")
	}
	return strings.Join(cors.Headers, ", ")
}

// isCORS names the headers that a trigger with cors answers for; those of the function would contradict it.
func isCORS(name string) bool { return strings.HasPrefix(name, "Access-Control-") }

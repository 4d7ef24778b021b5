// Command tasks serves lists of tasks. Its routes are those of net/http; who may call them, fn.yaml says.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	evoke "github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evokehttp"
)

func init() { evoke.Handle(evokehttp.Handler(routes())) }

func main() {}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /lists/{list}/tasks", route(list))
	mux.Handle("POST /lists/{list}/tasks", route(add))
	mux.Handle("GET /lists/{list}/tasks/{id}", route(get))
	mux.Handle("PATCH /lists/{list}/tasks/{id}", route(edit))
	mux.Handle("DELETE /lists/{list}/tasks/{id}", route(remove))
	return mux
}

// route is a handler that may return an error: a *problem is the client's, and answered. Any other is ours: the attempt fails, and nothing of it is kept.
type route func(w http.ResponseWriter, r *http.Request) error

func (h route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h(w, r)
	var p *problem
	switch {
	case errors.As(err, &p):
		writeJSON(w, p.status, map[string]string{"error": p.text})
	case err != nil:
		evoke.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		panic(http.ErrAbortHandler)
	}
}

// problem is what is wrong with a request.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

func problemf(status int, format string, args ...any) error {
	return &problem{status, fmt.Sprintf(format, args...)}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // to memory; evokehttp tells when it is too much
}

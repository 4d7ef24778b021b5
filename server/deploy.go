package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/scheduler"
)

func (s *Server) hasModule(c echo.Context) error {
	d := param(c, "digest")
	if !s.o.Registry.HasModule(d) {
		return refuse(registry.ErrNotFound, "upload it", "no module %s", d)
	}
	return c.NoContent(http.StatusOK)
}

// putModule streams to the registry: a module may be longer than what bodies may take.
func (s *Server) putModule(c echo.Context) error {
	d := param(c, "digest")
	if c.Request().ContentLength > maxModule {
		return tooLong(maxModule)
	}
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(moduleTimeout)) // a transport without deadlines needs none
	body := http.MaxBytesReader(c.Response().Writer, c.Request().Body, maxModule)
	if err := s.o.Registry.PutModule(c.Request().Context(), d, body); err != nil {
		if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLong(long.Limit)
		}
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// deploy answers when the app is in force here: an event published after it meets the new triggers.
func (s *Server) deploy(c echo.Context) error {
	var app api.App
	if err := s.readJSON(c, &app); err != nil {
		return err
	}
	ctx := c.Request().Context()
	kinds, err := s.checkModules(ctx, app)
	if err != nil {
		return err
	}
	deployed, revision, err := s.o.Registry.Deploy(ctx, namespace(c), param(c, "app"), app, kinds)
	if err != nil {
		return err
	}
	if err := s.o.Scheduler.WaitInForce(ctx, revision); err != nil {
		return fmt.Errorf("app %q is deployed, but wait until it is in force: %w", param(c, "app"), err)
	}
	return c.JSON(http.StatusOK, deployed)
}

// checkModules finds the kind of each function's module, so that nothing becomes visible that cannot run. Each module is compiled once, for each limit of
// memory that its functions give it.
func (s *Server) checkModules(ctx context.Context, app api.App) (kinds map[string]string, err error) {
	type limited struct {
		digest string
		memory int64
	}
	kinds = make(map[string]string, len(app.Functions))
	checked := map[limited]string{}
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		m := limited{app.Functions[name].Module, app.Functions[name].Memory}
		kind, known := checked[m]
		if !known {
			if kind, err = s.checkModule(ctx, name, m.digest, m.memory); err != nil {
				return nil, err
			}
			checked[m] = kind
		}
		kinds[name] = kind
	}
	return kinds, nil
}

func (s *Server) checkModule(ctx context.Context, function, digest string, memory int64) (kind string, err error) {
	wasm, err := s.o.Registry.Module(digest)
	if errors.Is(err, registry.ErrNotFound) {
		return "", refuse(errNoModule, "", "function %q: module %s is not here", function, digest)
	}
	if err != nil {
		return "", fmt.Errorf("function %q: %w", function, err)
	}
	kind, err = s.o.Scheduler.CheckModule(ctx, wasm, memory)
	if refused, ok := errors.AsType[*scheduler.ModuleError](err); ok {
		return "", refuse(errRefusedModule, "", "function %q: %s", function, refused.Error())
	}
	if err != nil {
		return "", fmt.Errorf("function %q: check module: %w", function, err)
	}
	return kind, nil
}

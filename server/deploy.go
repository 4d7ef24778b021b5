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
	if err := s.checkStarts(namespace(c), app); err != nil {
		return err
	}
	if err := s.checkIssuers(app); err != nil {
		return err
	}
	kinds, warnings, err := s.checkModules(ctx, app)
	if err != nil {
		return err
	}
	deployed, revision, err := s.o.Registry.Deploy(ctx, namespace(c), param(c, "app"), app, kinds)
	if err != nil {
		return err
	}
	for i := range deployed.Functions {
		deployed.Functions[i].Warnings = warnings[deployed.Functions[i].Name]
	}
	if err := s.o.Scheduler.WaitInForce(ctx, revision); err != nil {
		return fmt.Errorf("app %q is deployed, but wait until it is in force: %w", param(c, "app"), err)
	}
	s.wholeURLs(c.Request(), &deployed)
	s.showDue(namespace(c), &deployed)
	s.askIssuers(ctx, app, &deployed)
	s.router() // so that the next request does not wait for it
	return c.JSON(http.StatusOK, deployed)
}

// checkModules finds the kind of each function's module and what its owner should know, so that nothing becomes visible that cannot run.
func (s *Server) checkModules(ctx context.Context, app api.App) (kinds map[string]string, warnings map[string][]string, err error) {
	kinds, warnings = make(map[string]string, len(app.Functions)), map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		if kinds[name], warnings[name], err = s.checkModule(ctx, name, app.Functions[name]); err != nil {
			return nil, nil, err
		}
	}
	return kinds, warnings, nil
}

func (s *Server) checkModule(ctx context.Context, function string, spec api.FunctionSpec) (kind string, warnings []string, err error) {
	wasm, err := s.o.Registry.Module(spec.Module)
	if errors.Is(err, registry.ErrNotFound) {
		return "", nil, refuse(errNoModule, "", "function %q: module %s is not here", function, spec.Module)
	}
	if err != nil {
		return "", nil, fmt.Errorf("function %q: %w", function, err)
	}
	kind, warnings, err = s.o.Scheduler.CheckModule(ctx, function, wasm, spec)
	if refused, ok := errors.AsType[*scheduler.ModuleError](err); ok {
		return "", nil, refuse(errRefusedModule, refused.Advice, "function %q: %s", function, refused.Reason)
	}
	if err != nil {
		return "", nil, fmt.Errorf("function %q: check module: %w", function, err)
	}
	return kind, warnings, nil
}

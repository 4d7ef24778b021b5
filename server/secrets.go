package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/registry"
)

// Secrets are values that nobody but who uses them may see; *registry.Registry has them.
type Secrets interface {
	// Secret returns the values of a secret, the newest first: one, or two during a rotation. registry.ErrNotFound.
	Secret(namespace, name string) ([][]byte, error)
}

func (s *Server) secrets(c echo.Context) error {
	return c.JSON(http.StatusOK, list(s.o.Registry.Secrets(namespace(c))))
}

func (s *Server) secret(c echo.Context) error {
	ns, name := namespace(c), param(c, "name")
	all := s.o.Registry.Secrets(ns)
	i := slices.IndexFunc(all, func(s api.Secret) bool { return s.Name == name })
	if i < 0 {
		return refuse(errUnknownSecret, "", "no secret %q in namespace %q", name, ns)
	}
	return c.JSON(http.StatusOK, all[i])
}

func (s *Server) putSecret(c echo.Context) error {
	var req api.SecretRequest
	if err := s.readJSON(c, &req); err != nil {
		return err
	}
	name := param(c, "name")
	secret, revision, err := s.o.Registry.PutSecret(c.Request().Context(), namespace(c), name, req.Value, time.Duration(req.KeepOld))
	if err != nil {
		return err
	}
	if err := s.o.Scheduler.WaitInForce(c.Request().Context(), revision); err != nil {
		return fmt.Errorf("secret %q is set, but wait until that is in force: %w", name, err)
	}
	return c.JSON(http.StatusOK, secret)
}

func (s *Server) deleteSecret(c echo.Context) error {
	force, err := flag(c, "force")
	if err != nil {
		return err
	}
	ns, name := namespace(c), param(c, "name")
	revision, err := s.o.Registry.DeleteSecret(c.Request().Context(), ns, name, force)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return refuse(errUnknownSecret, "", "%v", err)
	case errors.Is(err, registry.ErrInUse):
		return refuse(registry.ErrInUse, "\"fnctl secret ls\" shows what uses it", "%v", err)
	case err != nil:
		return err
	}
	if err := s.o.Scheduler.WaitInForce(c.Request().Context(), revision); err != nil {
		return fmt.Errorf("secret %q is deleted, but wait until that is in force: %w", name, err)
	}
	return c.NoContent(http.StatusNoContent)
}

package server

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/rules"
)

// maxLifetime of tokens and keys that end by themselves.
const maxLifetime = 10 * 365 * 24 * time.Hour

func (s *Server) tokens(c echo.Context) error {
	out := []api.AccessToken{}
	for _, t := range s.o.Registry.Snapshot().Tokens() {
		out = append(out, *t.Token)
	}
	return c.JSON(http.StatusOK, out)
}

// createToken answers the secret, the only time that anybody sees it.
func (s *Server) createToken(c echo.Context) error {
	var req api.AccessTokenRequest
	if err := s.readJSON(c, &req); err != nil {
		return err
	}
	if s.isOpen() && (parseRole(req.Role) == deployer || parseRole(req.Role) == viewer || len(req.Namespaces) > 0 || req.Lifetime != 0) {
		return refuse(errLockOut, "create an admin first, \"fnctl token create NAME --role admin\", and use its token for the others",
			"the first token closes the management API, so it must be able to make others: an admin of all namespaces that does not expire")
	}
	now := s.now().UTC()
	expires, err := endOf(now, req.Lifetime)
	if err != nil {
		return err
	}
	secret, id := auth.NewSecret(auth.TokenPrefix)
	token := api.AccessToken{Name: param(c, "name"), Role: req.Role, Namespaces: req.Namespaces, Created: now, Expires: expires, By: actorOf(c).who}
	if err := s.keep(c, registry.Credential{ID: id, Hash: auth.Hash(secret), Token: &token}); err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, api.NewAccessToken{AccessToken: token, Secret: secret})
}

// keep stores a credential and waits until this node knows it.
func (s *Server) keep(c echo.Context, credential registry.Credential) error {
	revision, err := s.o.Registry.CreateCredential(c.Request().Context(), credential)
	if invalid, ok := errors.AsType[*rules.InvalidError](err); ok {
		return refuse(errInvalid, "correct it and repeat", "%s", invalid.Error())
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if err := s.o.Scheduler.WaitInForce(c.Request().Context(), revision); err != nil {
		return fmt.Errorf("it is made, but wait until that is in force: %w", err)
	}
	return nil
}

func endOf(now time.Time, lifetime api.Duration) (time.Time, error) {
	switch d := time.Duration(lifetime); {
	case d == 0:
		return time.Time{}, nil
	case d < time.Minute || d > maxLifetime:
		return time.Time{}, refuse(errInvalid, "", "lifetime: %s is not between 1m and 3650d", d)
	default:
		return now.Add(d), nil
	}
}

// revokeToken answers when this node does not take it any more.
func (s *Server) revokeToken(c echo.Context) error {
	name := param(c, "name")
	t, ok := s.o.Registry.Snapshot().Token(name)
	if !ok {
		return refuse(errNoCredential, "\"fnctl token ls\" shows what there is", "no token %q", name)
	}
	if err := s.leavesAnAdmin(t); err != nil {
		return err
	}
	return s.revoke(c, t)
}

func (s *Server) revoke(c echo.Context, credential *registry.Credential) error {
	revision, err := s.o.Registry.DeleteCredential(c.Request().Context(), credential)
	if err != nil {
		return err
	}
	if err := s.o.Scheduler.WaitInForce(c.Request().Context(), revision); err != nil {
		return fmt.Errorf("it is revoked, but wait until that is in force: %w", err)
	}
	return c.NoContent(http.StatusNoContent)
}

// leavesAnAdmin refuses to revoke the last token that can make others while there are such that cannot. The last of all may go: the server is open again.
func (s *Server) leavesAnAdmin(going *registry.Credential) error {
	all := s.o.Registry.Snapshot().Tokens()
	if s.o.AdminToken != "" || len(all) == 1 {
		return nil
	}
	for _, t := range all {
		if t.ID != going.ID && parseRole(t.Token.Role) == admin && len(t.Token.Namespaces) == 0 && !expired(t.Token.Expires, s.now()) {
			return nil
		}
	}
	return refuse(errLockOut, "make another one first, or start the runtime with EVOKE_ADMIN_TOKEN", "%q is the last token that can make and revoke others", going.Token.Name)
}

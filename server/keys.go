package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/registry"
)

func (s *Server) keys(c echo.Context) error {
	out := []api.Key{}
	for _, k := range s.o.Registry.Snapshot().Keys(namespace(c)) {
		out = append(out, *k.Key)
	}
	return c.JSON(http.StatusOK, out)
}

// createKey answers the secret, the only time that anybody sees it.
func (s *Server) createKey(c echo.Context) error {
	var req api.KeyRequest
	if err := s.readJSON(c, &req); err != nil {
		return err
	}
	now := s.now().UTC()
	expires, err := endOf(now, req.Lifetime)
	if err != nil {
		return err
	}
	secret, id := auth.NewSecret(auth.KeyPrefix)
	key := api.Key{
		Namespace: namespace(c), Name: param(c, "name"), Functions: req.Functions, Topics: req.Topics, Rate: req.Rate,
		Created: now, Expires: expires, By: actorOf(c).who,
	}
	if err := s.keep(c, registry.Credential{ID: id, Hash: auth.Hash(secret), Key: &key}); err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, api.NewKey{Key: key, Secret: secret})
}

// revokeKey answers when this node does not take it any more.
func (s *Server) revokeKey(c echo.Context) error {
	ns, name := namespace(c), param(c, "name")
	k, ok := s.o.Registry.Snapshot().Key(ns, name)
	if !ok {
		return refuse(errNoCredential, "\"fnctl key ls\" shows what there is", "no API key %q in namespace %q", name, ns)
	}
	return s.revoke(c, k)
}

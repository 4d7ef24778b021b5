package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/registry"
)

// role is how much a token may do; each may what those below it may. The zero value is no role.
type role int

const (
	viewer role = iota + 1
	deployer
	admin
)

func (r role) String() string {
	if r < viewer || r > admin {
		return "none"
	}
	return api.Roles[r-viewer]
}

func parseRole(name string) role { return role(slices.Index(api.Roles[:], name)) + viewer }

// actor is who sent a request to the management API.
type actor struct {
	who   string // as in api.Audit
	role  role
	token *registry.Credential // nil for who has the root token, and for anybody on an open server
}

// actor reads the token of a request. The server is open as long as there is none to ask for, which only a loopback address may be.
func (s *Server) actor(r *http.Request) (actor, error) {
	if s.isOpen() {
		return actor{who: "local", role: admin}, nil
	}
	text, ok := bearer(r.Header)
	if !ok || text == "" {
		return actor{}, refuse(errUnauthorized, "", "the request has no bearer token")
	}
	if s.o.AdminToken != "" {
		got, want := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(s.o.AdminToken)) // equal lengths, so that the comparison tells nothing of the token's
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return actor{who: "root", role: admin}, nil
		}
	}
	token, err := s.tokenOf(text)
	if err != nil {
		return actor{}, err
	}
	return actor{who: "token:" + token.Token.Name, role: parseRole(token.Token.Role), token: token}, nil
}

func (s *Server) isOpen() bool { return s.o.AdminToken == "" && !s.o.Registry.Snapshot().HasTokens() }

// tokenOf finds a token by its secret.
func (s *Server) tokenOf(text string) (*registry.Credential, error) {
	id, ok := auth.SecretID(auth.TokenPrefix, text)
	if !ok {
		if strings.HasPrefix(text, auth.KeyPrefix) {
			return nil, refuse(errUnauthorized, "", "this is an API key, which is for data at the gateway; the management API takes tokens")
		}
		return nil, refuse(errUnauthorized, "", "the bearer token is not the server's")
	}
	c, ok := s.o.Registry.Snapshot().Credential(id)
	if !ok || c.Token == nil || !auth.Matches(text, c.Hash) {
		return nil, refuse(errUnauthorized, "", "the token is not known here: it was revoked, or is another server's")
	}
	if expired(c.Token.Expires, s.now()) {
		return nil, refuse(errUnauthorized, "ask for a new one: \"fnctl token create\"", "the token %q has expired at %s", c.Token.Name, c.Token.Expires.Format(time.RFC3339))
	}
	return c, nil
}

func expired(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

// may says whether an endpoint is open to the actor; namespace is that of its path.
func (a actor) may(r *endpoint, namespace string) error {
	if r.role < viewer || a.role < r.role {
		return refuse(errForbidden, "use a token with the role "+r.role.String()+", or more", "this needs the role %s, and %s has the role %s", r.role, a.who, a.role)
	}
	if a.token == nil || len(a.token.Token.Namespaces) == 0 || r.about == theProgram {
		return nil
	}
	bound := a.token.Token.Namespaces
	if r.about == everything {
		return refuse(errForbidden, "use a token for all namespaces", "this is about all namespaces, and %s is only for %s", a.who, strings.Join(bound, ", "))
	}
	if !slices.Contains(bound, namespace) {
		return refuse(errForbidden, "use a token for that namespace, or name another one with -n", "%s is not for namespace %q, only for %s", a.who, namespace, strings.Join(bound, ", "))
	}
	return nil
}

// stillIn says whether the actor of a request could send it again: its token may have ended.
func (s *Server) stillIn(a actor) bool {
	if a.token == nil {
		return a.who == "root" || s.isOpen()
	}
	c, ok := s.o.Registry.Snapshot().Credential(a.token.ID)
	return ok && c.Token != nil && !expired(c.Token.Expires, s.now())
}

// actorKey is where guard leaves the actor in a context.
const actorKey = "actor"

func actorOf(c echo.Context) actor {
	a, _ := c.Get(actorKey).(actor) // the gateway has none
	return a
}

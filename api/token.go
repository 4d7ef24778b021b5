package api

import (
	"context"
	"net/http"
	"time"
)

// Roles of a token. Each may do what the one before it may, and more.
const (
	RoleViewer   = "viewer"   // reads
	RoleDeployer = "deployer" // deploys, calls, sends, pauses, redrives
	RoleAdmin    = "admin"    // tokens, keys, backups, the audit log
)

// Roles has the least first.
var Roles = [...]string{RoleViewer, RoleDeployer, RoleAdmin}

// AccessToken lets somebody use the management API. Its secret is told once, when it is made.
type AccessToken struct {
	Name string `json:"name"`
	Role string `json:"role"`
	// Namespaces are those that it is for; none = all, and what belongs to none.
	Namespaces []string  `json:"namespaces,omitempty"`
	Created    time.Time `json:"created"`
	// Expires is when it ends; zero = when it is revoked.
	Expires time.Time `json:"expires,omitzero"`
	// By is who made it, as Audit.Who.
	By string `json:"by,omitempty"`
}

// AccessTokenRequest says what a new token is to be.
type AccessTokenRequest struct {
	Role       string   `json:"role"`
	Namespaces []string `json:"namespaces,omitempty"`
	// Lifetime counts from now; 0 = until it is revoked.
	Lifetime Duration `json:"lifetime,omitempty"`
}

// NewAccessToken is a token with its secret, which nobody can read again.
type NewAccessToken struct {
	AccessToken
	Secret string `json:"secret"`
}

// CreateToken makes a token; a *Problem with status 409 when there is one of this name.
func (c *Client) CreateToken(ctx context.Context, name string, r AccessTokenRequest) (NewAccessToken, error) {
	return withBody[NewAccessToken](ctx, c, request{method: http.MethodPut, path: []string{"tokens", name}}, r)
}

// Tokens lists the tokens by name.
func (c *Client) Tokens(ctx context.Context) ([]AccessToken, error) {
	return get[[]AccessToken](ctx, c, request{path: []string{"tokens"}})
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: []string{"tokens", name}})
}

package api

import (
	"context"
	"net/http"
	"time"
)

// Key lets a client send data through the gateway, where a trigger or topic says auth: key. Its secret is told once, when it is made.
type Key struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Functions and Topics are what it is for; "*" stands for one token of a topic, ">" for the rest. Without any of both: everything in its namespace.
	Functions []string `json:"functions,omitempty"`
	Topics    []string `json:"topics,omitempty"`
	// Rate bounds what one node lets through; nil = no bound.
	Rate    *KeyRate  `json:"rate,omitempty"`
	Created time.Time `json:"created"`
	// Expires is when it ends; zero = when it is revoked.
	Expires time.Time `json:"expires,omitzero"`
	// By is who made it, as Audit.Who.
	By string `json:"by,omitempty"`
}

// KeyRate is so many requests in a period; after a pause as many may come at once.
type KeyRate struct {
	Limit  int      `json:"limit"`
	Period Duration `json:"period"`
}

// KeyRequest says what a new key is to be.
type KeyRequest struct {
	Functions []string `json:"functions,omitempty"`
	Topics    []string `json:"topics,omitempty"`
	Rate      *KeyRate `json:"rate,omitempty"`
	// Lifetime counts from now; 0 = until it is revoked.
	Lifetime Duration `json:"lifetime,omitempty"`
}

// NewKey is a key with its secret, which nobody can read again.
type NewKey struct {
	Key
	Secret string `json:"secret"`
}

// CreateKey makes a key; a *Problem with status 409 when there is one of this name.
func (c *Client) CreateKey(ctx context.Context, ns, name string, r KeyRequest) (NewKey, error) {
	return withBody[NewKey](ctx, c, request{method: http.MethodPut, path: []string{"ns", ns, "keys", name}}, r)
}

// Keys lists the keys of a namespace by name.
func (c *Client) Keys(ctx context.Context, ns string) ([]Key, error) {
	return get[[]Key](ctx, c, request{path: []string{"ns", ns, "keys"}})
}

// RevokeKey ends a key at once.
func (c *Client) RevokeKey(ctx context.Context, ns, name string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: []string{"ns", ns, "keys", name}})
}

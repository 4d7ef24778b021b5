package api

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// Audit is one change through the management API. Neither bodies nor secrets are in it.
type Audit struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	// Who is "token:NAME", "root" for EVOKE_ADMIN_TOKEN, or "local" on a server that is open to its machine.
	Who string `json:"who"`
	// Address is where the request came from.
	Address string `json:"address"`
	Method  string `json:"method"`
	// Route is the pattern of the path, "/ns/:ns/functions/:name", and Names what stands in the place of each of its parts.
	Route string            `json:"route"`
	Names map[string]string `json:"names,omitempty"`
	// Status is the answer's; 0 = nobody knows, because the runtime ended before it had one.
	Status int `json:"status,omitempty"`
	// Problem is the end of the problem's type when it was refused or failed, "conflict".
	Problem string `json:"problem,omitempty"`
}

// Path is the route with its names in place.
func (a *Audit) Path() string {
	parts := strings.Split(a.Route, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok && a.Names[name] != "" {
			parts[i] = a.Names[name]
		}
	}
	return strings.Join(parts, "/")
}

// AuditOptions select changes; zero fields select all.
type AuditOptions struct {
	// Since is a time or a duration back from now, as for logs.
	Since string
	Limit int // 0 is the server's own limit
}

// Audit lists the newest changes that the node which answers has recorded, oldest first.
func (c *Client) Audit(ctx context.Context, o AuditOptions) ([]Audit, error) {
	q := url.Values{}
	setText(q, "since", o.Since)
	setInt(q, "limit", o.Limit)
	return get[[]Audit](ctx, c, request{path: []string{"audit"}, query: q})
}

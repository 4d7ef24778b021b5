package main

import (
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /audit": []api.Audit{
			{ID: "1", Time: now, Who: "token:ci", Address: "192.0.2.7", Method: "PUT", Route: "/ns/:ns/apps/:app", Names: map[string]string{"ns": "shop", "app": "a\x1b[2J"}, Status: 200},
			{ID: "2", Time: now, Who: "root", Address: "::1", Method: "DELETE", Route: "/tokens/:name", Names: map[string]string{"name": "x"}, Status: 404, Problem: "unknown-credential"},
			{ID: "3", Time: now, Who: "local", Address: "127.0.0.1", Method: "PUT", Route: "/tokens/:name", Names: map[string]string{"name": "y"}},
		},
		"GET /audit?limit=5&since=7d": []api.Audit{},
	})
	at := timestamp(now)
	f.fnctl("audit").want(t, 0, "TIME                      WHO        FROM        WHAT                         STATUS\n"+
		at+"   token:ci   192.0.2.7   PUT /ns/shop/apps/a\\x1b[2J   200\n"+
		at+"   root       ::1         DELETE /tokens/x             404 unknown-credential\n"+
		at+"   local      127.0.0.1   PUT /tokens/y                -\n", "")
	f.fnctl("audit", "--since", "7d", "--limit", "5").want(t, 0, "", "no changes\n")
}

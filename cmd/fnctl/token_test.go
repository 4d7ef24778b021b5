package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestTokenCreate(t *testing.T) {
	t.Parallel()
	ci := api.AccessToken{Name: "ci", Role: "deployer", Namespaces: []string{"shop"}}
	f := newFake(t, map[string]any{
		"PUT /tokens/ci":   api.NewAccessToken{AccessToken: ci, Secret: "evt_secret"},
		"PUT /tokens/boss": api.Problem{Status: 403, Title: "The token may not do this", Detail: "this needs the role admin, and token:ci has the role deployer", Next: "use a token with the role admin, or more"},
		"PUT /tokens/gone": api.Problem{Status: 401, Title: "A token is needed", Detail: `the token "ci" has expired at 2026-01-31T13:00:00Z`},
	})
	f.fnctl("token", "create", "ci", "--role", "deployer", "--ns", "shop", "--expires", "90d").want(t, 0, "evt_secret\n",
		"made token ci: deployer of shop, until it is revoked; this is the only time that it is shown\n")
	if got, want := f.requests(), `PUT /tokens/ci {"role":"deployer","namespaces":["shop"],"lifetime":"2160h0m0s"}`; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	f.fnctl("token", "create", "boss", "--role", "admin").want(t, 5, "", "error: this needs the role admin, and token:ci has the role deployer\nTry: use a token with the role admin, or more\n")
	f.fnctl("token", "create", "gone", "--role", "admin").want(t, 5, "",
		"error: the token \"ci\" has expired at 2026-01-31T13:00:00Z\nTry: the server's token with --token or FNCTL_TOKEN (EVOKE_ADMIN_TOKEN of the runtime)\n")
	f.fnctl("token", "create", "x").want(t, 2, "", "error: token create needs a --role, which says what the token may do\nTry: add --role viewer, --role deployer or --role admin\n")
	f.fnctl("token", "create", "x", "--role", "root").want(t, 2, "", "error: --role is \"root\"; it must be one of viewer, deployer, admin\nTry: fnctl token create --help\n")
	f.fnctl("token", "create", "x", "--role", "admin", "--expires", "soon").want(t, 2, "", "error: --expires: \"soon\" is not a duration; try 500ms, 30s, 5m, 24h or 14d\nTry: --expires 90d\n")
	f.fnctl("token", "create", "x", "--role", "admin", "--expires", "0s").want(t, 2, "",
		"error: --expires is \"0s\", so it would never be good\nTry: --expires 90d, or leave it out for one that is good until it is revoked\n")
}

func TestTokenLsAndRevoke(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /tokens": []api.AccessToken{
			{Name: "ada", Role: "admin", Created: now.Add(-time.Hour), By: "local"},
			{Name: "ci", Role: "deployer", Namespaces: []string{"shop", "test"}, Created: now, Expires: now.Add(72 * time.Hour), By: "token:ada"},
			{Name: "old", Role: "viewer", Created: now.Add(-time.Hour), Expires: now.Add(-time.Minute)},
			{Name: "short", Role: "viewer", Created: now, Expires: now.Add(90 * time.Minute)},
		},
		"DELETE /tokens/ci": stub{status: http.StatusNoContent},
	})
	f.fnctl("token", "ls").want(t, 0, `NAME    ROLE       NAMESPACES   ENDS         AGE
ada     admin      all          never        1h
ci      deployer   shop,test    in 3d        0s
old     viewer     all          expired      1h
short   viewer     all          in 1h30m0s   0s
`, "")
	f.fnctl("token", "revoke", "ci").want(t, 0, "", "revoked token ci\n")
	f.fnctl("token", "revoke", "no").want(t, 3, "", "error: there is no DELETE /tokens/no\nTry: fnctl ls -n default\n")
	f.fnctl("token", "revoke").want(t, 2, "", "error: fnctl token revoke needs the NAME of a token; see fnctl token ls\nTry: fnctl token revoke --help\n")
}

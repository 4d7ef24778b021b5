package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
)

func TestEveryRouteHasARole(t *testing.T) {
	t.Parallel()
	s := setup(t).Server
	rows := map[string]bool{"GET /healthz": true, "GET /readyz": true, "GET /metrics": true}
	for _, r := range s.managementRoutes() {
		at := r.method + " " + r.path
		rows[r.method+" /api/v1"+r.path] = true
		if r.role < viewer || r.role > admin {
			t.Errorf("%s has no role", at)
		}
		if named := strings.HasPrefix(r.path, "/ns/:ns"); named != (r.about == aNamespace || r.about == aCall) {
			t.Errorf("%s is not about what its path says", at)
		}
		if reads := r.method == http.MethodGet || r.method == http.MethodHead; !reads && r.role == viewer {
			t.Errorf("%s changes something, and a viewer may", at)
		}
	}
	for _, r := range s.adminRoutes().Routes() {
		if !rows[r.Method+" "+r.Path] {
			t.Errorf("%s %s is served and not in the table of management.go, so it has no role", r.Method, r.Path)
		}
	}
}

// token makes a token and answers its secret.
func (b *bundle) token(name string, r api.AccessTokenRequest) string {
	b.t.Helper()
	got := b.send("PUT", b.admin+"/api/v1/tokens/"+name, r, "Authorization", "Bearer root")
	var made api.NewAccessToken
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || got.status != 201 || got.header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("create %s: %d %s", name, got.status, got.body)
	}
	return made.Secret
}

func withRoot(o *Options) {
	o.AdminToken = "root"
	o.Backup = func(context.Context, io.Writer) error { return nil }
}

func TestRolesOfEveryRoute(t *testing.T) {
	t.Parallel()
	b := setup(t, withRoot)
	tokens := map[role]string{}
	for r := viewer; r <= admin; r++ {
		tokens[r] = b.token(r.String(), api.AccessTokenRequest{Role: r.String()})
	}
	metrics := endpoint{method: "GET", path: "/../../metrics", role: viewer}
	for _, r := range append(b.managementRoutes(), metrics) {
		path := strings.NewReplacer(":ns", "default", ":digest", "sha256:0", ":", "a-").Replace(r.path)
		for has, token := range tokens {
			got := b.do(r.method, b.admin+"/api/v1"+path, "", "Authorization", "Bearer "+token)
			if allowed := got.status != 403 && got.status != 401; allowed != (has >= r.role) {
				t.Errorf("%s %s with the role %s: %d %s", r.method, r.path, has, got.status, got.body)
			}
			if got.status == 403 && r.method != "HEAD" {
				want := fmt.Sprintf("this needs the role %s, and token:%s has the role %s", r.role, has, has)
				if p := got.problem(t); p.Detail != want || p.Next != "use a token with the role "+r.role.String()+", or more" {
					t.Errorf("%s %s: %+v, want %s", r.method, r.path, p, want)
				}
			}
		}
	}
}

func TestTokensOfNamespaces(t *testing.T) {
	t.Parallel()
	b := setup(t, withRoot)
	bound := b.token("shop", api.AccessTokenRequest{Role: "admin", Namespaces: []string{"shop", "shop-test"}})
	for path, want := range map[string]string{
		"/api/v1/version":              "",
		"/api/v1/ns/shop/functions":    "",
		"/api/v1/ns/shop-test/topics":  "",
		"/api/v1/ns/default/functions": `token:shop is not for namespace "default", only for shop, shop-test`,
		"/api/v1/ns/sho%70/functions":  "",
		"/api/v1/tokens":               "this is about all namespaces, and token:shop is only for shop, shop-test",
		"/metrics":                     "this is about all namespaces",
		"/api/v1/backup":               "this is about all namespaces",
	} {
		got := b.do("GET", b.admin+path, "", "Authorization", "Bearer "+bound)
		if want == "" {
			if got.status != 200 {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
			continue
		}
		if p := got.problem(t); p.Status != 403 || !strings.HasPrefix(p.Detail, want) {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestTokensThatAreNotTaken(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[time.Time]
	b := setup(t, withRoot, func(o *Options) { o.Now = func() time.Time { return *now.Load() } })
	now.Store(&clock)
	token := b.token("ci", api.AccessTokenRequest{Role: "viewer", Lifetime: api.Duration(time.Hour)})
	gone := b.token("gone", api.AccessTokenRequest{Role: "viewer"})
	try := func(text string) answer {
		return b.do("GET", b.admin+"/api/v1/version", "", "Authorization", "Bearer "+text)
	}
	for _, text := range []string{token, gone} {
		if got := try(text); got.status != 200 {
			t.Fatalf("a good token: %d %s", got.status, got.body)
		}
	}
	if got := b.do("DELETE", b.admin+"/api/v1/tokens/gone", "", "Authorization", "Bearer root"); got.status != 204 {
		t.Fatalf("revoke: %d %s", got.status, got.body)
	}
	later := clock.Add(time.Hour)
	now.Store(&later)
	key, _ := auth.NewSecret(auth.KeyPrefix)
	other := token[:len(token)-1] + "a"
	if other == token {
		other = token[:len(token)-1] + "b"
	}
	for text, want := range map[string]string{
		token: `the token "ci" has expired at 2026-01-31T13:00:00Z`,
		gone:  "the token is not known here: it was revoked, or is another server's",
		other: "the token is not known here",
		key:   "this is an API key, which is for data at the gateway",
		"":    "the request has no bearer token",
		"x":   "the bearer token is not the server's",
	} {
		got := try(text)
		if p := got.problem(t); p.Status != 401 || !strings.HasPrefix(p.Detail, want) || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %+v", text, p)
		}
	}
	if got := try(strings.Repeat("x", 1<<20)); got.status != 431 {
		t.Errorf("a token of 1 MiB: %d", got.status)
	}
}

func TestFirstTokenClosesAnOpenServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	put := func(name, bearer string, r api.AccessTokenRequest) answer {
		return b.send("PUT", b.admin+"/api/v1/tokens/"+name, r, "Authorization", "Bearer "+bearer)
	}
	for _, r := range []api.AccessTokenRequest{{Role: "viewer"}, {Role: "admin", Namespaces: []string{"a"}}, {Role: "admin", Lifetime: api.Duration(time.Hour)}} {
		p := put("first", "", r).problem(t)
		if p.Status != 409 || !strings.HasPrefix(p.Detail, "the first token closes the management API, so it must be able to make others") || !strings.Contains(p.Next, "fnctl token create NAME --role admin") {
			t.Errorf("%+v: %+v", r, p)
		}
	}
	if p := put("first", "", api.AccessTokenRequest{Role: "boss"}).problem(t); p.Status != 400 || p.Detail != `role: "boss" is no role; there are viewer, deployer, admin` {
		t.Errorf("no role: %+v", p)
	}
	var boss api.NewAccessToken
	if err := json.Unmarshal([]byte(put("boss", "", api.AccessTokenRequest{Role: "admin"}).body), &boss); err != nil || boss.By != "local" {
		t.Fatalf("first token %+v: %v", boss, err)
	}
	if got := b.do("GET", b.admin+"/api/v1/version", ""); got.status != 401 {
		t.Fatalf("still open: %d", got.status)
	}
	if got := put("ci", boss.Secret, api.AccessTokenRequest{Role: "deployer", Namespaces: []string{"shop"}}); got.status != 201 || !strings.Contains(got.body, `"by":"token:boss"`) {
		t.Fatalf("second token: %d %s", got.status, got.body)
	}
	list := b.do("GET", b.admin+"/api/v1/tokens", "", "Authorization", "Bearer "+boss.Secret)
	if !strings.Contains(list.body, `"name":"ci","role":"deployer","namespaces":["shop"]`) || strings.Contains(list.body, "secret") || strings.Contains(list.body, "hash") {
		t.Errorf("list: %s", list.body)
	}
	revoke := func(name string) answer {
		return b.do("DELETE", b.admin+"/api/v1/tokens/"+name, "", "Authorization", "Bearer "+boss.Secret)
	}
	if p := revoke("boss").problem(t); p.Status != 409 || p.Detail != `"boss" is the last token that can make and revoke others` {
		t.Errorf("revoke the last admin: %+v", p)
	}
	if p := revoke("nobody").problem(t); p.Status != 404 || p.Detail != `no token "nobody"` {
		t.Errorf("revoke nobody: %+v", p)
	}
	for _, name := range []string{"ci", "boss"} {
		if got := revoke(name); got.status != 204 {
			t.Fatalf("revoke %s: %d %s", name, got.status, got.body)
		}
	}
	if got := b.do("GET", b.admin+"/api/v1/version", ""); got.status != 200 {
		t.Errorf("not open again without tokens: %d", got.status)
	}
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{time.Second: "lifetime: 1s is not between 1m and 3650d", -1: "lifetime: -1ns is not", maxLifetime + 1: "is not between", time.Hour: "", 0: ""} {
		_, err := endOf(clock, api.Duration(d))
		if got := fmt.Sprint(err); !strings.Contains(got, want) || want == "" && err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
}

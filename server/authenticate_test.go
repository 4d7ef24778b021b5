package server

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/scheduler"
)

// issuer signs tokens, by a library that the server does not have.
type issuer struct {
	t    *testing.T
	url  string
	key  *ecdsa.PrivateKey
	down atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t}
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	point, err := i.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	keys := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"one","x":%q,"y":%q}]}`, text(point[1:33]), text(point[33:]))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case i.down.Load():
			http.Error(w, "down", http.StatusBadGateway)
		case r.URL.Path == "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.url, i.url+"/keys")
		default:
			fmt.Fprint(w, keys)
		}
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// token is a good one with some claims changed: name, value, name, value.
func (i *issuer) token(change ...any) string {
	i.t.Helper()
	claims := jwt.MapClaims{"iss": i.url, "aud": "shop", "sub": "ada", "exp": clock.Add(time.Hour).Unix()}
	for n := 0; n < len(change); n += 2 {
		claims[change[n].(string)] = change[n+1]
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = "one"
	text, err := token.SignedString(i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func (i *issuer) rule() api.AuthRule {
	return api.AuthRule{JWT: &api.JWTAuth{Issuer: i.url, Audience: "shop", Claims: map[string]string{"scope": "orders:write"}, Forward: []string{"email"}}}
}

func anyOf(rules ...api.AuthRule) *api.Auth { return &api.Auth{Any: rules} }

func byKey(names ...string) api.AuthRule {
	return api.AuthRule{Key: &api.KeyAuth{Names: names}}
}

// deployGuarded puts functions and open topics in force, by what each asks for: the functions have the names, the topics too.
func (b *bundle) deployGuarded(what map[string]*api.Auth) {
	b.t.Helper()
	app := api.App{Functions: map[string]api.FunctionSpec{}, Topics: map[string]api.TopicSpec{}}
	digest := b.module()
	for name, a := range what {
		app.Functions[name] = api.FunctionSpec{Module: digest, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{Auth: a}}}}
		app.Topics[name] = api.TopicSpec{Ingress: true, Auth: a}
	}
	if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/guarded", app); got.status != 200 {
		b.t.Fatalf("deploy: %d %s", got.status, got.body)
	}
}

// key makes an API key and answers its secret.
func (b *bundle) key(name string, r api.KeyRequest) string {
	b.t.Helper()
	got := b.send("PUT", b.admin+"/api/v1/ns/default/keys/"+name, r)
	var made api.NewKey
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || got.status != 201 || got.header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("create %s: %d %s", name, got.status, got.body)
	}
	return made.Secret
}

// publish sends a binary event to a topic.
func (b *bundle) publish(topic, id string, header ...string) answer {
	b.t.Helper()
	return b.do("POST", b.gateway+"/topics/"+topic, "{}", append([]string{"Ce-Id", id, "Ce-Source", "/t", "Ce-Type", "t", "Ce-Specversion", "1.0", "Content-Type", "application/json"}, header...)...)
}

// identity is what an event says of who sent it.
func identity(e *event.Event) (out auth.Identity) {
	out.Type, _ = e.Extension(authType)
	out.ID, _ = e.Extension(authID)
	out.Claims, _ = e.Extension(authClaims)
	return out
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	calls := b.replying(scheduler.Reply{Data: []byte("hi")})
	b.deployGuarded(map[string]*api.Auth{"open": nil, "pay": anyOf(byKey()), "vip": anyOf(byKey("gold", "silver"))})
	all := b.key("all", api.KeyRequest{})
	pay := b.key("pay", api.KeyRequest{Functions: []string{"pay"}, Lifetime: api.Duration(time.Hour)})
	topics := b.key("topics", api.KeyRequest{Topics: []string{"pay", "orders.*"}})
	gold := b.key("gold", api.KeyRequest{Functions: []string{"vip"}})
	token, _ := auth.NewSecret(auth.TokenPrefix)
	wrong := all[:len(all)-1] + string("ab"[(all[len(all)-1]-'a'+1)%2])
	for _, tc := range []struct {
		what, path string
		header     []string
		status     int
		detail     string // "" = it is let in, by the key in next
		next       string
	}{
		{"an open function", "/fn/open", nil, 200, "", ""},
		{"nothing", "/fn/pay", nil, 401, "function pay takes only requests with an API key", `send it as "Authorization: Bearer …"`},
		{"nothing, to a topic", "/topics/pay", nil, 401, "topic pay takes only requests with an API key", `an API key also as "Evoke-Api-Key: evk_…"`},
		{"a key", "/fn/pay", []string{"Authorization", "Bearer " + all}, 200, "", "all"},
		{"a key that an open function does not ask for", "/fn/open", []string{"Authorization", "Bearer " + all}, 200, "", ""},
		{"the header for keys, to an open function", "/fn/open", []string{keyHeader, all}, 200, "", ""},
		{"several spaces behind the scheme", "/fn/pay", []string{"Authorization", "Bearer   " + all}, 200, "", "all"},
		{"scheme in another case", "/fn/pay", []string{"Authorization", "bEARER " + all}, 200, "", "all"},
		{"the header for keys", "/fn/pay/below", []string{keyHeader, pay}, 200, "", "pay"},
		{"the header beside another login", "/fn/pay", []string{keyHeader, pay, "Authorization", "Basic YTpi"}, 200, "", "pay"},
		{"a key by name", "/fn/vip", []string{keyHeader, gold}, 200, "", "gold"},
		{"a key that is not among the names", "/fn/vip", []string{keyHeader, all}, 403, `the API key "all" is not for function vip`, `use a key that is for it: "fnctl key ls"`},
		{"a key of another function", "/fn/vip", []string{keyHeader, pay}, 403, `the API key "pay" is not for function vip`, "use a key"},
		{"a key for topics", "/fn/pay", []string{keyHeader, topics}, 403, `the API key "topics" is not for function pay`, "use a key"},
		{"a key for functions", "/topics/pay", []string{keyHeader, pay}, 403, `the API key "pay" is not for topic pay`, "use a key"},
		{"a wrong secret", "/fn/pay", []string{keyHeader, wrong}, 401, "the API key is not known here: it is mistyped, was revoked, or is another server's", `"fnctl key create" makes one`},
		{"no key at all", "/fn/pay", []string{keyHeader, "evk_"}, 401, "the API key is not known here", ""},
		{"a management token", "/fn/pay", []string{keyHeader, token}, 401, "the API key is not known here", ""},
		{"a token in place of a key", "/fn/pay", []string{"Authorization", "Bearer a.b.c"}, 401, "function pay takes only requests with an API key", ""},
		{"another scheme", "/fn/pay", []string{"Authorization", "Basic " + all}, 401, "function pay takes only requests with an API key", ""},
	} {
		got := b.do("POST", b.gateway+tc.path, "x", append(tc.header, "Ce-Authid", "forged")...)
		if got.status != tc.status {
			t.Errorf("%s: %d %s", tc.what, got.status, got.body)
			continue
		}
		if tc.detail != "" {
			p := got.problem(t)
			if !strings.HasPrefix(p.Detail, tc.detail) || !strings.Contains(p.Next, tc.next) || tc.status == 401 && got.header.Get("WWW-Authenticate") != `Bearer realm="evoke"` {
				t.Errorf("%s: %+v, %q", tc.what, p, got.header)
			}
			continue
		}
		c := <-calls
		if want := (auth.Identity{Type: "api_key", ID: tc.next}); tc.next != "" && identity(&c.Event) != want || tc.next == "" && identity(&c.Event) != (auth.Identity{}) {
			t.Errorf("%s: the function is told of %+v", tc.what, identity(&c.Event))
		}
		if strings.Contains(string(c.Event.Request), "evk_") {
			t.Errorf("%s: the function gets the key: %s", tc.what, c.Event.Request)
		}
		if strings.Contains(tc.what, "beside") && !strings.Contains(string(c.Event.Request), "Basic YTpi") {
			t.Errorf("%s: the function does not get its own login: %s", tc.what, c.Event.Request)
		}
	}
	if text := b.do("GET", b.admin+"/metrics", "").body; !strings.Contains(text, `evoke_http_strangers_total{problem="key-not-for-this"} 4`) || !strings.Contains(text, `{problem="invalid-key"} 3`) {
		t.Errorf("metrics: %s", text)
	}
	if got := b.publish("pay", "1", keyHeader, topics, "Ce-Authtype", "user", "Ce-Authid", "root", "Ce-Authclaims", "{}", "Ce-Other", "stays"); got.status != 202 {
		t.Fatalf("publish with a key: %d %s", got.status, got.body)
	}
	if got := b.publish("open", "1", "Ce-Authtype", "user", "Ce-Authid", "root", "Ce-Authclaims", "{}", "Ce-Other", "stays"); got.status != 202 {
		t.Fatalf("publish: %d %s", got.status, got.body)
	}
	for topic, want := range map[string]auth.Identity{"pay": {Type: "api_key", ID: "topics"}, "open": {}} {
		e := b.stored("default", topic)[0]
		if other, _ := e.Extension("other"); identity(&e) != want || other != "stays" {
			t.Errorf("topic %s: stored %+v", topic, e.Extensions)
		}
	}
}

// A browser asks without keys whether it may send one, and its page is to see why it may not.
func TestAuthOfARouteForPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	calls := b.replying(scheduler.Reply{Data: []byte("hi")})
	b.deployRoutes("default", "shop", api.HTTPTrigger{Path: "/open"}, api.HTTPTrigger{Path: "/orders/{id}", Methods: []string{"GET"}, Auth: anyOf(byKey()), CORS: &api.CORS{Origins: []string{"https://shop.example"}, Headers: []string{"Authorization"}}})
	got := b.do("OPTIONS", b.gateway+"/orders/7", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if got.status != 204 || !strings.EqualFold(got.header.Get("Access-Control-Allow-Headers"), "authorization") {
		t.Errorf("preflight: %d %v", got.status, got.header)
	}
	got = b.do("GET", b.gateway+"/orders/7", "", "Origin", "https://shop.example")
	if p := got.problem(t); p.Status != 401 || got.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("without a key: %+v %v", p, got.header)
	}
	got = b.do("GET", b.gateway+"/orders/7", "", "Origin", "https://shop.example", "Authorization", "Bearer "+b.key("web", api.KeyRequest{}))
	if got.status != 200 {
		t.Errorf("with a key: %d %s", got.status, got.body)
	}
	if c := <-calls; identity(&c.Event).ID != "web" {
		t.Errorf("the function is told of %+v", identity(&c.Event))
	}
	if got := b.do("GET", b.gateway+"/open", ""); got.status != 200 {
		t.Errorf("the open route of the same function: %d %s", got.status, got.body)
	}
}

func TestForgedIdentityInEveryForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployGuarded(map[string]*api.Auth{"open": nil})
	one := `{"specversion":"1.0","id":%q,"source":"/t","type":"t","authtype":"user","authid":"root","authclaims":"{}"}`
	for contentType, body := range map[string]string{
		"application/cloudevents+json":       fmt.Sprintf(one, "s"),
		"application/cloudevents-batch+json": "[" + fmt.Sprintf(one, "b1") + "," + fmt.Sprintf(one, "b2") + "]",
	} {
		if got := b.do("POST", b.gateway+"/topics/open", body, "Content-Type", contentType); got.status != 202 {
			t.Errorf("%s: %d %s", contentType, got.status, got.body)
		}
	}
	events := b.stored("default", "open")
	for i := range events {
		if identity(&events[i]) != (auth.Identity{}) {
			t.Errorf("stored with %+v", events[i].Extensions)
		}
	}
	if len(events) != 3 {
		t.Errorf("%d events", len(events))
	}
	if got := b.deployHooks("default", api.WebhookTrigger{Scheme: "none"}); got.status != 200 {
		t.Fatalf("deploy: %d %s", got.status, got.body)
	}
	if got := b.do("POST", b.gateway+"/webhooks/hello", fmt.Sprintf(one, "w"), "Content-Type", "application/cloudevents+json"); got.status != 202 {
		t.Fatalf("webhook: %d %s", got.status, got.body)
	}
	if e := b.stored("default", "_webhook.hello")[0]; e.ID != "w" || identity(&e) != (auth.Identity{}) {
		t.Errorf("of a webhook: %+v", e)
	}
	if got := b.do("POST", b.gateway+"/webhooks/hello", "{}", "Content-Type", "application/json", "X-Forwarded-For", "203.0.113.9", "X-Real-Ip", "203.0.113.9"); got.status != 202 {
		t.Fatalf("webhook: %d %s", got.status, got.body)
	}
	if e := b.stored("default", "_webhook.hello")[1]; !strings.Contains(string(e.Request), `["x-forwarded-for","127.0.0.1"]`) || strings.Contains(string(e.Request), "203.0.113.9") {
		t.Errorf("of a webhook: %s", e.Request)
	}
	// Who may manage may say what they want, to try a function out.
	if got := b.do("POST", b.admin+"/api/v1/ns/default/topics/open/events", fmt.Sprintf(one, "m"), "Content-Type", "application/cloudevents+json"); got.status != 202 {
		t.Fatalf("emit: %d %s", got.status, got.body)
	}
	for _, e := range b.stored("default", "open") {
		if e.ID == "m" && identity(&e) != (auth.Identity{Type: "user", ID: "root", Claims: "{}"}) {
			t.Errorf("emitted with %+v", e.Extensions)
		}
	}
}

func TestKeysThatEnd(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[time.Time]
	b := setup(t, func(o *Options) { o.Now = func() time.Time { return *now.Load() } })
	now.Store(&clock)
	b.replying(scheduler.Reply{Data: []byte("hi")})
	b.deployGuarded(map[string]*api.Auth{"f": anyOf(byKey())})
	short := b.key("short", api.KeyRequest{Lifetime: api.Duration(time.Hour)})
	gone := b.key("gone", api.KeyRequest{})
	if p := b.send("PUT", b.admin+"/api/v1/ns/default/keys/gone", api.KeyRequest{}).problem(t); p.Status != 409 || !strings.Contains(p.Detail, "there is one already; choose another name, or revoke that one first") {
		t.Errorf("the same name: %+v", p)
	}
	list := b.do("GET", b.admin+"/api/v1/ns/default/keys", "")
	if !strings.Contains(list.body, `"name":"gone"`) || strings.Contains(list.body, "evk_") || strings.Contains(list.body, "hash") {
		t.Errorf("list: %s", list.body)
	}
	try := func(key string) answer { return b.do("GET", b.gateway+"/fn/f", "", keyHeader, key) }
	for _, key := range []string{short, gone} {
		if got := try(key); got.status != 200 {
			t.Fatalf("a good key: %d %s", got.status, got.body)
		}
	}
	if got := b.do("DELETE", b.admin+"/api/v1/ns/default/keys/gone", ""); got.status != 204 {
		t.Fatalf("revoke: %d %s", got.status, got.body)
	}
	if p := try(gone).problem(t); p.Status != 401 || !strings.Contains(p.Detail, "was revoked") {
		t.Errorf("a revoked key: %+v", p)
	}
	if p := b.do("DELETE", b.admin+"/api/v1/ns/default/keys/gone", "").problem(t); p.Status != 404 || p.Detail != `no API key "gone" in namespace "default"` || p.Next != `"fnctl key ls" shows what there is` {
		t.Errorf("revoke again: %+v", p)
	}
	if p := b.send("PUT", b.admin+"/api/v1/ns/default/keys/odd", api.KeyRequest{Topics: []string{"v*"}}).problem(t); p.Status != 400 || !strings.HasPrefix(p.Detail, `topics[0]: topic pattern "v*" has "*" in part 1`) || p.Next != "correct it and repeat" {
		t.Errorf("a key for no topic: %+v", p)
	}
	later := clock.Add(time.Hour)
	now.Store(&later)
	if p := try(short).problem(t); p.Status != 401 || p.Detail != `the API key "short" has expired at 2026-01-31T13:00:00Z` || !strings.Contains(p.Next, "fnctl key create") {
		t.Errorf("an expired key: %+v", p)
	}
}

func TestRateOfAKey(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[time.Time]
	b := setup(t, func(o *Options) { o.Now = func() time.Time { return *now.Load() } })
	now.Store(&clock)
	b.replying(scheduler.Reply{Data: []byte("hi")})
	b.deployGuarded(map[string]*api.Auth{"f": anyOf(byKey())})
	slow := b.key("slow", api.KeyRequest{Rate: &api.KeyRate{Limit: 2, Period: api.Duration(time.Minute)}})
	other := b.key("other", api.KeyRequest{Rate: &api.KeyRate{Limit: 1, Period: api.Duration(time.Hour)}})
	try := func(key string) answer { return b.do("GET", b.gateway+"/fn/f", "", keyHeader, key) }
	for range 2 {
		if got := try(slow); got.status != 200 {
			t.Fatalf("within the rate: %d %s", got.status, got.body)
		}
	}
	for range 3 { // what is refused does not count
		got := try(slow)
		p := got.problem(t)
		if p.Status != 429 || got.header.Get("Retry-After") != "30" || p.Detail != `the API key "slow" has sent as much as it may` || p.Type != "https://evoke.run/problems/key-rate" {
			t.Errorf("over the rate: %+v %v", p, got.header)
		}
	}
	if got := try(other); got.status != 200 {
		t.Errorf("another key: %d %s", got.status, got.body)
	}
	later := clock.Add(30 * time.Second)
	now.Store(&later)
	if got := try(slow); got.status != 200 {
		t.Errorf("later: %d %s", got.status, got.body)
	}
	if got := try(slow); got.status != 429 {
		t.Errorf("once more: %d %s", got.status, got.body)
	}
}

func TestTokensOfIssuers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	calls := b.replying(scheduler.Reply{Data: []byte("hi")})
	i, stranger := newIssuer(t), newIssuer(t)
	b.deployGuarded(map[string]*api.Auth{"f": anyOf(i.rule()), "both": anyOf(byKey(), i.rule()), "two": anyOf(stranger.rule(), i.rule())})
	key := b.key("web", api.KeyRequest{Functions: []string{"both"}})
	good := i.token("scope", "orders:read orders:write", "email", "ada@example.com")
	ada := auth.Identity{Type: "app_user", ID: "ada", Claims: `{"email":"ada@example.com","iss":"` + i.url + `","scope":"orders:read orders:write"}`}
	for _, path := range []string{"/fn/f", "/fn/both", "/fn/two"} {
		if got := b.do("GET", b.gateway+path, "", "Authorization", "Bearer "+good); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
			continue
		}
		if c := <-calls; identity(&c.Event) != ada || !strings.Contains(string(c.Event.Request), good) {
			t.Errorf("%s: the function is told of %+v by %s", path, identity(&c.Event), c.Event.Request)
		}
	}
	if got := b.publish("f", "1", "Authorization", "Bearer "+good, "Ce-Authid", "root"); got.status != 202 {
		t.Errorf("publish: %d %s", got.status, got.body)
	}
	if e := b.stored("default", "f")[0]; identity(&e) != ada {
		t.Errorf("stored with %+v", e.Extensions)
	}
	foreign := fmt.Sprintf(`the token is of issuer %q, and not of`, "https://x.example")
	for _, tc := range []struct {
		what, path string
		header     []string
		status     int
		detail     string
		challenge  string
	}{
		{"nothing", "/fn/f", nil, 401, "function f takes only requests with a token of " + i.url, `Bearer realm="evoke"`},
		{"nothing, two ways", "/fn/both", nil, 401, "function both takes only requests with an API key, or a token of " + i.url, `Bearer realm="evoke"`},
		{"nothing, two issuers", "/fn/two", nil, 401, "function two takes only requests with a token of " + stranger.url + " or " + i.url, `Bearer realm="evoke"`},
		{"an API key", "/fn/f", []string{"Authorization", "Bearer " + key}, 401, "function f takes only requests with a token of", `Bearer realm="evoke"`},
		{"expired", "/fn/f", []string{"Authorization", "Bearer " + i.token("exp", clock.Add(-time.Minute).Unix())}, 401, "the token has expired at 2026-01-31T11:59:00Z",
			`Bearer realm="evoke", error="invalid_token", error_description="the token has expired at 2026-01-31T11:59:00Z"`},
		{"of somebody else", "/fn/f", []string{"Authorization", "Bearer " + i.token("iss", "https://x.example")}, 401, foreign, `Bearer realm="evoke", error="invalid_token", error_description="the token is of issuer 'https://x.example', and not of`},
		{"in a name that is not its own", "/fn/f", []string{"Authorization", "Bearer " + stranger.token("iss", i.url)}, 401, "the signature of the token is wrong", `Bearer realm="evoke", error="invalid_token"`},
		{"without the claim", "/fn/f", []string{"Authorization", "Bearer " + i.token("scope", "orders:read")}, 403, "the token has not the claim scope: orders:write", `Bearer realm="evoke", error="insufficient_scope"`},
		{"without the claim, in both ways", "/fn/both", []string{"Authorization", "Bearer " + i.token(), keyHeader, "evk_"}, 403, "the token has not the claim scope: orders:write", `Bearer realm="evoke", error="insufficient_scope"`},
		{"expired, of the second issuer", "/fn/two", []string{"Authorization", "Bearer " + i.token("exp", clock.Add(-time.Minute).Unix())}, 401, "the token has expired", `Bearer realm="evoke", error="invalid_token"`},
		{"no token", "/fn/f", []string{"Authorization", "Bearer x"}, 401, "the token is no signed JSON Web Token", `Bearer realm="evoke", error="invalid_token"`},
	} {
		got := b.do("GET", b.gateway+tc.path, "", tc.header...)
		p := got.problem(t)
		if p.Status != tc.status || !strings.HasPrefix(p.Detail, tc.detail) || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), tc.challenge) || p.Next == "" {
			t.Errorf("%s: %+v, %s", tc.what, p, got.header.Get("WWW-Authenticate"))
		}
	}
	if len(calls) != 0 {
		t.Errorf("%d calls came through", len(calls))
	}
}

func TestIssuerOutOfReach(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.replying(scheduler.Reply{Data: []byte("hi")})
	i := newIssuer(t)
	i.down.Store(true)
	digest := b.module()
	deployed := b.send("PUT", b.admin+"/api/v1/ns/default/apps/guarded", api.App{Functions: map[string]api.FunctionSpec{
		"f": {Module: digest, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{Auth: anyOf(byKey(), i.rule())}}}},
		"g": {Module: digest, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{Auth: anyOf(byKey())}}}},
	}})
	var out api.Deployed
	if err := json.Unmarshal([]byte(deployed.body), &out); err != nil || deployed.status != 200 || len(out.Functions) != 2 {
		t.Fatalf("deploy: %d %s", deployed.status, deployed.body)
	}
	const warning = " cannot be fetched now, and until they can, its tokens get 503; the server's log says why"
	if f, g := out.Functions[0].Warnings, out.Functions[1].Warnings; len(f) != 2 || f[1] != "the keys of issuer "+i.url+warning || len(g) != 1 {
		t.Errorf("warnings %q and %q", f, g)
	}
	got := b.do("GET", b.gateway+"/fn/f", "", "Authorization", "Bearer "+i.token("scope", "orders:write"))
	p := got.problem(t)
	if p.Status != 503 || got.header.Get("Retry-After") != "10" || p.Detail != "the keys of issuer "+i.url+" cannot be fetched, so the token cannot be checked" || !strings.Contains(p.Next, "the server's log") {
		t.Errorf("%+v, %v", p, got.header)
	}
	if !strings.Contains(b.logged.String(), "openid-configuration answers with status 502") {
		t.Errorf("the log does not say why: %s", b.logged)
	}
}

func TestIssuersThatNobodyAsks(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.InsecureIssuers = []string{"id.internal"} })
	digest := b.module()
	deploy := func(issuer string) answer {
		return b.send("PUT", b.admin+"/api/v1/ns/default/apps/a", api.App{Functions: map[string]api.FunctionSpec{
			"f": {Module: digest, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{Auth: anyOf(api.AuthRule{JWT: &api.JWTAuth{Issuer: issuer, Audience: "shop"}})}}}},
		}})
	}
	p := deploy("http://id.example").problem(t)
	const want = "functions.f.on[0].http.auth: issuer http://id.example is not https: its keys could be anybody's; use https, or name the host in --insecure-issuers of the runtime"
	if p.Status != 400 || p.Detail != want || p.Next != "correct it in fn.yaml and deploy again" {
		t.Errorf("%+v", p)
	}
	if got := deploy("http://id.internal"); got.status != 200 {
		t.Errorf("one that is named: %d %s", got.status, got.body)
	}
}

// What is refused is refused before its body is read: here it never comes.
func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployGuarded(map[string]*api.Auth{"f": anyOf(byKey())})
	for _, path := range []string{"/fn/f", "/topics/f"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.gateway, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n", path)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || line != "HTTP/1.1 401 Unauthorized\r\n" {
			t.Errorf("%s: %q, %v", path, line, err)
		}
	}
}

// A token that is stored could be read by everybody who may see events.
func TestTokensAreNotStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	i := newIssuer(t)
	b.deployGuarded(map[string]*api.Auth{"f": anyOf(i.rule()), "open": nil})
	token := i.token("scope", "orders:write")
	for function, kept := range map[string]bool{"f": false, "open": true} { // an open function may ask for it itself
		got := b.do("POST", b.gateway+"/fn/"+function, "x", "Authorization", "Bearer "+token, "Prefer", "respond-async")
		if got.status != 202 {
			t.Fatalf("%s: %d %s", function, got.status, got.body)
		}
		e := b.stored("default", "_inbox."+function)[0]
		if strings.Contains(string(e.Request), token) != kept {
			t.Errorf("%s: stored %s", function, e.Request)
		}
	}
}

func TestRepliesAreKeptForWhoGotThem(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/fn/f", nil)
	r.Header.Set("Idempotency-Key", "k")
	seen := map[[16]byte]auth.Identity{}
	for _, who := range []auth.Identity{{}, {Type: "api_key", ID: "a"}, {Type: "api_key", ID: "b"}, {Type: "app_user", ID: "a"}, {Type: "app_user", ID: "a", Claims: `{"iss":"x"}`}} {
		once, err := onceOf(r, who, []byte("body"))
		if err != nil {
			t.Fatal(err)
		}
		if other, there := seen[once.Request]; there {
			t.Errorf("%+v gets the reply of %+v", who, other)
		}
		seen[once.Request] = who
	}
}

func TestStoredCallsOfTwoWithOneIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployGuarded(map[string]*api.Auth{"f": anyOf(byKey()), "open": nil})
	ada, eve := b.key("ada", api.KeyRequest{}), b.key("eve", api.KeyRequest{})
	for _, key := range []string{ada, eve, ada, eve} {
		if got := b.do("POST", b.gateway+"/fn/f", "x", keyHeader, key, "Idempotency-Key", "k", "Prefer", "respond-async"); got.status != 202 {
			t.Errorf("%d %s", got.status, got.body)
		}
		if got := b.do("POST", b.gateway+"/fn/open", "x", "Idempotency-Key", "k", "Prefer", "respond-async"); got.status != 202 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	var who []string
	for _, e := range b.stored("default", "_inbox.f") {
		who = append(who, identity(&e).ID)
	}
	slices.Sort(who)
	if fmt.Sprint(who) != "[ada eve]" {
		t.Errorf("stored calls of %v", who)
	}
	if events := b.stored("default", "_inbox.open"); len(events) != 1 || events[0].ID != "k" {
		t.Errorf("stored %+v", events)
	}
}

func TestWorseOfTwoRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ a, b, want error }{
		{nil, errBadKey, errBadKey}, {errForeignJWT, errBadJWT, errBadJWT}, {errBadJWT, errForeignJWT, errBadJWT}, {errBadKey, errWrongKey, errWrongKey},
		{errDeniedJWT, errBadKey, errDeniedJWT}, {errBadKey, errIssuer, errIssuer},
	} {
		if got := worse(tc.a, tc.b); !errors.Is(got, tc.want) {
			t.Errorf("%v and %v: %v", tc.a, tc.b, got)
		}
	}
}

func FuzzCredentialsOf(f *testing.F) {
	f.Add("Bearer evk_a", "")
	f.Add("bearer a.b.c", "evk_b")
	f.Add("Basic x", "x")
	f.Fuzz(func(t *testing.T, authorization, key string) {
		h := http.Header{"Authorization": {authorization}, keyHeader: {key}}
		sent := credentialsOf(h)
		if h.Get(keyHeader) != "" || strings.HasPrefix(sent.key, auth.KeyPrefix) && h.Get("Authorization") == "Bearer "+sent.key {
			t.Errorf("%q, %q: the function gets %v", authorization, key, h)
		}
		if sent.jwt != "" && !strings.HasSuffix(authorization, sent.jwt) || strings.HasPrefix(sent.jwt, auth.KeyPrefix) {
			t.Errorf("%q is taken for the token %q", authorization, sent.jwt)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add("the token is of issuer \"x\"\r\nSet-Cookie: a=b \\ \x7f é")
	f.Fuzz(func(t *testing.T, why string) {
		got := challenge("invalid_token", why)
		inner, ok := strings.CutSuffix(strings.TrimPrefix(got, `Bearer realm="evoke", error="invalid_token", error_description="`), `"`)
		if !ok || strings.ContainsFunc(inner, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%q makes the header %q", why, got)
		}
	})
}

package manifest_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/manifest"
)

func TestAuth(t *testing.T) {
	t.Parallel()
	jwt := &api.JWTAuth{Issuer: "https://id.example.com", Audience: "shop"}
	full := &api.JWTAuth{
		Issuer: "https://id.example.com/realms/a", Audience: "shop", JWKS: "https://id.example.com/keys",
		Claims: map[string]string{"scope": "orders:write", "level": "3", "admin": "true"}, Forward: []string{"email", "org.id"},
	}
	for text, want := range map[string]*api.Auth{
		"none":                               nil,
		"key":                                {Any: []api.AuthRule{{Key: &api.KeyAuth{}}}},
		"{ key: { names: [web, partner] } }": {Any: []api.AuthRule{{Key: &api.KeyAuth{Names: []string{"web", "partner"}}}}},
		"{ jwt: { issuer: https://id.example.com, audience: shop } }":        {Any: []api.AuthRule{{JWT: jwt}}},
		"[key, { jwt: { issuer: https://id.example.com, audience: shop } }]": {Any: []api.AuthRule{{Key: &api.KeyAuth{}}, {JWT: jwt}}},
		"{ jwt: { issuer: 'https://id.example.com/realms/a', audience: shop, jwks: https://id.example.com/keys, claims: { scope: orders:write, level: 3, admin: true }, forward: [email, org.id] } }": {Any: []api.AuthRule{{JWT: full}}},
	} {
		for _, where := range []struct {
			page string
			got  func(*manifest.Manifest) *api.Auth
		}{
			{"version: 1\napp: a\nfunctions:\n  f:\n    wasm: f.wasm\n    on: [ { http: { auth: " + text + " } } ]\n", func(m *manifest.Manifest) *api.Auth { return m.Functions[0].Spec.Triggers[0].HTTP.Auth }},
			{"version: 1\napp: a\nfunctions: { f: { wasm: f.wasm } }\ntopics:\n  t: { ingress: true, auth: " + text + " }\n", func(m *manifest.Manifest) *api.Auth { return m.Topics["t"].Auth }},
		} {
			m, err := manifest.Parse("fn.yaml", []byte(where.page))
			if err != nil {
				t.Errorf("%s: %v", where.page, err)
				continue
			}
			if got := where.got(m); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, want %+v", text, got, want)
			}
		}
	}
}

func TestAuthThatIsWrong(t *testing.T) {
	t.Parallel()
	const at = "functions.f.on[0].http.auth"
	for text, want := range map[string]string{
		"keys":          at + ` must be none, key, { jwt: { issuer: …, audience: … } }, or a list of ways in, not "keys"`,
		"jwt":           at + ": jwt needs an issuer and an audience; write { jwt: { issuer: https://id.example.com, audience: shop } }",
		"true":          at + " must be none, key",
		"[]":            at + " is an empty list, which would let nobody in; write none for everybody",
		"[key, none]":   at + "[1]: none lets everybody in, so the other ways in would mean nothing; write auth: none alone",
		"[[key]]":       at + "[0] must be none, key",
		"{ basic: {} }": at + ".basic is not a known key; known here: jwt, key",
		"{}":            at + " has 0 ways in; write one, or a list with one in each entry: any of them lets in",
		"{ key: {}, jwt: { issuer: https://a.example, audience: b } }": at + " has 2 ways in; write one",
		"{ key: { names: [] } }":                                               at + ".key.names names no key, which would let nobody in; leave it out for all that are for it",
		"{ key: { names: [A] } }":                                              at + `.key.names[0]: "A" is not a name`,
		"{ jwt: { issuer: https://a.example } }":                               at + ".jwt needs an issuer and an audience: without one, a token that somebody got for another service would be good here",
		"{ jwt: { audience: b } }":                                             at + ".jwt needs an issuer and an audience",
		"{ jwt: { issuer: a.example, audience: b } }":                          at + `.jwt.issuer: "a.example" is not an address like https://id.example.com`,
		"{ jwt: { issuer: 'https://u:p@a.example', audience: b } }":            at + `.jwt.issuer: "https://u:p@a.example" has a user name or password in it; leave it out`,
		"{ jwt: { issuer: 'https://a.example?x', audience: b } }":              at + `.jwt.issuer: "https://a.example?x" has a query or a fragment, which an issuer cannot have`,
		"{ jwt: { issuer: https://a.example, audience: b, jwks: /keys } }":     at + `.jwt.jwks: "/keys" is not an address`,
		"{ jwt: { issuer: https://a.example, audience: b, algorithm: none } }": at + ".jwt.algorithm is not a known key",
		"{ jwt: { issuer: https://a.example, audience: b, claims: [a] } }":     at + ".jwt.claims must be",
		"{ jwt: { issuer: https://a.example, audience: b, forward: a } }":      at + ".jwt.forward must be",
	} {
		_, err := manifest.Parse("fn.yaml", []byte("version: 1\napp: a\nfunctions:\n  f:\n    wasm: f.wasm\n    on: [ { http: { auth: "+text+" } } ]\n"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "fn.yaml:6:") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	_, err := manifest.Parse("fn.yaml", []byte("version: 1\napp: a\nfunctions: { f: { wasm: f.wasm } }\ntopics:\n  t: { auth: key }\n"))
	const closed = "fn.yaml:5:14: topics.t.auth: only what comes from outside is checked, and the topic is closed; set ingress, or leave auth out"
	if err == nil || !strings.Contains(err.Error(), closed) {
		t.Errorf("a closed topic: %v", err)
	}
}

// What docs/security.md shows is read as it stands there.
func TestAuthOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "each say who may send:\n\n")
	shown, _, _ = strings.Cut(shown, "\n\n")
	forms := strings.Split(shown, "    auth:")[1:]
	if len(forms) != 5 {
		t.Errorf("%d forms of auth:\n%s", len(forms), shown)
	}
	for _, form := range forms {
		lines := strings.ReplaceAll("    auth:"+strings.TrimRight(form, " "), "\n", "\n        ")
		m, err := manifest.Parse("fn.yaml", []byte("version: 1\napp: a\nfunctions:\n  f:\n    wasm: f.wasm\n    on:\n      - http:\n        "+lines+"\n"))
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		if none := m.Functions[0].Spec.Triggers[0].HTTP.Auth == nil; none != strings.HasPrefix(form, " none") {
			t.Errorf("%s: everybody may is %v", form, none)
		}
	}
}

package rules

import (
	"errors"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestAuthThatCannotBe(t *testing.T) {
	t.Parallel()
	key := api.AuthRule{Key: &api.KeyAuth{}}
	jwt := func(change func(*api.JWTAuth)) *api.Auth {
		j := &api.JWTAuth{Issuer: "https://id.example.com", Audience: "shop"}
		change(j)
		return &api.Auth{Any: []api.AuthRule{{JWT: j}}}
	}
	long, many := strings.Repeat("a", 257), map[string]string{}
	for i := range 21 {
		many[strings.Repeat("a", i+1)] = "x"
	}
	for _, tc := range []struct {
		auth *api.Auth
		want string // "" = it is good
	}{
		{nil, ""},
		{&api.Auth{Any: []api.AuthRule{key}}, ""},
		{jwt(func(*api.JWTAuth) {}), ""},
		{&api.Auth{}, "there are 0 ways in, it must be 1 to 10; leave auth out for everybody"},
		{&api.Auth{Any: make([]api.AuthRule, 11)}, "there are 11 ways in, it must be 1 to 10"},
		{&api.Auth{Any: []api.AuthRule{key, {}}}, "[1]: has not exactly one of key and jwt"},
		{&api.Auth{Any: []api.AuthRule{{Key: key.Key, JWT: &api.JWTAuth{}}}}, "[0]: has not exactly one of key and jwt"},
		{&api.Auth{Any: []api.AuthRule{{Key: &api.KeyAuth{Names: []string{"web", "No"}}}}}, `[0].key.names[1]: "No" is no name`},
		{&api.Auth{Any: []api.AuthRule{{Key: &api.KeyAuth{Names: make([]string, 101)}}}}, "[0].key.names: there are 101, the limit is 100"},
		{jwt(func(j *api.JWTAuth) { j.Issuer = "" }), `[0].jwt.issuer: "" is not an address like https://id.example.com`},
		{jwt(func(j *api.JWTAuth) { j.Issuer = "https://" + strings.Repeat("a", 1024) }), "has 1032 characters, the limit is 1024"},
		{jwt(func(j *api.JWTAuth) { j.JWKS = "file:///etc/passwd" }), `[0].jwt.jwks: "file:///etc/passwd" is not an address`},
		{jwt(func(j *api.JWTAuth) { j.Audience = "" }), "[0].jwt.audience: has 0 characters, it must be 1 to 256: without it, a token for another service would be good here"},
		{jwt(func(j *api.JWTAuth) { j.Audience = long }), "[0].jwt.audience: has 257 characters"},
		{jwt(func(j *api.JWTAuth) { j.Claims = many }), "[0].jwt.claims: there are 21, the limit is 20"},
		{jwt(func(j *api.JWTAuth) { j.Claims = map[string]string{"a": long} }), `[0].jwt.claims["a"]: the name must have 1 to 256 characters, and the value at most as many`},
		{jwt(func(j *api.JWTAuth) { j.Claims = map[string]string{"": "a"} }), `[0].jwt.claims[""]: the name must have`},
		{jwt(func(j *api.JWTAuth) { j.Forward = []string{"email", long} }), "[0].jwt.forward[1]: the name of a claim must have 1 to 256 characters"},
		{jwt(func(j *api.JWTAuth) { j.Forward = make([]string, 21) }), "[0].jwt.forward: there are 21, the limit is 20"},
	} {
		app := api.App{
			Functions: map[string]api.FunctionSpec{"f": {Module: "sha256:" + strings.Repeat("0", 64), Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{Auth: tc.auth}}}}},
			Topics:    map[string]api.TopicSpec{"t": {Ingress: true, Auth: tc.auth}},
		}
		err := Deploy("default", "a", app, map[string]string{"f": "native"})
		if tc.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", tc.auth, err)
			}
			continue
		}
		invalid, ok := errors.AsType[*InvalidError](err)
		if !ok || strings.Count(err.Error(), tc.want) != 2 || !strings.Contains(err.Error(), "functions.f.on[0].http.auth") || !strings.Contains(err.Error(), "topics.t.auth") {
			t.Errorf("got %v, want %s for the function and the topic", invalid, tc.want)
		}
	}
	closed := api.App{
		Functions: map[string]api.FunctionSpec{"f": {Module: "sha256:" + strings.Repeat("0", 64)}},
		Topics:    map[string]api.TopicSpec{"t": {Auth: &api.Auth{Any: []api.AuthRule{key}}}},
	}
	const want = "topics.t.auth: only what comes from outside is checked, and the topic is closed; set ingress, or leave auth out"
	if err := Deploy("default", "a", closed, map[string]string{"f": "native"}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a closed topic: %v", err)
	}
}

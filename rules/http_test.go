package rules

import (
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestRoutesOfOneDeployThatClash(t *testing.T) {
	t.Parallel()
	check := func(functions map[string]api.FunctionSpec, want string) {
		t.Helper()
		a := app(functions)
		checkFault(t, Deploy("default", "shop", a, kindsOf(a)), want)
	}
	check(map[string]api.FunctionSpec{"a": function(at("/x/{y}", "GET")), "b": function(onTopic("t"), at("/x/{z}", "GET", "POST"))},
		"functions.b.on[1]: serves GET /x/{}, and so does functions.a.on[0], at the same place in the order; change the method, the path or the host of one of them")
	check(map[string]api.FunctionSpec{"a": function(onHTTP(), onHTTP())}, "functions.a.on[1]: serves /fn/a, and so does functions.a.on[0]")
}

func TestHTTPTriggersThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		http api.HTTPTrigger
		want string
	}{
		{api.HTTPTrigger{Path: "/fn/x"}, `on[0].http.path: "/fn/x" is taken: /fn/, /topics/, /webhooks/ and /@ are the gateway's own`},
		{api.HTTPTrigger{Path: "/a", Methods: []string{"get"}}, `on[0].http.method: "get" is no method`},
		{api.HTTPTrigger{Path: "/a", Host: "A.example"}, `on[0].http.host: "A.example" is no host`},
		{api.HTTPTrigger{Host: "a.example"}, `on[0].http.host: a host belongs to a route`},
		{api.HTTPTrigger{Path: "/{a}", Key: "params.b"}, "on[0].http.key: the path has no {b}"},
		{api.HTTPTrigger{Key: "header."}, `on[0].http.key: "header." names no header`},
		{api.HTTPTrigger{Key: "header.a b"}, `on[0].http.key: "header.a b" names no header`},
		{api.HTTPTrigger{Key: "query"}, `on[0].http.key: "query" names no query parameter`},
		{api.HTTPTrigger{Key: "cookie.x"}, `on[0].http.key: "cookie.x" is neither header.NAME, query.NAME nor params.NAME, and as an expression: at character 7`},
		{api.HTTPTrigger{CORS: &api.CORS{}}, "on[0].http.cors: has no origins"},
		{api.HTTPTrigger{CORS: &api.CORS{Origins: []string{"shop.example"}}}, `on[0].http.cors.origins[0]: "shop.example" is no origin`},
		{api.HTTPTrigger{CORS: &api.CORS{Origins: []string{"https://shop.example/"}}}, `on[0].http.cors.origins[0]: "https://shop.example/" is no origin`},
		{api.HTTPTrigger{CORS: &api.CORS{Origins: []string{"*"}, Credentials: true}}, "on[0].http.cors.credentials: every page could act as the user"},
		{api.HTTPTrigger{CORS: &api.CORS{Origins: []string{"*"}, Methods: []string{"a b"}}}, `on[0].http.cors.methods: "a b" is no method`},
		{api.HTTPTrigger{CORS: &api.CORS{Origins: []string{"*"}, Headers: []string{"a b"}}}, `on[0].http.cors.headers: "a b" is no name of a header`},
		{api.HTTPTrigger{CORS: &api.CORS{Origins: []string{"*"}, MaxAge: -1}}, "on[0].http.cors.maxAge: -1ns is below zero"},
	} {
		a := app(map[string]api.FunctionSpec{"f": function(api.TriggerSpec{HTTP: &c.http})})
		checkFault(t, Deploy("default", "shop", a, kindsOf(a)), "functions.f."+c.want)
	}
	for _, good := range []api.HTTPTrigger{
		{Path: "/", Key: "data.customer.id"}, {Path: "/{a}/b/{c...}", Key: "params.c", Host: "*.a.example", Methods: []string{"GET", "PROPFIND"}},
		{Key: "subject", CORS: &api.CORS{Origins: []string{"http://localhost:3000", "chrome-extension://abc"}, Credentials: true, Headers: []string{"*"}}},
	} {
		a := app(map[string]api.FunctionSpec{"f": function(api.TriggerSpec{HTTP: &good})})
		if err := Deploy("default", "shop", a, kindsOf(a)); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

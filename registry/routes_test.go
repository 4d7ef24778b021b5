package registry

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

// at is a binding to a route.
func at(path string, methods ...string) api.TriggerSpec {
	return api.TriggerSpec{HTTP: &api.HTTPTrigger{Path: path, Methods: methods}}
}

func TestRoutesAreClaimedByDeploys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	try := func(name string, functions map[string]api.FunctionSpec) error {
		t.Helper()
		a := app(functions)
		_, _, err := b.Deploy(t.Context(), "default", name, a, kindsOf(a))
		return err
	}
	refused := func(err error, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want a conflict with %q", err, want)
			}
		}
	}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	done(try("shop", map[string]api.FunctionSpec{"show": function("v1", at("/orders/{id}", "GET"), at("/orders/new")), "list": function("v1", at("/orders"))}))
	// Another app, another name of the parameter, one method of several.
	refused(try("bank", map[string]api.FunctionSpec{"pay": function("v1", onHTTP(), at("/orders/{order}", "PUT", "GET"))}),
		"trigger pay:http:2 would serve GET /orders/{}, which trigger show:http of function show serves")
	refused(try("bank", map[string]api.FunctionSpec{"pay": function("v1", at("/orders/new"))}), "trigger show:http:2 of function show")
	// What comes before or behind it, at another host or in another namespace, is free.
	elsewhere := at("/orders/{id}", "GET")
	elsewhere.HTTP.Host = "bank.example"
	done(try("bank", map[string]api.FunctionSpec{"pay": function("v1", at("/orders/{order}", "PUT"), at("/orders/{id}"), at("/orders/{rest...}", "GET"), at("/orders/7", "GET"), elsewhere)}))
	other := app(map[string]api.FunctionSpec{"show": function("v1", at("/orders/{id}", "GET"))})
	if _, _, err := b.Deploy(t.Context(), "other", "shop", other, kindsOf(other)); err != nil {
		t.Error(err)
	}
	// A route goes over to another function in one deploy, and is free when a deploy, or the function, does not have it any more.
	done(try("shop", map[string]api.FunctionSpec{"show": function("v2", at("/orders")), "list": function("v2", at("/orders/{id}", "GET"))}))
	refused(try("shop", map[string]api.FunctionSpec{"show": function("v3", at("/orders/{id}", "GET"))}), "trigger list:http of function list")
	done(try("bank", map[string]api.FunctionSpec{"pay": function("v2", at("/orders/new"))}))
	if _, err := b.DeleteFunction(t.Context(), "default", "list"); err != nil {
		t.Fatal(err)
	}
	done(try("bank", map[string]api.FunctionSpec{"pay": function("v3", at("/orders/{id}"))}))
	for _, name := range []string{"pay", "show"} {
		if _, err := b.DeleteFunction(t.Context(), "default", name); err != nil {
			t.Fatal(err)
		}
	}
	left, err := b.client.Get(t.Context(), b.keys.route("default", ""), clientv3.WithPrefix())
	if err != nil || len(left.Kvs) != 0 {
		t.Errorf("claims left behind: %v %v", left, err)
	}
}

// Two nodes that deploy at once: one of them gets the route.
func TestRoutesAreClaimedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nodes := []*Registry{b.Registry, open(t, b.options)}
	const rounds = 10
	for round := range rounds {
		var wg sync.WaitGroup
		errs := make([]error, len(nodes))
		for n, r := range nodes {
			wg.Go(func() {
				a := app(map[string]api.FunctionSpec{fmt.Sprintf("f%d", n): function(fmt.Sprint(round), at(fmt.Sprintf("/a/%d", round), "GET", "POST"))})
				_, _, errs[n] = r.Deploy(t.Context(), "default", fmt.Sprintf("app%d", n), a, kindsOf(a))
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrConflict) {
			t.Fatalf("round %d: %v", round, errs)
		}
	}
}

func TestRoutesOfOneDeployThatClash(t *testing.T) {
	t.Parallel()
	check := func(functions map[string]api.FunctionSpec, want string) {
		t.Helper()
		a := app(functions)
		checkFault(t, validate("default", "shop", a, kindsOf(a)), want)
	}
	check(map[string]api.FunctionSpec{"a": function("v1", at("/x/{y}", "GET")), "b": function("v1", onTopic("t"), at("/x/{z}", "GET", "POST"))},
		"functions.b.on[1]: serves GET /x/{}, and so does functions.a.on[0], at the same place in the order; change the method, the path or the host of one of them")
	check(map[string]api.FunctionSpec{"a": function("v1", onHTTP(), onHTTP())}, "functions.a.on[1]: serves /fn/a, and so does functions.a.on[0]")
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
		a := app(map[string]api.FunctionSpec{"f": function("v1", api.TriggerSpec{HTTP: &c.http})})
		checkFault(t, validate("default", "shop", a, kindsOf(a)), "functions.f."+c.want)
	}
	for _, good := range []api.HTTPTrigger{
		{Path: "/", Key: "data.customer.id"}, {Path: "/{a}/b/{c...}", Key: "params.c", Host: "*.a.example", Methods: []string{"GET", "PROPFIND"}},
		{Key: "subject", CORS: &api.CORS{Origins: []string{"http://localhost:3000", "chrome-extension://abc"}, Credentials: true, Headers: []string{"*"}}},
	} {
		a := app(map[string]api.FunctionSpec{"f": function("v1", api.TriggerSpec{HTTP: &good})})
		if err := validate("default", "shop", a, kindsOf(a)); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

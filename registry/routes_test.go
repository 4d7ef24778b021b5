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

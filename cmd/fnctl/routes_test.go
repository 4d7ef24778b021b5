package main

import (
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	order := api.Trigger{Namespace: "default", Name: "show:http", Function: "show", Kind: "http", HTTP: &api.HTTPTrigger{
		Methods: []string{"GET", "PUT"}, Host: "api.example", Path: "/orders/{id}", Key: "params.id", Compress: true,
		CORS: &api.CORS{Origins: []string{"https://a.example", "https://b.example"}, Credentials: true},
	}}
	f := newFake(t, map[string]any{
		"GET /ns/default/triggers": []api.Trigger{
			order,
			{Namespace: "default", Name: "hello:http", Function: "hello", Kind: "http", HTTP: &api.HTTPTrigger{}},
			{Namespace: "default", Name: "hello:inbox", Function: "hello", Kind: "inbox", Topic: &api.TopicTrigger{Name: "_inbox.hello"}},
		},
		"GET /ns/acme/triggers":              []api.Trigger{{Namespace: "acme", Name: "hello:http", Function: "hello", Kind: "http", HTTP: &api.HTTPTrigger{}}},
		"GET /ns/empty/triggers":             []api.Trigger{},
		"GET /ns/default/triggers/show:http": order,
	})
	f.fnctl("ls", "routes").want(t, 0, "METHOD    HOST          PATH           FUNCTION\n"+
		"any       any           /fn/hello      hello\n"+
		"GET,PUT   api.example   /orders/{id}   show\n", "")
	f.fnctl("ls", "route", "-o", "name", "-n", "acme").want(t, 0, "/@acme/fn/hello\n", "")
	f.fnctl("ls", "routes", "-n", "empty").want(t, 0, "", "no routes in namespace empty; a function gets one by an http trigger in fn.yaml\n")
	if r := f.fnctl("ls", "routes", "-o", "json"); !strings.Contains(r.out, `"path": "/orders/{id}"`) || !strings.Contains(r.out, `"trigger": "show:http"`) {
		t.Errorf("%+v", r)
	}
	f.fnctl("ls", "routes", "x").want(t, 2, "", "error: fnctl ls takes one kind, but there is also \"x\"\nTry: fnctl ls routes\n")
	f.fnctl("describe", "route", "/x").want(t, 2, "", "error: a route is part of a trigger\nTry: fnctl ls routes -o wide, and then fnctl describe trigger FUNCTION:http\n")
	f.fnctl("rm", "route", "/x").want(t, 2, "", "error: route /x cannot be removed alone, it belongs to its function\nTry: remove it from `on:` in fn.yaml and deploy again\n")
	r := f.fnctl("describe", "trigger", "show:http")
	for _, want := range []string{"Serves:      GET,PUT api.example/orders/{id}\n", "Key:         params.id\n", "Pages of:    https://a.example, https://b.example, with credentials\n", "Compresses:  yes\n"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
}

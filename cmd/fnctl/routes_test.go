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
		Auth: &api.Auth{Any: []api.AuthRule{{Key: &api.KeyAuth{Names: []string{"web"}}}, {JWT: &api.JWTAuth{Issuer: "https://id.example"}}}},
		CORS: &api.CORS{Origins: []string{"https://a.example", "https://b.example"}, Credentials: true},
	}}
	hook := api.Trigger{Namespace: "default", Name: "hello:webhook", Function: "hello", Kind: "webhook", Topic: &api.TopicTrigger{Name: "_webhook.hello", Filter: "subject = 'push'"},
		Webhook: &api.WebhookTrigger{Scheme: "github", Secret: "hub", Path: "/webhooks/git", Key: "data.repository.id"}}
	open := api.Trigger{Namespace: "acme", Name: "hello:webhook:2", Function: "hello", Kind: "webhook", Webhook: &api.WebhookTrigger{Scheme: "none"}}
	timed := api.Trigger{Namespace: "acme", Name: "hello:webhook:3", Function: "hello", Kind: "webhook", Webhook: &api.WebhookTrigger{Scheme: "stripe", Secret: "key"}}
	f := newFake(t, map[string]any{
		"GET /ns/acme/triggers/hello:webhook:2": open, "GET /ns/acme/triggers/hello:webhook:3": timed,
		"GET /ns/default/triggers": []api.Trigger{
			order,
			{Namespace: "default", Name: "hello:http", Function: "hello", Kind: "http", HTTP: &api.HTTPTrigger{}},
			hook,
			{Namespace: "default", Name: "hello:inbox", Function: "hello", Kind: "inbox", Topic: &api.TopicTrigger{Name: "_inbox.hello"}},
		},
		"GET /ns/acme/triggers":              []api.Trigger{{Namespace: "acme", Name: "hello:http", Function: "hello", Kind: "http", HTTP: &api.HTTPTrigger{}}},
		"GET /ns/empty/triggers":             []api.Trigger{},
		"GET /ns/default/triggers/show:http": order, "GET /ns/default/triggers/hello:webhook": hook,
	})
	f.fnctl("ls", "routes").want(t, 0, "METHOD    HOST          PATH            FUNCTION   AUTH\n"+
		"any       any           /fn/hello       hello      none\n"+
		"GET,PUT   api.example   /orders/{id}    show       key web or jwt of https://id.example\n"+
		"POST      any           /webhooks/git   hello      github signature\n", "")
	f.fnctl("ls", "route", "-o", "name", "-n", "acme").want(t, 0, "/@acme/fn/hello\n", "")
	f.fnctl("ls", "routes", "-n", "empty").want(t, 0, "", "no routes in namespace empty; a function gets one by an http or webhook trigger in fn.yaml\n")
	if r := f.fnctl("ls", "routes", "-o", "json"); !strings.Contains(r.out, `"path": "/orders/{id}"`) || !strings.Contains(r.out, `"trigger": "show:http"`) {
		t.Errorf("%+v", r)
	}
	f.fnctl("ls", "routes", "x").want(t, 2, "", "error: fnctl ls takes one kind, but there is also \"x\"\nTry: fnctl ls routes\n")
	f.fnctl("describe", "route", "/x").want(t, 2, "", "error: a route is part of a trigger\nTry: fnctl ls routes -o wide, and then fnctl describe trigger FUNCTION:http\n")
	f.fnctl("rm", "route", "/x").want(t, 2, "", "error: route /x cannot be removed alone, it belongs to its function\nTry: remove it from `on:` in fn.yaml and deploy again\n")
	if r := f.fnctl("describe", "trigger", "hello:webhook"); !strings.Contains(r.out, "Serves:     POST /webhooks/git\nChecks:     github, with secret hub\nTopic:      _webhook.hello\nFilter:     subject = 'push'\nKey:        data.repository.id\n") {
		t.Errorf("describe a webhook:\n%s", r.out)
	}
	for name, want := range map[string]string{
		"hello:webhook:2": "Serves:     POST /@acme/webhooks/hello\nChecks:     nothing: everybody can deliver\n", "hello:webhook:3": "Checks:     stripe, with secret key, not older than 5m0s\n",
	} {
		if r := f.fnctl("describe", "trigger", name, "-n", "acme"); !strings.Contains(r.out, want) {
			t.Errorf("%s:\n%s", name, r.out)
		}
	}
	if r := f.fnctl("ls", "triggers", "-o", "wide"); !strings.Contains(r.out, "POST /webhooks/git") || !strings.Contains(r.out, "GET,PUT api.example/orders/{id}") {
		t.Errorf("triggers:\n%s", r.out)
	}
	r := f.fnctl("describe", "trigger", "show:http")
	for _, want := range []string{"Serves:      GET,PUT api.example/orders/{id}\n", "Key:         params.id\n", "Pages of:    https://a.example, https://b.example, with credentials\n", "Compresses:  yes\n", "Auth:        key web or jwt of https://id.example\n"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
}

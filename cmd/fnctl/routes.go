package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
)

// route is something that the gateway serves.
type route struct {
	Methods  []string `json:"methods,omitempty"` // none = any
	Host     string   `json:"host,omitempty"`
	Path     string   `json:"path"`
	Function string   `json:"function"`
	Trigger  string   `json:"trigger"`
	Kind     string   `json:"kind"`
	Key      string   `json:"key,omitempty"`
	Auth     string   `json:"auth"` // who may send
}

// routesOf are those of triggers, sorted by path, host and methods.
func routesOf(triggers []api.Trigger) []route {
	out := []route{}
	for _, t := range triggers {
		r := route{Function: t.Function, Trigger: t.Name, Kind: t.Kind}
		switch {
		case t.HTTP != nil:
			bare := api.HTTPTrigger{Path: t.HTTP.Path}
			r.Auth = t.HTTP.Auth.String()
			r.Methods, r.Host, r.Path, r.Key = t.HTTP.Methods, t.HTTP.Host, bare.RouteText(t.Namespace, t.Function), t.HTTP.Key
		case t.Webhook != nil:
			r.Auth = webhookAuth(t.Webhook)
			r.Methods, r.Path, r.Key = []string{"POST"}, t.Webhook.URLPath(t.Namespace, t.Function), t.Webhook.Key
		default:
			continue
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b route) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Host, b.Host), slices.Compare(a.Methods, b.Methods))
	})
	return out
}

// routes lists what the gateway serves in the namespace, beside topics.
func (c *cli) routes(ctx context.Context, client *api.Client) error {
	fetch := func(ctx context.Context, ns string) ([]route, error) {
		triggers, err := client.Triggers(ctx, ns)
		return routesOf(triggers), err
	}
	return fetchAndShow(ctx, c, fetch, list[route]{
		name: func(r route) string { return r.Path },
		none: fmt.Sprintf("no routes in namespace %s; a function gets one by an http or webhook trigger in fn.yaml", c.namespace),
		columns: []column[route]{
			{title: "METHOD", text: func(r route) string { return cmp.Or(strings.Join(r.Methods, ","), "any") }},
			{title: "HOST", text: func(r route) string { return cmp.Or(r.Host, "any") }},
			{title: "PATH", text: func(r route) string { return r.Path }},
			{title: "FUNCTION", text: func(r route) string { return r.Function }},
			{title: "AUTH", text: func(r route) string { return r.Auth }},
			{title: "TRIGGER", wide: true, text: func(r route) string { return r.Trigger }},
			{title: "KEY", wide: true, text: func(r route) string { return r.Key }},
		},
	})
}

// webhookAuth is what lets a delivery in.
func webhookAuth(w *api.WebhookTrigger) string {
	if w.Scheme == "none" {
		return "none"
	}
	return w.Scheme + " signature"
}

// servesText is what of the gateway reaches a trigger, "" when nothing does.
func servesText(t api.Trigger) string {
	switch {
	case t.HTTP != nil:
		return t.HTTP.RouteText(t.Namespace, t.Function)
	case t.Webhook != nil:
		return "POST " + t.Webhook.URLPath(t.Namespace, t.Function)
	}
	return ""
}

func servedBy(triggers []api.Trigger) (out []string) {
	for _, t := range triggers {
		if text := servesText(t); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// webhookText says how deliveries are checked.
func webhookText(t *api.WebhookTrigger) string {
	switch {
	case t == nil:
		return ""
	case t.Secret == "":
		return "nothing: everybody can deliver"
	}
	text := t.Scheme + ", with secret " + t.Secret
	if t.Timed() {
		text += ", not older than " + durationText(cmp.Or(t.Tolerance, api.DefaultTolerance))
	}
	return text
}

// corsText is empty for a trigger without.
func corsText(t *api.CORS) string {
	if t == nil {
		return ""
	}
	text := strings.Join(t.Origins, ", ")
	if t.Credentials {
		text += ", with credentials"
	}
	return text
}

package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
)

// client is the API's own.
func (b *bundle) client() *api.Client {
	b.t.Helper()
	c, err := api.NewClient(api.ClientOptions{Server: b.admin, Token: b.o.AdminToken, HTTP: b.http()})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func problemOf(t *testing.T, err error) api.Problem {
	t.Helper()
	p, ok := errors.AsType[*api.Problem](err)
	if !ok {
		t.Fatalf("%v is no problem", err)
	}
	return *p
}

func TestDeployIsInForceWhenAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, ctx := b.client(), t.Context()
	digest := b.module()
	if has, err := c.HasModule(ctx, digest); err != nil || !has {
		t.Errorf("module is %v %v", has, err)
	}
	if has, err := c.HasModule(ctx, "sha256:"+strings.Repeat("0", 64)); err != nil || has {
		t.Errorf("absent module is %v %v", has, err)
	}
	deployed, err := c.Deploy(ctx, "default", "shop", api.App{Functions: map[string]api.FunctionSpec{
		"charge": {Module: digest, Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "orders"}}, {HTTP: &api.HTTPTrigger{}}}},
	}})
	if err != nil || len(deployed.Functions) != 1 || deployed.Functions[0].Change != "created" || len(deployed.Functions[0].URLs) != 1 || len(deployed.Functions[0].Warnings) != 1 || deployed.Functions[0].URLs[0] != b.gateway+"/fn/charge" {
		t.Fatalf("deployed %+v %v", deployed, err)
	}
	if _, err := c.Publish(ctx, "default", "orders", api.EventJSON, []byte(`{"specversion":"1.0","id":"1","source":"/a","type":"t"}`)); err != nil {
		t.Fatal(err) // orders is not open, but this is the management API
	}
	trigger, err := c.Trigger(ctx, "default", "charge:orders")
	if err != nil || trigger.Stats == nil || trigger.Stats.Pending != 1 {
		t.Errorf("trigger %+v %v", trigger, err)
	}
	triggers, err := c.Triggers(ctx, "default")
	if err != nil || len(triggers) != 3 || triggers[0].Stats == nil {
		t.Errorf("triggers %+v %v", triggers, err)
	}
	f, err := c.Function(ctx, "default", "charge")
	if err != nil || f.Kind != "native" || f.Revision != 1 || len(f.Triggers) != 3 || f.Triggers[0].Stats == nil {
		t.Errorf("function %+v %v", f, err)
	}
	functions, err := c.Functions(ctx, "default")
	if err != nil || len(functions) != 1 {
		t.Errorf("functions %+v %v", functions, err)
	}
	topics, err := c.Topics(ctx, "default")
	if err != nil || len(topics) != 1 || topics[0].Name != "orders" {
		t.Errorf("topics %+v %v", topics, err)
	}
	if topic, err := c.Topic(ctx, "default", "orders"); err != nil || topic != topics[0] {
		t.Errorf("topic %+v %v", topic, err)
	}
	if err := c.DeleteFunction(ctx, "default", "charge"); err != nil {
		t.Error(err)
	}
	if p := problemOf(t, c.DeleteFunction(ctx, "default", "charge")); p.Status != 404 || p.Detail != `no function "charge" in namespace "default"` {
		t.Errorf("%+v", p)
	}
	if err := c.DeleteTopic(ctx, "default", "orders"); err != nil {
		t.Error(err)
	}
	if got := b.do("GET", b.admin+"/api/v1/ns/default/functions", ""); strings.TrimSpace(got.body) != "[]" {
		t.Errorf("an empty list is %s", got.body)
	}
	if v, err := c.Version(ctx); err != nil || v.Version != "v1.2.3" || "http://"+v.Gateway != b.gateway {
		t.Errorf("version %+v %v", v, err)
	}
}

func TestDeployRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := b.module()
	absent := "sha256:" + strings.Repeat("0", 64)
	rt, err := sandbox.New(t.Context(), sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close(context.Background()) })
	real := scheduler.New(scheduler.Options{Sandbox: rt, Registerer: prometheus.NewRegistry()})
	b.check = func(ctx context.Context, _ []byte) (string, error) {
		kind, _, err := real.CheckModule(ctx, "f", []byte("#!/bin/sh"), api.FunctionSpec{})
		return kind, err
	}
	for name, tt := range map[string]struct {
		body   string
		status int
		slug   string
		detail string
		next   string
	}{
		"unknown key":    {`{"functions":{"f":{"module":"` + digest + `","memori":1}}}`, 400, "invalid-request", `unknown key "memori"`, "spelling"},
		"wrong type":     {`{"functions":{"f":{"module":1}}}`, 400, "invalid-request", `key "functions.module" cannot be a JSON number`, ""},
		"bad duration":   {`{"functions":{"f":{"timeout":"soon"}}}`, 400, "invalid-request", `"soon" is not a duration`, ""},
		"not JSON":       {`functions:`, 400, "invalid-request", "invalid character", ""},
		"empty":          {``, 400, "invalid-request", "the body is empty", ""},
		"more":           {`{} {}`, 400, "invalid-request", "the body goes on after its JSON object", ""},
		"a list":         {`[]`, 400, "invalid-request", "the body is no JSON object, but of the kind array", "send a JSON object"},
		"absent module":  {`{"functions":{"f":{"module":"` + absent + `"}}}`, 400, "module-missing", `function "f": module ` + absent + ` is not here`, "PUT /api/v1/modules/{digest}"},
		"bad digest":     {`{"functions":{"f":{"module":"latest"}}}`, 400, "wrong-digest", `function "f": load module latest`, ""},
		"refused module": {`{"functions":{"f":{"module":"` + digest + `"}}}`, 422, "module-refused", `function "f": module refused: `, "build a core module"},
		"broken rule":    {`{"functions":{},"topics":{"a..b":{}}}`, 400, "invalid-request", `topics["a..b"]: `, "fn.yaml"},
	} {
		p := b.do("PUT", b.admin+"/api/v1/ns/default/apps/shop", tt.body).problem(t)
		if p.Status != tt.status || p.Type != "https://evoke.run/problems/"+tt.slug || !strings.Contains(p.Detail, tt.detail) || !strings.Contains(p.Next, tt.next) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if fs := b.registry.Snapshot().Functions(""); len(fs) != 0 {
		t.Errorf("a refused deploy left %v", fs)
	}
}

// A script whose variable is not set must not meet the default namespace.
func TestPathsWithoutAName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for method, path := range map[string]string{"GET": "/ns//functions", "DELETE": "/ns//functions/hello", "PUT": "/ns//secrets/a", "POST": "/ns/default/topics//events"} {
		p := b.do(method, b.admin+"/api/v1"+path, "{}").problem(t)
		if p.Status != 404 || p.Detail != "nothing is served at this path: it has no name where one belongs" {
			t.Errorf("%s %s: %+v", method, path, p)
		}
	}
	if _, ok := b.registry.Snapshot().Function("default", "hello"); !ok {
		t.Error("a function of the default namespace was removed")
	}
}

func TestModuleRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := "sha256:" + strings.Repeat("0", 64)
	for name, tt := range map[string]struct {
		digest, body string
		status       int
		detail       string
	}{
		"other bytes":   {digest, "abc", 400, "the 3 bytes that arrived hash to sha256:ba7816bf"},
		"not a digest":  {"..%2F..%2Fetc", "abc", 400, `want "sha256:" and 64 hex digits`},
		"over the size": {digest, strings.Repeat("x", maxModule+1), 413, "longer than 64 MiB"},
	} {
		p := b.do("PUT", b.admin+"/api/v1/modules/"+tt.digest, tt.body).problem(t)
		if p.Status != tt.status || !strings.Contains(p.Detail, tt.detail) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	c := b.client()
	calls := b.replying(scheduler.Reply{Invocation: "inv", Revision: 3, Verdict: abi.Failed, Class: "trap", Error: "unreachable", Duration: time.Second, Attributes: []byte("{")})
	reply, err := c.Invoke(t.Context(), "default", "charge", api.InvokeRequest{Event: json.RawMessage(`{"data":{"a":1},"subject":"k"}`)})
	if err != nil || reply.Verdict != "failed" || reply.Class != "trap" || reply.Error != "unreachable" || reply.Revision != 3 || reply.Duration != api.Duration(time.Second) || reply.Attributes != nil {
		t.Errorf("%+v %v", reply, err)
	}
	call := <-calls
	e := call.Event
	if call.Function != "charge" || call.Trigger != "" || e.ID != "0123456789abcdef" || e.Source != "/fnctl" || e.Type != "dev.evoke.invoke" || !e.Time.Equal(clock) || string(e.Data) != `{"a":1}` || e.Key() != "k" {
		t.Errorf("%+v", call)
	}
	b.replying(scheduler.Reply{Invocation: "inv", Data: []byte("\xff"), Attributes: []byte(`{"type":"r"}`)})
	reply, err = c.Invoke(t.Context(), "default", "charge", api.InvokeRequest{})
	if err != nil || reply.Verdict != "done" || !bytes.Equal(reply.Data, []byte("\xff")) || string(reply.Attributes) != `{"type":"r"}` {
		t.Errorf("%+v %v", reply, err)
	}
	reply, err = c.Invoke(t.Context(), "default", "charge", api.InvokeRequest{Async: true})
	if id, parseErr := partition.ParseID(reply.Invocation); err != nil || parseErr != nil || reply.Verdict != "" || id.Trigger == 0 {
		t.Errorf("async: %+v %v %v", reply, err, parseErr)
	}
	_, err = c.Invoke(t.Context(), "default", "nobody", api.InvokeRequest{})
	if p := problemOf(t, err); p.Status != 404 || p.Detail != `no function "nobody" in namespace "default"` {
		t.Errorf("%+v", p)
	}
	_, err = c.Invoke(t.Context(), "default", "charge", api.InvokeRequest{Event: json.RawMessage(`{"Bad-Name":"x"}`)})
	if p := problemOf(t, err); p.Status != 400 || !strings.Contains(p.Detail, `extension name "Bad-Name"`) {
		t.Errorf("%+v", p)
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for _, tt := range []struct{ method, path, slug, detail string }{
		{"GET", "/functions/x", "unknown-function", `no function "x" in namespace "default"`},
		{"GET", "/triggers/x%3Ay", "unknown-trigger", `no trigger "x:y" in namespace "default"`},
		{"GET", "/topics/x", "unknown-topic", `no topic "x" in namespace "default"`},
		{"DELETE", "/topics/x", "unknown-topic", `no topic "x"`},
		{"POST", "/topics/x/events", "unknown-topic", `no topic "x"`},
		{"GET", "/topics/x/events", "unknown-topic", `no topic "x"`},
		{"GET", "/deadletters?trigger=x", "unknown-trigger", `no trigger "x"`},
		{"GET", "/deadletters/0-1-2", "unknown-dead-letter", `no dead letter 0-1-2 in namespace "default"`},
		{"GET", "/elsewhere", "unknown-path", "nothing is served at this path"},
	} {
		p := b.do(tt.method, b.admin+"/api/v1/ns/default"+tt.path, "").problem(t)
		if p.Status != 404 || !strings.HasSuffix(p.Type, "/"+tt.slug) || !strings.Contains(p.Detail, tt.detail) {
			t.Errorf("%s %s: %+v", tt.method, tt.path, p)
		}
	}
	p := b.do("DELETE", b.admin+"/api/v1/ns/default/topics/orders", "").problem(t)
	if p.Status != 409 || !strings.Contains(p.Detail, "function charge names it") {
		t.Errorf("%+v", p)
	}
}

func TestInvalidQueries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for path, detail := range map[string]string{
		"/topics/orders/events?limit=x":    `limit "x" is not a whole number from 0 on`,
		"/topics/orders/events?since=noon": `since "noon" is neither an RFC 3339 time such as 2026-01-31T12:00:00Z nor a duration such as 10m`,
		"/topics/orders/events?follow=yep": `follow "yep" is neither true nor false`,
		"/logs?level=loud":                 `level "loud" is not debug, info, warn or error`,
		"/logs?limit=-1":                   `limit "-1"`,
		"/deadletters?limit=many":          `limit "many"`,
		"/deadletters/7":                   `"7" is not an id such as 3-1042-17`,
	} {
		p := b.do("GET", b.admin+"/api/v1/ns/default"+path, "").problem(t)
		if p.Status != 400 || !strings.Contains(p.Detail, detail) {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

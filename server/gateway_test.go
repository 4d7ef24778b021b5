package server

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	ce "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

func order(id string) ce.Event {
	e := ce.NewEvent()
	e.SetID(id)
	e.SetSource("/shop")
	e.SetType("com.shop.order")
	e.SetSubject("customer-7")
	e.SetExtension("region", "eu")
	e.SetTime(clock)
	if err := e.SetData("application/json", map[string]int{"total": 12}); err != nil {
		panic(err)
	}
	return e
}

func TestForeignClientPublishes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for name, mode := range map[string]func(context.Context) context.Context{"binary": binding.WithForceBinary, "structured": binding.WithForceStructured} {
		client, err := ce.NewClientHTTP(ce.WithTarget(b.gateway + "/topics/orders"))
		if err != nil {
			t.Fatal(err)
		}
		result := client.Send(mode(t.Context()), order(name))
		var res *cehttp.Result
		if !ce.ResultAs(result, &res) || res.StatusCode != 202 {
			t.Errorf("%s: %v", name, result)
		}
	}
	batch, err := json.Marshal([]ce.Event{order("batch-1"), order("batch-2")})
	if err != nil {
		t.Fatal(err)
	}
	got := b.do("POST", b.gateway+"/topics/orders", string(batch), "Content-Type", "application/cloudevents-batch+json; charset=utf-8")
	var published api.Published
	if err := json.Unmarshal([]byte(got.body), &published); err != nil || got.status != 202 || len(published.Events) != 2 {
		t.Fatalf("batch: %d %s", got.status, got.body)
	}
	if p := published.Events[1]; p.ID != "batch-2" || p.Offset == 0 || p.Duplicate {
		t.Errorf("published %+v", p)
	}

	ids := map[string]bool{}
	for _, e := range b.stored("default", "orders") {
		ids[e.ID] = true
		region, _ := e.Extension("region")
		if e.Source != "/shop" || e.Type != "com.shop.order" || e.Subject != "customer-7" || region != "eu" || !e.Time.Equal(clock) ||
			e.DataContentType != "application/json" || string(e.Data) != `{"total":12}` {
			t.Errorf("stored %+v", e)
		}
	}
	if len(ids) != 4 || !ids["binary"] || !ids["structured"] || !ids["batch-1"] || !ids["batch-2"] {
		t.Errorf("stored %v", ids)
	}
}

func TestPublishTwiceSaysDuplicate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for _, want := range []bool{false, true} {
		got := b.do("POST", b.gateway+"/@acme/topics/orders", "hi", binaryHeaders...)
		var p api.Published
		if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.status != 202 || p.Events[0].Duplicate != want {
			t.Errorf("want duplicate %v: %d %s", want, got.status, got.body)
		}
	}
	if n := len(b.stored("acme", "orders")); n != 1 {
		t.Errorf("%d events stored in acme", n)
	}
	if n := len(b.stored("default", "orders")); n != 0 {
		t.Errorf("%d events stored in default", n)
	}
}

var binaryHeaders = []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/a", "Ce-Type", "t", "Content-Type", "text/plain"}

// without drops a header of binaryHeaders.
func without(name string) []string {
	var out []string
	for i := 0; i < len(binaryHeaders); i += 2 {
		if binaryHeaders[i] != name {
			out = append(out, binaryHeaders[i], binaryHeaders[i+1])
		}
	}
	return out
}

// with adds to binaryHeaders, or has another value for one of them.
func with(more ...string) []string {
	out := more
	for i := 0; i < len(binaryHeaders); i += 2 {
		if !slices.Contains(more, binaryHeaders[i]) {
			out = append(out, binaryHeaders[i], binaryHeaders[i+1])
		}
	}
	return out
}

func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	structured := []string{"Content-Type", "application/cloudevents+json"}
	batch := []string{"Content-Type", "application/cloudevents-batch+json"}
	good := `{"specversion":"1.0","id":"1","source":"/a","type":"t"}`
	for name, tt := range map[string]struct {
		topic  string
		body   string
		header []string
		status int
		slug   string
		detail string
		next   string
	}{
		"unknown topic":     {topic: "nope", header: binaryHeaders, status: 404, slug: "unknown-topic", detail: `no topic "nope" is open for events from outside`, next: "ingress: true"},
		"closed topic":      {topic: "internal", header: binaryHeaders, status: 404, slug: "unknown-topic", detail: `no topic "internal" is open for events from outside`, next: "topics: { internal: { ingress: true } }"},
		"inbox":             {topic: "_inbox.hello", header: binaryHeaders, status: 404, slug: "unknown-topic", detail: "_inbox.hello"},
		"no event":          {body: "x", header: []string{"Content-Type", "text/plain"}, status: 415, slug: "not-a-cloudevent", detail: `its content type is "text/plain"`, next: "Ce-Id"},
		"nothing":           {status: 415, slug: "not-a-cloudevent", detail: "no content type"},
		"other format":      {header: []string{"Content-Type", "application/cloudevents+avro"}, status: 415, slug: "not-a-cloudevent", detail: `"application/cloudevents+avro" is not known`, next: "application/cloudevents+json"},
		"no specversion":    {header: without("Ce-Specversion"), status: 400, slug: "invalid-event", detail: `required attribute "specversion" is missing or empty (header Ce-Specversion)`},
		"old version":       {header: append(without("Ce-Specversion"), "Ce-Specversion", "0.3"), status: 400, slug: "invalid-event", detail: `specversion "0.3" is not supported`},
		"no id":             {header: without("Ce-Id"), status: 400, slug: "invalid-event", detail: `required attribute "id" is missing or empty (header Ce-Id)`},
		"no source or type": {header: binaryHeaders[:4], status: 400, slug: "invalid-event", detail: `required attribute "source" is missing or empty (header Ce-Source); required attribute "type" is missing or empty (header Ce-Type)`},
		"bad time":          {header: with("Ce-Time", "noon"), status: 400, slug: "invalid-event", detail: `attribute "time" is "noon", not an RFC 3339 time such as 2026-01-31T12:00:00Z (header Ce-Time)`},
		"far time":          {header: with("Ce-Time", "0001-01-01T00:00:00Z"), status: 400, slug: "invalid-event", detail: "year 1"},
		"bad extension":     {header: with("Ce-My-Ext", "1"), status: 400, slug: "invalid-event", detail: `header Ce-My-Ext is no attribute: names may only have letters and digits`},
		"control character": {header: with("Ce-Subject", "a%0Ab"), status: 400, slug: "invalid-event", detail: `attribute "subject" has a control character at byte 1`},
		"event too large":   {body: strings.Repeat("x", event.MaxSize), header: binaryHeaders, status: 413, slug: "too-large", detail: "the limit is 1048576", next: "dataref"},
		"JSON too large":    {body: strings.Repeat(" ", maxEventJSON+1), header: structured, status: 413, slug: "too-large", detail: "an event may have 1048576"},
		"body too large":    {body: strings.Repeat("x", maxBody+1), header: batch, status: 413, slug: "too-large", detail: "longer than 32 MiB"},
		"not JSON":          {body: "{", header: structured, status: 400, slug: "invalid-event", detail: "event is not a JSON object"},
		"structured, no id": {body: `{"specversion":"1.0","source":"/a","type":"t"}`, header: structured, status: 400, slug: "invalid-event", detail: `required attribute "id" is missing or empty`},
		"structured, no v":  {body: `{"id":"1","source":"/a","type":"t"}`, header: structured, status: 400, slug: "invalid-event", detail: `required attribute "specversion" is missing or empty`},
		"batch, one bad":    {body: "[" + good + `,{"specversion":"1.0","id":"2","type":"t"}]`, header: batch, status: 400, slug: "invalid-event", detail: `event 2 of the batch: required attribute "source" is missing or empty`},
		"batch, no array":   {body: good, header: batch, status: 400, slug: "invalid-event", detail: "a batch must be a JSON array of events"},
		"batch, cut":        {body: "[" + good, header: batch, status: 400, slug: "invalid-event", detail: "the batch ends early"},
		"batch, more":       {body: "[" + good + "] []", header: batch, status: 400, slug: "invalid-event", detail: "2 bytes after its end"},
		"batch, too many":   {body: "[" + strings.TrimSuffix(strings.Repeat(good+",", maxBatch+1), ",") + "]", header: batch, status: 413, slug: "too-large", detail: "more than 10000 events"},
	} {
		t.Run(name, func(t *testing.T) {
			topic := tt.topic
			if topic == "" {
				topic = "orders"
			}
			got := b.do("POST", b.gateway+"/topics/"+topic, tt.body, tt.header...)
			p := got.problem(t)
			if p.Status != tt.status || p.Type != "https://evoke.run/problems/"+tt.slug || !strings.Contains(p.Detail, tt.detail) || !strings.Contains(p.Next, tt.next) || p.Next == "" {
				t.Errorf("got %+v", p)
			}
		})
	}
	if n := len(b.stored("default", "orders")); n != 0 {
		t.Errorf("%d events of refused requests were stored", n)
	}
}

func TestPublishWhenTheServerCannot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.refusePublish(partition.ErrDiskLow)
	got := b.do("POST", b.gateway+"/topics/orders", "x", binaryHeaders...)
	if p := got.problem(t); p.Status != 507 || p.Detail != "disk is nearly full" || !strings.Contains(p.Next, "free space") || got.header.Get("Retry-After") != "30" {
		t.Errorf("disk low: %+v %v", p, got.header)
	}
	b.refusePublish(nil)
	b.bodies.held.Add(b.bodies.max)
	got = b.do("POST", b.gateway+"/topics/orders", "x", binaryHeaders...)
	if p := got.problem(t); p.Status != 429 || got.header.Get("Retry-After") != "1" {
		t.Errorf("buffers full: %+v %v", p, got.header)
	}
	b.bodies.held.Add(-b.bodies.max)
	if got := b.do("POST", b.gateway+"/topics/orders", "x", binaryHeaders...); got.status != 202 {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
	if n := b.bodies.held.Load(); n != 0 {
		t.Errorf("%d bytes of bodies are still held", n)
	}
}

func TestAttributesArePercentDecoded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.do("POST", b.gateway+"/topics/orders", "", with("Ce-Subject", "caf%C3%A9 100%25", "Ce-Note", "50% off")...)
	events := b.stored("default", "orders")
	if len(events) != 1 || events[0].Subject != "café 100%" || events[0].Data != nil {
		t.Fatalf("stored %+v", events)
	}
	if note, _ := events[0].Extension("note"); note != "50% off" {
		t.Errorf("note %q", note)
	}
}

func TestGatewayServesNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, want := range map[string]string{"/": "unknown-path", "/metrics": "unknown-path", "/api/v1/version": "unknown-path", "/fn/": "unknown-path"} {
		if p := b.do("GET", b.gateway+path, "").problem(t); p.Status != 404 || !strings.HasSuffix(p.Type, want) {
			t.Errorf("%s: %+v", path, p)
		}
	}
	got := b.do("GET", b.gateway+"/topics/orders", "")
	if p := got.problem(t); p.Status != 405 || !strings.Contains(got.header.Get("Allow"), "POST") {
		t.Errorf("%+v, Allow %q", p, got.header.Get("Allow"))
	}
}

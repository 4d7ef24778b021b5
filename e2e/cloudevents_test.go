package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	ceclient "github.com/cloudevents/sdk-go/v2/client"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

// foreignEvent has every attribute, an extension, and text beyond ASCII.
func foreignEvent(t *testing.T, id string) cloudevents.Event {
	t.Helper()
	e := cloudevents.NewEvent()
	e.SetID(id)
	e.SetSource("https://example.com/shop")
	e.SetType("com.example.order")
	e.SetSubject("Bestellung 7 – größer")
	e.SetTime(time.Date(2026, 1, 31, 12, 0, 0, 500, time.UTC))
	e.SetDataSchema("https://example.com/schema")
	e.SetExtension("tenant", "acmé")
	e.SetExtension("partitionkey", "k1")
	if err := e.SetData("application/json", map[string]int{"total": 12}); err != nil {
		t.Fatal(err)
	}
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	return e
}

// sameEvent compares what lies on the topic with what was sent, attribute by attribute.
func sameEvent(t *testing.T, got api.TopicEvent, want cloudevents.Event) {
	t.Helper()
	var e cloudevents.Event
	if err := json.Unmarshal(got.Event, &e); err != nil {
		t.Fatalf("the topic's event %s: %v", got.Event, err)
	}
	if e.String() != want.String() {
		t.Errorf("the topic has\n%s\nwant\n%s", e, want)
	}
}

func isID(id string) func(api.TopicEvent) bool {
	return func(e api.TopicEvent) bool {
		var head struct{ ID string }
		return json.Unmarshal(e.Event, &head) == nil && head.ID == id
	}
}

func TestCloudEventsClient(t *testing.T) {
	t.Parallel()
	a := doors(t)
	client, err := ceclient.NewHTTP(cehttp.WithTarget(a.rt.gateway + "/@" + a.ns + "/topics/open"))
	if err != nil {
		t.Fatal(err)
	}
	tail := a.tail(t, "open")
	for mode, ctx := range map[string]context.Context{
		"binary":     cloudevents.WithEncodingBinary(t.Context()),
		"structured": cloudevents.WithEncodingStructured(t.Context()),
	} {
		want := foreignEvent(t, mode)
		if res := client.Send(ctx, want); !cloudevents.IsACK(res) {
			t.Fatalf("send %s: %v", mode, res)
		}
		sameEvent(t, tail.until(t, "event sent "+mode, isID(mode)), want)
	}
	// An event that is refused is no success for the client, and its error says why.
	bad := foreignEvent(t, "bad")
	bad.SetSource("")
	if res := client.Send(t.Context(), bad); cloudevents.IsACK(res) {
		t.Error("an event without source was taken")
	}
	nowhere := cloudevents.ContextWithTarget(t.Context(), a.rt.gateway+"/@"+a.ns+"/topics/closed")
	var status *cehttp.Result
	if res := client.Send(nowhere, foreignEvent(t, "x")); !cloudevents.ResultAs(res, &status) || status.StatusCode != 404 {
		t.Errorf("send to a closed topic: %v", res)
	}
}

func TestCloudEventsBatch(t *testing.T) {
	t.Parallel()
	a := doors(t)
	want := []cloudevents.Event{foreignEvent(t, "b1"), foreignEvent(t, "b2"), foreignEvent(t, "b3")}
	req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), a.rt.gateway+"/@"+a.ns+"/topics/open", want)
	if err != nil {
		t.Fatal(err)
	}
	for _, duplicate := range []bool{false, true} { // the second time as a client does that has not heard of the first
		again := req.Clone(t.Context())
		if again.Body, err = req.GetBody(); err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(again)
		if err != nil {
			t.Fatal(err)
		}
		var answer api.Published
		err = json.NewDecoder(res.Body).Decode(&answer)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != 202 || len(answer.Events) != 3 || answer.Events[2].ID != "b3" || answer.Events[2].Duplicate != duplicate {
			t.Fatalf("batch: %d %+v %v", res.StatusCode, answer, err)
		}
	}
	tail := a.tail(t, "open")
	seen := map[string]api.TopicEvent{}
	tail.until(t, "all of the batch", func(e api.TopicEvent) bool {
		for _, w := range want {
			if isID(w.ID())(e) {
				seen[w.ID()] = e
			}
		}
		return len(seen) == len(want)
	})
	for _, w := range want {
		sameEvent(t, seen[w.ID()], w)
	}
	if lines := strings.Count(a.must(t, "topic", "tail", "open"), "\n"); lines != 3 {
		t.Errorf("the topic has %d events, want 3", lines)
	}
}

// replyingGuest answers every event with an event.
func replyingGuest() []byte {
	m, i := wasmtest.NewGuest()
	const reply = `{"specversion":"1.0","type":"com.example.done","datacontenttype":"application/json","tenant":"acme"}`
	m.Data(0x100, []byte(reply))
	m.Data(0x800, []byte(`{"ok":true}`))
	m.Handle(wasmtest.Call(i.Reply, 1, 0x100, int32(len(reply))), wasmtest.Drop(), wasmtest.Call(i.Reply, 0, 0x800, 11), wasmtest.Drop(), wasmtest.I32Const(0))
	return m.Bytes()
}

// A function that replies with a CloudEvent is one for the SDK's client, too.
func TestCloudEventsRequest(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	a.write(t, "f.wasm", replyingGuest())
	a.deploy(t, "version: 1\napp: reply\nfunctions:\n  f: { wasm: ./f.wasm, on: { http: {} } }\n")
	client, err := ceclient.NewHTTP(cehttp.WithTarget(a.rt.gateway + "/@" + a.ns + "/fn/f"))
	if err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{binding.WithForceBinary(t.Context()), binding.WithForceStructured(t.Context())} {
		got, res := client.Request(ctx, foreignEvent(t, "r1"))
		if !cloudevents.IsACK(res) || got == nil {
			t.Fatalf("request: %v, %v", got, res)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("the reply is no CloudEvent: %v", err)
		}
		if got.Type() != "com.example.done" || got.Extensions()["tenant"] != "acme" || string(got.Data()) != `{"ok":true}` {
			t.Errorf("reply:\n%s", got)
		}
	}
}

// As curl would: nothing but net/http, the smallest headers, bytes that are no JSON.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	a := doors(t)
	data := []byte{0, 1, 0xff, '\n'}
	r := a.send(t, "POST", "/topics/open", http.Header{
		"ce-id": {"curl-1"}, "ce-source": {"/curl"}, "ce-type": {"t"}, "ce-specversion": {"1.0"}, "ce-note": {"100%25 gr%C3%BCn"}, "content-type": {"image/x"},
	}, data)
	if r.status != 202 || !strings.Contains(r.body, `"id":"curl-1"`) {
		t.Fatalf("publish: %d %s", r.status, r.body)
	}
	var e struct {
		Note       string
		DataBase64 []byte `json:"data_base64"`
	}
	got := a.tail(t, "open").until(t, "event", isID("curl-1"))
	if err := json.Unmarshal(got.Event, &e); err != nil || e.Note != "100% grün" || !bytes.Equal(e.DataBase64, data) {
		t.Errorf("the topic has %s (%v)", got.Event, err)
	}
	for _, body := range []string{"hello", `{"a":1}`} {
		r := a.send(t, "PUT", "/fn/shown/any/path?q=1", nil, []byte(body))
		if r.status != 200 || r.body != body || r.header.Get("Evoke-Invocation") == "" {
			t.Errorf("call with %q: %d %q %v", body, r.status, r.body, r.header)
		}
	}
}

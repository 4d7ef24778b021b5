package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/scheduler"
)

const aTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTheTraceOfARequestIsItsEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{})
	other := strings.Replace(aTrace, "0af7", "1111", 1)
	check := func(name string, e *event.Event, parent, state string) {
		t.Helper()
		gotParent, _ := e.Extension(event.TraceParentExtension)
		gotState, _ := e.Extension(event.TraceStateExtension)
		if gotParent != parent || gotState != state {
			t.Errorf("%s: %q %q, want %q %q", name, gotParent, gotState, parent, state)
		}
	}
	trace := []string{"Traceparent", aTrace, "Tracestate", "a=1", "Tracestate", "b=2"}
	b.do("POST", b.gateway+"/topics/orders", "x", append(trace, with("Ce-Id", "1")...)...)
	b.do("POST", b.gateway+"/topics/orders", "x", append(trace, with("Ce-Id", "2", "Ce-Traceparent", other)...)...)
	b.do("POST", b.gateway+"/topics/orders", "x", with("Ce-Id", "3", "Traceparent", "none")...)
	b.do("POST", b.gateway+"/topics/orders", "["+jsonEvent("-id", `"id":"4"`)+"]", append(trace, "Content-Type", batchType)...)
	b.do("POST", b.gateway+"/topics/orders", "x", append(trace, with("Ce-Id", "5", "Traceparent", other)...)...)
	byID := map[string]event.Event{}
	for _, e := range b.stored("default", "orders") {
		byID[e.ID] = e
	}
	for id, want := range map[string][2]string{"1": {aTrace, "a=1,b=2"}, "2": {other, ""}, "3": {}, "4": {aTrace, "a=1,b=2"}, "5": {}} {
		e, ok := byID[id]
		if !ok {
			t.Fatalf("event %s was not stored", id)
		}
		check(id, &e, want[0], want[1])
	}
	b.do("GET", b.gateway+"/fn/hello", "", trace...)
	call := <-calls
	check("plain request", &call.Event, aTrace, "a=1,b=2")
	b.do("GET", b.gateway+"/fn/hello", "")
	call = <-calls
	check("request without", &call.Event, "", "")
}

func TestACallIsToldThatItsEventExpired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.replying(scheduler.Reply{})
	p := b.do("POST", b.gateway+"/fn/hello", "", with("Ce-Expirytime", "2020-01-01T00:00:00Z")...).problem(t)
	if p.Status != 400 || p.Detail != `attribute "expirytime" is 2020-01-01T00:00:00Z, which is past: the event is of no use any more` || p.Next != "send a newer event" {
		t.Errorf("got %+v", p)
	}
}

// A client that accepts the JSON format gets a reply that is a CloudEvent as one document.
func TestRepliesInTheFormThatIsAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	const attributes = `{"type":"com.shop.reply","subject":"50% é","datacontenttype":"application/json","attempt":3}`
	const whole = `{"specversion":"1.0","id":"inv.reply","source":"/ns/default/functions/hello","type":"com.shop.reply","subject":"50% é","datacontenttype":"application/json","attempt":3,"data":{"ok":true}}`
	for accept, structured := range map[string]bool{
		"application/cloudevents+json":                        true,
		"application/cloudevents+json; charset=utf-8":         true,
		"text/html, Application/CloudEvents+JSON;q=0.9, */*;": false,
		"*/*;q=0.1, application/cloudevents+json;q=0.5":       true,
		"application/cloudevents+json;q=0":                    false,
		"application/cloudevents+json;q=x":                    false,
		"application/cloudevents-batch+json":                  false,
		"*/*":                                                 false,
		";":                                                   false,
		"":                                                    false,
	} {
		b.replying(scheduler.Reply{Invocation: "inv", Data: []byte(`{"ok":true}`), Attributes: []byte(attributes)})
		got := b.do("POST", b.gateway+"/fn/hello", "", with("Accept", accept)...)
		switch {
		case got.status != 200:
			t.Errorf("%q: %d %s", accept, got.status, got.body)
		case structured && (got.body != whole || got.header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || got.header.Get("Ce-Id") != ""):
			t.Errorf("%q: %v %s", accept, got.header, got.body)
		case !structured && (got.body != `{"ok":true}` || got.header.Get("Ce-Type") != "com.shop.reply" || got.header.Get("Ce-Subject") != "50%25%20%C3%A9"):
			t.Errorf("%q: %v %s", accept, got.header, got.body)
		}
		if structured {
			if e, err := event.Parse([]byte(got.body)); err != nil || e.Validate() != nil {
				t.Errorf("%q: %v", accept, err)
			}
		}
	}
	// A reply without type is the data, whatever is accepted.
	b.replying(scheduler.Reply{Invocation: "inv", Data: []byte(`5`), Attributes: []byte(`{"datacontenttype":"application/json"}`)})
	if got := b.do("POST", b.gateway+"/fn/hello", "", with("Accept", structuredType)...); !json.Valid([]byte(got.body)) || got.body != "5" {
		t.Errorf("no event: %s", got.body)
	}
	// And so is one without data, which is an event nevertheless.
	b.replying(scheduler.Reply{Invocation: "inv", Attributes: []byte(`{"type":"t"}`)})
	if got := b.do("POST", b.gateway+"/fn/hello", "", with("Accept", structuredType)...); got.status != 200 || !strings.HasSuffix(got.body, `"type":"t"}`) {
		t.Errorf("no data: %d %s", got.status, got.body)
	}
}

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// The HTTP binding of CloudEvents as it goes over the wire, without a client library between: what lies on the topic is what the request says.
func TestTheBindingOnTheWire(t *testing.T) {
	t.Parallel()
	a := doors(t)
	const data = "{\n  \"celsius\": 21.5\n}"
	attributes := func(id, contentType string) map[string]any {
		return map[string]any{"specversion": "1.0", "id": id, "source": "/meters/7", "type": "org.example.reading", "time": "2026-03-01T07:30:00Z", "datacontenttype": contentType}
	}
	var ids int
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8"} {
		ids++
		id := fmt.Sprint("binary-", ids)
		a.sendRaw(t, []string{
			"ce-specversion: 1.0", "ce-id: " + id, "ce-source: /meters/7", "ce-type: org.example.reading", "ce-time: 2026-03-01T07:30:00Z", "Content-Type: " + contentType,
		}, data)
		a.wantOnTopic(t, id, attributes(id, contentType), data)
	}
	for _, contentType := range []string{"application/cloudevents+json", "application/cloudevents+json; charset=utf-8"} {
		ids++
		id := fmt.Sprint("structured-", ids)
		whole := attributes(id, "application/json")
		whole["data"] = json.RawMessage(data)
		body, err := json.MarshalIndent(whole, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		a.sendRaw(t, []string{"Content-Type: " + contentType}, string(body))
		a.wantOnTopic(t, id, attributes(id, "application/json"), data)
	}
}

// sendRaw publishes by a request that is written here, byte by byte.
func (a *app) sendRaw(t *testing.T, headers []string, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.rt.gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := append([]string{"POST /@" + a.ns + "/topics/open HTTP/1.1", "Host: events.example", fmt.Sprint("Content-Length: ", len(body))}, headers...)
	if _, err := io.WriteString(conn, strings.Join(head, "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 202 {
		t.Fatalf("%s %s %v", res.Status, answer, err)
	}
}

// wantOnTopic asks for an event with just these attributes, and this JSON as its data.
func (a *app) wantOnTopic(t *testing.T, id string, attributes map[string]any, data string) {
	t.Helper()
	e := a.tail(t, "open").until(t, "event", isID(id))
	var got map[string]any
	var want any
	if err := json.Unmarshal([]byte(data), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(e.Event, &got); err != nil {
		t.Fatalf("%s: %v", e.Event, err)
	}
	if !reflect.DeepEqual(got["data"], want) {
		t.Errorf("the data of %s is not %s", e.Event, data)
	}
	delete(got, "data")
	if !reflect.DeepEqual(got, attributes) {
		t.Errorf("got %s, want the attributes %v", e.Event, attributes)
	}
}

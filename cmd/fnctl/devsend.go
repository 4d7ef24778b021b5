package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/manifest"
)

// testEvent is an event of events/, for one function.
type testEvent struct {
	function manifest.Function
	file     string
}

func (e testEvent) String() string {
	return e.function.Name + " " + strings.TrimSuffix(filepath.Base(e.file), eventEnd)
}

// testEvents are those of the functions of an app, as fnctl test finds them.
func testEvents(dir string, functions []manifest.Function) ([]testEvent, error) {
	common, err := eventFiles(filepath.Join(dir, eventsDir))
	if err != nil {
		return nil, err
	}
	if len(common) > 0 && len(functions) > 1 {
		return nil, usagef("mkdir "+filepath.Join(dir, eventsDir, "FUNCTION")+", and move it there", "%s: the app has several functions, and nothing says which one the event is for", common[0])
	}
	var out []testEvent
	for _, f := range functions {
		own, err := eventFiles(filepath.Join(dir, eventsDir, f.Name))
		if err != nil {
			return nil, err
		}
		for _, file := range slices.Concat(common, own) {
			out = append(out, testEvent{f, file})
		}
	}
	if len(out) == 0 {
		return nil, usagef(`echo '{"type": "com.example.thing", "data": {}}' > `+filepath.Join(dir, eventsDir, "first.json"), "there are no events to send in %s", filepath.Join(dir, eventsDir))
	}
	return out, nil
}

// sender sends test events to a runtime, each time as a new event: with an id and a time of its own, because one that comes twice is done once.
type sender struct {
	client  *api.Client
	gateway string // base URL
	ns      string
	now     func() time.Time
}

// send hands an event to its function the way that it comes there: a request through the gateway, an event of a topic through the topic, and what else there is as an invocation.
// It answers what became of it, in words.
func (s *sender) send(ctx context.Context, e testEvent) (string, error) {
	text, err := os.ReadFile(e.file)
	if err != nil {
		return "", fmt.Errorf("read event: %w", err)
	}
	raw, request, err := readTestEvent(newID(), text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.file, err)
	}
	var ev event.Event
	if err := ev.UnmarshalJSON(raw); err != nil {
		return "", fmt.Errorf("%s: %w", e.file, err)
	}
	if request != nil {
		return s.request(ctx, e.function, request, ev.Data)
	}
	if raw, err = anew(raw, s.now()); err != nil {
		return "", err
	}
	if topic := heardTopic(e.function); topic != "" {
		_, err := s.client.Publish(ctx, s.ns, topic, api.EventJSON, raw)
		return "sent to topic " + topic, err
	}
	reply, err := s.client.Invoke(ctx, s.ns, e.function.Name, api.InvokeRequest{Event: raw})
	if err != nil {
		return "", invokeError(e.function.Name, err)
	}
	out := fmt.Sprintf("invoked: %s in %s", reply.Verdict, time.Duration(reply.Duration).Round(time.Microsecond))
	if reply.Error != "" {
		out += ": " + reply.Error
	}
	return out + bodyText(reply.Data), nil
}

// anew gives an event an id and a time of its own.
func anew(raw json.RawMessage, now time.Time) (json.RawMessage, error) {
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // as they are written
	if err := d.Decode(&members); err != nil {
		return nil, err
	}
	members["id"], members["time"] = newID(), now.UTC().Format(time.RFC3339Nano)
	return json.Marshal(members)
}

// heardTopic is the first topic that a function hears, as far as it is one and not a pattern.
func heardTopic(f manifest.Function) string {
	for _, t := range f.Spec.Triggers {
		if t.Topic != nil && !strings.ContainsAny(t.Topic.Name, "*>") {
			return t.Topic.Name
		}
	}
	return ""
}

// request sends what evokehttp of a test event describes.
func (s *sender) request(ctx context.Context, f manifest.Function, description json.RawMessage, body []byte) (string, error) {
	var r requestOfTest
	if err := json.Unmarshal(description, &r); err != nil {
		return "", err
	}
	trigger := httpTrigger(f, r)
	if trigger == nil {
		return "", usagef("on: [ { http: {} } ] in fn.yaml", "the event is an HTTP request, and function %s has no http trigger", f.Name)
	}
	at, err := url.Parse(s.gateway)
	if err != nil {
		return "", err
	}
	at.Path = routePath(trigger, f.Name, s.ns, r)
	query := url.Values{}
	for _, q := range r.Query {
		query.Add(q[0], q[1])
	}
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.Method, at.String(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	for _, h := range r.Headers {
		req.Header.Add(h[0], h[1])
	}
	if !strings.Contains(trigger.Host, "*") {
		req.Host = cmp.Or(trigger.Host, req.Host)
	}
	began := time.Now()
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close() // read as far as it is shown
	reply, err := io.ReadAll(io.LimitReader(res.Body, mostShown+1))
	if err != nil {
		return "", fmt.Errorf("read the reply of %s: %w", at, err)
	}
	return fmt.Sprintf("%s %s → %s in %s%s", r.Method, at, res.Status, time.Since(began).Round(100*time.Microsecond), bodyText(reply)), nil
}

// httpTrigger is the one that a request of a test is for: of the route that it names, else of its method, else the first.
func httpTrigger(f manifest.Function, r requestOfTest) *api.HTTPTrigger {
	var all []*api.HTTPTrigger
	for _, t := range f.Spec.Triggers {
		if t.HTTP != nil {
			all = append(all, t.HTTP)
		}
	}
	for _, fits := range []func(*api.HTTPTrigger) bool{
		func(t *api.HTTPTrigger) bool { return r.Route != "" && t.Path == r.Route },
		func(t *api.HTTPTrigger) bool { return len(t.Methods) == 0 || slices.Contains(t.Methods, r.Method) },
	} {
		if i := slices.IndexFunc(all, fits); i >= 0 {
			return all[i]
		}
	}
	if len(all) > 0 {
		return all[0]
	}
	return nil
}

// routePath is where the gateway has a function. Below /fn/NAME the path of the event is what follows; that of a route is the whole one, or made of the route and the event's params.
func routePath(t *api.HTTPTrigger, function, ns string, r requestOfTest) string {
	path := r.Path
	switch {
	case t.Path == "":
		path = "/fn/" + function + strings.TrimSuffix(path, "/")
	case path == "/":
		path = t.Path
		for name, value := range r.Params {
			path = strings.NewReplacer("{"+name+"}", value, "{"+name+"...}", value).Replace(path)
		}
	}
	if ns != defaultNamespace {
		path = "/@" + ns + path
	}
	return path
}

// mostShown is how much of a reply is shown, in bytes.
const mostShown = 2 << 10

// bodyText is a reply below the line that says how it ended.
func bodyText(b []byte) string {
	text := strings.TrimRight(string(b[:min(len(b), mostShown)]), "\n")
	if text == "" {
		return ""
	}
	if len(b) > mostShown {
		text += "…"
	}
	return "\n" + text
}

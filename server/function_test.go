package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	ce "github.com/cloudevents/sdk-go/v2"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
)

// replying makes the scheduler answer every call with r; the channel has room for the calls of one test.
func (b *bundle) replying(r scheduler.Reply) <-chan scheduler.Call {
	calls := make(chan scheduler.Call, 100)
	b.call = func(_ context.Context, c scheduler.Call) (scheduler.Reply, error) {
		calls <- c
		return r, nil
	}
	return calls
}

func TestRequestBecomesEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{Invocation: "inv-1", Data: []byte("hi")})
	got := b.do("PUT", b.gateway+"/fn/hello/a%2Fb/%C3%A9?x=1&y=a+b&x=%zz&flag", "body", "Host", "shop.example", "User-Agent", "curl/8", "Content-Type", "text/plain",
		"Authorization", "Bearer t", "Cookie", "c=1", "X-Two", "a", "X-Two", "b", "Evoke-Key", "k1",
		"Connection", "x-hop", "X-Hop", "1", "Keep-Alive", "5", "Te", "trailers", "Proxy-Authorization", "p", "Upgrade", "h2c", "Accept-Encoding", "identity")
	if got.status != 200 || got.body != "hi" || got.header.Get("Evoke-Invocation") != "inv-1" {
		t.Errorf("answer %+v", got)
	}
	c := <-calls
	if c.Namespace != "default" || c.Function != "hello" || c.Trigger != "hello:http" || c.Key != "k1" {
		t.Errorf("call %+v", c)
	}
	e := c.Event
	if e.ID != "0123456789abcdef" || e.Source != "/fn/hello" || e.Type != "dev.evoke.http.request" || !e.Time.Equal(clock) || e.DataContentType != "text/plain" ||
		string(e.Data) != "body" || e.Key() != "k1" {
		t.Errorf("event %+v", e)
	}
	const want = `{"method":"PUT","path":"/a/b/é","rawPath":"/a%2Fb/%C3%A9","route":"/fn/hello/*","params":{},` +
		`"query":[["x","1"],["y","a b"],["x","%zz"],["flag",""]],` +
		`"headers":[["host","shop.example"],["accept-encoding","identity"],["authorization","Bearer t"],["content-length","4"],["content-type","text/plain"],` +
		`["cookie","c=1"],["evoke-key","k1"],["user-agent","curl/8"],["x-forwarded-for","127.0.0.1"],["x-forwarded-proto","http"],["x-two","a"],["x-two","b"]]}`
	if string(e.Request) != want {
		t.Errorf("request\n%s\nwant\n%s", e.Request, want)
	}
}

func TestEveryMethodAndPathReachesTheFunction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE"} {
		for path, want := range map[string]string{"/fn/hello": "/", "/fn/hello/": "/", "/fn/hello/a/b/": "/a/b/", "/@acme/fn/hello/x": "/x", "/@acme/fn/hello": "/"} {
			if got := b.do(method, b.gateway+path, ""); got.status != 204 {
				t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
			}
			var r struct{ Method, Path, RawPath, Route string }
			c := <-calls
			if err := json.Unmarshal(c.Event.Request, &r); err != nil || r.Method != method || r.Path != want || r.RawPath != want {
				t.Errorf("%s %s: %s", method, path, c.Event.Request)
			}
			if strings.HasPrefix(path, "/@acme") && (c.Namespace != "acme" || c.Event.Source != "/@acme/fn/hello" || r.Route != "/@acme/fn/hello/*") {
				t.Errorf("%s: %+v", path, c)
			}
		}
	}
}

func TestForeignClientCalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{Invocation: "inv-2", Data: []byte(`{"ok":true}`), Attributes: []byte(`{"type":"com.shop.reply","subject":"é","datacontenttype":"application/json","attempt":3}`)})
	client, err := ce.NewClientHTTP(ce.WithTarget(b.gateway + "/fn/hello"))
	if err != nil {
		t.Fatal(err)
	}
	reply, result := client.Request(t.Context(), order("o-1"))
	if !ce.IsACK(result) || reply == nil {
		t.Fatalf("%v, reply %v", result, reply)
	}
	if reply.ID() != "inv-2.reply" || reply.Source() != "/ns/default/functions/hello" || reply.Type() != "com.shop.reply" || reply.Subject() != "%C3%A9" ||
		reply.Extensions()["attempt"] != "3" || string(reply.Data()) != `{"ok":true}` {
		t.Errorf("reply %v", reply)
	}
	e := (<-calls).Event
	if e.ID != "o-1" || e.Type != "com.shop.order" || e.Request != nil || string(e.Data) != `{"total":12}` {
		t.Errorf("event %+v", e)
	}

	got := b.do("POST", b.gateway+"/fn/hello", `{"specversion":"1.0","id":"1","source":"/a","type":"t","data":5}`, "Content-Type", "application/cloudevents+json")
	if e := (<-calls).Event; got.status != 200 || e.Type != "t" || string(e.Data) != "5" {
		t.Errorf("structured: %d %+v", got.status, e)
	}
	got = b.do("POST", b.gateway+"/fn/hello", `[]`, "Content-Type", "application/cloudevents-batch+json")
	if p := got.problem(t); p.Status != 415 || p.Detail != "a function takes one event at a time, not a batch" {
		t.Errorf("batch: %+v", p)
	}
	got = b.do("POST", b.gateway+"/fn/hello", ``, without("Ce-Id")...)
	if p := got.problem(t); p.Status != 400 || !strings.Contains(p.Detail, `"id" is missing`) {
		t.Errorf("no id: %+v", p)
	}
}

func TestOnlyServedFunctionsAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for _, name := range []string{"charge", "nobody"} {
		p := b.do("GET", b.gateway+"/fn/"+name, "").problem(t)
		if p.Status != 404 || p.Detail != `no function "`+name+`" is served over HTTP` || !strings.Contains(p.Next, "http trigger") {
			t.Errorf("%+v", p)
		}
	}
}

func TestKeyOfARequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{})
	for name, tt := range map[string]struct {
		header []string
		want   string
	}{
		"trigger's header": {[]string{"X-User", "ann"}, "ann"},
		"Evoke-Key wins":   {[]string{"X-User", "ann", "Evoke-Key", "bob"}, "bob"},
	} {
		b.do("POST", b.gateway+"/fn/cart", "", tt.header...)
		if c := <-calls; c.Key != tt.want || c.Event.Key() != tt.want {
			t.Errorf("%s: key %q, event's key %q", name, c.Key, c.Event.Key())
		}
	}
	b.do("POST", b.gateway+"/fn/cart", "", with("Ce-Subject", "carl")...)
	if c := <-calls; c.Key != "" || c.Event.Key() != "carl" {
		t.Errorf("CloudEvent: %+v", c)
	}
	p := b.do("POST", b.gateway+"/fn/cart", "").problem(t)
	if p.Status != 412 || p.Detail != `function "cart" keeps state by header.X-User, and the request has no such value` || !strings.Contains(p.Next, "Evoke-Key") {
		t.Errorf("%+v", p)
	}
}

func TestRespondAsync(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	got := b.do("POST", b.gateway+"/fn/hello/later", "work", "Prefer", "wait=5, Respond-Async", "Evoke-Key", "k")
	var reply api.InvokeReply
	if err := json.Unmarshal([]byte(got.body), &reply); err != nil || got.status != 202 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if reply.Invocation == "" || got.header.Get("Evoke-Invocation") != reply.Invocation || got.header.Get("Preference-Applied") != "respond-async" {
		t.Errorf("%+v %v", reply, got.header)
	}
	events := b.stored("default", "_inbox.hello")
	if len(events) != 1 || string(events[0].Data) != "work" || events[0].Key() != "k" || !strings.Contains(string(events[0].Request), `"/later"`) {
		t.Fatalf("inbox %+v", events)
	}
	inbox, _ := b.registry.Snapshot().Trigger("default", "hello:inbox")
	taken, err := b.table.Take(inbox.ID, 1)
	if err != nil || len(taken) != 1 || taken[0].Invocation() != reply.Invocation {
		t.Fatalf("taken %+v %v, want invocation %s", taken, err, reply.Invocation)
	}
	b.table.Release(&taken[0])
	p := b.do("POST", b.gateway+"/fn/hello", strings.Repeat("x", event.MaxSize), "Prefer", "respond-async").problem(t)
	if p.Status != 413 || !strings.Contains(p.Detail, "the limit is 1048576") {
		t.Errorf("%+v", p)
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for name, tt := range map[string]struct {
		data, attributes string
		cloudEvent       bool
		status           int
		contentType      string
		header           map[string]string
	}{
		"empty":              {status: 204},
		"JSON":               {data: `{"a":1}`, status: 200, contentType: "application/json"},
		"text":               {data: "höi", status: 200, contentType: "text/plain; charset=utf-8"},
		"bytes":              {data: "\xff\xfe", status: 200, contentType: "application/octet-stream"},
		"status and headers": {data: "x", attributes: `{"status":201,"headers":[["location","/x"],["content-type","a/b"],["set-cookie","a"]]}`, status: 201, contentType: "a/b", header: map[string]string{"Location": "/x", "Set-Cookie": "a"}},
		"only headers":       {data: "5", attributes: `{"headers":[["x-a","1"]]}`, status: 200, contentType: "application/json", header: map[string]string{"X-A": "1"}},
		"dropped headers":    {data: "12345", attributes: `{"headers":[["content-length","1"],["connection","close"],["bad name","x"],["","x"],["evoke-invocation","forged"]]}`, status: 200, contentType: "application/json", header: map[string]string{"Content-Length": "5", "Evoke-Invocation": "inv", "Bad Name": ""}},
		"header injection":   {data: "x", attributes: `{"headers":[["x-a","1\r\nset-cookie: evil"]]}`, status: 200, contentType: "text/plain; charset=utf-8", header: map[string]string{"X-A": "1  set-cookie: evil", "Set-Cookie": ""}},
		"not modified":       {data: "x", attributes: `{"status":304}`, status: 304},
		"event, no type":     {data: "x", attributes: `{"datacontenttype":"a/b"}`, cloudEvent: true, status: 200, contentType: "a/b", header: map[string]string{"Ce-Type": ""}},
		"event, no data":     {attributes: `{"type":"r","id":"7","source":"/s"}`, cloudEvent: true, status: 200, header: map[string]string{"Ce-Type": "r", "Ce-Id": "7", "Ce-Source": "/s", "Ce-Specversion": "1.0"}},
		"event, nothing":     {cloudEvent: true, status: 204},
	} {
		r := scheduler.Reply{Invocation: "inv", Data: []byte(tt.data)}
		if tt.attributes != "" {
			r.Attributes = []byte(tt.attributes)
		}
		b.replying(r)
		header := []string{}
		if tt.cloudEvent {
			header = binaryHeaders
		}
		got := b.do("POST", b.gateway+"/fn/hello", "", header...)
		if got.status != tt.status || got.header.Get("Content-Type") != tt.contentType {
			t.Errorf("%s: status %d, content type %q", name, got.status, got.header.Get("Content-Type"))
		}
		if want := tt.data; bodyAllowed(tt.status) && got.body != want {
			t.Errorf("%s: body %q", name, got.body)
		}
		for k, v := range tt.header {
			if got.header.Get(k) != v {
				t.Errorf("%s: header %s is %q, want %q", name, k, got.header.Get(k), v)
			}
		}
	}
}

// A client of a plain request has sent no event, so it is not told to correct one.
func TestRequestsThatMakeNoEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.replying(scheduler.Reply{})
	for _, tt := range [][3]string{
		{"Evoke-Key", "\xff", `attribute "partitionkey" is not valid UTF-8`},
		{"X-User", "\xff", `attribute "partitionkey" is not valid UTF-8`},
		{"Content-Type", "text/\xff", `attribute "datacontenttype" is not valid UTF-8`},
	} {
		for _, prefer := range []string{"", "respond-async"} {
			p := b.do("POST", b.gateway+"/fn/cart", "x", tt[0], tt[1], "Prefer", prefer, "X-User", "ann").problem(t)
			if p.Status != 400 || !strings.HasSuffix(p.Type, "/invalid-request") || p.Detail != "no event can be made of the request: "+tt[2] || !strings.Contains(p.Next, "Content-Type") {
				t.Errorf("%s, %q: %+v", tt[0], prefer, p)
			}
		}
	}
}

func TestInvalidReplies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	for attributes, want := range map[string]string{
		`{"status":99}`:              "its status is 99, not one of 200 to 599",
		`{"status":"ok"}`:            `its JSON is not {"status": 200`,
		`{"headers":{"location":1}}`: `its JSON is not`,
	} {
		b.replying(scheduler.Reply{Invocation: "inv", Attributes: []byte(attributes)})
		p := b.do("GET", b.gateway+"/fn/hello", "").problem(t)
		if p.Status != 502 || p.Type != "https://evoke.run/problems/invalid-reply" || !strings.Contains(p.Detail, want) || p.Invocation != "inv" {
			t.Errorf("%s: %+v", attributes, p)
		}
	}
	b.replying(scheduler.Reply{Attributes: []byte(`{"type":"a\nb"}`)})
	if p := b.do("POST", b.gateway+"/fn/hello", "", binaryHeaders...).problem(t); p.Status != 502 || !strings.Contains(p.Detail, "control character") {
		t.Errorf("%+v", p)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	secret := "panic at /home/dev/shop.go:12"
	for name, tt := range map[string]struct {
		reply      scheduler.Reply
		err        error
		status     int
		slug       string
		detail     string
		retryAfter string
	}{
		"failed":      {reply: scheduler.Reply{Verdict: abi.Failed, Class: "error"}, status: 500, slug: "function-failed", detail: `function "hello" failed`},
		"retry after": {reply: scheduler.Reply{Verdict: abi.Failed, Class: "error", RetryAfter: 1500 * time.Millisecond}, status: 500, slug: "function-failed", detail: `function "hello" failed`, retryAfter: "2"},
		"rejected":    {reply: scheduler.Reply{Verdict: abi.Rejected, Class: "rejected", Error: "no total"}, status: 422, slug: "rejected", detail: `function "hello" rejected the event: no total`},
		"trap":        {reply: scheduler.Reply{Verdict: abi.Failed, Class: "trap"}, status: 502, slug: "function-trapped", detail: `function "hello" trapped`},
		"exit":        {reply: scheduler.Reply{Verdict: abi.Failed, Class: "exit"}, status: 502, slug: "function-trapped", detail: `function "hello" exited`},
		"memory":      {reply: scheduler.Reply{Verdict: abi.Failed, Class: "memory"}, status: 502, slug: "function-trapped", detail: `function "hello" needed more memory than it may have`},
		"init":        {reply: scheduler.Reply{Verdict: abi.Failed, Class: "init"}, status: 502, slug: "function-trapped", detail: `function "hello" could not start`},
		"deadline":    {reply: scheduler.Reply{Verdict: abi.Failed, Class: "deadline"}, status: 504, slug: "deadline-exceeded", detail: `function "hello" did not end before its deadline`},
		"canceled":    {reply: scheduler.Reply{Verdict: abi.Failed, Class: "canceled"}, status: 503, slug: "draining", retryAfter: "5"},
		"internal":    {reply: scheduler.Reply{Verdict: abi.Failed, Class: "internal"}, status: 500, slug: "internal"},
		"not found":   {err: scheduler.ErrNotFound, status: 404, slug: "unknown-function", detail: `call function "hello": no such function`},
		"busy":        {err: scheduler.ErrBusy, status: 429, slug: "busy", detail: `function "hello" has as many calls as it may have at once`, retryAfter: "1"},
		"conflict":    {err: scheduler.ErrConflict, status: 409, slug: "state-conflict", detail: `others kept changing the state of its key`, retryAfter: "1"},
		"draining":    {err: scheduler.ErrDraining, status: 503, slug: "draining", retryAfter: "5"},
		"broken":      {err: scheduler.ErrUnavailable, status: 503, slug: "function-unavailable", detail: `the module of function "hello" cannot be loaded`, retryAfter: "30"},
		"timeout":     {err: context.DeadlineExceeded, status: 504, slug: "timeout"},
		"unknown":     {err: errors.New(secret), status: 500, slug: "internal"},
	} {
		r := tt.reply
		r.Invocation = "inv"
		if r.Error == "" {
			r.Error = secret
		}
		b.call = func(context.Context, scheduler.Call) (scheduler.Reply, error) { return r, tt.err }
		got := b.do("GET", b.gateway+"/fn/hello", "")
		p := got.problem(t)
		if p.Status != tt.status || p.Type != "https://evoke.run/problems/"+tt.slug || !strings.Contains(p.Detail, tt.detail) || p.Next == "" || got.header.Get("Retry-After") != tt.retryAfter {
			t.Errorf("%s: %+v, Retry-After %q", name, p, got.header.Get("Retry-After"))
		}
		if strings.Contains(got.body, secret) {
			t.Errorf("%s: the answer tells what is for the logs: %s", name, got.body)
		}
		if known := tt.err == nil && r.Class != "internal" && r.Class != "canceled"; known && (p.Invocation != "inv" || got.header.Get("Evoke-Invocation") != "inv") {
			t.Errorf("%s: the invocation is missing: %+v", name, p)
		}
	}
	if log := b.logged.String(); strings.Count(log, "request failed") != 2 || !strings.Contains(log, "shop.go:12") {
		t.Errorf("want the two internal errors in the log: %s", log)
	}
}

func TestClientThatGoesAwayCancelsTheCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	b.call = func(ctx context.Context, _ scheduler.Call) (scheduler.Reply, error) {
		cancel()
		<-ctx.Done()
		ended <- ctx.Err()
		return scheduler.Reply{}, ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, "GET", b.gateway+"/fn/hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("client got %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if n := b.counted("gateway", "/fn/:function", "499"); n != 1 {
		t.Errorf("%v requests counted as 499", n)
	}
	if log := b.logged.String(); log != "" {
		t.Errorf("logged %s", log)
	}
}

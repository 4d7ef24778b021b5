package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

// deployHooks puts function hello with webhook triggers in force.
func (b *bundle) deployHooks(ns string, triggers ...api.WebhookTrigger) answer {
	b.t.Helper()
	spec := api.FunctionSpec{Module: b.module()}
	for _, w := range triggers {
		spec.Triggers = append(spec.Triggers, api.TriggerSpec{Webhook: &w})
	}
	return b.send("PUT", b.admin+"/api/v1/ns/"+ns+"/apps/hooks", api.App{Functions: map[string]api.FunctionSpec{"hello": spec}})
}

func (b *bundle) setSecret(ns, name, value string, keepOld time.Duration) {
	b.t.Helper()
	if got := b.send("PUT", b.admin+"/api/v1/ns/"+ns+"/secrets/"+name, api.SecretRequest{Value: []byte(value), KeepOld: api.Duration(keepOld)}); got.status != 200 {
		b.t.Fatalf("%d %s", got.status, got.body)
	}
}

// hooked is a server with a webhook of each scheme in force, all with the secret "s3cret".
func hooked(t *testing.T) *bundle {
	b := setup(t)
	for _, ns := range []string{"default", "acme"} {
		b.setSecret(ns, "key", "s3cret", 0)
		b.setSecret(ns, "whkey", "whsec_"+base64.StdEncoding.EncodeToString([]byte("s3cret")), 0)
		got := b.deployHooks(ns,
			api.WebhookTrigger{Scheme: "github", Secret: "key", Filter: "subject = 'push'"},
			api.WebhookTrigger{Scheme: "stripe", Secret: "key", Path: "/webhooks/stripe", Key: "data.account"},
			api.WebhookTrigger{Scheme: "slack", Secret: "key", Path: "/webhooks/slack"},
			api.WebhookTrigger{Scheme: "standard", Secret: "whkey", Path: "/webhooks/standard"},
			api.WebhookTrigger{Scheme: "hmac", Secret: "key", Path: "/webhooks/own", HMAC: &api.HMAC{Header: "X-Sig"}, IDHeader: "X-Id", Key: "header.X-User"},
			api.WebhookTrigger{Scheme: "hmac", Secret: "key", Path: "/webhooks/timed", HMAC: &api.HMAC{Header: "X-Sig", TimestampHeader: "X-At"}},
			api.WebhookTrigger{Scheme: "none", Path: "/webhooks/any", Origins: []string{"eventgrid.azure.net", "*.example.com"}})
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	return b
}

// now is the time of the tests' servers as senders write it.
var now = strconv.FormatInt(clock.Unix(), 10)

// Each sender's delivery becomes one event, with its own id and the bytes that were sent; when it comes again it is known.
func TestDeliveryBecomesEvent(t *testing.T) {
	t.Parallel()
	b := hooked(t)
	for _, c := range []struct {
		name, topic, body string
		header            []string
		status            int
		id, kind, subject string
		key               string
	}{
		{name: "hello", topic: "_webhook.hello", body: "{\"ref\":  \"main\"}\n", status: 202, id: "72d3162e", kind: "github", subject: "push", key: "push",
			header: []string{"Content-Type", "application/json", "X-GitHub-Delivery", "72d3162e", "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=" + hexOf("s3cret", "{\"ref\":  \"main\"}\n")}},
		{name: "stripe", topic: "_webhook.hello.2", body: `{"id":"evt_1","type":"charge.failed","account":"acct_7"}`, status: 202, id: "evt_1", kind: "stripe", subject: "charge.failed", key: "acct_7",
			header: []string{"Content-Type", "application/json; charset=utf-8", "Stripe-Signature", "t=" + now + ",v1=" + hexOf("s3cret", now, ".", `{"id":"evt_1","type":"charge.failed","account":"acct_7"}`)}},
		{name: "slack", topic: "_webhook.hello.3", body: `{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}`, status: 200, id: "Ev1", kind: "slack", subject: "app_mention", key: "app_mention",
			header: []string{"Content-Type", "application/json", "X-Slack-Request-Timestamp", now, "X-Slack-Signature", "v0=" + hexOf("s3cret", "v0:", now, ":", `{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}`)}},
		{name: "standard", topic: "_webhook.hello.4", body: `{"type":"user.created"}`, status: 202, id: "msg_1", kind: "standard", subject: "user.created", key: "user.created",
			header: []string{"Content-Type", "application/json", "Webhook-Id", "msg_1", "Webhook-Timestamp", now,
				"Webhook-Signature", "v1," + base64.StdEncoding.EncodeToString(macOf(sha256.New, "s3cret", "msg_1.", now, ".", `{"type":"user.created"}`))}},
		{name: "own", topic: "_webhook.hello.5", body: "\x00\xff", status: 202, id: "7", kind: "hmac", key: "anna",
			header: []string{"Content-Type", "application/octet-stream", "X-Id", "7", "X-User", "anna", "X-Sig", hexOf("s3cret", "\x00\xff")}},
		{name: "timed", topic: "_webhook.hello.6", body: "a=1", status: 202, id: "", kind: "hmac", // by what is signed
			header: []string{"Content-Type", "application/x-www-form-urlencoded", "X-At", now, "X-Sig", hexOf("s3cret", now, ".a=1")}},
	} {
		for ns, prefix := range map[string]string{"default": "", "acme": "/@acme"} {
			url := b.gateway + prefix + "/webhooks/" + c.name
			header := append(slices.Clone(c.header), "Authorization", "Bearer of-the-sender", "Cookie", "a=b", "X-Forwarded-For", "10.9.8.7", keyHeader, "evk_of-the-sender",
				"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			for range 3 {
				if got := b.do("POST", url, c.body, header...); got.status != c.status {
					t.Fatalf("%s: %d %s", c.name, got.status, got.body)
				}
			}
			events := b.stored(ns, c.topic)
			if len(events) != 1 {
				t.Errorf("%s: %d events", c.name, len(events))
				continue
			}
			e := &events[0]
			if c.id != "" && e.ID != c.id || len(e.ID) < 1 || e.Source != prefix+"/webhooks/"+c.name || e.Type != "dev.evoke.webhook."+c.kind || e.Subject != c.subject || e.Key() != c.key ||
				string(e.Data) != c.body || e.DataContentType != c.header[1] || !e.Time.Equal(clock) {
				t.Errorf("%s: %+v, data %q", c.name, e, e.Data)
			}
			if trace, _ := e.Extension("traceparent"); !strings.HasPrefix(trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-") {
				t.Errorf("%s: trace %q", c.name, trace)
			}
			if r := string(e.Request); !strings.Contains(r, `"method":"POST"`) || !strings.Contains(r, `"route":"/webhooks/`+c.name+`"`) || strings.Contains(r, "of-the-sender") || strings.Contains(r, "cookie") || strings.Contains(r, "10.9.8.7") || !strings.Contains(r, `["x-forwarded-for","127.0.0.1"]`) {
				t.Errorf("%s: request %s", c.name, r)
			}
		}
		trigger := "hello:webhook" + strings.ReplaceAll(strings.TrimPrefix(c.topic, "_webhook.hello"), ".", ":")
		if accepted, duplicate := b.deliveries(trigger, "accepted"), b.deliveries(trigger, "duplicate"); accepted != 1 || duplicate != 2 {
			t.Errorf("%s: counted %v accepted, %v duplicate", c.name, accepted, duplicate)
		}
	}
}

// deliveries is what /metrics says of a trigger in namespace default.
func (b *bundle) deliveries(trigger, result string) int {
	b.t.Helper()
	series := fmt.Sprintf("evoke_webhook_deliveries_total{namespace=%q,result=%q,trigger=%q} ", "default", result, trigger)
	_, rest, _ := strings.Cut(b.do("GET", b.admin+"/metrics", "").body, series)
	count, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(count)
	return n
}

// Nothing of a delivery that is not signed is kept, and it is counted.
func TestDeliveryThatIsNotSigned(t *testing.T) {
	t.Parallel()
	b := hooked(t)
	old := strconv.FormatInt(clock.Add(-time.Hour).Unix(), 10)
	for _, c := range []struct {
		name, trigger, topic, reason, detail string
		header                               []string
	}{
		{"hello", "hello:webhook", "_webhook.hello", "no-signature", "the header X-Hub-Signature-256 is missing", nil},
		{"hello", "hello:webhook", "_webhook.hello", "wrong-signature", "the signature does not fit the body and the secret",
			[]string{"X-Hub-Signature-256", "sha256=" + hexOf("other", "{}"), "X-GitHub-Event", "ping"}},
		{"stripe", "hello:webhook:2", "_webhook.hello.2", "too-old", "the delivery is older than 5m0s", []string{"Stripe-Signature", "t=" + old + ",v1=" + hexOf("s3cret", old, ".{}")}},
		{"slack", "hello:webhook:3", "_webhook.hello.3", "wrong-signature", "the signature does not fit the body and the secret",
			[]string{"X-Slack-Request-Timestamp", now, "X-Slack-Signature", "v0=" + hexOf("s3cret", "v0:", old, ":{}")}},
	} {
		got := b.do("POST", b.gateway+"/webhooks/"+c.name, "{}", c.header...)
		p := got.problem(t)
		if p.Status != 401 || !strings.HasSuffix(p.Type, "wrong-signature") || p.Detail != c.detail || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Signature") || p.Next == "" {
			t.Errorf("%s: %+v", c.name, p)
		}
		if n := b.deliveries(c.trigger, c.reason); n != 1 {
			t.Errorf("%s: counted %v times", c.reason, n)
		}
		if events := b.stored("default", c.topic); len(events) != 0 {
			t.Errorf("%s: kept %+v", c.name, events)
		}
	}
	if strings.Contains(b.logged.String(), "s3cret") {
		t.Errorf("the secret is in the log: %s", b.logged)
	}
}

// While a key is exchanged both count; then only the new one does.
func TestWebhookSecretIsExchanged(t *testing.T) {
	t.Parallel()
	b := hooked(t)
	deliver := func(id, key string) int {
		return b.do("POST", b.gateway+"/webhooks/own", "x", "X-Id", id, "X-Sig", hexOf(key, "x")).status
	}
	b.setSecret("default", "key", "n3w", time.Hour)
	if old, fresh := deliver("1", "s3cret"), deliver("2", "n3w"); old != 202 || fresh != 202 {
		t.Errorf("while it is exchanged: the old one %d, the new one %d", old, fresh)
	}
	b.setSecret("default", "key", "n3w", 0)
	if old, fresh := deliver("3", "s3cret"), deliver("4", "n3w"); old != 401 || fresh != 202 {
		t.Errorf("then: the old one %d, the new one %d", old, fresh)
	}
	if got := b.do("POST", b.gateway+"/@acme/webhooks/own", "x", "X-Id", "1", "X-Sig", hexOf("n3w", "x")); got.status != 401 {
		t.Errorf("a secret of another namespace: %d", got.status)
	}
}

func TestWebhookWithoutSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.deployHooks("default", api.WebhookTrigger{Scheme: "github", Secret: "hub"}).problem(t)
	missing := []api.Fault{{Field: "functions.hello.on[0].webhook.secret", Problem: `there is no secret "hub" in namespace default`, Secret: "hub"}}
	if p.Status != 400 || p.Detail != missing[0].Field+": "+missing[0].Problem || p.Next != `set the secret, as by "fnctl secret set", and deploy again` || !slices.Equal(p.Faults, missing) {
		t.Errorf("deploy: %+v", p)
	}
	b.setSecret("default", "hub", "s", 0)
	b.setSecret("default", "std", "my secret", 0)
	if got := b.deployHooks("default", api.WebhookTrigger{Scheme: "github", Secret: "hub"}, api.WebhookTrigger{Scheme: "standard", Secret: "std", Path: "/webhooks/std"}); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if p := b.do("DELETE", b.admin+"/api/v1/ns/default/secrets/hub", "").problem(t); p.Status != 409 || !strings.Contains(p.Detail, "function hello names it") {
		t.Errorf("rm: %+v", p)
	}
	if got := b.do("DELETE", b.admin+"/api/v1/ns/default/secrets/hub?force=true", ""); got.status != 204 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	signature := "sha256=" + hexOf("", "{}") // of an empty key, for which nobody needs to know anything
	if p := b.do("POST", b.gateway+"/webhooks/hello", "{}", "X-Hub-Signature-256", signature).problem(t); p.Status != 503 || !strings.HasSuffix(p.Type, "secret-missing") ||
		p.Detail != `deliveries to webhook "hello" cannot be checked now` || !strings.HasPrefix(p.Next, "the server's log says what is wrong") || strings.Contains(p.Detail+p.Next, "hub") {
		t.Errorf("%+v", p)
	}
	if p := b.do("POST", b.gateway+"/webhooks/std", "{}", "Webhook-Id", "1", "Webhook-Timestamp", now, "Webhook-Signature", "v1,QUFB").problem(t); p.Status != 503 ||
		p.Detail != `deliveries to webhook "std" cannot be checked now` {
		t.Errorf("%+v", p)
	}
	if log := b.logged.String(); !strings.Contains(log, `trigger=hello:webhook secret=hub err="secret hub in namespace default: `) || strings.Contains(log, "my secret") ||
		!strings.Contains(log, `trigger=hello:webhook:2 secret=std err="it is not whsec_ and base64, as Standard Webhooks writes secrets"`) {
		t.Errorf("log: %s", log)
	}
	if n := b.deliveries("hello:webhook", "no-secret") + b.deliveries("hello:webhook:2", "no-secret"); n != 2 {
		t.Errorf("counted %v", n)
	}
	if events := append(b.stored("default", "_webhook.hello"), b.stored("default", "_webhook.hello.2")...); len(events) != 0 {
		t.Errorf("kept %+v", events)
	}
}

// What senders ask before they begin is answered, and is nothing for functions.
func TestSendersThatAsk(t *testing.T) {
	t.Parallel()
	b := hooked(t)
	any, slack := b.gateway+"/webhooks/any", `{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","token":"Jhj5dZrVaK7ZwHHjRyZWjbDl"}`
	validation := func(data string) string {
		return `[{"id":"2d1781af","topic":"/subscriptions/x","subject":"","data":{` + data + `},"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","eventTime":"2018-01-25T22:12:19Z","metadataVersion":"1","dataVersion":"1"}]`
	}
	for name, c := range map[string]struct {
		method, url, body string
		header            []string
		status            int
		answer            string
		origin, rate      string
	}{
		"cloudevents": {method: "OPTIONS", url: any, header: []string{"WebHook-Request-Origin", "eventgrid.azure.net", "WebHook-Request-Callback", "https://eventgrid.azure.net/cb?id=1", "WebHook-Request-Rate", "120"},
			status: 200, origin: "eventgrid.azure.net", rate: "*"},
		"cloudevents without a rate": {method: "OPTIONS", url: any, header: []string{"WebHook-Request-Origin", "A.Example.com"}, status: 200, origin: "A.Example.com"},
		"options of no sender":       {method: "OPTIONS", url: any, status: 204},
		"options in a namespace":     {method: "OPTIONS", url: b.gateway + "/@acme/webhooks/any", header: []string{"WebHook-Request-Origin", "a.example.com"}, status: 200, origin: "a.example.com"},
		"event grid, synchronous": {method: "POST", url: any, body: validation(`"validationCode":"512d38b6","validationUrl":"https://rp-eastus2.eventgrid.azure.net:553/validate?id=1"`),
			header: []string{"Aeg-Event-Type", "SubscriptionValidation", "Content-Type", "application/json"}, status: 200, answer: `{"validationResponse":"512d38b6"}` + "\n"},
		"event grid, by hand": {method: "POST", url: any, body: validation(`"validationUrl":"https://rp-eastus2.eventgrid.azure.net:553/validate?id=by-hand"`),
			header: []string{"Aeg-Event-Type", "SubscriptionValidation"}, status: 200},
		"slack": {method: "POST", url: b.gateway + "/webhooks/slack", body: slack, status: 200, answer: "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
			header: []string{"X-Slack-Request-Timestamp", now, "X-Slack-Signature", "v0=" + hexOf("s3cret", "v0:", now, ":", slack)}},
		"github": {method: "POST", url: b.gateway + "/webhooks/hello", body: "{}", status: 204, header: []string{"X-GitHub-Event", "ping", "X-GitHub-Delivery", "1", "X-Hub-Signature-256", "sha256=" + hexOf("s3cret", "{}")}},
	} {
		got := b.do(c.method, c.url, c.body, c.header...)
		if got.status != c.status || got.body != c.answer || got.header.Get(allowedOrigin) != c.origin || got.header.Get(allowedRate) != c.rate {
			t.Errorf("%s: %d %q %v", name, got.status, got.body, got.header)
		}
		if c.method == "OPTIONS" && got.header.Get("Allow") != "OPTIONS, POST" {
			t.Errorf("%s: %v", name, got.header)
		}
	}
	if log := b.logged.String(); !strings.Contains(log, "url=\"https://rp-eastus2.eventgrid.azure.net:553/validate?id=by-hand\"") || strings.Contains(log, "validate?id=1") {
		t.Errorf("log: %s", log)
	}
	for _, topic := range []string{"_webhook.hello", "_webhook.hello.3", "_webhook.hello.7"} {
		if events := b.stored("default", topic); len(events) != 0 {
			t.Errorf("kept %+v", events)
		}
	}
	for _, c := range []struct {
		method, url, body string
		header            []string
		status            int
		slug, detail      string
	}{
		{"OPTIONS", any, "", []string{"WebHook-Request-Origin", "example.com"}, 403, "sender-not-allowed", `deliveries from "example.com" are not agreed to`},
		{"OPTIONS", any, "", []string{"WebHook-Request-Origin", "a.example.com", "WebHook-Request-Rate", "many"}, 400, "invalid-request", `WebHook-Request-Rate "many" is not a whole number from 1 on`},
		{"POST", any, "{}", []string{"WebHook-Request-Origin", "evil.example"}, 403, "sender-not-allowed", `deliveries from "evil.example" are not agreed to`},
		{"POST", any, "{}", []string{"Aeg-Event-Type", "SubscriptionValidation"}, 400, "invalid-request", "the body is not the one SubscriptionValidation event that its Aeg-Event-Type promises"},
		{"POST", any, "[{}]", []string{"Aeg-Event-Type", "SubscriptionValidation"}, 400, "invalid-request", "the body is not the one SubscriptionValidation event that its Aeg-Event-Type promises"},
		{"GET", any, "", nil, 405, "method-not-allowed", "webhooks are delivered by POST"},
		{"POST", b.gateway + "/webhooks/nobody", "", nil, 404, "unknown-webhook", `no webhook "nobody" is served`},
		{"POST", b.gateway + "/@other/webhooks/any", "", nil, 404, "unknown-webhook", `no webhook "any" is served`},
		{"POST", any, strings.Repeat("x", 1<<20+1), nil, 413, "too-large", "the body is longer than 1 MiB"},
	} {
		p := b.do(c.method, c.url, c.body, c.header...).problem(t)
		if p.Status != c.status || !strings.HasSuffix(p.Type, c.slug) || p.Detail != c.detail {
			t.Errorf("%s %s %v: %+v", c.method, c.url, c.header, p)
		}
	}
}

// CloudEvents stay what they are, as far as what they say is signed.
func TestCloudEventsByWebhook(t *testing.T) {
	t.Parallel()
	b := hooked(t)
	one := `{"specversion":"1.0","id":"7","source":"/a","type":"t","subject":"s-1","authid":"root","data":{"n":1}}`
	signed := func(body string) string { return hexOf("s3cret", body) }
	if got := b.do("POST", b.gateway+"/webhooks/any", "text", with("Content-Type", "text/plain", "WebHook-Request-Origin", "eventgrid.azure.net")...); got.status != 202 {
		t.Errorf("%+v", got)
	}
	if got := b.do("POST", b.gateway+"/webhooks/any", "["+one+","+strings.Replace(one, `"7"`, `"8"`, 1)+"]", "Content-Type", "application/cloudevents-batch+json; charset=utf-8"); got.status != 202 || strings.Count(got.body, `"id"`) != 2 {
		t.Errorf("%+v", got)
	}
	if got := b.do("POST", b.gateway+"/webhooks/any", "[]", "Content-Type", "application/cloudevents-batch+json"); got.status != 202 || got.body != `{"events":[]}`+"\n" {
		t.Errorf("%+v", got)
	}
	if events := b.stored("default", "_webhook.hello.7"); len(events) != 3 || !slices.ContainsFunc(events, func(e event.Event) bool { return e.ID == "7" && e.Source == "/a" && e.Subject == "s-1" }) {
		t.Errorf("%+v", events)
	}
	if got := b.do("POST", b.gateway+"/webhooks/own", one, "Content-Type", "application/cloudevents+json", "X-Sig", signed(one)); got.status != 202 {
		t.Errorf("%+v", got)
	}
	if got := b.do("POST", b.gateway+"/webhooks/own", "text", with("Content-Type", "text/plain", "X-Id", "9", "X-Sig", signed("text"))...); got.status != 202 { // not signed: its headers
		t.Errorf("%+v", got)
	}
	if p := b.do("POST", b.gateway+"/webhooks/own", "{}", "Content-Type", "application/cloudevents+json", "X-Sig", signed("{}")).problem(t); p.Status != 400 || !strings.Contains(p.Detail, `"specversion"`) {
		t.Errorf("%+v", p)
	}
	var ids []string
	for _, e := range b.stored("default", "_webhook.hello.5") {
		ids = append(ids, e.ID+" "+e.Type)
		if who, ok := e.Extension("authid"); ok {
			t.Errorf("the event says that it is of %q", who)
		}
	}
	slices.Sort(ids)
	if fmt.Sprint(ids) != "[7 t 9 dev.evoke.webhook.hmac]" {
		t.Errorf("%v", ids)
	}
}

// A sender has no more room and no more time than other clients.
func TestHostileDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.DrainTimeout = time.Second })
	if got := b.deployHooks("default", api.WebhookTrigger{Scheme: "none"}); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		detail string
	}{
		"a bomb":     {zip(t, strings.Repeat(" ", maxBody+1)), []string{"Content-Type", "application/cloudevents-batch+json", "Content-Encoding", "gzip"}, 413, "the body is longer than 32 MiB once it is not compressed any more"},
		"no type":    {"{}", []string{"Ce-Specversion", "1.0", "Ce-Source", "/a", "Ce-Id", "1"}, 400, `required attribute "type" is missing or empty`},
		"no coding":  {"[]", []string{"Content-Type", "application/cloudevents-batch+json", "Content-Encoding", "br"}, 415, `content encoding "br" is not known here`},
		"one is bad": {`[{"specversion":"1.0","id":"1","source":"/a","type":"t"},{"specversion":"1.0","id":"2"}]`, []string{"Content-Type", "application/cloudevents-batch+json"}, 400, "event 2"},
	} {
		if p := b.do("POST", b.gateway+"/webhooks/hello", c.body, c.header...).problem(t); p.Status != c.status || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	b.bodyTimeout = 50 * time.Millisecond
	got := b.sendBytes("POST /webhooks/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
	if p := got.problem(t); p.Status != 408 || p.Detail != "the body did not arrive in the time that a client gets for it" {
		t.Errorf("slow: %+v", p)
	}
	if n := b.deliveries("hello:webhook", "unreadable") + b.deliveries("hello:webhook", "invalid"); n != 5 {
		t.Errorf("counted %d", n)
	}
	if events := b.stored("default", "_webhook.hello"); len(events) != 0 {
		t.Errorf("kept %+v", events)
	}
	if n := b.bodies.held.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

// An answer of success means that the event is on disk; else the sender repeats.
func TestDeliveryThatCannotBeKept(t *testing.T) {
	t.Parallel()
	b := hooked(t)
	b.refusePublish(partition.ErrDiskLow)
	p := b.do("POST", b.gateway+"/webhooks/any", "{}").problem(t)
	if p.Status != 507 || !strings.Contains(p.Detail, `store the delivery to webhook "any"`) {
		t.Errorf("%+v", p)
	}
	if n := b.deliveries("hello:webhook:7", "not-stored"); n != 1 {
		t.Errorf("counted %v", n)
	}
	b.refusePublish(nil)
	if got := b.do("POST", b.gateway+"/webhooks/any", "{}"); got.status != 202 {
		t.Errorf("%+v", got)
	}
	b.refusePublish(errors.New("broken"))
	if p := b.do("POST", b.gateway+"/webhooks/any", "{}").problem(t); p.Status != 500 || strings.Contains(p.Detail, "broken") {
		t.Errorf("%+v", p)
	}
}

// A webhook that a deploy has taken away is gone, with what was counted of it; one that goes on keeps it.
func TestWebhookGoes(t *testing.T) {
	t.Parallel()
	b := hooked(t)
	for _, name := range []string{"hello", "any"} {
		b.do("POST", b.gateway+"/webhooks/"+name, "{}")
	}
	if n := strings.Count(b.do("GET", b.admin+"/metrics", "").body, "\nevoke_webhook_deliveries_total{"); n != 2 {
		t.Fatalf("%d series", n)
	}
	if got := b.deployHooks("default", api.WebhookTrigger{Scheme: "github", Secret: "key"}); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if p := b.do("POST", b.gateway+"/webhooks/any", "{}").problem(t); p.Status != 404 {
		t.Errorf("%+v", p)
	}
	if n := strings.Count(b.do("GET", b.admin+"/metrics", "").body, "\nevoke_webhook_deliveries_total{"); n != 1 {
		t.Errorf("%d series", n)
	}
	got := b.do("GET", b.admin+"/api/v1/ns/default/triggers/hello:webhook", "")
	var trigger api.Trigger
	if err := json.Unmarshal([]byte(got.body), &trigger); err != nil || trigger.Kind != "webhook" || trigger.Webhook == nil || trigger.Webhook.Scheme != "github" || trigger.Topic.Name != "_webhook.hello" {
		t.Errorf("%v %s", err, got.body)
	}
}

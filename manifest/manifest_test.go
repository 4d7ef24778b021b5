package manifest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/manifest"
)

// Only the ending tells a script from the directory of a package.
func TestScripts(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{"./a.js": true, "src/A.JS": true, "a.mjs": true, "./a.ts": true, "a.tsx": true, "./a.mts": true, "a.jsx": true, "./a": false, "./js": false, "./a.js/b": false} {
		m, err := manifest.Parse("fn.yaml", []byte("version: 1\napp: a\nfunctions:\n  f: { source: "+source+" }\n"))
		if err != nil {
			t.Fatal(err)
		}
		if f := m.Functions[0]; f.Source != source || f.Script() != want {
			t.Errorf("%s: %+v", source, f)
		}
	}
}

const whole = `
version: 1
app: shop
defaults: { timeout: 5s, memory: 64Mi, retry: { attempts: 8, initial: 1s, factor: 2, max: 5m, jitter: full, maxAge: 14d } }
functions:
  charge:
    source: ./charge
    on:
      - topic: { name: orders.*, filter: "type = 'com.shop.order'", order: key, onFailure: park }
      - http: { key: header.X-Customer }
    concurrency: 8
    reuse: true
    env: { CURRENCY: EUR, PORT: 8080, DEBUG: true, RATE: 1.50, EMPTY: "" }
    allow: { emit: [orders.charged, audit.>], state: true, invoke: [price, stock], http: [api.stripe.com, "*.example.com:8443", "http://[::1]:*"] }
    retry: { attempts: 5, factor: 1.5 }
    timeout: 200ms
    memory: 1Gi
    deadLetter: { keep: 2d, topic: dead.orders, knative: true }
  report:
    wasm: ./report.wasm
    on:
      - http: {}
      - http: { method: POST, path: "/orders/{id}", host: api.example.com, key: params.id, compress: true, cors: { origins: [https://shop.example], headers: X-A, expose: [Etag], credentials: true, maxAge: 10m } }
      - http: { method: [GET, PUT], path: /orders, key: data.customer.id }
      - topic: { name: a, batch: { size: 100, window: 500ms } }
      - topic: { name: b, batch: 7 }
      - topic: { name: c, batch: 1, delivery: atMostOnce }
      - cron: { schedule: "0 2 * * *", timezone: Europe/Berlin, missed: last, overlap: skip, jitter: 1m }
      - cron: "@every 90s"
topics:
  orders.created: { ingress: true, retention: 7d, unsettled: deadletter }
  orders.charged:
`

func TestParseReadsEveryKeyInForce(t *testing.T) {
	t.Parallel()
	got, err := manifest.Parse("fn.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	base := api.Retry{
		Attempts: 8, Initial: duration(time.Second), Factor: 2, Max: duration(5 * time.Minute), Jitter: "full", MaxAge: duration(14 * 24 * time.Hour),
	}
	own := base
	own.Attempts, own.Factor = 5, 1.5
	want := &manifest.Manifest{
		App: "shop",
		Functions: []manifest.Function{
			{Name: "charge", Source: "./charge", Spec: api.FunctionSpec{
				Timeout: duration(200 * time.Millisecond), Memory: 1 << 30, Concurrency: 8, Reuse: true,
				Env:   map[string]string{"CURRENCY": "EUR", "PORT": "8080", "DEBUG": "true", "RATE": "1.50", "EMPTY": ""},
				Allow: api.Allow{Emit: []string{"orders.charged", "audit.>"}, State: true, Invoke: []string{"price", "stock"}, HTTP: []string{"api.stripe.com", "*.example.com:8443", "http://[::1]:*"}},
				Retry: &own, DeadLetter: &api.DeadLetterSpec{Keep: duration(48 * time.Hour), Topic: "dead.orders", Knative: true},
				Triggers: []api.TriggerSpec{
					{Topic: &api.TopicTrigger{Name: "orders.*", Filter: "type = 'com.shop.order'", Order: "key", OnFailure: "park"}},
					{HTTP: &api.HTTPTrigger{Key: "header.X-Customer"}},
				},
			}},
			{Name: "report", Wasm: "./report.wasm", Spec: api.FunctionSpec{
				Timeout: duration(5 * time.Second), Memory: 64 << 20, Retry: &base,
				Triggers: []api.TriggerSpec{
					{HTTP: &api.HTTPTrigger{}},
					{HTTP: &api.HTTPTrigger{
						Methods: []string{"POST"}, Path: "/orders/{id}", Host: "api.example.com", Key: "params.id", Compress: true,
						CORS: &api.CORS{Origins: []string{"https://shop.example"}, Headers: []string{"X-A"}, Expose: []string{"Etag"}, Credentials: true, MaxAge: duration(10 * time.Minute)},
					}},
					{HTTP: &api.HTTPTrigger{Methods: []string{"GET", "PUT"}, Path: "/orders", Key: "data.customer.id"}},
					{Topic: &api.TopicTrigger{Name: "a", Batch: &api.BatchSpec{Size: 100, Window: duration(500 * time.Millisecond)}}},
					{Topic: &api.TopicTrigger{Name: "b", Batch: &api.BatchSpec{Size: 7}}},
					{Topic: &api.TopicTrigger{Name: "c", Delivery: "atMostOnce"}},
					{Cron: &api.CronTrigger{Schedule: "0 2 * * *", Timezone: "Europe/Berlin", Missed: "last", Overlap: "skip", Jitter: duration(time.Minute)}},
					{Cron: &api.CronTrigger{Schedule: "@every 90s"}},
				},
			}},
		},
		Topics: map[string]api.TopicSpec{"orders.created": {Ingress: true, Retention: duration(7 * 24 * time.Hour), Unsettled: "deadletter"}, "orders.charged": {}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", dump(got), dump(want))
	}
}

func duration(d time.Duration) api.Duration { return api.Duration(d) }

func dump(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	return fmt.Sprint(string(b), err)
}

func TestAPIFillsInDigests(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("fn.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	app := m.API(map[string]string{"charge": "sha256:aa", "report": "sha256:bb"})
	if app.Functions["charge"].Module != "sha256:aa" || app.Functions["report"].Module != "sha256:bb" || len(app.Functions) != 2 || len(app.Topics) != 2 {
		t.Errorf("got %s", dump(app))
	}
	if m.Functions[0].Spec.Module != "" {
		t.Error("API changed the manifest")
	}
}

func TestDefaultsMayStandBelowFunctions(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("fn.yaml", []byte("functions: { f: { source: ./f } }\ndefaults: { timeout: 7s }\napp: a\nversion: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Functions[0].Spec.Timeout; got != duration(7*time.Second) {
		t.Errorf("timeout %v", time.Duration(got))
	}
}

// fn puts lines under one function that is complete without them; the first line is line 5 of the file.
func fn(lines string) string {
	return "version: 1\napp: shop\nfunctions:\n  charge: { source: ./charge,\n" + lines + "\n  }\n"
}

// head puts lines below a manifest that is complete without them; the first is line 4.
func head(lines string) string {
	return "version: 1\napp: shop\nfunctions: { charge: { source: ./charge } }\n" + lines + "\n"
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, src, want string }{
		{"empty", "", "fn.yaml:1:1: the manifest is empty; it needs version, app and functions"},
		{"only a comment", "# hello\n", "fn.yaml:1:1: the manifest is empty; it needs version, app and functions"},
		{"text", "hello", `fn.yaml:1:1: the manifest must be a map, not the text "hello"`},
		{"list", "- a", "fn.yaml:1:1: the manifest must be a map, not a list"},
		{"two documents", head("---\na: 1"), "fn.yaml:5:1: a manifest is one YAML document, this is a second one; remove the `---`"},
		{"unclosed", "a: [", "fn.yaml:1:4: not valid YAML: sequence end token ']' not found"},
		{"tab", "a:\n\t- b", "fn.yaml:2:1: not valid YAML: found character '\t' that cannot start any token"},
		{"deep", "a: ö" + strings.Repeat("[", 5000), "fn.yaml:1:105: brackets or lists are nested more than 100 deep"},
		{"deep in one line", "a:\n" + strings.Repeat("- ", 50_000), "fn.yaml:2:201: brackets or lists are nested more than 100 deep"},
		{"long", strings.Repeat("#", manifest.MaxSize+1), "fn.yaml:1:1: the file has 262145 bytes, the limit is 262144"},
		{
			"nothing that is needed", "topics: {}\n", "fn.yaml:1:1: version is missing; write `version: 1`\n" +
				"fn.yaml:1:1: app is missing; name the app, like `app: shop`\n" +
				"fn.yaml:1:1: functions is missing; an app has at least one function",
		},
		{"version 2", "version: 2\napp: a\nfunctions: { f: { wasm: f.wasm } }\n", "fn.yaml:1:10: version must be 1, the only one this fnctl reads, not 2"},
		{"version as text", "version: \"1\"\napp: a\nfunctions: { f: { wasm: f.wasm } }\n", `fn.yaml:1:10: version must be 1, the only one this fnctl reads, not the text "1"`},
		{"app name", "version: 1\napp: My Shop\nfunctions: { f: { wasm: f.wasm } }\n", `fn.yaml:2:6: app: "My Shop" is not a name: it is 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit`},
		{"app number", "version: 1\napp: 12\nfunctions: { f: { wasm: f.wasm } }\n", "fn.yaml:2:6: app must be a name like shop, not 12"},
		{"no functions", "version: 1\napp: a\nfunctions: {}\n", "fn.yaml:3:12: functions is empty; an app has at least one function"},
		{"functions as list", "version: 1\napp: a\nfunctions: [x]\n", "fn.yaml:3:12: functions must be a map, not a list"},
		{"unknown key", head("topic: {}"), "fn.yaml:4:1: topic is not a known key; did you mean topics?"},
		{"far off key", head("wat: {}"), "fn.yaml:4:1: wat is not a known key; known here: app, defaults, functions, topics, version"},
		{"twice", head("app: other"), "fn.yaml:4:1: app is there twice, first in line 2"},
		{"merge key", head("<<: {a: 1}"), "fn.yaml:4:1: << is not usable as a key; write a plain name"},
		{"anchor", head("defaults: &a { timeout: 5s }"), "fn.yaml:4:11: defaults: YAML anchors and aliases are not supported; write the value out, or use defaults"},
		{"topic name", head("topics: { orders..created: {} }"), `fn.yaml:4:11: topics: "orders..created" is not a topic: it is letters, digits, - and _ in tokens joined by dots, like orders.created`},
		{"topic wildcard", head("topics: { 'orders.*': {} }"), `fn.yaml:4:11: topics: "orders.*" is not a topic: it is letters, digits, - and _ in tokens joined by dots, like orders.created`},
		{"topic ingress", head("topics: { a: { ingress: yes please } }"), `fn.yaml:4:25: topics.a.ingress must be true or false, not the text "yes please"`},
		{"topic retention", head("topics: { a: { retention: 7 } }"), "fn.yaml:4:27: topics.a.retention: 7 has no unit; try 7s"},
		{"topic unsettled", head("topics: { a: { unsettled: drop } }"), `fn.yaml:4:27: topics.a.unsettled must be keep or deadletter, not "drop"`},
		{"topic dedup", head("topics: { a: { dedup: 7d } }"), "fn.yaml:4:16: topics.a.dedup is not supported yet"},

		{"no code", "version: 1\napp: a\nfunctions:\n  f: {}\n", "fn.yaml:4:3: functions.f has no code; add `source: ./f` (a Go package or a Rust crate), `source: ./f.ts` or `wasm: ./f.wasm`"},
		{"both", fn("    wasm: ./x.wasm"), "fn.yaml:5:11: functions.charge has both source and wasm; keep one"},
		{"function name", "version: 1\napp: a\nfunctions:\n  Über: { wasm: a.wasm }\n", `fn.yaml:4:3: functions: "Über" is not a name: it is 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit`},
		{"unknown function key", fn("    timeot: 5s"), "fn.yaml:5:5: functions.charge.timeot is not a known key; did you mean timeout?"},
		{"secrets", fn("    secrets: stripe_key"), `fn.yaml:5:14: functions.charge.secrets must be a list of names, like [stripe_key], not the text "stripe_key"`},
		{"secret without a name", fn("    secrets: [a, b/c]"), `fn.yaml:5:18: functions.charge.secrets[1]: "b/c" is no name of a secret: it has 1 to 63 letters, digits, _, - and ., beginning and ending with a letter, a digit or _`},
		{"secret twice", fn("    secrets: [a, a]"), `fn.yaml:5:18: functions.charge.secrets[1]: "a" is there twice`},
		{"secret as number", fn("    secrets: [1]"), "fn.yaml:5:15: functions.charge.secrets[0] must be the name of a secret, not 1"},
		{"too many secrets", fn("    secrets: [" + manyNames(65) + "]"), "fn.yaml:5:325: functions.charge.secrets[64]: a function has at most 64 secrets"},
		{"scale", fn("    scale: 3"), "fn.yaml:5:12: functions.charge.scale must be a map, not 3"},
		{"scale of nothing", fn("    scale: { max: 0 }"), "fn.yaml:5:19: functions.charge.scale.max: a limit of 0 would let nothing run; leave it out for no limit, or use fnctl pause"},
		{"scale the wrong way round", fn("    scale: { min: 5, max: 3 }"), "fn.yaml:5:19: functions.charge.scale.min: 5 is above max, which is 3"},
		{"too many ready", fn("    scale: { min: 1001 }"), "fn.yaml:5:19: functions.charge.scale.min must be from 0 to 1000, not 1001"},
		{"concurrency by key without a limit", fn("    concurrency: { key: subject }"), "fn.yaml:5:18: functions.charge.concurrency needs both limit and key; write { limit: 2, key: subject }, or only the number for all keys together"},
		{"concurrency twice", fn("    concurrency: [ 3, 4 ]"), "fn.yaml:5:18: functions.charge.concurrency has more than one limit of a kind; write one number and one { limit: 2, key: subject } at most"},
		{"concurrency in a list in a list", fn("    concurrency: [ [ 3 ] ]"), "fn.yaml:5:20: functions.charge.concurrency[0] must be a whole number, not a list"},
		{"concurrency by key of nothing", fn("    concurrency: { limit: 0, key: subject }"), "fn.yaml:5:27: functions.charge.concurrency.limit: a limit of 0 would let nothing run; leave it out for no limit, or use fnctl pause"},
		{"throttle", fn("    throttle: 10"), "fn.yaml:5:15: functions.charge.throttle must be a map, not 10"},
		{"throttle without a period", fn("    throttle: { limit: 10 }"), "fn.yaml:5:15: functions.charge.throttle needs both limit and period; write { limit: 10, period: 1s }"},
		{"throttle of nothing", fn("    throttle: { limit: 0, period: 1s }"), "fn.yaml:5:24: functions.charge.throttle.limit: a limit of 0 would let nothing run; leave it out for no limit, or use fnctl pause"},
		{"throttle with a large burst", fn("    throttle: { limit: 2, period: 1s, burst: 3 }"), "fn.yaml:5:46: functions.charge.throttle.burst: 3 is not between 1 and limit, which is 2"},
		{"rate limit with a burst", fn("    rateLimit: { limit: 2, period: 1s, burst: 1 }"), "fn.yaml:5:40: functions.charge.rateLimit.burst is not a known key; known here: key, limit, period"},
		{"rate limit without a unit", fn("    rateLimit: { limit: 2, period: 1 }"), "fn.yaml:5:36: functions.charge.rateLimit.period: 1 has no unit; try 1s"},
		{"priority", fn("    on: [ { topic: { name: a, priority: 3 } } ]"), "fn.yaml:5:41: functions.charge.on[0].topic.priority must be an expression like urgency or data.plan.level, not 3"},
		{"adaptive", fn("    adaptive: fast"), `fn.yaml:5:15: functions.charge.adaptive must be true or false, not the text "fast"`},
		{"adaptive latency", fn("    adaptive: { latency: 5 }"), "fn.yaml:5:26: functions.charge.adaptive.latency: 5 has no unit; try 5s"},
		{"fair to nobody", fn("    fair: \"\""), "fn.yaml:5:11: functions.charge.fair is empty; it must be an expression like subject or data.customer"},
		{"weight of nothing", fn("    weight: 0"), "fn.yaml:5:13: functions.charge.weight must be from 1 to 100, not 0"},
		{"concurrency of nothing", fn("    concurrency: 0"), "fn.yaml:5:18: functions.charge.concurrency: a limit of 0 would let nothing run; leave it out for no limit, or use fnctl pause"},
		{"deadLetter topic", fn("    deadLetter: { topic: a.* }"), `fn.yaml:5:26: functions.charge.deadLetter.topic: "a.*" is not a topic: it is letters, digits, - and _ in tokens joined by dots, like orders.created`},
		{"deadLetter knative", fn("    deadLetter: { knative: please }"), `fn.yaml:5:28: functions.charge.deadLetter.knative must be true or false, not the text "please"`},
		{"park without order", fn("    on: [ { topic: { name: a, onFailure: park } } ]"), "fn.yaml:5:42: functions.charge.on[0].topic.onFailure: only keys that are kept in order can park; add order: key, or leave it at skip"},
		{"park without an order", fn("    on: [ { topic: { onFailure: park, name: a, order: none } } ]"), "fn.yaml:5:33: functions.charge.on[0].topic.onFailure: only keys that are kept in order can park; add order: key, or leave it at skip"},
		{"on failure", fn("    on: [ { topic: { name: a, order: key, onFailure: stop } } ]"), `fn.yaml:5:54: functions.charge.on[0].topic.onFailure must be skip or park, not "stop"`},
		{"deadLetter", fn("    deadLetter: 14d"), `fn.yaml:5:17: functions.charge.deadLetter must be a map, not the text "14d"`},
		{"deadLetter keep", fn("    deadLetter: { keep: long }"), `fn.yaml:5:25: functions.charge.deadLetter.keep: "long" is not a duration; try 500ms, 30s, 5m, 24h or 14d`},
		{"concurrency text", fn("    concurrency: many"), `fn.yaml:5:18: functions.charge.concurrency must be a whole number, not the text "many"`},
		{"concurrency below", fn("    concurrency: -1"), "fn.yaml:5:18: functions.charge.concurrency must be from 1 to 100000, not -1"},
		{"concurrency huge", fn("    concurrency: 99999999999999999999"), "fn.yaml:5:18: functions.charge.concurrency must be a whole number, not the text \"99999999999999999999\""},
		{"timeout without unit", fn("    timeout: 5"), "fn.yaml:5:14: functions.charge.timeout: 5 has no unit; try 5s"},
		{"timeout nonsense", fn("    timeout: soon"), `fn.yaml:5:14: functions.charge.timeout: "soon" is not a duration; try 500ms, 30s, 5m, 24h or 14d`},
		{"timeout zero", fn("    timeout: 0s"), "fn.yaml:5:14: functions.charge.timeout: 0s is too short, the least is 1ms"},
		{"memory unit", fn("    memory: 64MB"), `fn.yaml:5:13: functions.charge.memory: "64MB" is not a size; try 64Mi, 1Gi or a number of bytes`},
		{"memory small", fn("    memory: 12"), "fn.yaml:5:13: functions.charge.memory: 12 bytes is not between 1Mi (1048576) and 4Gi (4294967296)"},
		{"memory large", fn("    memory: 5Gi"), "fn.yaml:5:13: functions.charge.memory: 5368709120 bytes is not between 1Mi (1048576) and 4Gi (4294967296)"},
		{"memory overflow", fn("    memory: 9223372036854775807Gi"), `fn.yaml:5:13: functions.charge.memory: "9223372036854775807Gi" is not a size; try 64Mi, 1Gi or a number of bytes`},
		{"env null", fn("    env: { A: null }"), `fn.yaml:5:15: functions.charge.env.A has no value; write "" for an empty one`},
		{"env map", fn("    env: { A: { b: c } }"), "fn.yaml:5:15: functions.charge.env.A must be text, not a map"},
		{"env name", fn(`    env: { "A=B": c }`), `fn.yaml:5:19: functions.charge.env["A=B"]: the name of a variable has letters, digits and "_" and does not begin with a digit`},

		{"source in CommonJS", head2("source: ./a.cjs"), "fn.yaml:4:16: functions.f.source: ./a.cjs is a CommonJS module; write it as an ES module, with export default, in a .js or .ts file"},
		{"warm of Go", head2("source: ./a, warm: ./e.json"), "fn.yaml:4:27: functions.f.warm is for functions in TypeScript and JavaScript; in Go, do in init functions what is to be done before the first event"},
		{"empty warm", head2("source: ./a.js, warm: ''"), "fn.yaml:4:30: functions.f.warm is empty; it must be the path of an event in JSON"},
		{"script with reuse", head2("source: ./a.js, reuse: true"), "fn.yaml:4:31: functions.f.reuse is not for scripts: each event begins with what the script's top-level code left; leave it out"},
		{"source in Rust", head2("source: ./lib.rs"), "fn.yaml:4:16: functions.f.source: ./lib.rs is a file; name the directory of the Rust crate, the one with its Cargo.toml"},
		{"source is a file", head2("source: ./a/main.go"), "fn.yaml:4:16: functions.f.source: ./a/main.go is a file; name the directory of the Go package, a"},
		{"source is wasm", head2("source: ./a.wasm"), "fn.yaml:4:16: functions.f.source: ./a.wasm is built already; write `wasm: ./a.wasm`"},
		{"source empty", head2(`source: ""`), "fn.yaml:4:16: functions.f.source is empty; it must be the directory of a Go package or Rust crate, or a .ts or .js file"},
		{"wasm number", head2("wasm: 7"), "fn.yaml:4:14: functions.f.wasm must be the path of a .wasm file, not 7"},
		{"wasm tag", head2("wasm: !!str a"), "fn.yaml:4:14: functions.f.wasm: YAML tags are not supported; remove !!str"},

		{"on text", fn("    on: http"), `fn.yaml:5:9: functions.charge.on must be a list of triggers, like [ { http: {} } ], not the text "http"`},
		{"on empty map", fn("    on: {}"), "fn.yaml:5:9: functions.charge.on names no trigger; write { http: {} } or { topic: { name: … } }"},
		{"on two kinds", fn("    on: { http: {}, topic: { name: a } }"), "fn.yaml:5:9: functions.charge.on has 2 kinds of trigger; write a list with one kind in each entry"},
		{"http method", fn("    on: [ { http: { method: post } } ]"), `fn.yaml:5:29: functions.charge.on[0].http.method: "post" is no method; they are written in capitals: GET, POST`},
		{"http methods", fn("    on: [ { http: { method: [GET, GET] } } ]"), "fn.yaml:5:29: functions.charge.on[0].http.method: GET is there twice"},
		{"http path", fn("    on: [ { http: { path: x } } ]"), `fn.yaml:5:27: functions.charge.on[0].http.path: "x" is no path: it begins with /, as in /orders/{id}`},
		{"http path taken", fn("    on: [ { http: { path: /fn/x } } ]"), `fn.yaml:5:27: functions.charge.on[0].http.path: "/fn/x" is taken: /fn/, /topics/, /webhooks/ and /@ are the gateway's own; begin with another segment`},
		{"http host", fn("    on: [ { http: { path: /x, host: 'a:80' } } ]"), `fn.yaml:5:37: functions.charge.on[0].http.host: "a:80" is no host: it is a name in lower case without a port, as in api.example.com, or *.example.com for every name below example.com`},
		{"http host alone", fn("    on: [ { http: { host: a.example } } ]"), `fn.yaml:5:27: functions.charge.on[0].http.host: a host belongs to a route; add a path, or leave it out to be served at /fn/NAME under every name`},
		{"http key", fn("    on: [ { http: { key: params.id } } ]"), `fn.yaml:5:26: functions.charge.on[0].http.key: "params.id": params.NAME is for a parameter of the path, and the path has none; write header.NAME, query.NAME or an expression like data.customer.id`},
		{"http key of other", fn("    on: [ { http: { key: params.id, path: '/{ids}' } } ]"), `fn.yaml:5:26: functions.charge.on[0].http.key: the path has no {id}; params.NAME is for a parameter of the path`},
		{"http key cut", fn("    on: [ { http: { key: header. } } ]"), `fn.yaml:5:26: functions.charge.on[0].http.key: "header." names no header; write header.NAME`},
		{"cors", fn("    on: [ { http: { cors: {} } } ]"), `fn.yaml:5:27: functions.charge.on[0].http.cors: has no origins; name the pages that may call, or "*" for all`},
		{"cors credentials", fn("    on: [ { http: { cors: { origins: '*', credentials: true } } } ]"), `fn.yaml:5:56: functions.charge.on[0].http.cors.credentials: every page could act as the user; name the origins instead of "*", or leave credentials out`},
		{"cron without schedule", fn("    on: [ { cron: { timezone: UTC } } ]"), `fn.yaml:5:19: functions.charge.on[0].cron has no schedule; write { schedule: "0 2 * * *" }`},
		{"cron without anything", fn("    on: [ { cron: } ]"), `fn.yaml:5:18: functions.charge.on[0].cron must be a schedule like "0 2 * * *" or @hourly, not empty`},
		{"cron list", fn("    on: [ { cron: [1] } ]"), `fn.yaml:5:19: functions.charge.on[0].cron must be a schedule like "0 2 * * *" or @hourly, not a list`},
		{"cron schedule empty", fn("    on: [ { cron: { schedule: '' } } ]"), `fn.yaml:5:31: functions.charge.on[0].cron.schedule is empty; it must be a schedule like "0 2 * * *" or @hourly`},
		{"cron missed", fn("    on: [ { cron: { schedule: '@daily', missed: some } } ]"), `fn.yaml:5:49: functions.charge.on[0].cron.missed must be skip or last or all, not "some"`},
		{"cron overlap", fn("    on: [ { cron: { schedule: '@daily', overlap: forbid } } ]"), `fn.yaml:5:50: functions.charge.on[0].cron.overlap must be allow or skip or queue, not "forbid"`},
		{"cron jitter", fn("    on: [ { cron: { schedule: '@daily', jitter: 30 } } ]"), "fn.yaml:5:49: functions.charge.on[0].cron.jitter: 30 has no unit; try 30s"},
		{"cron key", fn("    on: [ { cron: { schedule: '@daily', zone: UTC } } ]"), "fn.yaml:5:41: functions.charge.on[0].cron.zone is not a known key; known here: jitter, missed, overlap, schedule, timezone"},
		{"on kafka", fn("    on: [ { kafka: { topic: x } } ]"), "fn.yaml:5:13: functions.charge.on[0].kafka is not supported yet"},
		{"on htp", fn("    on: [ { htp: {} } ]"), "fn.yaml:5:13: functions.charge.on[0].htp is not a known key; did you mean http?"},
		{"topic without name", fn("    on: [ { topic: { order: key } } ]"), "fn.yaml:5:20: functions.charge.on[0].topic has no name; write { name: orders.created }"},
		{"topic text", fn("    on: [ { topic: orders } ]"), `fn.yaml:5:20: functions.charge.on[0].topic must be a map, not the text "orders"`},
		{"delivery", fn("    on: [ { topic: { name: a, delivery: twice } } ]"), `fn.yaml:5:41: functions.charge.on[0].topic.delivery must be atLeastOnce or atMostOnce, not "twice"`},
		{"delivery in order", fn("    on: [ { topic: { name: a, delivery: atMostOnce, order: key } } ]"), "fn.yaml:5:41: functions.charge.on[0].topic.delivery: order: key waits until an event is done, and delivery: atMostOnce does not; leave one of them out"},
		{"batch of none", fn("    on: [ { topic: { name: a, batch: 0 } } ]"), "fn.yaml:5:38: functions.charge.on[0].topic.batch must be from 1 to 1000, not 0"},
		{"batch of too many", fn("    on: [ { topic: { name: a, batch: { size: 1001 } } } ]"), "fn.yaml:5:46: functions.charge.on[0].topic.batch.size must be from 1 to 1000, not 1001"},
		{"batch text", fn("    on: [ { topic: { name: a, batch: many } } ]"), `fn.yaml:5:38: functions.charge.on[0].topic.batch must be a whole number, not the text "many"`},
		{"batch without a size", fn("    on: [ { topic: { name: a, batch: { window: 1s } } } ]"), "fn.yaml:5:38: functions.charge.on[0].topic.batch has no size; write { size: 100, window: 500ms } or only the number"},
		{"batch of one that waits", fn("    on: [ { topic: { name: a, batch: { size: 1, window: 1s } } } ]"), "fn.yaml:5:38: functions.charge.on[0].topic.batch: a batch of one event has nothing to wait for; raise size or take window away"},
		{"batch key", fn("    on: [ { topic: { name: a, batch: { size: 2, wait: 1s } } } ]"), "fn.yaml:5:49: functions.charge.on[0].topic.batch.wait is not a known key; known here: size, window"},
		{"topic order", fn("    on: [ { topic: { name: a, order: keys } } ]"), `fn.yaml:5:38: functions.charge.on[0].topic.order must be none or key, not "keys"`},
		{"topic start", fn("    on: [ { topic: { name: a, start: yesterday } } ]"), `fn.yaml:5:38: functions.charge.on[0].topic.start: "yesterday" is no position; it is latest, earliest, a time like 2026-01-31T12:00:00Z, a time span back from now like -2h, or a token of fnctl topic tail -o wide`},
		{"topic start span", fn("    on: [ { topic: { name: a, start: -2x } } ]"), `fn.yaml:5:38: functions.charge.on[0].topic.start: "-2x" is not a time span back from now; try -2h or -7d`},
		{"topic start number", fn("    on: [ { topic: { name: a, start: 5 } } ]"), `fn.yaml:5:38: functions.charge.on[0].topic.start: 5 is no position; try -2h, or a time like 2026-01-31T12:00:00Z`},
		{"topic start empty", fn("    on: [ { topic: { name: a, start: \"\" } } ]"), `fn.yaml:5:38: functions.charge.on[0].topic.start: it is empty; leave it out to begin with the events after the deploy`},
		{"topic start token", fn("    on: [ { topic: { name: a, start: pos1-xx } } ]"), `fn.yaml:5:38: functions.charge.on[0].topic.start: the token "pos1-xx" is cut or has a wrong character; copy it whole`},
		{"topic pattern", fn("    on: [ { topic: { name: 'a.>.b' } } ]"), `fn.yaml:5:28: functions.charge.on[0].topic.name: "a.>.b" is not a topic: it is letters, digits, - and _ in tokens joined by dots, like orders.created; * stands for one token, > at the end for the rest`},
		{"allow http text", fn("    allow: { http: a.b }"), `fn.yaml:5:20: functions.charge.allow.http must be a list of hosts, like [api.stripe.com], not the text "a.b"`},
		{"allow http path", fn("    allow: { http: [api.stripe.com/v1] }"), `fn.yaml:5:21: functions.charge.allow.http[0]: "api.stripe.com/v1" has a path; only the host and port are looked at, write api.stripe.com`},
		{"allow http number", fn("    allow: { http: [443] }"), "fn.yaml:5:21: functions.charge.allow.http[0] must be a host, like api.stripe.com, not 443"},
		{"allow http twice", fn("    allow: { http: [a.b, 'https://a.b:443'] }"), "fn.yaml:5:26: functions.charge.allow.http[1]: https://a.b:443 is there twice"},
		{"allow http many", fn("    allow: { http: [" + manyNames(257) + "] }"), "fn.yaml:5:1447: functions.charge.allow.http[256]: a function has at most 256 of them; a pattern such as *.example.com stands for many"},
		{"allow invoke text", fn("    allow: { invoke: price }"), `fn.yaml:5:22: functions.charge.allow.invoke must be a list of functions, like [price], not the text "price"`},
		{"allow invoke no name", fn("    allow: { invoke: [price, Price_2] }"), `fn.yaml:5:30: functions.charge.allow.invoke[1]: "Price_2" is not a name: it is 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit`},
		{"allow invoke twice", fn("    allow: { invoke: [price, price] }"), `fn.yaml:5:30: functions.charge.allow.invoke[1]: "price" is there twice`},
		{"allow emit text", fn("    allow: { emit: orders }"), `fn.yaml:5:20: functions.charge.allow.emit must be a list of topics, like [orders.created], not the text "orders"`},

		{"retry attempts", fn("    retry: { attempts: 0 }"), "fn.yaml:5:24: functions.charge.retry.attempts must be from 1 to 100, not 0"},
		{"retry factor", fn("    retry: { factor: 0.5 }"), "fn.yaml:5:22: functions.charge.retry.factor must be from 1 to 10, not 0.5"},
		{"retry factor nan", fn("    retry: { factor: .nan }"), "fn.yaml:5:22: functions.charge.retry.factor must be a number, not .nan"},
		{"retry jitter", fn("    retry: { jitter: some }"), `fn.yaml:5:22: functions.charge.retry.jitter must be full or none, not "some"`},
		{"retry initial", fn("    retry: { initial: 1h, max: 1m }"), "fn.yaml:5:23: functions.charge.retry.initial: 1h0m0s is above max, which is 1m0s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Parse("fn.yaml", []byte(tc.src))
			if err == nil {
				t.Fatalf("no error, want\n%s", tc.want)
			}
			if err.Error() != tc.want {
				t.Errorf("got\n%v\nwant\n%s", err, tc.want)
			}
			var faults manifest.Faults
			if !errors.As(err, &faults) || len(faults) != strings.Count(tc.want, "\n")+1 {
				t.Errorf("got %T with %d faults", err, len(faults))
			}
		})
	}
}

// head2 is a manifest with one function of one line, line 4.
func head2(line string) string {
	return "version: 1\napp: a\nfunctions:\n  f: { " + line + " }\n"
}

func TestAllFaultsAtOnceInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	src := "version: 1\napp: shop\nfunctions:\n  b:\n    source: ./b\n    memory: x\n    secret: {}\n  a:\n    timeot: 1s\ndefaults: { memory: 1X }\n"
	want := `fn.yaml:6:13: functions.b.memory: "x" is not a size; try 64Mi, 1Gi or a number of bytes
fn.yaml:7:5: functions.b.secret is not a known key; did you mean secrets?
fn.yaml:8:3: functions.a has no code; add ` + "`source: ./a` (a Go package or a Rust crate), `source: ./a.ts` or `wasm: ./a.wasm`" + `
fn.yaml:9:5: functions.a.timeot is not a known key; did you mean timeout?
fn.yaml:10:21: defaults.memory: "1X" is not a size; try 64Mi, 1Gi or a number of bytes`
	if _, err := manifest.Parse("fn.yaml", []byte(src)); fmt.Sprint(err) != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// What a server would refuse is found where it stands in the file, before anything is built. What all functions have of the defaults is told once.
func TestRulesOfADeployAreToldWithTheirPlace(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		fn("    on: { topic: { name: a, batch: 10 } }, allow: { state: true }"):                                              "fn.yaml:5:36: functions.charge.on[0].topic.batch: state belongs to one key, and the events of a batch have many; leave batch out, or keep the state in a function of its own",
		fn("    on: { http: { path: '/a', auth: { jwt: { issuer: https://id.example, audience: shop, forward: [''] } } } }"): "fn.yaml:5:99: functions.charge.on[0].http.auth[0].jwt.forward[0]: the name of a claim must have 1 to 256 characters",
		fn("    on: [ { topic: { name: dead.* } } ], deadLetter: { topic: dead.charge }"):                                    `fn.yaml:5:63: functions.charge.deadLetter.topic: the function has a trigger on "dead.*", so its dead letters would come back to it; name a topic that it does not listen to`,
		fn("    on: [ { cron: { schedule: '@hourly', timezone: Europe/Atlantis } } ]"):                                       `fn.yaml:5:52: functions.charge.on[0].cron.timezone: timezone "Europe/Atlantis" is unknown`,
		fn("    on: [ { cron: '61 * * * *' } ]"):                                                                             "fn.yaml:5:19: functions.charge.on[0].cron.schedule: ",
		fn("    concurrency: { limit: 2, key: 'subject =' }"):                                                                "fn.yaml:5:35: functions.charge.keyConcurrency.key: at character 10: ",
		fn("    on: [ { http: { path: /a } }, { http: { path: /a } } ]"):                                                     "fn.yaml:5:35: functions.charge.on[1]: serves /a, and so does functions.charge.on[0]",
		fn("    allow: { invoke: [price, charge] }"):                                                                         "fn.yaml:5:30: functions.charge.allow.invoke[1]: a function cannot be invoked while it waits",
		fn("    env: { 1A: x }"): `fn.yaml:5:16: functions.charge.env["1A"]: the name of a variable has letters`,
		"version: 1\napp: a\nfunctions: { f: { wasm: f.wasm } }\ntopics:\n  a.b: { retention: 40000d }":         `fn.yaml:5:21: topics["a.b"].retention: 960000h0m0s is not between 1s and 100 years`,
		"version: 1\napp: a\ndefaults:\n  timeout: 1h\nfunctions: { f: { wasm: f.wasm }, g: { wasm: g.wasm } }": "fn.yaml:4:12: functions.f.timeout: 1h0m0s is not between 1ms and 15m",
		"version: 1\napp: a\ndefaults:\n  timeout: 1m\nfunctions: { f: { wasm: f.wasm, timeout: 1h } }":         "fn.yaml:5:42: functions.f.timeout: 1h0m0s is not between 1ms and 15m",
	} {
		_, err := manifest.Parse("fn.yaml", []byte(src))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\ngot  %v\nwant %s", src, err, want)
		}
	}
}

// FuzzParse: never a panic; an error is never empty, and names places inside the file; what is read is complete.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{whole, head("topics: {a: }"), fn("    on: [ { http: } ]"), "a: &a\n  b: *a\n", "? a\n: b\n", "a: |\n  b\n", "{", "a: !!x y", "'", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		m, err := manifest.Parse("fn.yaml", []byte(src))
		if err == nil {
			if m.App == "" || len(m.Functions) == 0 {
				t.Errorf("incomplete: %s", dump(m))
			}
			for _, fn := range m.Functions {
				if (fn.Source == "") == (fn.Wasm == "") {
					t.Errorf("function %s has not exactly one kind of code", fn.Name)
				}
			}
			return
		}
		var faults manifest.Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("error %T", err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault %+v", fault)
			}
		}
	})
}

// manyNames is n names as a list without its brackets.
func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("s", i)
	}
	return strings.Join(names, ", ")
}

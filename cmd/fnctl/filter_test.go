package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

const filteredEvent = `{"type":"com.shop.order","source":"/shop","subject":"A-17","region":"us","data":{"order":{"total":120.5,"tags":["vip","new"]}}}`

// tryFilter runs fnctl filter without a server.
func tryFilter(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return execute(t.Context(), t, stdin, nil, append([]string{"filter"}, args...)...)
}

func TestFilterTestSaysWhichRuleDecided(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "yes: there is no rule, so every event matches",
		"type = 'com.shop.order'": `yes: type = 'com.shop.order' is true; type is "com.shop.order"`,
		"type LIKE 'com.shop.%' AND region = 'eu'": `no: region = 'eu' is false; region is "us"`,
		"EXISTS vip OR region IN ('eu', 'us')":     `yes: region IN ('eu', 'us') is true; region is "us"`,
		"vip":                                      "no: vip ends in an error: missing attribute error: vip",
		"LENGTH(subject)":                          `no: LENGTH(subject) is 4, which is neither true nor false; subject is "A-17"`,
		"type = 'x' OR 1 / 0 = 0":                  "no: 1 / 0 = 0 ends in an error: math error: division by zero",
		`{"exact":{"type":"com.shop.order"}}`:      `yes: exact.type: wants type that is "com.shop.order"; the event has "com.shop.order"`,
		`{"prefix":{"source":"/test"}}`:            `no: prefix.source: wants source that begins with "/test"; the event has "/shop"`,
		`{"suffix":{"vip":"x"}}`:                   `no: suffix.vip: wants vip that ends with "x"; the event has none`,
		`{"not":{"prefix":{"source":"/shop"}}}`:    `no: not: the rule in it must not match, and it does (not.prefix.source: wants source that begins with "/shop"; the event has "/shop")`,
		`{"any":[{"exact":{"region":"eu"}},{"cesql":"region = 'us'"}]}`:                 `yes: any[1].cesql: region = 'us' is true; region is "us"`,
		`{"any":[{"exact":{"region":"eu"}},{"exact":{"region":"uk"}}]}`:                 "no: any: one of 2 rules must match, and none does",
		`[{"exact":{"region":"us"}},{"data":{"order.total":[{"numeric":[">=",200]}]}}]`: `no: [1].data["order.total"]: wants data.order.total that is a number >= 200; the event has 120.5`,
		`{"data":{"order.tags":["vip", 7]}}`:                                            `yes: data["order.tags"]: wants data.order.tags that is "vip" or is 7; the event has ["vip", "new"]`,
	} {
		got := tryFilter(t, "", "test", filteredEvent, "--filter", text)
		answer, because, _ := strings.Cut(want, ": ")
		code := exitOK
		if answer == "no" {
			code = exitFailed
		}
		got.want(t, code, "Matches:     "+answer+"\nDecided by:  "+because+"\n", "")
	}
}

func TestFilterExplainShowsEveryRule(t *testing.T) {
	t.Parallel()
	const text = `[{"exact": {"type": "com.shop.order"}}, {"not": {"prefix": {"source": "/test"}}}, {"sql": "region = 'eu' OR\n LENGTH(subject) > 9"}]`
	tryFilter(t, filteredEvent, "explain", "-", "--filter", text).want(t, exitFailed, `  no   all 3 rules must match
  yes    [0].exact.type: wants type that is "com.shop.order"; the event has "com.shop.order"
  yes    [1].not: the rule in it does not match
  no       [1].not.prefix.source: wants source that begins with "/test"; the event has "/shop"
→ no     [2].sql: region = 'eu' OR LENGTH(subject) > 9 is false; region is "us"; subject is "A-17"
  no       [2].sql: region = 'eu' is false; region is "us"
  no       [2].sql: LENGTH(subject) > 9 is false; subject is "A-17"
`, "")
	got := tryFilter(t, filteredEvent, "explain", "-", "--filter", `{"all":[{"exact":{"region":"us"}},{"suffix":{"subject":"8"}}]}`, "-o", "json")
	var v struct {
		Matched     bool
		DecidedBy   string
		Explanation struct {
			Parts []struct {
				Rule, Field, Value string
				Matched, Decided   bool
			}
		}
	}
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || got.code != exitFailed || len(v.Explanation.Parts) != 2 {
		t.Fatalf("%v, %+v", err, got)
	}
	if p := v.Explanation.Parts[1]; p.Rule != "all[1].suffix.subject" || p.Field != "subject" || p.Value != `"A-17"` || p.Matched || !p.Decided || v.Explanation.Parts[0].Decided {
		t.Errorf("%+v", v)
	}
}

const filteredApp = `version: 1
app: shop
functions:
  charge:
    wasm: charge.wasm
    on:
      - topic: { name: orders.created, filter: "region = 'us'" }
      - topic: { name: "orders.*", filter: { data: { order.total: [ { numeric: [ ">=", 200 ] } ] } } }
  audit:
    wasm: audit.wasm
    on: [ { http: {} }, { topic: { name: ">" } } ]
`

func TestFilterTestAsksTheTriggersOfAManifest(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"fn.yaml": filteredApp, "event.json": filteredEvent, "none.yaml": "version: 1\napp: a\nfunctions: { f: { wasm: f.wasm, on: [ { http: {} } ] } }\n"})
	app, event := filepath.Join(dir, "fn.yaml"), filepath.Join(dir, "event.json")
	tryFilter(t, "", "test", event, "-f", app).want(t, exitOK, `FUNCTION   TOPIC            MATCHES   DECIDED BY
charge     orders.created   yes       region = 'us' is true; region is "us"
charge     orders.*         no        data["order.total"]: wants data.order.total that is a number >= 200; the event has 120.5
audit      >                yes       there is no rule, so every event matches
`, "")
	tryFilter(t, "", "test", "@"+event, "-f", app, "--topic", "orders.paid").want(t, exitOK, `FUNCTION   TOPIC            MATCHES   DECIDED BY
charge     orders.created   no        its topic orders.created is not orders.paid
charge     orders.*         no        data["order.total"]: wants data.order.total that is a number >= 200; the event has 120.5
audit      >                yes       there is no rule, so every event matches
`, "")
	tryFilter(t, "", "explain", event, "-f", app, "--topic", "orders.paid").want(t, exitOK, `charge on orders.created: no
its topic orders.created is not orders.paid
→ yes  region = 'us' is true; region is "us"

charge on orders.*: no
→ no   data["order.total"]: wants data.order.total that is a number >= 200; the event has 120.5

audit on >: yes
→ yes  there is no rule, so every event matches
`, "")
	var all []struct{ Function, Topic, Filter string }
	if got := tryFilter(t, "", "test", event, "-f", app, "-o", "json"); json.Unmarshal([]byte(got.out), &all) != nil || len(all) != 3 || all[1].Filter != `{"data":{"order.total":[{"numeric":[">=",200]}]}}` {
		t.Errorf("%+v", got)
	}
	none := filepath.Join(dir, "none.yaml")
	tryFilter(t, "", "test", event, "-f", none).want(t, exitUsage, "", "error: "+none+" has no topic triggers\nTry: fnctl filter test --help\n")
}

func TestFilterTestAsksATriggerOfTheServer(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/triggers/charge:orders": api.Trigger{Name: "charge:orders", Function: "charge", Kind: "topic", Topic: &api.TopicTrigger{Name: "orders", Filter: "region = 'eu'"}},
		"GET /ns/default/triggers/charge:http":   api.Trigger{Name: "charge:http", Function: "charge", Kind: "http", HTTP: &api.HTTPTrigger{}},
	})
	f.fnctl("filter", "test", filteredEvent, "--trigger", "charge:orders").want(t, exitFailed, "Matches:     no\nDecided by:  region = 'eu' is false; region is \"us\"\n", "")
	f.fnctl("filter", "test", filteredEvent, "--trigger", "charge:orders", "--topic", "other", "-o", "jsonl").want(t, exitFailed,
		`{"function":"charge","topic":"orders","filter":"region = 'eu'","matched":false,"decidedBy":"its topic orders is not other","value":false}`+"\n", "")
	f.fnctl("filter", "test", filteredEvent, "--trigger", "charge:http").want(t, exitUsage, "", "error: trigger charge:http is of kind http, which has no filter\nTry: fnctl ls trigger, and one of kind topic\n")
	if got := f.fnctl("filter", "test", filteredEvent, "--trigger", "nobody"); got.code != exitNotFound {
		t.Errorf("%+v", got)
	}
}

func TestFilterEval(t *testing.T) {
	t.Parallel()
	tryFilter(t, "", "eval", "2 * (3 + 4)").want(t, exitOK, "14\n", "")
	tryFilter(t, filteredEvent, "eval", "SUBSTRING(type, 10)", "-").want(t, exitOK, "order\n", "")
	tryFilter(t, "", "eval", "EXISTS subject", filteredEvent, "-o", "json").want(t, exitOK, "{\n  \"value\": true\n}\n", "")
	tryFilter(t, "", "eval", "5 / 0").want(t, exitFailed, "0\n", "error: math error: division by zero\n")
	tryFilter(t, "", "eval", "5 / 0", "-o", "json").want(t, exitFailed, "{\n  \"value\": 0,\n  \"error\": \"math error: division by zero\",\n  \"errorKind\": \"math\"\n}\n", "error: math error: division by zero\n")
	tryFilter(t, "", "eval", "5 +").want(t, exitUsage, "", "error: expression: at character 4: found the end, expected an attribute, a value, NOT, EXISTS, a function or (\nTry: fnctl filter eval --help\n")
	tryFilter(t, "", "eval", "").want(t, exitUsage, "", "error: expression: at character 1: the expression is empty\nTry: fnctl filter eval --help\n")
	tryFilter(t, "", "eval").want(t, exitUsage, "", "error: fnctl filter eval needs an EXPRESSION, and an EVENT if it looks at one\nTry: fnctl filter eval --help\n")
	if got := tryFilter(t, "", "eval", strings.Repeat("(", 10_000)+"1"); got.code != exitUsage || !strings.Contains(got.stderr, "error: expression: the expression has 10001 bytes, the limit is 8192") {
		t.Errorf("%+v", got)
	}
}

func TestFilterFaults(t *testing.T) {
	t.Parallel()
	const event = "Try: an event such as {\"type\": \"com.shop.order\", \"subject\": \"A-17\", \"data\": {\"total\": 12}}\n"
	const all = "Try: docs/filters.md, which has all that a filter may be\n"
	missing := filepath.Join(t.TempDir(), "missing.json")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"test"}, "error: fnctl filter test needs an EVENT: a file, - for stdin, or JSON\nTry: fnctl filter test --help\n"},
		{[]string{"test", "{", "--filter", ""}, "error: the event is not valid JSON: unexpected end of JSON input\n" + event},
		{[]string{"test", `[{"type":"t"}]`, "--filter", ""}, "error: the event: event is not a JSON object: it is of the kind array\n" + event},
		{[]string{"test", `{"subject":"t"}`, "--filter", ""}, "error: the event: required attribute \"type\" is missing or empty\n" + event},
		{[]string{"test", `{"type":"t","Level":1}`, "--filter", ""}, "error: the event: extension name \"Level\" may only have lower-case letters and digits\n" + event},
		{[]string{"test", missing, "--filter", ""}, "error: event: open " + missing + ": no such file or directory\nTry: a FILE that is there, - for stdin, or the event itself\n"},
		{[]string{"test", filteredEvent, "--filter", "type ="}, "error: filter: at character 7: found the end, expected an attribute, a value, NOT, EXISTS, a function or (\n" + all},
		{[]string{"explain", filteredEvent, "--filter", `{"all": [{"exat": {}}]}`}, "error: filter: at character 11, all[0]: there is no dialect \"exat\"; known are exact, prefix, suffix, all, any, not, sql (or cesql) and data\n" + all},
		{[]string{"test", filteredEvent, "--filter", strings.Repeat(`{"not":`, 10_000)}, "error: filter: at character 225: nested more than 32 deep\n" + all},
		{[]string{"test", filteredEvent, "--filter", "", "--trigger", "a:b"}, "error: there is more than one of --filter, --trigger and --file; each says whose filters are meant\nTry: fnctl filter test --help\n"},
		{[]string{"test", filteredEvent, "--filter", "", "--topic", "a..b"}, "error: --topic: topic \"a..b\" has an empty part"},
		{[]string{"test", filteredEvent}, "error: there is no fn.yaml here that would say whose filters are meant\nTry: --filter \"type = 'com.shop.order'\", --trigger NAME or --file FILE\n"},
		{[]string{"test", filteredEvent, "-f", missing}, "error: there is no manifest " + missing + "\n"},
		{[]string{"tset"}, "error: fnctl filter has no command \"tset\"\nTry: fnctl filter test\n"},
	} {
		if got := tryFilter(t, "", tc.args...); got.code != exitUsage || got.out != "" || !strings.HasPrefix(got.stderr, tc.want) {
			t.Errorf("%.100q: exit code %d\n%s%swant\n%s", tc.args, got.code, got.out, got.stderr, tc.want)
		}
	}
	if _, err := os.Stat("fn.yaml"); err == nil {
		t.Error("this directory has a fn.yaml, so a case above says nothing")
	}
}

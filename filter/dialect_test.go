package filter

import (
	"errors"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
)

func shopEvent(data string) *event.Event {
	e := order()
	e.Data = []byte(data)
	return e
}

// TestDialects follows the CloudEvents Subscriptions API, version 1.0-wip, 3.2.4.
func TestDialects(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{}`:                                    true, // no filter
		`[]`:                                    true,
		" [ ] ":                                 true,
		`{"exact": {"type": "com.shop.order"}}`: true,
		`{"exact": {"type": "com.shop.Order"}}`: false, // case-sensitive
		`{"exact": {"type": "com.shop.order", "source": "/shop"}}`:        true, // all pairs
		`{"exact": {"type": "com.shop.order", "source": "/bank"}}`:        false,
		`{"exact": {"missing": "x"}}`:                                     false,
		`{"exact": {"total": "12"}}`:                                      true, // an integer, as it is written
		`{"exact": {"vip": "true"}}`:                                      true,
		`{"exact": {"specversion": "1.0"}}`:                               true,
		`{"exact": {"time": "2026-01-02T03:04:05.000006Z"}}`:              true,
		`{"prefix": {"type": "com.shop.", "subject": "A-"}}`:              true,
		`{"prefix": {"type": "shop"}}`:                                    false,
		`{"suffix": {"type": ".order"}}`:                                  true,
		`{"suffix": {"type": ".ORDER"}}`:                                  false,
		`{"all": [{"exact": {"region": "eu"}}, {"prefix": {"id": "4"}}]}`: true,
		`{"all": [{"exact": {"region": "eu"}}, {"prefix": {"id": "5"}}]}`: false,
		`{"any": [{"exact": {"region": "us"}}, {"prefix": {"id": "4"}}]}`: true,
		`{"any": [{"exact": {"region": "us"}}, {"prefix": {"id": "5"}}]}`: false,
		`{"not": {"exact": {"region": "us"}}}`:                            true,
		`{"not": {"exact": {"missing": "us"}}}`:                           true,
		`{"not": {"not": {"exact": {"region": "us"}}}}`:                   false,
		`{"sql": "region = 'eu' AND total > 10"}`:                         true,
		`{"cesql": "region = 'eu' AND total > 10"}`:                       true,
		`{"sql": "missing = 'x'"}`:                                        false, // an error
		`{"not": {"sql": "missing = 'x'"}}`:                               true,
		`{"sql": "total"}`:                                                false, // no boolean
		`[{"exact": {"region": "eu"}}, {"sql": "vip"}]`:                   true,
		`[{"exact": {"region": "eu"}}, {"sql": "NOT vip"}]`:               false,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Match(order()); got != want {
			t.Errorf("%s: got %v, want %v: %s", text, got, want, f.Explain(order()).Text())
		}
	}
}

const shopData = `{"order": {"total": 120.50, "count": 3, "id": 9007199254740993, "big": 1e999, "note": null, "lines": [{"sku": "a"}], "tags": ["vip", "new", 7, [8]], "empty": {}},
	"customer": {"name": "Ada L\u00f6w", "vip": true, "a.b": 1}, "same": "first", "same": "second", "text": "12"}`

func TestData(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		`{"order.total": 120.5}`:                                                         true,
		`{"order.total": 120.50, "order.count": 3}`:                                      true,
		`{"order.total": 120.5, "order.count": 4}`:                                       false,
		`{"order.total": "120.50"}`:                                                      false, // a number is no text
		`{"text": 12}`:                                                                   false,
		`{"text": "12"}`:                                                                 true,
		`{"order.count": [1, 2, 3]}`:                                                     true, // any of
		`{"order.count": [1, 2, 4]}`:                                                     false,
		`{"order.id": 9007199254740993}`:                                                 true, // whole numbers are compared digit by digit
		`{"order.id": 9007199254740992}`:                                                 false,
		`{"customer.name": "Ada Löw"}`:                                                   true,
		`{"customer.name": {"prefix": "Ada"}}`:                                           true,
		`{"customer.name": {"suffix": "Löw", "prefix": "Ada "}}`:                         true, // both
		`{"customer.name": {"suffix": "Löw", "prefix": "Bob"}}`:                          false,
		`{"customer.name": [{"suffix": "x"}, {"exact": "Ada Löw"}]}`:                     true,
		`{"customer.vip": true}`:                                                         true,
		`{"customer.vip": "true"}`:                                                       false,
		`{"order.note": null}`:                                                           true,
		`{"order.note": {"exists": true}}`:                                               true, // null is there
		`{"order.missing": null}`:                                                        false,
		`{"order.missing": {"exists": false}}`:                                           true,
		`{"missing.deep.er": {"exists": false}}`:                                         true,
		`{"order": {"exists": true}}`:                                                    true,
		`{"order.total.cents": {"exists": false}}`:                                       true,
		`{"order.empty": {"exists": true}}`:                                              true,
		`{"order.tags": "vip"}`:                                                          true, // one member is enough
		`{"order.tags": 7}`:                                                              true,
		`{"order.tags": 8}`:                                                              false, // lists in lists are not looked at
		`{"order.tags": {"exists": true}}`:                                               true,
		`{"order.tags": [{"prefix": "n", "suffix": "p"}]}`:                               false, // of one member, both
		`{"order.lines.sku": "a"}`:                                                       false, // objects in lists are not looked at
		`{"order.total": {"numeric": [">=", 100]}}`:                                      true,
		`{"order.total": {"numeric": [">", 120.5]}}`:                                     false,
		`{"order.total": {"numeric": [">", 0, "<", 121]}}`:                               true,
		`{"order.total": {"numeric": ["=", 1205e-1]}}`:                                   true,
		`{"order.total": {"numeric": ["<", 100]}}`:                                       false,
		`{"order.total": [{"numeric": ["<", 1]}, {"numeric": [">", 120, "<=", 120.5]}]}`: true,
		`{"order.big": {"numeric": [">", 5]}}`:                                           true,
		`{"text": {"numeric": [">", 5]}}`:                                                false,
		`{"same": "first"}`:                                                              true,
		`{"same": "second"}`:                                                             false,
		`{"customer.a.b": 1}`:                                                            false, // a name with a dot cannot be named
	} {
		f, err := Parse(`{"data": ` + pattern + `}`)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		e := shopEvent(shopData)
		if got := f.Match(e); got != want {
			t.Errorf("%s: got %v, want %v: %s", pattern, got, want, f.Explain(e).Text())
		}
	}
	for text, want := range map[string]bool{
		`{"exact": {"data.order.total": "120.50"}}`:                         true, // as it is written
		`{"exact": {"data.order.total": "120.5"}}`:                          false,
		`{"prefix": {"data.customer.name": "Ada", "type": "com."}}`:         true,
		`{"suffix": {"data.order.tags": "ew"}}`:                             true,
		`{"exact": {"data.customer.vip": "true"}}`:                          true,
		`{"exact": {"data.order.note": "null"}}`:                            false, // null has no text
		`{"not": {"prefix": {"data.order": "{"}}}`:                          true,
		`[{"data": {"order.count": 3}}, {"exact": {"region": "eu"}}]`:       true,
		`{"any": [{"data": {"order.count": 4}}, {"data": {"text": "12"}}]}`: true,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if e := shopEvent(shopData); f.Match(e) != want {
			t.Errorf("%s: want %v: %s", text, want, f.Explain(e).Text())
		}
	}
}

// TestDataThatIsNoJSON: it has no fields, and it costs no more than one look.
func TestDataThatIsNoJSON(t *testing.T) {
	t.Parallel()
	has, err := Parse(`{"data": {"a": {"exists": true}}}`)
	if err != nil {
		t.Fatal(err)
	}
	not, err := Parse(`{"data": {"a": {"exists": false}}}`)
	if err != nil {
		t.Fatal(err)
	}
	const mega = 1 << 20
	for name, tc := range map[string]struct {
		contentType, data string
		want              bool
	}{
		"json":                     {"application/json", `{"a": 1}`, true},
		"suffix +json":             {"application/vnd.shop+json; charset=utf-8", `{"a": 1}`, true},
		"no content type":          {"", `{"a": 1}`, true},
		"another content type":     {"text/plain", `{"a": 1}`, false},
		"no data":                  {"", "", false},
		"a list":                   {"", `[{"a": 1}]`, false},
		"cut":                      {"", `{"a": 1`, false},
		"something behind it":      {"", `{"a": 1} 2`, false},
		"not UTF-8":                {"", "{\"a\": \"\xff\"}", true},
		"deeper than JSON goes":    {"", `{"a":` + strings.Repeat("[", mega), false},
		"deep, and JSON":           {"", `{"b":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `,"a":1}`, true},
		"deep objects":             {"", strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000), true},
		"a long list":              {"", `{"b":[` + strings.Repeat("0,", mega/2) + `0],"a":[` + strings.Repeat("0,", 1000) + `0]}`, true},
		"one name again and again": {"", `{` + strings.Repeat(`"b":0,`, mega/6) + `"a":0}`, true},
		"a number without end":     {"", `{"a":` + strings.Repeat("9", mega) + `}`, true},
		"a name without end":       {"", `{"` + strings.Repeat("a", mega) + `":1}`, false},
		"escapes without end":      {"", `{"` + strings.Repeat(`\u0061`, mega/6) + `":1}`, false},
	} {
		e := &event.Event{ID: "1", Source: "s", Type: "t", DataContentType: tc.contentType, Data: []byte(tc.data)}
		if has.Match(e) != tc.want || not.Match(e) == tc.want {
			t.Errorf("%s: want %v", name, tc.want)
		}
	}
	// Of a list a bounded number of members counts.
	f, err := Parse(`{"data": {"a": 7}}`)
	if err != nil {
		t.Fatal(err)
	}
	for before, want := range map[int]bool{0: true, maxMembers - 1: true, maxMembers: false} {
		if e := shopEvent(`{"a": [` + strings.Repeat("1,", before) + `7]}`); f.Match(e) != want {
			t.Errorf("behind %d others: want %v", before, want)
		}
	}
}

func TestDialectFaults(t *testing.T) {
	t.Parallel()
	const (
		known    = "; known are exact, prefix, suffix, all, any, not, sql (or cesql) and data"
		patterns = `; known are exact, prefix, suffix, numeric and exists, and a field further down is named by a path such as "order.total"`
	)
	for text, want := range map[string]string{
		`{`:                                                  "at character 2: this is not JSON: unexpected end of JSON input",
		`{"exact": {"type": "x"},}`:                          "at character 25: this is not JSON: invalid character '}' looking for beginning of object key string",
		`{"exact": {"type": "x"}} AND`:                       "at character 26: this is not JSON: invalid character 'A' after top-level value",
		`[1]`:                                                `at character 2, [0]: a filter is an object such as {"exact": {"type": "com.shop.order"}}, not 1`,
		`[{"exact": {"type": "x"}}, {}]`:                     "at character 28, [1]: this filter names no dialect" + known,
		`{"ex": {"type": "x"}}`:                              `at character 2: there is no dialect "ex"` + known,
		`{"exact": {"a": "x"}, "not": {}}`:                   `at character 23: a filter has one dialect, and this one has "exact" and "not"; write a list of filters, of which all must match`,
		`{"exact": {}}`:                                      `at character 11, exact: it is an object of attributes and texts such as {"type": "com.shop.order"}, not an empty one`,
		`{"exact": "x"}`:                                     `at character 11, exact: it is an object of attributes and texts such as {"type": "com.shop.order"}, not "x"`,
		`{"prefix": {"type": ""}}`:                           "at character 21, prefix.type: the text is empty; the Subscriptions API wants one of at least one character",
		`{"suffix": {"total": 12}}`:                          "at character 22, suffix.total: the value is a text in quotes, not 12; whatever is no text is compared by how it is written",
		`{"exact": {"Type": "x"}}`:                           `at character 12, exact: "Type" is no attribute: their names are lower-case letters and digits, and fields of the data are data.NAME; did you mean type?`,
		`{"exact": {"my_ext": "x"}}`:                         `at character 12, exact: "my_ext" is no attribute: their names are lower-case letters and digits, and fields of the data are data.NAME`,
		`{"exact": {"a": "x", "a": "y"}}`:                    `at character 22, exact.a: "a" is there twice`,
		`{"exact": {"data": "x"}}`:                           "at character 12, exact: data is no attribute; name a field of it, such as data.order.total",
		`{"exact": {"data.a..b": "x"}}`:                      `at character 12, exact: "data.a..b" has an empty name; a path is names joined by single dots, such as order.total`,
		`{"all": []}`:                                        "at character 9, all: all is a list of one filter or more, not an empty one",
		`{"any": {"exact": {}}}`:                             "at character 9, any: any is a list of one filter or more, not an object",
		`{"any": [{"all": [{"not": 3}]}]}`:                   `at character 27, any[0].all[0].not: a filter is an object such as {"exact": {"type": "com.shop.order"}}, not 3`,
		`{"not": [{"exact": {"a": "b"}}]}`:                   `at character 9, not: a filter is an object such as {"exact": {"type": "com.shop.order"}}, not a list`,
		`{"sql": "type = "}`:                                 "at character 9, sql: in the expression, at character 8: found the end, expected an attribute",
		`{"cesql": ""}`:                                      `at character 11, cesql: it is a CESQL expression in quotes, such as "type = 'com.shop.order'", not ""`,
		`{"sql": true}`:                                      `at character 9, sql: it is a CESQL expression in quotes, such as "type = 'com.shop.order'", not true`,
		`{"sql": "data = 1"}`:                                "at character 9, sql: in the expression, at character 1: CESQL sees the attributes of an event, not its data; a filter for data is written like",
		`{"sql": "F(1)"}`:                                    `at character 9, sql: in the expression, at character 1: there is no function "F" with 1 arguments`,
		`{"data": {}}`:                                       "at character 10, data: it is an object of paths and patterns such as",
		`{"data": {"a": []}}`:                                "at character 16, data.a: the list of patterns is empty, so nothing could match",
		`{"data": {"": 1}}`:                                  `at character 11, data: "" has an empty name`,
		`{"data": {"a.b-c": {}}}`:                            `at character 20, data["a.b-c"][0]: the pattern is empty; it has at least one of exact, prefix, suffix, numeric and exists`,
		`{"data": {"a": {"b": {"c": 1}}}}`:                   `at character 17, data.a[0]: there is no pattern "b"` + patterns,
		`{"data": {"a": {"regex": "x"}}}`:                    `at character 17, data.a[0]: there is no pattern "regex"` + patterns,
		`{"data": {"a": {"prefix": 1}}}`:                     "at character 27, data.a[0].prefix: it is a text of at least one character in quotes, not 1",
		`{"data": {"a": {"exists": 1}}}`:                     "at character 27, data.a[0].exists: it is true or false, not 1",
		`{"data": {"a": [[1]]}}`:                             "at character 17, data.a[0]: a value to compare with is a text, a number, true, false or null, not a list",
		`{"data": {"a": 1e999}}`:                             `at character 16, data.a[0]: "1e999" is too large a number`,
		`{"data": {"a": {"numeric": 5}}}`:                    `at character 28, data.a[0].numeric: it is a list of one or two operators, each with its number, such as [">=", 100] or [">", 0, "<", 10]`,
		`{"data": {"a": {"numeric": [">"]}}}`:                `at character 28, data.a[0].numeric: it is a list of one or two operators`,
		`{"data": {"a": {"numeric": ["~", 5]}}}`:             `at character 29, data.a[0].numeric: "~" is no operator; there are =, >, >=, < and <=`,
		`{"data": {"a": {"numeric": [">", "5"]}}}`:           `at character 34, data.a[0].numeric: behind an operator stands a number, not "5"; such as`,
		`{"data": {"a": {"numeric": [">", 5, "<", 5]}}}`:     "at character 28, data.a[0].numeric: no number is > 5 and < 5",
		`{"data": {"` + strings.Repeat("a.", 32) + `a": 1}}`: "at character 11, data: the path has 33 names, the limit is 32",
		strings.Repeat(`{"not":`, 10_000):                    "at character 225: nested more than 32 deep",
		strings.Repeat(`[`, 10_000):                          "at character 33: nested more than 32 deep",
		`{"sql": "` + strings.Repeat("(", 33) + `"}`:         "at character 9, sql: in the expression, at character 33: nested more than 32 deep",
		`{"exact": {"ä": "` + strings.Repeat("x", 100) + `", "ö": 1}}`: `at character 12, exact: "ä" is no attribute`,
	} {
		_, err := Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80s\ngot  %v\nwant %s", text, err, want)
			continue
		}
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%s: %T is no *SyntaxError", text, err)
		}
	}
	if _, err := Parse(`{"exact": {"type": "` + strings.Repeat("x", MaxText) + `"}}`); err == nil || err.Error() != "filter has 8215 bytes, the limit is 8192" {
		t.Errorf("a long one: %v", err)
	}
}

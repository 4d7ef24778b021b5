package manifest_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/manifest"
)

func withFilter(text string) string {
	return "version: 1\napp: shop\nfunctions:\n  f:\n    source: ./f\n    on:\n      topic:\n        name: orders\n        filter:" + text + "\n"
}

func TestFiltersBecomeTheJSONThatTriggersHave(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ yaml, want string }{
		{` "type = 'a'"`, "type = 'a'"},
		{` >-
          type = 'a' AND
          subject = 'b'`, "type = 'a' AND subject = 'b'"},
		{" {}", "{}"},
		{" []", "[]"},
		{` '{"exact": {"type": "a"}}'`, `{"exact": {"type": "a"}}`},
		{" { exact: { type: com.shop.order } }", `{"exact":{"type":"com.shop.order"}}`},
		{`
          - exact: { type: "a<b" }
          - not: { prefix: { source: /test } }
          - cesql: "region = 'eu'"`, `[{"exact":{"type":"a<b"}},{"not":{"prefix":{"source":"/test"}}},{"cesql":"region = 'eu'"}]`},
		{`
          data:
            order.total: [ { numeric: [ ">=", 100.50 ] }, { exists: false } ]
            vip: true
            note: null
            n: [ -3, 0x10, 1e3, "1e3", 1.5e3 ]`, `{"data":{"order.total":[{"numeric":[">=",100.50]},{"exists":false}],"vip":true,"note":null,"n":[-3,16,1e3,"1e3",1.5e3]}}`},
	} {
		m, err := manifest.Parse("fn.yaml", []byte(withFilter(tc.yaml)))
		if err != nil {
			t.Errorf("%s: %v", tc.yaml, err)
			continue
		}
		got := m.Functions[0].Spec.Triggers[0].Topic.Filter
		if got != tc.want {
			t.Errorf("%s\nbecame %s\nwant   %s", tc.yaml, got, tc.want)
		}
		if _, err := filter.Parse(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestFaultsInFiltersHaveTheirPlace(t *testing.T) {
	t.Parallel()
	const where = ": functions.f.on.topic.filter"
	for _, tc := range []struct{ yaml, want string }{
		{` "type ="`, "9:17" + where + ": at character 7: found the end, expected an attribute"},
		{" ''", "9:17" + where + " is empty; it must be a filter like"},
		{" 3", "9:17" + where + " must be a filter like"},
		{" { exat: { type: a } }", "9:19" + where + `: there is no dialect "exat"; known are exact, prefix, suffix, all, any, not, sql (or cesql) and data`},
		{`
          - exact: { type: a }
          - all:
              - prefix:
                  Type: x`, "13:19" + where + `[1].all[0].prefix: "Type" is no attribute: their names are lower-case letters and digits, and fields of the data are data.NAME; did you mean type?`},
		{`
          exact: { type: a }
          prefix: { source: b }`, "11:11" + where + `: a filter has one dialect, and this one has "exact" and "prefix"; write a list of filters`},
		{`
          exact: { type: a, type: b }`, "10:29" + where + `.exact.type is there twice, first in line 10`},
		{` { exact: { type: 3 } }`, "9:34" + where + ".exact.type: the value is a text in quotes, not 3"},
		{` { exact: { ö: a, "data.ü": 1 } }`, "9:28" + where + `.exact: "ö" is no attribute`},
		{` { sql: "type = 'x' AND" }`, "9:24" + where + `.sql: in the expression, at character 15: found the end`},
		{` { data: { a: { numeric: [ ">", .inf ] } } }`, "9:48" + where + `.data.a.numeric[1] must be a text, a number, true, false or null`},
		{" " + strings.Repeat("{ not: ", 10_000), "9:717: brackets or lists are nested more than 100 deep"},
		{" '" + strings.Repeat("(", 99) + "'", "9:17" + where + ": at character 33: nested more than 32 deep"},
		{` [ ` + strings.Repeat("{ not: ", 40) + "{}" + strings.Repeat(" }", 40) + " ]", "nested more than 32 deep"},
		{` { exact: { type: "` + strings.Repeat("x", 9000) + `" } }`, "9:17" + where + ": filter has 9021 bytes, the limit is 8192"},
		{` { exact: &a { type: x } }`, "9:26" + where + ".exact: YAML anchors and aliases are not supported"},
	} {
		_, err := manifest.Parse("fn.yaml", []byte(withFilter(tc.yaml)))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.80s\ngot  %.300v\nwant %s", tc.yaml, err, tc.want)
		}
	}
}

// FuzzFilter: what is taken is a filter, and what is JSON stays what it is.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`{"exact": {"type": "a", "data.b": "c\td"}}`, `[{"data": {"a.b": [1, -2.50, 1e3, "1e3", "true", true, null, {"numeric": [">=", 12345678901234567890]}]}}]`,
		`{ not: { prefix: { source: /test } } }`, `"type = 'x'"`, `{}`, `[{sql: "a = 'b'"}]`, `{any: [{exact: {a: ~}}]}`, `{ data: { a: [ 0x1F, 1_000, .5, +3, 010, .inf ] } }`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\r\n") {
			return
		}
		m, err := manifest.Parse("fn.yaml", []byte(withFilter(" "+text)))
		if err != nil {
			return // FuzzParse looks at faults
		}
		triggers := m.Functions[0].Spec.Triggers
		if len(triggers) != 1 || triggers[0].Topic == nil {
			return
		}
		got := triggers[0].Topic.Filter
		if _, err := filter.Parse(got); err != nil {
			t.Fatalf("%s became %s: %v", text, got, err)
		}
		var want, have any
		if strings.Contains(text, `\u`) || !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") || json.Unmarshal([]byte(text), &want) != nil {
			return
		}
		if err := json.Unmarshal([]byte(got), &have); err != nil || !reflect.DeepEqual(have, want) {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	})
}

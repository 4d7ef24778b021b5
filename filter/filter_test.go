package filter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
)

func order() *event.Event {
	e := &event.Event{
		ID: "42", Source: "/shop", Type: "com.shop.order", Subject: "A-17", DataContentType: "application/json",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Data: []byte(`{"total": 12}`),
	}
	e.SetExtension(event.Extension{Name: "total", Value: "12", Kind: event.Integer})
	e.SetExtension(event.Extension{Name: "vip", Value: "true", Kind: event.Boolean})
	e.SetExtension(event.Extension{Name: "region", Value: "eu"})
	return e
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"":                          true,
		" \t\n":                     true,
		"TRUE":                      true,
		"false":                     false,
		"type = 'com.shop.order'":   true,
		`type = "com.shop.order"`:   true,
		"TYPE = 'com.shop.order'":   true, // names are case-insensitive
		"type = 'com.shop.refund'":  false,
		"type LIKE 'com.shop.%'":    true,
		"type NOT LIKE 'com.shop%'": false,
		"source IN ('/shop', '/b')": true,
		"subject = 'A-17' AND (total > 10 OR region = 'us')": true,
		"total >= 12":                          true,
		"total + 1 = 13":                       true,
		"-total = -12":                         true,
		"vip":                                  true,
		"NOT vip":                              false,
		"EXISTS region":                        true,
		"EXISTS missing":                       false,
		"NOT EXISTS missing":                   true,
		"specversion = '1.0'":                  true,
		"id = 42":                              true, // the string is cast
		"time = '2026-01-02T03:04:05.000006Z'": true,
		"datacontenttype = 'application/json'": true,
		"UPPER(region) = 'EU'":                 true,
		"LENGTH(subject) = 4":                  true,
		// what ends in an error does not match
		"missing = 'x'":           false,
		"missing != 'x'":          false,
		"dataschema = ''":         false,
		"region > 1":              false,
		"total / 0 = 1":           false,
		"LEFT(region, -1) = 'eu'": false,
		// what is no boolean does not match
		"total":         false,
		"'true'":        false,
		"region":        false,
		"1":             false,
		"UPPER('true')": false,
		// a number that makes the SDK panic
		"SUBSTRING(region, 2, -9) = 'e'": false,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := f.Match(order()); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
		if f.String() != text {
			t.Errorf("String is %q, want %q", f.String(), text)
		}
	}
}

// TestMatchSeesWhatTheSDKSees compares the view on our event with a converted event of the SDK.
func TestMatchSeesWhatTheSDKSees(t *testing.T) {
	t.Parallel()
	bare := &event.Event{ID: "1", Source: "s", Type: "t"}
	for _, e := range []*event.Event{order(), bare} {
		converted := e.CloudEvent()
		for _, name := range []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "total", "vip", "region", "missing"} {
			for _, text := range []string{"EXISTS " + name, name + " = 12", name + " = '1'", name + " = TRUE", name + " LIKE '%o%'"} {
				f, err := Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				v, err := f.rule.(*sqlRule).expr.Evaluate(converted)
				if want := err == nil && v == true; f.Match(e) != want {
					t.Errorf("%s: got %v, the SDK says %v, %v", text, !want, v, err)
				}
			}
		}
	}
}

func TestParseSaysWhereAndWhat(t *testing.T) {
	t.Parallel()
	const value = "an attribute, a value, NOT, EXISTS, a function or ("
	for text, want := range map[string]string{
		"type = ":              "at character 8: found the end, expected " + value,
		"type == 'x'":          `at character 7: found "=", expected ` + value,
		"AND":                  `at character 1: found "AND", expected ` + value,
		"type = 'x' AND":       "at character 15: found the end, expected " + value,
		"x IN ()":              `at character 7: found ")", expected ` + value,
		"type 'x'":             `at character 6: found "'x'", expected an operator such as = LIKE IN AND OR or the end`,
		"(type = 'x'":          `at character 12: found the end, expected an operator such as = LIKE IN AND OR or ")"`,
		"type = 'x' )":         `at character 12: found ")", expected an operator such as = LIKE IN AND OR or the end`,
		"x IN ('a' 'b')":       `at character 11: found "'b'", expected an operator such as = LIKE IN AND OR, "," or ")"`,
		"type LIKE foo":        `at character 11: found "foo", expected a string in quotes`,
		"EXISTS 'a'":           `at character 8: found "'a'", expected the name of an attribute`,
		"type IN 'x'":          `at character 9: found "'x'", expected "("`,
		"my_attr = 1":          `at character 9: found "=", expected "("`,
		"type = 'x":            "at character 8: the string that begins here has no closing '",
		`type = "x`:            `at character 8: the string that begins here has no closing "`,
		"a.b = 'x'":            `at character 2: "." has no meaning here; attribute names are letters and digits, strings stand in quotes`,
		"a\n = \n$":            `at character 7: "$" has no meaning here`,
		"ä = 'ö' & b":          `at character 1: "ä" has no meaning here`,
		"a = 'ö' & b":          `at character 9: "&" has no meaning here`,
		"99999999999 = 1":      `at character 1: "99999999999" is not a 32-bit whole number`,
		"data = 'x'":           "at character 1: CESQL sees the attributes of an event, not its data",
		"type = 'x' OR FOO(1)": `at character 15: there is no function "FOO" with 1 arguments`,
		"LEFT('a')":            `at character 1: there is no function "LEFT" with 1 arguments`,
		// the parser would spend seconds on recovering from these
		strings.Repeat("AND EXISTS , ", 300): `at character 1: found "AND", expected ` + value,
		strings.Repeat("a LIKE OR ", 300):    `at character 8: found "OR", expected a string in quotes`,
		strings.Repeat(`"\`, 4000):           `at character 2: "\\" has no meaning here`,
		strings.Repeat("(", 33) + "a":        "at character 33: nested more than 32 deep",
		strings.Repeat("NOT ", 33) + "a":     "at character 129: nested more than 32 deep",
		strings.Repeat("-", 33) + "a":        "at character 33: nested more than 32 deep",
	} {
		_, err := Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q:\ngot  %v\nwant %s", text, err, want)
			continue
		}
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%q: %T is no *SyntaxError", text, err)
		}
	}
	for text, want := range map[string]string{
		strings.Repeat("a", MaxText+1):     "filter has 8193 bytes, the limit is 8192",
		"type = '\xff'":                    "filter is not valid UTF-8",
		strings.Repeat("a OR ", 600) + "b": "filter has more than 1024 words and signs; split it over several triggers",
	} {
		if _, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestParseTakesTheLargestFilters(t *testing.T) {
	t.Parallel()
	e := order()
	for _, text := range []string{
		strings.Repeat("(", maxDepth) + "vip" + strings.Repeat(")", maxDepth),
		strings.Repeat("NOT ", maxDepth) + "vip",
		"vip" + strings.Repeat(" AND vip", 510),
		"region IN ('eu'" + strings.Repeat(", 'x'", 500) + ")",
		"region != '" + strings.Repeat("x", MaxText-12) + "'",
	} {
		f, err := Parse(text)
		if err != nil {
			t.Fatalf("%.40q…: %v", text, err)
		}
		if !f.Match(e) {
			t.Errorf("%.40q… does not match", text)
		}
	}
}

// TestParseIsSilent swaps the process's output, so it runs before the parallel tests go on. ANTLR writes to both by default.
func TestParseIsSilent(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	for _, text := range []string{"#", "type = 'x", "= =", "a b c", "(", "x IN (", "\\", "€", "a = 'x' $"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	os.Stdout, os.Stderr = stdout, stderr
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := io.ReadAll(r); err != nil || len(out) > 0 {
		t.Errorf("Parse wrote %q, %v", out, err)
	}
}

func TestParseAndMatchAreConcurrent(t *testing.T) {
	t.Parallel()
	shared, err := Parse("type LIKE 'com.%' AND UPPER(region) IN ('EU', 'US') AND total + 1 > 12")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			e := order()
			for i := range 100 {
				if !shared.Match(e) {
					t.Error("the shared filter does not match")
				}
				f, err := Parse(fmt.Sprintf("total = 12 AND %d = %d", g, i))
				if err != nil {
					t.Error(err)
				} else if f.Match(e) != (g == i) {
					t.Errorf("%s: wrong answer", f)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "type = 'x'", "a LIKE 'b%' AND NOT (c IN (1, 'd') XOR EXISTS e)", "SUBSTRING(a, 2, -9)", "((((", "'", "a = \"\\\"\"", "-1 - -1", "ä", "data", "a_b(",
	} {
		f.Add(s)
	}
	e := order()
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil {
			if err.Error() == "" || len(err.Error()) > 400 {
				t.Errorf("message of %d bytes: %s", len(err.Error()), err)
			}
			if at, ok := errors.AsType[*SyntaxError](err); ok && (at.Position < 1 || at.Position > len([]rune(text))+1) {
				t.Errorf("position %d in text of %d characters", at.Position, len([]rune(text)))
			}
			return
		}
		if first, second := parsed.Match(e), parsed.Match(e); first != second {
			t.Error("two answers")
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	e := order()
	for _, c := range []struct{ name, text string }{
		{"empty", ""},
		{"type", "type = 'com.shop.order'"},
		{"like", "type LIKE 'com.shop.%'"},
		{"extension", "region = 'eu' AND total > 10"},
		{"miss", "type = 'com.shop.refund' AND region = 'eu'"},
	} {
		f, err := Parse(c.text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Match(e)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("type = 'com.shop.order' AND region IN ('eu', 'us')"); err != nil {
			b.Fatal(err)
		}
	}
}

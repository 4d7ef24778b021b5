package filter

import (
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/sql/v2/expression"
	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/evoke-run/evoke/event"
)

func TestLike(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ab", 100)
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"", "", true}, {"a", "", false}, {"", "%", true}, {"", "_", false}, {"abc", "abc", true}, {"abc", "ab", false}, {"abc", "a%", true}, {"abc", "%c", true}, {"abc", "%b%", true},
		{"abc", "a_c", true}, {"abc", "a__c", false}, {"abc", "___", true}, {"abc", "%_c", true}, {"abc", "%a_c%", true}, {"aab", "%_b%", true}, {"abab", "ab%ab", true}, {"aba", "ab%ba", false},
		{"a%c", `a\%c`, true}, {"abc", `a\%c`, false}, {"a_c", `%\_c`, true}, {"abc", `%\_c`, false}, {`a\c`, `a\c`, true}, {`a\`, `a\`, true}, {"a%", `a\%%`, true},
		{long + "x" + long, "%b_ab_%", true}, {long, "%" + strings.Repeat("a_", 50) + "%", true}, {long, "%" + strings.Repeat("_", 200) + "%", true}, {long, "%" + strings.Repeat("_", 201) + "%", false},
		{long, "%" + strings.Repeat("a_", 50) + "b%", false}, {"x" + long, "%x" + strings.Repeat("_b", 64) + "a%", true},
		{"aXbYc", "a%b%c", true}, {"acb", "a%b%c", false}, {"ü", "_", false}, {"ü", "__", true}, // bytes, as LENGTH counts them
	} {
		if got := newLike(nil, c.pattern).match(c.text); got != c.want {
			t.Errorf("%q LIKE %q: %v", c.text, c.pattern, got)
		}
	}
}

// A filter of 8 KiB and an attribute of 64 KiB make a text of megabytes and a pattern of thousands of bytes. Going back for each of them would take minutes.
func TestLikeOfMuch(t *testing.T) {
	t.Parallel()
	e := &event.Event{ID: "1", Source: "/s", Type: "t", Subject: strings.Repeat("a", 64<<10)}
	texts := "CONCAT(" + strings.Repeat("subject,", 400) + "subject)"
	for _, pattern := range []string{"%" + strings.Repeat("a", 4000) + "b", "%" + strings.Repeat("a", 4000) + "b%", strings.Repeat("%a", 1000) + "b"} {
		f, err := Parse(texts + " LIKE '" + pattern + "'")
		if err != nil {
			t.Fatal(err)
		}
		if f.Match(e) {
			t.Errorf("LIKE %.20q", pattern)
		}
	}
}

// The SDK says the same of what has no backslash: with one, it takes a \% that does not fit for a backslash and a %.
func FuzzLike(f *testing.F) {
	f.Add("abcabd", "a%b_")
	f.Add("a\xff_", "%_%_")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		if strings.Contains(pattern, `\`) {
			newLike(nil, pattern).match(text)
			return
		}
		sdk, err := expression.NewLikeExpression(expression.NewLiteralExpression(text), pattern)
		if err != nil {
			t.Fatal(err)
		}
		want, err := sdk.Evaluate(ce.Event{})
		if got := newLike(nil, pattern).match(text); err != nil || got != want {
			t.Errorf("%q LIKE %q: %v, the SDK says %v, %v", text, pattern, got, want, err)
		}
	})
}

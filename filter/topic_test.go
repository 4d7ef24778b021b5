package filter

import (
	"strings"
	"testing"
)

func TestValidTopic(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "orders.created", "A-1_x.b", strings.Repeat("a", 255), "a_b", "0"} {
		if err := ValidTopic(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                       "topic is empty",
		strings.Repeat("a", 256): "topic has 256 bytes, the limit is 255",
		".":                      `topic "." has an empty part; write parts separated by single dots, as in orders.created`,
		"a..b":                   `topic "a..b" has an empty part`,
		"a.":                     `topic "a." has an empty part`,
		"a b":                    `topic "a b" has " " in part 1; parts are letters, digits, "_" and "-"`,
		"x.ä":                    `topic "x.ä" has "ä" in part 2`,
		"a/b":                    `topic "a/b" has "/" in part 1`,
		"a.*":                    `topic "a.*" has "*" in part 2`,
		"a.>":                    `topic "a.>" has ">" in part 2`,
		"a\x00":                  `topic "a\x00" has "\x00" in part 1`,
		"\xff":                   `has "` + "\uFFFD" + `" in part 1`,
		"_inbox.f":               `topic "_inbox.f" has a part that begins with "_"; such topics belong to the runtime`,
		"a._b":                   `topic "a._b" has a part that begins with "_"`,
	} {
		if err := ValidTopic(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}

func TestPatternMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, topic string
		want           bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a", false},
		{"a.b", "a.b.c", false},
		{"a.b", "A.b", false},
		{"a", "a.b", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"a.*", "a.b", true},
		{"a.*", "a", false},
		{"a.*", "a.b.c", false},
		{"*.b", "a.b", true},
		{"*.b", "a.c", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.c", false},
		{">", "a", true},
		{">", "a.b.c", true},
		{"a.>", "a.b", true},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{"a.>", "b.a", false},
		{"*.>", "a.b", true},
		{"*.>", "a", false},
		// internal topics are matched by their name alone
		{">", "_inbox.f", false},
		{"*.*", "_inbox.f", false},
		{"*.f", "_inbox.f", false},
		{"_inbox.*", "_inbox.f", true},
		{"_inbox.f", "_inbox.f", true},
		{"a.>", "a.b._c", false},
		{"a.*", "a._b", false},
		// not topics
		{">", "", false},
		{"*", "", false},
		{"a.>", "a.", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(c.topic); got != c.want {
			t.Errorf("%s on %q: got %v", c.pattern, c.topic, got)
		}
		if wild := strings.ContainsAny(c.pattern, "*>"); p.Wildcard() != wild || p.String() != c.pattern {
			t.Errorf("%s: wildcard %v, text %s", c.pattern, p.Wildcard(), p)
		}
	}
	if (Pattern{}).Match("a") || (Pattern{}).Match("") {
		t.Error("the zero pattern matches")
	}
}

func TestParsePatternSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"":                       "topic pattern is empty",
		"a.>.b":                  `topic pattern "a.>.b" has ">" before its end; ">" stands for the rest, use "*" for one part`,
		">.>":                    `has ">" before its end`,
		"a*":                     `topic pattern "a*" has "*" in part 1; parts are letters, digits, "_" and "-", or a whole "*" or ">"`,
		"a..>":                   `has an empty part`,
		strings.Repeat("*", 256): "topic pattern has 256 bytes, the limit is 255",
	} {
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", pattern, err, want)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"a.b", "*", ">", "a.*.>", "_x", "..", "\xff"} {
		f.Add(s, "a.b")
	}
	f.Fuzz(func(t *testing.T, text, topic string) {
		p, err := ParsePattern(text)
		if err != nil {
			return
		}
		if got := p.Match(topic); got && !p.Wildcard() && topic != text {
			t.Errorf("%q matches %q", text, topic)
		}
		if !p.Wildcard() && !p.Match(text) {
			t.Errorf("%q does not match itself", text)
		}
		if ValidTopic(topic) == nil {
			all, err := ParsePattern(">")
			if err != nil || !all.Match(topic) {
				t.Errorf("> does not match %q", topic)
			}
		}
	})
}

func BenchmarkPatternMatch(b *testing.B) {
	p, err := ParsePattern("orders.*.>")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Match("orders.created.eu.west")
	}
}

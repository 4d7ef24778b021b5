package filter

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
)

// draw makes random filters and events that have much in common, so that many match, and odd values, so that casts matter.
type draw struct{ *rand.Rand }

func (d draw) of(words ...string) string { return words[d.IntN(len(words))] }

var attributeNames = []string{"type", "source", "subject", "id", "level", "vip", "region", "time", "specversion", "datacontenttype", "dataschema"}

func (d draw) value() string {
	return d.of("a", "ab", "abc", "b", "b.a", "/shop/1", "/shop/12", "3", "03", "+3", "-7", "12", "true", "TRUE", "false", "0", "1", "1.0", "a_b", "ä", "application/json", "2026-01-02T03:04:05Z")
}

func (d draw) path() string { return d.of("a", "a.b", "a.b.c", "a-x", "x", "x.y z", "total") }

func (d draw) filter() string {
	if d.IntN(3) == 0 {
		return d.sql(3)
	}
	if d.IntN(6) == 0 {
		var list []string
		for range d.IntN(3) {
			list = append(list, d.dialect(2))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	return d.dialect(3)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (d draw) dialect(depth int) string {
	if depth > 0 && d.IntN(2) == 0 {
		var list []string
		for range d.IntN(3) + 1 {
			list = append(list, d.dialect(depth-1))
		}
		return fmt.Sprintf(d.of(`{"all": [%s]}`, `{"any": [%s]}`), strings.Join(list, ","))
	}
	switch d.IntN(6) {
	case 0:
		return fmt.Sprintf(`{"not": %s}`, d.dialect(max(0, depth-1)))
	case 1:
		return fmt.Sprintf(`{"sql": %s}`, quote(d.sql(1)))
	case 2:
		return fmt.Sprintf(`{"data": {%s: %s}}`, quote(d.path()), d.patterns())
	case 3:
		return fmt.Sprintf(`{%q: {%s: %s}}`, d.of("exact", "prefix", "suffix"), quote("data."+d.path()), quote(d.value()))
	}
	one, two := d.of(attributeNames...), d.of(attributeNames...)
	if one == two {
		return fmt.Sprintf(`{%q: {%q: %s}}`, d.of("exact", "prefix", "suffix"), one, quote(d.value()))
	}
	return fmt.Sprintf(`{%q: {%q: %s, %q: %s}}`, d.of("exact", "prefix", "suffix"), one, quote(d.value()), two, quote(d.value()))
}

func (d draw) patterns() string {
	var list []string
	for range d.IntN(3) + 1 {
		low := d.IntN(8) - 3
		list = append(list, d.of(
			quote(d.value()), d.of("true", "false", "null", "3", "3.0", "12", "-7", "1e2", "9007199254740993"),
			fmt.Sprintf(`{"prefix": %s}`, quote(d.value())), fmt.Sprintf(`{"suffix": %s, "prefix": %s}`, quote(d.value()), quote(d.value())),
			fmt.Sprintf(`{"numeric": [%q, %d]}`, d.of("=", ">", ">=", "<", "<="), low), fmt.Sprintf(`{"numeric": [">", %d, "<=", %d]}`, low, low+2+d.IntN(3)),
			d.of(`{"exists": true}`, `{"exists": false}`), fmt.Sprintf(`{"exact": %s}`, quote(d.value())),
		))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func (d draw) sql(depth int) string {
	if depth > 0 && d.IntN(2) == 0 {
		return fmt.Sprintf(d.of("(%s) AND (%s)", "(%s) OR (%s)", "%s AND %s", "(%s) XOR (%s)"), d.sql(depth-1), d.sql(depth-1))
	}
	name, text := d.of(attributeNames...), "'"+d.value()+"'"
	literal := d.of(text, text, "3", "-7", "1", "0", "TRUE", "false", d.of(attributeNames...))
	switch d.IntN(10) {
	case 0:
		return fmt.Sprintf("%s %s %s", literal, d.of("=", "!=", "<", ">=", "<>", "<=", ">"), name)
	case 1:
		return fmt.Sprintf("%s %s (%s, %s)", name, d.of("IN", "NOT IN"), literal, text)
	case 2, 3:
		return fmt.Sprintf("%s %s %s", name, d.of("LIKE", "LIKE", "NOT LIKE"), d.of("'a%'", "'%b'", "'a%c'", "'/shop/1%'", `'a\_b'`, `'a\%'`, "'_b'", "'ab'", "''", "'%'", "'%.a'", "'tr%'", "'3%'"))
	case 4:
		return d.of("EXISTS ", "NOT EXISTS ", "", "NOT ") + name
	case 5:
		return d.of("TRUE", "FALSE", "UPPER(type) = 'A'", "LENGTH(subject) > 1", "1 / level = 0", "SUBSTRING(type, 2, level) = 'a'", "-level > 2")
	}
	return fmt.Sprintf("%s %s %s", name, d.of("=", "=", "=", "!=", "<", "<=", ">", ">="), literal)
}

func (d draw) event() *event.Event {
	e := &event.Event{ID: d.value(), Source: d.value(), Type: d.value()}
	if d.IntN(2) == 0 {
		e.Subject = d.value()
	}
	if d.IntN(2) == 0 {
		e.SetExtension(event.Extension{Name: "level", Value: d.of("3", "0", "1", "-7", "12"), Kind: event.Integer})
	} else {
		e.SetExtension(event.Extension{Name: "level", Value: d.value()})
	}
	if d.IntN(2) == 0 {
		e.SetExtension(event.Extension{Name: "vip", Value: d.of("true", "false"), Kind: event.Boolean})
	} else if d.IntN(2) == 0 {
		e.SetExtension(event.Extension{Name: "vip", Value: d.value()})
	}
	if d.IntN(2) == 0 {
		e.SetExtension(event.Extension{Name: "region", Value: d.of("", d.value())})
	}
	e.DataContentType = d.of("", "application/json", "application/x+json", "text/plain")
	if d.IntN(8) > 0 {
		e.Data = []byte(d.json(4))
	}
	return e
}

func (d draw) json(depth int) string {
	if depth == 0 || depth < 4 && d.IntN(2) == 0 {
		return d.of(quote(d.value()), quote(d.value()), "3", "3.0", "-7", "12", "1e2", "1e999", "9007199254740992", "true", "false", "null", "[]", "{}", "{", "[1, 3, \"a\", [2], true]", `["ab", 12]`)
	}
	var members []string
	for _, name := range []string{"a", "a", "b", "c", "a-x", "x", "y z", "total", `x\u002ey`} {
		if d.IntN(2) == 0 {
			members = append(members, fmt.Sprintf(` "%s" : %s`, name, d.json(depth-1)))
		}
	}
	return "{" + strings.Join(members, ",") + " }"
}

var topicPatterns = []string{"a", "a.b", "a.*", "a.>", "*.b", ">", "*", "a.*.c", "_x.>", "_x.y", "b", "*.*.>", "a.b.c"}

func (d draw) entry(id uint64, few bool) *Entry[string] {
	text := ""
	if d.IntN(20) > 0 {
		text = d.filter()
	}
	f, err := Parse(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	pattern := d.of(topicPatterns...)
	if few {
		pattern = d.of("a.b", "a.*")
	}
	p, err := ParsePattern(pattern)
	if err != nil {
		panic(err)
	}
	return &Entry[string]{Scope: d.of("default", "other"), Pattern: p, ID: id, Filter: f, Value: text}
}

// TestTheIndexFindsWhatAskingEveryFilterFinds changes an index again and again, and compares it with asking one by one. Older indexes stay what they were, also when
// several are made of the same one.
func TestTheIndexFindsWhatAskingEveryFilterFinds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			checkIndex(t, draw{rand.New(rand.NewPCG(seed, 9))}, seed%2 == 0)
		})
	}
}

type indexModel struct {
	index   *Index[string]
	entries map[uint64]*Entry[string]
}

func checkIndex(t *testing.T, d draw, crowded bool) {
	all := []indexModel{{NewIndex[string](), map[uint64]*Entry[string]{}}}
	matches := 0
	for round := range 60 {
		m := all[max(0, len(all)-1-d.IntN(3))]
		now := indexModel{entries: maps.Clone(m.entries)}
		var edits []Edit[string]
		for range d.IntN([]int{3, 40, 120}[round%3]) {
			id := d.Uint64N(300) + 1
			was := now.entries[id]
			if was != nil && (d.IntN(3) == 0 || round%20 > 15) {
				edits = append(edits, Edit[string]{Entry: &Entry[string]{Scope: was.Scope, Pattern: was.Pattern, ID: id}, Gone: true})
				delete(now.entries, id)
				continue
			}
			e := d.entry(id, crowded)
			if was != nil && (was.Scope != e.Scope || was.Pattern != e.Pattern) {
				edits = append(edits, Edit[string]{Entry: was, Gone: true})
			}
			edits = append(edits, Edit[string]{Entry: e})
			now.entries[id] = e
		}
		now.index = m.index.With(edits...)
		all = append(all, now)
		for range 12 {
			matches += compare(t, all[d.IntN(len(all))], d.of("default", "other", "none"), d.of("a", "a.b", "a.c", "a.b.c", "b", "_x.y", "a._b", "x.y.z", "a."), d.event())
			matches += compare(t, now, "default", "a.b", d.event())
		}
	}
	if matches < 1000 {
		t.Errorf("only %d matches: the test has become one of nothing", matches)
	}
	// The last one, emptied.
	last := all[len(all)-1]
	var edits []Edit[string]
	for _, e := range last.entries {
		edits = append(edits, Edit[string]{Entry: e, Gone: true})
	}
	if empty := last.index.With(edits...); empty.exact.Len() > 0 || empty.patterns != nil {
		t.Error("an index without entries still has groups")
	}
}

func compare(t *testing.T, m indexModel, scope, topic string, e *event.Event) (matches int) {
	t.Helper()
	on := m.index.Topic(scope, topic)
	seen := e
	if !on.Looks() {
		seen = nil
	}
	got := on.Match(seen)
	if on.Empty() && len(got) > 0 {
		t.Fatal("nobody wants the topic, and some get it")
	}
	var want []*Entry[string]
	for _, id := range slices.Sorted(maps.Keys(m.entries)) {
		if entry := m.entries[id]; entry.Scope == scope && entry.Pattern.Match(topic) && entry.Filter.Match(e) {
			want = append(want, entry)
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Fatalf("the index misses %s on %s, for %+v with data %s", w.Value, w.Pattern, *e, e.Data)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Fatalf("the index has %s on %s too much, for %+v with data %s", g.Value, g.Pattern, *e, e.Data)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d entries in the wrong order or twice", len(got))
	}
	return len(want)
}

// TestAnExplanationSaysWhatMatchSays also asks which rule decided: it must be one that says the same of the event.
func TestAnExplanationSaysWhatMatchSays(t *testing.T) {
	t.Parallel()
	d := draw{rand.New(rand.NewPCG(3, 4))}
	for range 3000 {
		text, e := d.filter(), d.event()
		f, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := f.Explain(e)
		if got.Matched != f.Match(e) {
			t.Fatalf("%s explained as %v, for %+v with data %s", text, got, *e, e.Data)
		}
		if got.Deciding().String() == "" || got.String() == "" {
			t.Fatalf("%s: nothing said", text)
		}
	}
}

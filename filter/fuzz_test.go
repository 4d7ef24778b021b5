package filter

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/evoke-run/evoke/event"
)

// FuzzIndex puts two filters of any form among others, and asks the index and every filter alone about an event of any form: they always agree.
func FuzzIndex(f *testing.F) {
	f.Add(`{"data": {"a.b": [{"numeric": [">=", 3, "<", 9]}, {"exists": false}, null]}}`, `type LIKE 'a\_%' OR level IN (1, '03', TRUE)`, "a_b", "03", []byte(`{"a": {"b": [1, "3", 4.5]}}`), uint64(1))
	f.Add(`[{"any": [{"prefix": {"data.x": "a"}}, {"not": {"suffix": {"region": "b"}}}]}]`, `{"all": [{"cesql": "vip"}, {"exact": {"vip": "true"}}]}`, "true", "b", []byte(`{"x": "ab", "x": 1}`), uint64(2))
	f.Add("'1' = level", "NOT (type = 'x') XOR EXISTS region", "", "1", []byte("["), uint64(3))
	f.Add(`{"data":{"a":1e999}}`, `{"data":{"a":[9007199254740993,-0]}}`, "x", "9007199254740993", []byte(`{"a":9007199254740992}`), uint64(4))
	f.Fuzz(func(t *testing.T, one, two, typ, region string, data []byte, seed uint64) {
		d := draw{rand.New(rand.NewPCG(seed, 5))}
		m := indexModel{index: NewIndex[string](), entries: map[uint64]*Entry[string]{}}
		pattern, err := ParsePattern("a.b")
		if err != nil {
			t.Fatal(err)
		}
		for id := range uint64(2*few + 2) { // enough for a crowd
			e := d.entry(id+1, true)
			e.Scope, e.Pattern = "default", pattern
			m.entries[e.ID] = e
		}
		for i, text := range []string{one, two} {
			if parsed, err := Parse(text); err == nil {
				id := uint64(1000 + i)
				m.entries[id] = &Entry[string]{Scope: "default", Pattern: pattern, ID: id, Filter: parsed, Value: text}
			}
		}
		var edits []Edit[string]
		for _, e := range m.entries {
			edits = append(edits, Edit[string]{Entry: e})
		}
		m.index = m.index.With(edits...)
		e := d.event()
		e.Type, e.Data = typ, data
		e.SetExtension(event.Extension{Name: "region", Value: region})
		compare(t, m, "default", "a.b", e)
		compare(t, m, "default", "a.b", d.event())
	})
}

// FuzzDialects: whatever is taken can be asked and explained, and both say the same.
func FuzzDialects(f *testing.F) {
	d := draw{rand.New(rand.NewPCG(7, 8))}
	for range 30 {
		f.Add(d.dialect(3), []byte(d.json(4)))
	}
	for _, text := range []string{`{}`, `[]`, `[{}]`, `{"exact":{"type":""}}`, `{"data":{"":1}}`, `{"data":{"a":[]}}`, `{"data":{"a":{"numeric":[">",1,"<"]}}}`, `{"not":[]}`, `{"sql":"data = 1"}`, "\t[{\"exact\":{\"t\u00e4\":\"x\"}}]"} {
		f.Add(text, []byte(`{"a":1}`))
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		parsed, err := Parse(text)
		if err != nil {
			if err.Error() == "" || len(err.Error()) > 600 {
				t.Errorf("message of %d bytes: %s", len(err.Error()), err)
			}
			return
		}
		e := order()
		e.Data = data
		matched := parsed.Match(e)
		x := parsed.Explain(e)
		if x.Matched != matched {
			t.Errorf("%s: matched %v, explained as %v", text, matched, x.Matched)
		}
		if got := strings.Count(x.Text(), "→ "); got < 1 || x.Deciding().String() == "" {
			t.Errorf("%s: %d rules decided:\n%s", text, got, x.Text())
		}
	})
}

// FuzzData compares what filters see of data with what encoding/json does.
func FuzzData(f *testing.F) {
	for _, data := range []string{
		`{"a":{"b":{"c":1}},"x":"y"}`, `{"a":[1,"2",null,[3],{"b":4}]}`, ` { "a" : { } , "a" : { "b" : 1 } } `, `{"\u0061":{"b":"\ud83d\ude00\n"}}`, `{"\u0061":"\b\f\r\t\"\\\/\uD83D\u00e9\uDE00\uD83D\uD83D\uDE00\ud83d"}`, `{"a.b":1,"":{"a":2}}`,
		`{"a":1} x`, `{"a":`, `[{"a":1}]`, `"a"`, ``, `{"a":-0.0e-5,"x":12345678901234567890}`, strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
	} {
		f.Add([]byte(data))
	}
	paths := []string{"a", "a.b", "a.b.c", "a.a.a", "x", "x.y", "b"}
	var set []*dataPath
	for _, p := range paths {
		set = append(set, newPath(p))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return // encoding/json changes what is none
		}
		filter := &Filter{paths: newPaths(set...)}
		all := filter.view(&event.Event{Data: data})
		for _, p := range set {
			got, ok := all.data(p)
			alone := &Filter{paths: newPaths(p)}
			if d, found := alone.view(&event.Event{Data: data}).data(p); found != ok || d.kind != got.kind || d.text != got.text || len(d.members) != len(got.members) {
				t.Errorf("%s in %s: %+v, %v alone, %+v, %v among others", p.text, data, d, found, got, ok)
			}
			want, there := lookUp(data, strings.Split(p.text, "."))
			if there != ok || there && got.show() != want.show() {
				t.Errorf("%s in %s: %s, %v; encoding/json says %s, %v", p.text, data, got.show(), ok, want.show(), there)
			}
		}
	})
}

// lookUp is what FuzzData believes. Of members with the same name the first counts.
func lookUp(data []byte, path []string) (datum, bool) {
	if !json.Valid(data) {
		return datum{}, false
	}
	for _, name := range path {
		d := json.NewDecoder(bytes.NewReader(data))
		if token, _ := d.Token(); token != json.Delim('{') {
			return datum{}, false
		}
		found := false
		for d.More() && !found {
			token, _ := d.Token()
			var value json.RawMessage
			_ = d.Decode(&value) // it is valid
			if found = token == name; found {
				data = value
			}
		}
		if !found {
			return datum{}, false
		}
	}
	return believed(data), true
}

func believed(data []byte) datum {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // it is valid
	switch v := v.(type) {
	case nil:
		return datum{}
	case bool:
		return datum{kind: booleanKind, text: string(bytes.TrimSpace(data))}
	case json.Number:
		return datum{kind: numberKind, text: v.String(), number: number(v.String())}
	case string:
		return datum{kind: stringKind, text: v}
	case map[string]any:
		return datum{kind: objectKind}
	}
	out := datum{kind: listKind}
	var members []json.RawMessage
	_ = json.Unmarshal(data, &members) // it is valid
	for _, m := range members {
		if b := believed(m); b.kind < listKind && len(out.members) < maxMembers {
			out.members = append(out.members, b)
		}
	}
	return out
}

// TestFuzzSeedsAreOfUse: a seed that is refused, and should not be, tests nothing.
func TestFuzzSeedsAreOfUse(t *testing.T) {
	t.Parallel()
	d := draw{rand.New(rand.NewPCG(7, 8))}
	taken := 0
	for range 30 {
		if _, err := Parse(d.dialect(3)); err == nil {
			taken++
		}
		d.json(4)
	}
	if taken < 30 || !slices.Contains(topicPatterns, "a.b") {
		t.Errorf("%d of 30 seeds are filters", taken)
	}
}

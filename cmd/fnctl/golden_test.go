package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestOutcomeLeavesOutWhatTheFunctionHadNoPartIn(t *testing.T) {
	t.Parallel()
	r := api.TrialResult{
		Verdict: "done", Duration: 17, Log: []api.TrialLine{{Level: "info", Message: "x"}},
		Attributes: json.RawMessage(`{"status":201}`), Data: []byte(`{"b":1,"a":"<"}`),
		Emitted: []api.TrialEmitted{{Topic: "t", Attributes: json.RawMessage(`{"type":"x"}`), Data: []byte("plain")}, {Topic: "u", Attributes: json.RawMessage(`{"type":"y"}`), Data: []byte{0xff}}},
		State:   map[string][]byte{"n": []byte("2"), "gone": nil, "quoted": []byte(`"x"`), "empty": {}},
	}
	want := `{
  "verdict": "done",
  "reply": {
    "data": {
      "b": 1,
      "a": "<"
    },
    "status": 201
  },
  "emitted": [
    {
      "topic": "t",
      "event": {
        "data": "plain",
        "type": "x"
      }
    },
    {
      "topic": "u",
      "event": {
        "data_base64": "/w==",
        "type": "y"
      }
    }
  ],
  "state": {
    "empty": "",
    "gone": null,
    "n": 2,
    "quoted": "\"x\""
  }
}
`
	if got := string(indented(outcomeOf(r))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	failed := api.TrialResult{Verdict: "failed", Class: "trap", Reason: "unreachable"}
	if got := string(indented(outcomeOf(failed))); got != "{\n  \"verdict\": \"failed\",\n  \"class\": \"trap\",\n  \"reason\": \"unreachable\"\n}\n" {
		t.Errorf("a trap: %s", got)
	}
}

func TestGoldenFilesThatDifferOnlyInTimeAreEqual(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{`{"b":1,"a":[2]}`, "{\n \"a\": [2], \"b\": 1 }", true},
		{`{"at":"2026-01-31T12:00:00Z"}`, `{"at":"2027-02-01T13:01:02.345678+02:00"}`, true},
		{`{"text":"it is 2026-01-31 12:00:00Z, ada"}`, `{"text":"it is 2026-01-31 12:00:01Z, ada"}`, true},
		{`{"text":"it is 2026-01-31T12:00:00Z, ada"}`, `{"text":"it is 2026-01-31T12:00:01Z, eve"}`, false},
		{`{"date":"Sat, 31 Jan 2026 12:00:00 GMT"}`, `{"date":"Sun, 01 Feb 2026 12:00:00 GMT"}`, true},
		{`{"day":"2026-01-31"}`, `{"day":"2026-02-01"}`, false},
		{`{"at":"2026-01-31T12:00:00Z"}`, `{"at":"later"}`, false},
		{`{"at":"2026-01-31T12:00:00Z"}`, `{}`, false},
		{`{"n":1}`, `{"n":2}`, false},
		{`{"n":9007199254740993}`, `{"n":9007199254740992}`, false},
	} {
		d, err := goldenDiff([]byte(tc.a), []byte(tc.b))
		if err != nil || (d == "") != tc.same {
			t.Errorf("%s and %s: %q, %v", tc.a, tc.b, d, err)
		}
	}
}

func TestDiffShowsWhatIsDifferent(t *testing.T) {
	t.Parallel()
	d, err := goldenDiff(
		[]byte(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":"2026-01-31T12:00:00Z","h":8}`),
		[]byte(`{"a":1,"b":2,"c":3,"d":4,"e":"x","f":6,"g":"2027-01-31T12:00:00Z","h":8,"i":9}`))
	want := `  …
    "c": 3,
    "d": 4,
-   "e": 5,
+   "e": "x",
    "f": 6,
    "g": "2027-01-31T12:00:00Z",
-   "h": 8
+   "h": 8,
+   "i": 9
  }`
	if err != nil || d != want {
		t.Errorf("%v\n%s\nwant\n%s", err, d, want)
	}
}

// However two texts differ, the lines of a diff give both of them back.
func FuzzEdits(f *testing.F) {
	f.Add("a\nb\nc", "a\nx\nc")
	f.Add("", "a")
	f.Add("a\na\nb", "b\na\na")
	f.Fuzz(func(t *testing.T, a, b string) {
		if aTime.MatchString(a) || aTime.MatchString(b) {
			return // lines that differ in times are the same
		}
		var left, right []string
		for _, e := range editsOf(strings.Split(a, "\n"), strings.Split(b, "\n")) {
			if e.mark != '+' {
				left = append(left, e.line)
			}
			if e.mark != '-' {
				right = append(right, e.line)
			}
		}
		if strings.Join(left, "\n") != a || strings.Join(right, "\n") != b {
			t.Errorf("%q and %q came to %q and %q", a, b, left, right)
		}
	})
}

func TestOutcomesThatMeanTheSame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, diff string }{
		{`{"reply":{"headers":[["Content-Type","a"]]}}`, `{"reply":{"status":200,"headers":[["content-type","a"]]}}`, ""},
		{`{"reply":{"headers":[["A","1"],["B","2"],["a","3"]]}}`, `{"reply":{"headers":[["b","2"],["a","1"],["A","3"]]}}`, ""},
		{`{"reply":{"headers":[["A","1"],["a","3"]]}}`, `{"reply":{"headers":[["a","3"],["A","1"]]}}`, `"3"`},
		{`{"reply":{"headers":[["A","x"]]}}`, `{"reply":{"headers":[["A","X"]]}}`, `"X"`},
		{`{"reply":{"status":201}}`, `{"reply":{"status":200}}`, `"status": 201`},
		{`{"reply":{"headers":[["A"],[],1,[2]],"data":{"status":200}}}`, `{"reply":{"headers":[["A"],[],1,[2]],"data":{}}}`, `"status": 200`},
		{`{"reason":"no total at check (order.ts:3:7)"}`, `{"reason":"no total at check (order.ts:12:9)"}`, ""},
		{`{"reason":"no total"}`, `{"reason":"no total at lib/order.ts:12:9"}`, ""},
		{`{"reason":"no total at <anonymous> (order.ts:3:7)"}`, `{"reason":"no price at <anonymous> (order.ts:3:7)"}`, `"no price"`},
		{`{"batch":[{"reason":"no at f (a.ts:1:1)"},1]}`, `{"batch":[{"reason":"no"},1]}`, ""},
		{`{"reply":{"data":{"reason":"x at f (a.ts:1:1)"}}}`, `{"reply":{"data":{"reason":"x"}}}`, "a.ts:1:1"},
		{`[1]`, `[1]`, ""},
	} {
		if diff, err := goldenDiff([]byte(c.a), []byte(c.b)); err != nil || (diff == "") != (c.diff == "") || !strings.Contains(diff, c.diff) {
			t.Errorf("%s and %s: %s %v, want %s", c.a, c.b, diff, err, c.diff)
		}
	}
}

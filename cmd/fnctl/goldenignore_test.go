package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestIgnoredPlaces(t *testing.T) {
	t.Parallel()
	const got = `{"verdict":"done","reply":{"data":{"id":"b7","n":1,"a/b":2}},"emitted":[{"event":{"id":"x"}},{"event":{"id":"y"}}]}`
	for _, c := range []struct{ name, expected, diff, err string }{
		{"a member", `{"ignore":["/reply/data/id"],"verdict":"done","reply":{"data":{"id":"a1","n":1,"a/b":2}},"emitted":[{"event":{"id":"x"}},{"event":{"id":"y"}}]}`, "", ""},
		{"any item, and a slash", `{"ignore":["/emitted/*/event/id","/reply/data/a~1b","/reply/data/id"],"verdict":"done","reply":{"data":{"id":"a1","n":1,"a/b":3}},"emitted":[{"event":{"id":1}},{"event":{"id":2}}]}`, "", ""},
		{"an item", `{"ignore":["/emitted/1"],"verdict":"done","reply":{"data":{"id":"b7","n":1,"a/b":2}},"emitted":[{"event":{"id":"x"}},7]}`, "", ""},
		{"a member that only came", `{"ignore":["/reply/data/id"],"verdict":"done","reply":{"data":{"n":1,"a/b":2}},"emitted":[{"event":{"id":"x"}},{"event":{"id":"y"}}]}`, `+       "id": "(ignored)"`, ""},
		{"something else", `{"ignore":["/reply/data/id"],"verdict":"done","reply":{"data":{"id":"a1","n":2,"a/b":2}},"emitted":[{"event":{"id":"x"}},{"event":{"id":"y"}}]}`, `-       "n": 2`, ""},
		{"nowhere", `{"ignore":["/reply/dta"],"verdict":"done"}`, "", `"ignore" lists "/reply/dta", which is neither in the file nor in what came`},
		{"no list", `{"ignore":"/reply"}`, "", `"ignore" is a list of places such as "/reply/data/id"`},
		{"no place", `{"ignore":["reply"]}`, "", `"ignore" lists reply, which is no place; one is written as "/reply/data/id", "/emitted/*/event/data/id"`},
	} {
		diff, err := goldenDiff([]byte(c.expected), []byte(got))
		if err != nil && err.Error() != c.err || err == nil && c.err != "" || !strings.Contains(diff, c.diff) || (diff == "") != (c.diff == "") {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

// A golden file that is written anew ignores what the one before it did.
func TestUpdateKeepsWhatIsIgnored(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"a.golden.json": `{"ignore": ["/reply/data/id"], "verdict": "done", "reply": {"data": {"id": 1, "n": 1}}}`})
	judge := func(data string, update bool) *testCase {
		one := &testCase{golden: filepath.Join(dir, "a.golden.json")}
		if err := one.judge(api.TrialResult{Verdict: "done", Data: []byte(data)}, update); err != nil {
			t.Fatal(err)
		}
		return one
	}
	if one := judge(`{"id": 2, "n": 1}`, true); one.updated {
		t.Error("what differs in an ignored place was written")
	}
	if one := judge(`{"id": 3, "n": 2}`, true); !one.updated {
		t.Error("it was not updated")
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.golden.json"))
	if err != nil || !strings.Contains(string(text), `"/reply/data/id"`) || !strings.Contains(string(text), `"n": 2`) {
		t.Errorf("%v %s", err, text)
	}
	if one := judge(`{"id": 4, "n": 2}`, false); len(one.faults) > 0 {
		t.Errorf("%q", one.faults)
	}
}

func FuzzIgnore(f *testing.F) {
	f.Add([]byte(`{"ignore":["/a/*/b"],"a":[{"b":1}]}`), []byte(`{"a":[{"b":2}]}`))
	f.Fuzz(func(t *testing.T, expected, got []byte) {
		if diff, err := goldenDiff(expected, expected); err == nil && diff != "" && !strings.Contains(string(expected), ignoreMember) {
			t.Errorf("%s differs from itself: %s", expected, diff)
		}
		_, _ = goldenDiff(expected, got) // does not panic
	})
}

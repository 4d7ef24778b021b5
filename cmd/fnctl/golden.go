package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evoke-run/evoke/api"
)

// outcome is what a golden file has.
type outcome struct {
	Verdict    string                     `json:"verdict,omitempty"`
	Class      string                     `json:"class,omitempty"`
	Reason     string                     `json:"reason,omitempty"`
	RetryAfter string                     `json:"retryAfter,omitempty"`
	Reply      map[string]json.RawMessage `json:"reply,omitempty"`
	Emitted    []emittedOutcome           `json:"emitted,omitempty"`
	State      map[string]json.RawMessage `json:"state,omitempty"`
	// Batch has the outcome of each event, when there are several; Verdict and what belongs to it are then empty.
	Batch []outcome `json:"batch,omitempty"`
	// Ignore are places that may differ: JSON pointers, in which * is any member.
	Ignore []string `json:"ignore,omitempty"`
}

type emittedOutcome struct {
	Topic string                     `json:"topic"`
	Event map[string]json.RawMessage `json:"event"`
}

// outcomeOf leaves out what the function had no part in, such as how long it took.
func outcomeOf(r api.TrialResult) outcome {
	o := outcome{Verdict: r.Verdict, Reason: r.Reason, Reply: withData(r.Attributes, r.Data)}
	if r.Class != "error" && r.Class != r.Verdict {
		o.Class = r.Class
	}
	if r.RetryAfter > 0 {
		o.RetryAfter = time.Duration(r.RetryAfter).String()
	}
	for _, e := range r.Emitted {
		o.Emitted = append(o.Emitted, emittedOutcome{Topic: e.Topic, Event: withData(e.Attributes, e.Data)})
	}
	for name, value := range r.State {
		if o.State == nil {
			o.State = map[string]json.RawMessage{}
		}
		_, o.State[name] = valueOf(value)
	}
	if len(r.More) > 0 {
		o.Batch = append(o.Batch, o.verdictAlone())
		for _, one := range r.More {
			o.Batch = append(o.Batch, outcomeOf(one))
		}
		o.Verdict, o.Class, o.Reason, o.RetryAfter = "", "", "", ""
	}
	return o
}

// verdictAlone is without effects.
func (o outcome) verdictAlone() outcome {
	return outcome{Verdict: o.Verdict, Class: o.Class, Reason: o.Reason, RetryAfter: o.RetryAfter}
}

// withData is a JSON object with the data as one more member; nil when there is nothing.
func withData(attributes json.RawMessage, data []byte) map[string]json.RawMessage {
	var out map[string]json.RawMessage
	if len(attributes) > 0 && json.Unmarshal(attributes, &out) != nil {
		_, text := valueOf(attributes)
		out = map[string]json.RawMessage{"attributes": text} // no object; the runtime makes nothing of it either
	}
	if len(data) > 0 {
		if out == nil {
			out = map[string]json.RawMessage{}
		}
		name, value := valueOf(data)
		out[name] = value
	}
	return out
}

// valueOf shows bytes as people read them: JSON that is no text as it is, other text as a text, all else in base64; nothing is null.
func valueOf(b []byte) (name string, value json.RawMessage) {
	trimmed := bytes.TrimSpace(b)
	switch {
	case b == nil:
		return "data", json.RawMessage("null")
	case len(trimmed) > 0 && trimmed[0] != '"' && json.Valid(b):
		return "data", json.RawMessage(b)
	case utf8.Valid(b):
		return "data", quoted(string(b))
	}
	return "data_base64", quoted(base64.StdEncoding.EncodeToString(b))
}

func quoted(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string
	return bytes.TrimSpace(b.Bytes())
}

// judge holds what came against the golden file, or writes that.
func (t *testCase) judge(r api.TrialResult, update bool) error {
	t.result = r
	if r.Error != "" {
		t.faults = append(t.faults, r.Error)
		return nil
	}
	for _, missing := range r.Missing {
		t.faults = append(t.faults, fmt.Sprintf("it asked for what no stub has: %s; add it to %s", missing, strings.TrimSuffix(t.golden, goldenEnd)+stubsEnd))
	}
	came := outcomeOf(r)
	got := indented(came)
	expected, err := os.ReadFile(t.golden)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !update:
		t.faults = append(t.faults, fmt.Sprintf("there is no %s, so nothing is expected; this came:\n%s", t.golden, got))
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read what is expected: %w", err)
	}
	diff := ""
	if err == nil {
		if diff, err = goldenDiff(expected, got); err != nil && !update {
			return usagef("correct it, or fnctl test --update", "%s: %v", t.golden, err)
		}
	}
	switch {
	case err == nil && diff == "":
	case !update:
		t.faults = append(t.faults, fmt.Sprintf("this is not what %s has (- expected, + came):\n%s", t.golden, diff))
	case len(t.faults) == 0: // what came without a stub is nothing to expect
		came.Ignore = ignored(expected)
		if err := os.WriteFile(t.golden, indented(came), 0o666); err != nil {
			return fmt.Errorf("write what is expected: %w", err)
		}
		t.updated = true
	}
	return nil
}

func indented(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // of what was JSON
	}
	return b.Bytes()
}

// goldenDiff shows where two JSON values differ in more than times and in what the expected one says to ignore; "" is nowhere.
func goldenDiff(expected, got []byte) (string, error) {
	x, err := valueIn(expected)
	if err != nil {
		return "", fmt.Errorf("it is no JSON: %w", err)
	}
	y, err := valueIn(got)
	if err != nil {
		return "", err
	}
	if err := ignore(x, y); err != nil {
		return "", err
	}
	a, b := sameForm(alike(x)), sameForm(alike(y))
	if withoutTimes(a) == withoutTimes(b) {
		return "", nil
	}
	return diff(strings.Split(a, "\n"), strings.Split(b, "\n")), nil
}

func valueIn(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return v, d.Decode(&v)
}

// aPlace is where in a script something was thrown, at the end of a reason. The next line that somebody writes above it changes it.
var aPlace = regexp.MustCompile(` at (\S.* )?\(?[^\s():]+:\d+:\d+\)?$`)

// alike makes the same of outcomes that mean the same to whoever sees them: names of HTTP headers in any case and order, a status of 200 or none, and a reason wherever it was thrown.
func alike(v any) any {
	o, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if reason, ok := o["reason"].(string); ok {
		o["reason"] = aPlace.ReplaceAllString(reason, "")
	}
	if batch, ok := o["batch"].([]any); ok {
		for _, one := range batch {
			alike(one)
		}
	}
	reply, ok := o["reply"].(map[string]any)
	if !ok {
		return v
	}
	if reply["status"] == json.Number("200") {
		delete(reply, "status")
	}
	headers, _ := reply["headers"].([]any)
	for _, h := range headers {
		if pair, ok := h.([]any); ok && len(pair) > 0 {
			pair[0] = headerName(h)
		}
	}
	slices.SortStableFunc(headers, func(a, b any) int { return strings.Compare(headerName(a), headerName(b)) })
	return v
}

// headerName is that of a pair [name, value]; "" when it is none.
func headerName(pair any) string {
	p, _ := pair.([]any)
	if len(p) == 0 {
		return ""
	}
	name, _ := p[0].(string)
	return http.CanonicalHeaderKey(name)
}

// sameForm writes equal values in equal ways.
func sameForm(v any) string { return strings.TrimSpace(string(indented(v))) }

// aTime is a time as RFC 3339 or HTTP has it, with a space instead of the T, too. One without zone or without a day is none: it may be what the function is about.
var aTime = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)|(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`)

func withoutTimes(s string) string { return aTime.ReplaceAllString(s, "(a time)") }

// diff shows lines of which the first one has more (-) and the second one (+), with some that both have around them.
func diff(a, b []string) string {
	const around = 2
	edits := editsOf(a, b)
	var out strings.Builder
	skipped := false
	for i, e := range edits {
		if e.mark == ' ' && !changes(edits[max(0, i-around):min(len(edits), i+around+1)]) {
			skipped = true
			continue
		}
		if skipped {
			out.WriteString("  …\n")
			skipped = false
		}
		fmt.Fprintf(&out, "%c %s\n", e.mark, e.line)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

type edit struct {
	mark byte // ' ', '-' or '+'
	line string
}

func changes(edits []edit) bool {
	for _, e := range edits {
		if e.mark != ' ' {
			return true
		}
	}
	return false
}

// maxTable bounds what comparing lines takes; what is larger is shown as all different, but for its beginning and end.
const maxTable = 4 << 20

// editsOf makes b of a with the fewest changed lines. Lines that differ only in times are the same.
func editsOf(a, b []string) []edit {
	same := func(x, y string) bool { return x == y || withoutTimes(x) == withoutTimes(y) }
	var head, tail []edit
	for len(a) > 0 && len(b) > 0 && same(a[0], b[0]) {
		head, a, b = append(head, edit{' ', b[0]}), a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && same(a[len(a)-1], b[len(b)-1]) {
		tail, a, b = append([]edit{{' ', b[len(b)-1]}}, tail...), a[:len(a)-1], b[:len(b)-1]
	}
	return append(append(head, middle(a, b, same)...), tail...)
}

func middle(a, b []string, same func(x, y string) bool) []edit {
	var out []edit
	if len(a)*len(b) <= maxTable {
		// common[i][j] is how many lines a[i:] and b[j:] have in common, in order.
		common := make([][]int, len(a)+1)
		for i := range common {
			common[i] = make([]int, len(b)+1)
		}
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if same(a[i], b[j]) {
					common[i][j] = common[i+1][j+1] + 1
				} else {
					common[i][j] = max(common[i+1][j], common[i][j+1])
				}
			}
		}
		i, j := 0, 0
		for i < len(a) && j < len(b) {
			switch {
			case same(a[i], b[j]):
				out = append(out, edit{' ', b[j]})
				i, j = i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				out = append(out, edit{'-', a[i]})
				i++
			default:
				out = append(out, edit{'+', b[j]})
				j++
			}
		}
		a, b = a[i:], b[j:]
	}
	for _, line := range a {
		out = append(out, edit{'-', line})
	}
	for _, line := range b {
		out = append(out, edit{'+', line})
	}
	return out
}

// linesOf are the lines of a text, without their ends.
func linesOf(s string) iter.Seq[string] { return strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") }

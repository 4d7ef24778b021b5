package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
)

// event is what the demo looks at in a CloudEvent of a topic.
type event struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Subject string          `json:"subject"`
	Data    json.RawMessage `json:"data"`
}

// parseTail reads what `fnctl topic tail -o jsonl` printed.
func parseTail(lines []byte) ([]event, error) {
	var out []event
	for line := range bytes.Lines(lines) {
		var stored api.TopicEvent
		if err := json.Unmarshal(line, &stored); err != nil {
			return nil, fmt.Errorf("line %d of topic tail: %w", len(out)+1, err)
		}
		var e event
		if err := json.Unmarshal(stored.Event, &e); err != nil {
			return nil, fmt.Errorf("event in line %d of topic tail: %w", len(out)+1, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// faults collects what is wrong, so that all of it can be told.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	const most = 20
	text := f
	if len(f) > most {
		text = append(slices.Clone(f[:most]), fmt.Sprintf("… and %d more", len(f)-most))
	}
	return fmt.Errorf("%d faults:\n  %s", len(f), strings.Join(text, "\n  "))
}

// checkOnce compares identities: each wanted one must be there exactly once, and no other.
func checkOnce(f *faults, what string, want, got []string) {
	count := map[string]int{}
	for _, id := range got {
		count[id]++
	}
	for _, id := range want {
		switch n := count[id]; {
		case n == 0:
			f.add("%s: %s is missing", what, id)
		case n > 1:
			f.add("%s: %s is there %d times", what, id, n)
		}
		delete(count, id)
	}
	for _, id := range slices.Sorted(maps.Keys(count)) {
		f.add("%s: %s is not expected", what, id)
	}
}

// checkEvents compares the topic github.events with the payloads.
func checkEvents(f *faults, payloads []payload, events []event) {
	byID := map[string]payload{}
	var want, got []string
	for _, p := range payloads {
		byID[p.delivery], want = p, append(want, p.delivery)
	}
	for _, e := range events {
		got = append(got, e.ID)
		p, ok := byID[e.ID]
		switch {
		case !ok: // told by checkOnce
		case e.Type != p.typ || e.Subject != p.subject:
			f.add("github.events: %s is a %s about %s, want a %s about %s", e.ID, e.Type, e.Subject, p.typ, p.subject)
		case !sameJSON(e.Data, p.body):
			f.add("github.events: the data of %s is not the payload that was sent", e.ID)
		}
	}
	checkOnce(f, "github.events", want, got)
}

// sameJSON says whether two texts are the same value, numbers digit by digit. On the way through JSON streams escapes may change.
func sameJSON(a, b []byte) bool {
	var values [2]any
	for i, text := range [][]byte{a, b} {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if dec.Decode(&values[i]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// checkAudit compares the topic github.audit with the payloads.
func checkAudit(f *faults, payloads []payload, events []event) {
	var want, got []string
	for _, p := range payloads {
		want = append(want, p.delivery)
	}
	for _, e := range events {
		var record struct{ Event string }
		if err := json.Unmarshal(e.Data, &record); err != nil {
			f.add("github.audit: %s: %v", e.ID, err)
		}
		got = append(got, record.Event)
	}
	checkOnce(f, "github.audit", want, got)
}

// summary is the data of an event of github.summaries.
type summary struct {
	Repository string         `json:"repository"`
	Total      int            `json:"total"`
	ByType     map[string]int `json:"byType"`
}

// wantSummaries are the final tallies.
func wantSummaries(payloads []payload) map[string]summary {
	out := map[string]summary{}
	for _, p := range payloads {
		s, ok := out[p.subject]
		if !ok {
			s = summary{Repository: p.subject, ByType: map[string]int{}}
		}
		s.Total++
		s.ByType[p.typ]++
		out[p.subject] = s
	}
	return out
}

// checkSummaries wants the totals 1, 2, 3 … of every repository exactly once and in order, and the last one to be the final tally.
func checkSummaries(f *faults, payloads []payload, events []event) {
	want := wantSummaries(payloads)
	totals, last := map[string][]int{}, map[string]summary{}
	for _, e := range events {
		var s summary
		if err := json.Unmarshal(e.Data, &s); err != nil {
			f.add("github.summaries: %s: %v", e.ID, err)
			continue
		}
		totals[s.Repository] = append(totals[s.Repository], s.Total)
		last[s.Repository] = s
	}
	for _, repo := range slices.Sorted(maps.Keys(want)) {
		w := want[repo]
		for i := range w.Total {
			if got := totals[repo]; len(got) != w.Total || got[i] != i+1 {
				f.add("github.summaries: the totals of %s are %v, want 1 to %d", repo, got, w.Total)
				break
			}
		}
		if !maps.Equal(last[repo].ByType, w.ByType) {
			f.add("github.summaries: the tally of %s is %v, want %v", repo, last[repo].ByType, w.ByType)
		}
		delete(totals, repo)
	}
	for _, repo := range slices.Sorted(maps.Keys(totals)) {
		f.add("github.summaries: repository %s is not expected", repo)
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// parkedLetter is a dead letter whose key stands still, after an edit.
func parkedLetter() api.DeadLetter {
	d := letter
	d.Parked, d.Behind, d.Edited, d.Generation = true, 2, 1, 2
	d.Original = json.RawMessage(`{"id":"o-0"}`)
	return d
}

func TestDeadLettersThatPark(t *testing.T) {
	t.Parallel()
	parked := chargeTriggers[0]
	parked.Topic = &api.TopicTrigger{Name: "orders.created", Order: "key", OnFailure: "park", Batch: &api.BatchSpec{Size: 100, Window: api.Duration(500 * time.Millisecond)}}
	parked.Stats = &api.TriggerStats{Pending: 3, DeadLetters: 2, Parked: 1, Behind: 2, OldestDeadLetter: now.Add(-3 * time.Hour), OldestParked: now.Add(-5 * time.Minute)}
	f := newFake(t, map[string]any{
		"GET /ns/default/deadletters?filter=type+%3D+%27a%27&parked=true&since=2026-01-31T10%3A00%3A00Z": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(api.NextPage, "17_3-17")
			json.NewEncoder(w).Encode([]api.DeadLetter{parkedLetter()})
		}),
		"GET /ns/default/deadletters?page=17_3-17": []api.DeadLetter{},
		"GET /ns/default/deadletters/3-17":         parkedLetter(),
		"GET /ns/default/triggers/t":               parked,
	})
	f.fnctl("dlq", "ls", "--parked", "--filter", "type = 'a'", "--since", "2h").want(t, 0, `ID     TRIGGER                 EVENT   TYPE             ATTEMPTS   AGE   PARKS KEY       ERROR
3-17   charge:orders.created   o-1     com.shop.order   1          3h    42 (2 behind)   card refused
`, "There are more. Try: the same with --page 17_3-17\n")
	f.fnctl("dlq", "ls", "--page", "17_3-17").want(t, 0, "", "no dead letters\n")
	peek := f.fnctl("dlq", "peek", "3-17")
	for _, want := range []string{
		"Redriven:  2 times\n", "Parked:    its key waits until it is redriven or discarded; found waiting: 2\n", "Edited:    for redrive 1\n",
		"{\n  \"id\": \"o-1\"\n}\n\nEdited from:\n{\n  \"id\": \"o-0\"\n}\n",
	} {
		if !strings.Contains(peek.out, want) {
			t.Errorf("%q is not in\n%s", want, peek.out)
		}
	}
	f.fnctl("describe", "trigger", "t").want(t, 0, `Trigger:       charge:orders.created
Namespace:     default
Kind:          topic
Function:      charge
Topic:         orders.created
Order:         key
On failure:    park
Batch:         up to 100 events, waits 500ms for them
ID:            7
Pending:       3
Retrying:      0
Dead letters:  2, the oldest 3h
Parked keys:   1, the oldest 5m; found waiting behind them: 2
`, "Try: fnctl dlq ls --parked --trigger charge:orders.created\n")
}

// outcomes answers a redrive or discard with one outcome for each id.
func outcomes(pairs ...string) api.DeadLetterResult {
	r := api.DeadLetterResult{}
	for i := 0; i < len(pairs); i += 2 {
		r.Letters = append(r.Letters, api.DeadLetterOutcome{ID: pairs[i], Outcome: pairs[i+1]})
		if pairs[i+1] == api.LetterChanged {
			r.Changed++
		}
	}
	return r
}

func TestWhatBecameOfEachDeadLetter(t *testing.T) {
	t.Parallel()
	const gone, orphaned = "b is not there: it was redriven or discarded before, or never was\n", "c cannot run: its trigger was removed; it can only be discarded\n"
	for _, tc := range []struct {
		args        string
		answer      api.DeadLetterResult
		code        int
		out, stderr string
	}{
		{"dlq redrive a b", outcomes("a", "changed", "b", "gone"), 3, "", gone + "redrove 1 dead letter\nerror: could not redrive 1 dead letter\nTry: fnctl dlq ls, which shows what there is\n"},
		{"dlq redrive a b c", outcomes("a", "changed", "b", "gone", "c", "no-trigger"), 4, "", gone + orphaned + "redrove 1 dead letter\nerror: could not redrive 2 dead letters\nTry: fnctl dlq ls, which shows what there is\n"},
		{"dlq redrive a --dry-run", outcomes("a", "selected"), 0, "a\n", "would redrive 1 dead letter; nothing was changed\n"},
		{"dlq redrive --all", outcomes("b", "gone"), 0, "", "redrive: all dead letters in namespace default\n" + gone + "redrove 0 dead letters\n"},
		{"dlq redrive --all --trigger t --filter x --parked", outcomes("c", "no-trigger"), 4, "",
			"redrive: all dead letters of trigger t, matching \"x\", that park their key in namespace default\n" + orphaned + "redrove 0 dead letters\nerror: could not redrive 1 dead letter\nTry: fnctl dlq ls, which shows what there is\n"},
		{"dlq discard b --reason r", outcomes("b", "gone"), 3, "", gone + "discarded 0 dead letters\nerror: could not discard 1 dead letter\nTry: fnctl dlq ls, which shows what there is\n"},
		{"dlq redrive d --edit-file -", outcomes("d", "key-changed"), 4, "", "d was not edited: the event must keep its key\nredrove 0 dead letters\nerror: could not redrive 1 dead letter\nTry: fnctl dlq ls, which shows what there is\n"},
	} {
		f := newFake(t, map[string]any{"POST /ns/default/deadletters/redrive": tc.answer, "POST /ns/default/deadletters/discard": tc.answer})
		got := f.fnctlIn(t.Context(), "{}", strings.Fields(tc.args)...)
		t.Run(tc.args, func(t *testing.T) { got.want(t, tc.code, tc.out, tc.stderr) })
	}
}

// A paced redrive goes page by page, waits between them for what the rate says, and can be interrupted.
func TestRedriveKeepsToItsRate(t *testing.T) {
	t.Parallel()
	const pages = 4
	page := 0
	f := newFake(t, nil)
	f.answers = map[string]any{"POST /ns/default/deadletters/redrive": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page++
		r := outcomes()
		for i := range 10 {
			r.Letters = append(r.Letters, api.DeadLetterOutcome{ID: fmt.Sprint(page, "-", i), Outcome: api.LetterChanged})
		}
		r.Changed, r.Before = 10, now
		if page < pages {
			r.Next = fmt.Sprint("after-", page)
		}
		json.NewEncoder(w).Encode(r)
	})}
	var slept []time.Duration
	ctx, cancel := context.WithCancel(t.Context())
	c, out, stderr := newCLI(t, "", map[string]string{"FNCTL_SERVER": f.url})
	c.sleep = func(_ context.Context, d time.Duration) error {
		slept = append(slept, d)
		return nil
	}
	if code := c.execute(ctx, strings.Fields("dlq redrive --all --rate 50/s")); code != 0 || !strings.HasSuffix(stderr.String(), "redrove 40 dead letters\n") {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
	if want := "[200ms 400ms 600ms]"; fmt.Sprint(slept) != want { // the clock of tests stands still
		t.Errorf("slept %v, want %s", slept, want)
	}
	if got := strings.Split(f.requests(), "\n"); !strings.HasSuffix(got[0], `{"all":true,"limit":10}`) || !strings.HasSuffix(got[1], `{"all":true,"before":"2026-01-31T12:00:00Z","limit":10,"after":"after-1"}`) {
		t.Errorf("asked %q", got)
	}

	page = 0
	stderr.Reset()
	c.sleep = func(context.Context, time.Duration) error {
		cancel()
		return ctx.Err()
	}
	if code := c.execute(ctx, strings.Fields("dlq redrive --all --rate 50/s")); code != exitInterrupted || !strings.HasSuffix(stderr.String(), "redrove 10 dead letters before it ended; the same command goes on with the rest\n") {
		t.Errorf("interrupted: exit code %d\n%s", code, stderr)
	}
}

func TestManyIDsGoInSeveralRequests(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{"POST /ns/default/deadletters/redrive": outcomes()})
	args := []string{"dlq", "redrive"}
	for i := range 2500 {
		args = append(args, fmt.Sprint("1-", i, "-1"))
	}
	f.fnctl(args...).want(t, 0, "", "redrove 0 dead letters\n")
	var sizes []int
	for _, line := range strings.Split(f.requests(), "\n") {
		sizes = append(sizes, strings.Count(line, "-1\""))
	}
	if fmt.Sprint(sizes) != "[1000 1000 500]" {
		t.Errorf("requests of %v ids", sizes)
	}
}

func TestPagesOfARate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 1000, "1/h": 1, "10/m": 1, "4/s": 1, "50/s": 10, "5000/s": 1000, "1000000/s": 1000} {
		var r rate
		if text != "" {
			if err := r.Set(text); err != nil || r.String() != text {
				t.Errorf("%s: %v %s", text, err, r.String())
			}
		}
		if got := (&pace{rate: r}).page(); got != want {
			t.Errorf("%s: %d a page, want %d", text, got, want)
		}
	}
}

// editor is a script that stands for a person: it gets the file as its argument.
func editor(t *testing.T, script string) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"EDITOR": path}
}

func TestEditInAnEditor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script      string
		answer      any
		code        int
		sent        string
		stderr      string
		keepsItFile bool
	}{
		"changed":      {`sed -i s/o-1/o-2/ "$1"`, outcomes("3-17", "changed"), 0, `{"ids":["3-17"],"event":{"id":"o-2"}}`, "redrove 1 dead letter\n", false},
		"not changed":  {`true`, nil, 1, "", "error: the event was not changed, so nothing was redriven\nTry: redrive without --edit, to send it as it is\n", false},
		"no JSON":      {`echo '{' > "$1"`, nil, 1, "", "the event is not JSON: unexpected end of JSON input\nTry: correct the file and redrive with --edit-file ", true},
		"editor fails": {`exit 3`, nil, 1, "", "exit status 3\nTry: set EDITOR to one that works, or use --edit-file; nothing was redriven\n", true},
		"refused": {`sed -i s/o-1/o-2/ "$1"`, api.Problem{Status: 400, Title: "no", Detail: "the key cannot change", Next: "keep it"}, 1,
			`{"ids":["3-17"],"event":{"id":"o-2"}}`, "error: the key cannot change\nTry: keep it\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]any{"GET /ns/default/deadletters/3-17": letter, "POST /ns/default/deadletters/redrive": tc.answer})
			env := editor(t, tc.script)
			env["FNCTL_SERVER"] = f.url
			got := execute(t.Context(), t, "", env, "dlq", "redrive", "3-17", "--edit")
			if got.code != tc.code || !strings.Contains(got.stderr, tc.stderr) {
				t.Errorf("exit code %d, want %d\n%s", got.code, tc.code, got.stderr)
			}
			_, sent, _ := strings.Cut(f.requests(), "redrive ")
			if sent != tc.sent {
				t.Errorf("sent %s, want %s", sent, tc.sent)
			}
			_, path, kept := strings.Cut(got.stderr, "the edited event is kept in ")
			path, _, _ = strings.Cut(path, "\n")
			if kept != tc.keepsItFile {
				t.Errorf("says that it keeps a file: %t\n%s", kept, got.stderr)
			}
			if kept {
				if err := os.Remove(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

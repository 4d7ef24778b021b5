package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	since := now.Add(-time.Hour)
	f := newFake(t, map[string]any{
		"POST /ns/default/triggers/charge:orders/pause": api.Paused{Triggers: []api.PausedTrigger{{Name: "charge:orders", PausedSince: since, Changed: true, Pending: 7}}},
		"POST /ns/default/functions/charge/resume":      api.Paused{Triggers: []api.PausedTrigger{{Name: "charge:orders", Changed: true}, {Name: "charge:inbox"}}},
		"GET /ns/default/functions": []api.Function{{Name: "charge", App: "shop", Revision: 1, Updated: since, Triggers: []api.Trigger{
			{Name: "charge:orders", Kind: "topic", PausedSince: since}, {Name: "charge:inbox", Kind: "inbox"},
		}}},
		"GET /ns/default/triggers": []api.Trigger{
			{Name: "charge:orders", Kind: "topic", Function: "charge", PausedSince: since, Stats: &api.TriggerStats{Pending: 7}},
			{Name: "charge:paid", Kind: "topic", Function: "charge", Stats: &api.TriggerStats{CatchingUp: 2}},
		},
		"GET /ns/default/triggers/charge:orders": api.Trigger{
			Name: "charge:orders", Namespace: "default", Kind: "topic", Function: "charge", ID: 4, PausedSince: since, Start: "earliest",
			Topic: &api.TopicTrigger{Name: "orders"}, Stats: &api.TriggerStats{CatchingUp: 2}, Replay: &api.Replay{ID: 1, From: "earliest", To: "2026-01-01T00:00:00Z"},
		},
	})
	f.fnctl("pause", "charge:orders").want(t, 0, "TRIGGER         PAUSED SINCE              PENDING\ncharge:orders   "+timestamp(since)+"   7\n", "")
	f.fnctl("resume", "charge").want(t, 0, "TRIGGER         PAUSED SINCE   PENDING\ncharge:orders   -              0\ncharge:inbox    -              0\n",
		"note: trigger charge:inbox was so before\n")
	f.fnctl("ls").want(t, 0, "FUNCTION   APP    REVISION   TRIGGERS                 UPDATED\ncharge     shop   1          charge:orders (paused)   1h\n", "")
	f.fnctl("ls", "trigger").want(t, 0, `TRIGGER         KIND    FUNCTION   STATE         PENDING   RETRYING   DEAD
charge:orders   topic   charge     paused 1h     7         0          0
charge:paid     topic   charge     catching up   0         0          0
`, "")
	out := f.fnctl("describe", "trigger", "charge:orders").out
	for _, want := range []string{
		"Paused since:  " + timestamp(since), "Start:         earliest", "Last replay:   from earliest to 2026-01-01T00:00:00Z",
		"Catching up:   in 2 partitions; new events wait until it has, or come in between in a replay",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("describe does not say %q:\n%s", want, out)
		}
	}
	var paused api.Paused
	if r := f.fnctl("pause", "charge:orders", "-o", "json"); json.Unmarshal([]byte(r.out), &paused) != nil || len(paused.Triggers) != 1 {
		t.Errorf("as JSON: %+v", r)
	}
	if r := f.fnctl("pause"); r.code != exitUsage || r.stderr != "error: fnctl pause needs a TRIGGER or a FUNCTION\nTry: fnctl pause --help\n" {
		t.Errorf("%+v", r)
	}
	if r := f.fnctl("pause", "nobody"); r.code != exitNotFound {
		t.Errorf("%+v", r)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	answer := func(r api.Replayed) *fake {
		return newFake(t, map[string]any{"POST /ns/default/triggers/charge:orders/replay": r})
	}
	f := answer(api.Replayed{Trigger: "charge:orders", From: "2026-01-31T10:00:00Z", Events: 12, Finished: true})
	f.fnctl("replay", "charge:orders", "--since", "2h").want(t, 0, "Trigger:  charge:orders\nFrom:     2026-01-31T10:00:00Z\nEvents:   12\n", "handed out again: 12 events\n")
	if got, want := f.requests(), `POST /ns/default/triggers/charge:orders/replay {"from":"2026-01-31T10:00:00Z"}`; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	f = answer(api.Replayed{Trigger: "charge:orders", From: "earliest", To: "x", Events: 1, Pending: 2, DeadLetters: 3, DryRun: true, Finished: true})
	f.fnctl("replay", "charge:orders", "--from", "earliest", "--to", "-1h", "--dry-run").want(t, 0,
		"Trigger:                   charge:orders\nFrom:                      earliest\nTo:                        x\nEvents:                    1\nLeft alone, pending:       2\nLeft alone, dead letters:  3\n",
		"nothing was changed; would hand out again: 1 event\n")
	if got, want := f.requests(), `POST /ns/default/triggers/charge:orders/replay {"from":"earliest","to":"-1h","dryRun":true}`; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	f = answer(api.Replayed{Trigger: "charge:orders", From: "earliest", Events: 5})
	if r := f.fnctl("replay", "charge:orders", "--from", "earliest", "-o", "json"); r.code != 0 || !strings.Contains(r.out, `"finished": false`) ||
		r.stderr != "handed out so far: 5 events; the replay goes on\nTry: fnctl describe trigger charge:orders\n" {
		t.Errorf("%+v", r)
	}
	const begin = "error: say where the replay begins, with either --since or --from\nTry: fnctl replay TRIGGER --since 2h --dry-run\n"
	for args, want := range map[string]string{
		"replay":                             "error: fnctl replay needs a TRIGGER; see fnctl ls trigger\nTry: fnctl replay --help\n",
		"replay t:a":                         begin,
		"replay t:a --since 2h --from x":     begin,
		"replay t:a --since soon":            "error: --since \"soon\" is neither a span of time nor a time\nTry: --since 10m, --since 2d or --since 2026-01-31T12:00:00Z\n",
		"replay t:a --from latest":           "error: --from latest: there is nothing behind it yet\nTry: --from earliest, --since 2h, or a token\n",
		"replay t:a --from pos1-abc":         "error: --from: the token \"pos1-abc\" is cut or has a wrong character; copy it whole\nTry: fnctl replay --help\n",
		"replay t:a --from earliest --to 2h": "error: --to: \"2h\" is no position; it is latest, earliest, a time like 2026-01-31T12:00:00Z, a time span back from now like -2h, or a token of fnctl topic tail -o wide\nTry: fnctl replay --help\n",
	} {
		f.fnctl(strings.Fields(args)...).want(t, exitUsage, "", want)
	}
	refused := newFake(t, map[string]any{"POST /ns/default/triggers/t:a/replay": api.Problem{Status: 410, Title: "gone", Detail: "removed by retention", Next: "begin later"}})
	refused.fnctl("replay", "t:a", "--since", "9d").want(t, exitFailed, "", "error: removed by retention\nTry: begin later\n")
}

func TestTailShowsPositions(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{"GET /ns/default/topics/orders/events": api.TopicEvent{Position: "pos1-abc", Event: json.RawMessage(`{"id":"1","type":"t"}`)}})
	if r := f.fnctl("topic", "tail", "orders", "-o", "wide"); !strings.HasSuffix(r.out, "t id=1 position=pos1-abc\n") {
		t.Errorf("%+v", r)
	}
	if r := f.fnctl("topic", "tail", "orders"); strings.Contains(r.out, "pos1") {
		t.Errorf("%+v", r)
	}
	if r := f.fnctl("topic", "tail", "orders", "-o", "jsonl"); !strings.Contains(r.out, `"position":"pos1-abc"`) {
		t.Errorf("%+v", r)
	}
}

package registry

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func startingAt(topic, start string) api.TriggerSpec {
	return api.TriggerSpec{Topic: &api.TopicTrigger{Name: topic, Start: start}}
}

func TestPauseSurvivesDeploys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v1", onTopic("a"), onTopic("b"), onHTTP())}))
	changed, first, err := b.SetPaused(t.Context(), "default", "charge", "charge:a", true)
	if err != nil || len(changed) != 1 {
		t.Fatalf("%v, %v", changed, err)
	}
	if tr, _ := next(first).Trigger("default", "charge:a"); !tr.PausedSince.Equal(b.options.Now()) {
		t.Errorf("paused since %v", tr.PausedSince)
	}
	if changed, again, err := b.SetPaused(t.Context(), "default", "charge", "charge:a", true); err != nil || len(changed) != 0 || again != first {
		t.Errorf("paused again: %v at %d, %v", changed, again, err)
	}
	for _, spec := range []api.FunctionSpec{function("v1", onTopic("a"), onTopic("b"), onHTTP()), function("v2", onTopic("b"), onTopic("a"))} {
		got, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": spec}))
		const note = "trigger charge:a stays paused, since 2026-01-02T03:04:05Z; to resume it: fnctl resume charge:a"
		if notes := got.Functions[0].Notes; len(notes) != 1 || notes[0] != note {
			t.Errorf("notes %q", notes)
		}
		if tr, _ := next(revision).Trigger("default", "charge:a"); tr.PausedSince.IsZero() {
			t.Error("the deploy resumed it")
		}
	}
	if changed, _, err := b.SetPaused(t.Context(), "default", "charge", "", true); err != nil || strings.Join(changed, " ") != "charge:b charge:inbox" {
		t.Errorf("paused the function: %v, %v", changed, err)
	}
	changed, last, err := b.SetPaused(t.Context(), "default", "charge", "", false)
	if err != nil || len(changed) != 3 {
		t.Errorf("resumed: %v, %v", changed, err)
	}
	for _, tr := range next(last).Triggers("default") {
		if !tr.PausedSince.IsZero() {
			t.Errorf("%s is paused", tr.Name)
		}
	}
	for _, name := range []string{"charge:c", "charge:http"} {
		if _, _, err := b.SetPaused(t.Context(), "default", "charge", name, true); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := b.SetPaused(t.Context(), "default", "nobody", "", true); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "function nobody in namespace default") {
		t.Errorf("nobody: %v", err)
	}
}

func TestStartIsResolvedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	token := api.Token{Namespace: "default", Topic: "c", Offsets: []uint64{4}}.String()
	deploy := func(starts ...string) (api.Deployed, *Snapshot) {
		t.Helper()
		var on []api.TriggerSpec
		for i, start := range starts {
			on = append(on, startingAt(string(rune('a'+i)), start))
		}
		got, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": function("v1", on...)}))
		return got, next(revision)
	}
	got, snap := deploy("-2h", "earliest", token, "latest")
	want := []string{"2026-01-02T01:04:05Z", "earliest", token, ""}
	for i, start := range want {
		if tr, _ := snap.Trigger("default", "f:"+string(rune('a'+i))); tr.Start != start {
			t.Errorf("%s starts at %q, want %q", tr.Name, tr.Start, start)
		}
	}
	if len(got.Functions[0].Notes) != 0 {
		t.Errorf("notes of a new trigger: %q", got.Functions[0].Notes)
	}
	got, snap = deploy("earliest", "earliest", token, "latest", "-1h")
	if tr, _ := snap.Trigger("default", "f:a"); tr.Start != want[0] {
		t.Errorf("the start of an existing trigger became %q", tr.Start)
	}
	if tr, _ := snap.Trigger("default", "f:e"); tr.Start != "2026-01-02T02:04:05Z" {
		t.Errorf("a new trigger beside it starts at %q", tr.Start)
	}
	const note = "trigger f:a was there before, its start does nothing now; to hand earlier events out: fnctl replay f:a --since 2h"
	if notes := got.Functions[0].Notes; len(notes) != 1 || notes[0] != note {
		t.Errorf("notes %q", notes)
	}
	_, _, err := b.Deploy(t.Context(), "default", "shop", app(map[string]api.FunctionSpec{"g": function("v1", startingAt("a", "soon"))}), map[string]string{"g": "native"})
	if err == nil || !strings.Contains(err.Error(), `functions.g.on[0].topic.start: "soon" is no position`) {
		t.Errorf("a start that is none: %v", err)
	}
}

// Replays and pauses at the same time lose nothing: each replay has an id of its own.
func TestReplaysAreNumbered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	b.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": function("v1", onTopic("a"))}))
	const each = 5
	var mu sync.Mutex
	seen, newest := map[uint64]bool{}, int64(0)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range each {
				id, revision, err := b.Replay(t.Context(), "default", "f", "f:a", "earliest", "")
				if err != nil {
					t.Error(err)
				}
				_, _, err = b.SetPaused(t.Context(), "default", "f", "f:a", id%2 == 0)
				mu.Lock()
				if seen[id] || err != nil {
					t.Errorf("replay %d twice, %v", id, err)
				}
				seen[id], newest = true, max(newest, revision)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	tr, _ := next(newest).Trigger("default", "f:a")
	if want := (api.Replay{ID: 4 * each, From: "earliest"}); *tr.Replay != want || len(seen) != 4*each {
		t.Errorf("last replay %+v, want %+v", *tr.Replay, want)
	}
	_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": function("v2", onTopic("a"))}))
	if tr, _ := next(revision).Trigger("default", "f:a"); tr.Replay == nil || tr.Replay.ID != 4*each {
		t.Errorf("a deploy forgot the replay: %+v", tr.Replay)
	}
	if _, _, err := b.Replay(t.Context(), "default", "f", "f:b", "earliest", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such trigger: %v", err)
	}
}

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

// giveUp makes n dead letters of the trigger charge:orders of a namespace; they are given up in the order of their numbers.
func (b *bundle) giveUp(ns string, n int) {
	b.t.Helper()
	trigger, _ := b.registry.Snapshot().Trigger(ns, "charge:orders")
	for i := range n {
		e := event.Event{ID: fmt.Sprint("e", i), Source: "/a", Type: "t", Subject: "k", Data: []byte(`{"n":1}`)}
		if _, err := b.table.Publish(b.t.Context(), ns, "orders", []event.Event{e}); err != nil {
			b.t.Fatal(err)
		}
		taken, err := b.table.Take(trigger.ID, 1)
		if err != nil || len(taken) != 1 {
			b.t.Fatal(taken, err)
		}
		a := partition.Attempt{Number: 1, Revision: 1, Start: clock, Duration: time.Second, Verdict: int32(abi.Failed), Class: "error", Error: "no card"}
		if _, err := b.table.Settle(context.Background(), &taken[0], a, partition.Next{DeadLetter: true}, partition.Effects{}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 3)
	b.giveUp("acme", 1)
	c, ctx := b.client(), t.Context()
	list, err := c.DeadLetters(ctx, "default", "charge:orders", 0)
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v %v", list, err)
	}
	d := list[0]
	if d.Trigger != "charge:orders" || d.Function != "charge" || d.Topic != "orders" || d.Class != "error" || d.Error != "no card" || d.Revision != 1 || d.EventType != "t" ||
		d.Key != "k" || d.Event != nil || len(d.Attempts) != 1 || d.Attempts[0].Verdict != "failed" {
		t.Errorf("%+v", d)
	}
	if list, err := c.DeadLetters(ctx, "default", "", 2); err != nil || len(list) != 2 {
		t.Errorf("limit 2: %+v %v", list, err)
	}
	peeked, err := c.DeadLetter(ctx, "default", d.ID)
	if err != nil || !strings.Contains(string(peeked.Event), `"data":{"n":1}`) {
		t.Errorf("%+v %v", peeked, err)
	}
	_, err = c.DeadLetter(ctx, "acme", d.ID)
	if p := problemOf(t, err); p.Status != 404 {
		t.Errorf("another namespace: %+v", p)
	}

	if r, err := c.Redrive(ctx, "default", api.DeadLetterSelection{IDs: []string{d.ID}}); err != nil || r.Changed != 1 {
		t.Errorf("redrive: %+v %v", r, err)
	}
	if r, err := c.Discard(ctx, "default", api.DeadLetterSelection{Trigger: "charge:orders", Reason: "test orders"}); err != nil || r.Changed != 2 {
		t.Errorf("discard: %+v %v", r, err)
	}
	trigger, err := c.Trigger(ctx, "default", "charge:orders")
	if err != nil || !reflect.DeepEqual(*trigger.Stats, api.TriggerStats{Pending: 1, Waits: []api.Waits{{For: "scale.max", Count: 1}}}) {
		t.Errorf("%+v %v", trigger.Stats, err)
	}
	if r, err := c.Redrive(ctx, "acme", api.DeadLetterSelection{All: true}); err != nil || r.Changed != 1 {
		t.Errorf("redrive all: %+v %v", r, err)
	}
}

// What becomes of each letter is told, and doing a thing twice does it once.
func TestOutcomesOfASelection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 2)
	b.giveUp("acme", 1)
	c, ctx := b.client(), t.Context()
	foreign, err := c.DeadLetters(ctx, "acme", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.DeadLetters(ctx, "default", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	x, y := list[0].ID, list[1].ID
	want := func(what string, r api.DeadLetterResult, err error, outcomes ...string) {
		t.Helper()
		var got []string
		for _, l := range r.Letters {
			got = append(got, l.ID+" "+l.Outcome)
		}
		if err != nil || !slices.Equal(got, outcomes) {
			t.Errorf("%s: %v %v, want %v", what, got, err, outcomes)
		}
	}
	r, err := c.Redrive(ctx, "default", api.DeadLetterSelection{IDs: []string{x, y}, DryRun: true})
	want("dry run", r, err, x+" selected", y+" selected")
	r, err = c.Discard(ctx, "default", api.DeadLetterSelection{All: true, Reason: "r", DryRun: true})
	if len(r.Letters) != 2 || r.Changed != 0 || err != nil {
		t.Errorf("dry run of a discard: %+v %v", r, err)
	}
	r, err = c.Redrive(ctx, "default", api.DeadLetterSelection{IDs: []string{x, "1-2-3", foreign[0].ID}})
	want("redrive", r, err, x+" changed", "1-2-3 gone", foreign[0].ID+" gone")
	r, err = c.Redrive(ctx, "default", api.DeadLetterSelection{IDs: []string{x}})
	want("again", r, err, x+" gone")
	r, err = c.Discard(ctx, "default", api.DeadLetterSelection{IDs: []string{x, y}, Reason: "r"})
	want("discard", r, err, x+" gone", y+" changed")
}

func TestSelectionsAndListsComeInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 5)
	c, ctx := b.client(), t.Context()
	seen := map[string]bool{}
	query := api.DeadLetterQuery{Limit: 2, Filter: "type = 't' AND id IN ('e0', 'e1', 'e3')"}
	for pages := 0; pages == 0 || query.Page != ""; pages++ {
		page, err := c.DeadLetterPage(ctx, "default", query)
		if err != nil || pages > 4 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for _, d := range page.Letters {
			seen[d.EventID] = true
		}
		query.Page = page.Next
	}
	if len(seen) != 3 {
		t.Errorf("listed %v", seen)
	}
	sel := api.DeadLetterSelection{All: true, Limit: 2, Filter: "id <> 'e3'", Trigger: "charge:orders"}
	changed := 0
	for pages := 0; pages == 0 || sel.After != ""; pages++ {
		r, err := c.Redrive(ctx, "default", sel)
		if err != nil || r.Changed > 2 || pages > 4 || r.Before.IsZero() {
			t.Fatalf("page %d: %+v %v", pages, r, err)
		}
		changed += r.Changed
		sel.After, sel.Before = r.Next, r.Before
	}
	if changed != 4 {
		t.Errorf("redrove %d", changed)
	}
}

func TestEditedEventOfADeadLetter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 1)
	c, ctx := b.client(), t.Context()
	list, err := c.DeadLetters(ctx, "default", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	edited := `{"specversion":"1.0","id":"e0","source":"/a","type":"t","subject":"k","knativeerrorcode":500,"data":{"n":2}}`
	sel := api.DeadLetterSelection{IDs: []string{list[0].ID}, Event: json.RawMessage(edited), Revision: 1}
	if r, err := c.Redrive(ctx, "default", sel); err != nil || r.Changed != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	trigger, _ := b.registry.Snapshot().Trigger("default", "charge:orders")
	taken, err := b.table.Take(trigger.ID, 1)
	if err != nil || len(taken) != 1 || string(taken[0].Event.Data) != `{"n":2}` || len(taken[0].Event.Extensions) != 0 || taken[0].Revision != 1 {
		t.Fatalf("%+v %v", taken, err)
	}
	a := partition.Attempt{Number: 1, Revision: 1, Start: clock, Verdict: int32(abi.Failed), Class: "trap", Error: "again"}
	if _, err := b.table.Settle(ctx, &taken[0], a, partition.Next{DeadLetter: true}, partition.Effects{}); err != nil {
		t.Fatal(err)
	}
	d, err := c.DeadLetter(ctx, "default", list[0].ID)
	if err != nil || d.Edited != 1 || !strings.Contains(string(d.Event), `"data":{"n":2}`) || !strings.Contains(string(d.Original), `"data":{"n":1}`) {
		t.Errorf("%+v %v\n%s\n%s", d, err, d.Event, d.Original)
	}
}

// A parked key is told in the list, in peek and in the trigger's counts.
func TestParkedKeysAreShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := b.module()
	app := api.App{Functions: map[string]api.FunctionSpec{"charge": {
		Module: digest, Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: "orders", Order: "key", OnFailure: "park"}}},
		DeadLetter: &api.DeadLetterSpec{Knative: true},
	}}}
	if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/shop", app); got.status != 200 {
		t.Fatalf("deploy: %d %s", got.status, got.body)
	}
	b.giveUp("default", 1)
	trigger, _ := b.registry.Snapshot().Trigger("default", "charge:orders")
	waiting := event.Event{ID: "w", Source: "/a", Type: "t", Subject: "k"}
	if _, err := b.table.Publish(t.Context(), "default", "orders", []event.Event{waiting}); err != nil {
		t.Fatal(err)
	}
	if taken, err := b.table.Take(trigger.ID, 1); err != nil || len(taken) != 0 {
		t.Fatalf("took %v %v of a parked key", taken, err)
	}
	c, ctx := b.client(), t.Context()
	page, err := c.DeadLetterPage(ctx, "default", api.DeadLetterQuery{Parked: true})
	if err != nil || len(page.Letters) != 1 || !page.Letters[0].Parked || page.Letters[0].Behind != 1 {
		t.Fatalf("%+v %v", page, err)
	}
	stats, err := c.Trigger(ctx, "default", "charge:orders")
	if err != nil || stats.Stats.Parked != 1 || stats.Stats.Behind != 1 || stats.Stats.OldestDeadLetter.IsZero() || stats.Stats.OldestParked.IsZero() {
		t.Errorf("%+v %v", stats.Stats, err)
	}
	d, err := c.DeadLetter(ctx, "default", page.Letters[0].ID)
	if err != nil || !strings.Contains(string(d.Event), `"knativeerrorcode":500,"knativeerrordata":"no card","knativeerrordest":"/ns/default/functions/charge"`) {
		t.Errorf("%s %v", d.Event, err)
	}
}

// The dead letters of a trigger that was removed can still be found by its name, and discarded, but not run.
func TestDeadLettersOfARemovedTrigger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 1)
	c, ctx := b.client(), t.Context()
	if err := c.DeleteFunction(ctx, "default", "charge"); err != nil {
		t.Fatal(err)
	}
	page, err := c.DeadLetterPage(ctx, "default", api.DeadLetterQuery{Trigger: "charge:orders"})
	if err != nil || len(page.Letters) != 1 || !page.Letters[0].TriggerGone {
		t.Fatalf("%+v %v", page, err)
	}
	for _, dry := range []bool{true, false} {
		r, err := c.Redrive(ctx, "default", api.DeadLetterSelection{Trigger: "charge:orders", DryRun: dry})
		if err != nil || r.Changed != 0 || len(r.Letters) != 1 || r.Letters[0].Outcome != api.LetterNoTrigger {
			t.Errorf("redrive (dry run %t): %+v %v", dry, r, err)
		}
	}
	if r, err := c.Discard(ctx, "default", api.DeadLetterSelection{Trigger: "charge:orders", Reason: "r"}); err != nil || r.Changed != 1 {
		t.Errorf("discard: %+v %v", r, err)
	}
	_, err = c.DeadLetterPage(ctx, "default", api.DeadLetterQuery{Trigger: "charge:orders"})
	if p := problemOf(t, err); p.Status != 404 {
		t.Errorf("after the last is gone: %+v", p)
	}
}

func TestDeadLetterSelectionsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 1)
	list, err := b.client().DeadLetters(t.Context(), "default", "", 0)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	ids := []string{list[0].ID}
	event := func(text string) json.RawMessage { return json.RawMessage(text) }
	for name, tt := range map[string]struct {
		path   string
		sel    api.DeadLetterSelection
		status int
		detail string
	}{
		"nothing":            {"redrive", api.DeadLetterSelection{}, 400, "either by ids or by trigger, or be all"},
		"both":               {"redrive", api.DeadLetterSelection{IDs: ids, All: true}, 400, "either by ids or by trigger, or be all"},
		"ids and filter":     {"redrive", api.DeadLetterSelection{IDs: ids, Filter: "type = 't'"}, 400, "either by ids or by trigger, or be all"},
		"no id":              {"redrive", api.DeadLetterSelection{IDs: []string{ids[0], "x"}}, 400, `"x" is not an id`},
		"too many ids":       {"redrive", api.DeadLetterSelection{IDs: make([]string, 1001)}, 400, "there are 1001 ids, one request takes 1000"},
		"no trigger":         {"redrive", api.DeadLetterSelection{Trigger: "x"}, 404, `no trigger "x"`},
		"no filter":          {"redrive", api.DeadLetterSelection{All: true, Filter: "type ="}, 400, "filter: at character 7: found the end"},
		"data in filter":     {"redrive", api.DeadLetterSelection{All: true, Filter: "data = 'x'"}, 400, "CESQL sees the attributes of an event, not its data"},
		"dialect in filter":  {"redrive", api.DeadLetterSelection{All: true, Filter: `{"all": [{"exact": {"type": 7}}]}`}, 400, "filter: at character 29, all[0].exact.type: the value is a text in quotes, not 7"},
		"large filter":       {"redrive", api.DeadLetterSelection{All: true, Filter: strings.Repeat("NOT ", 3000) + "TRUE"}, 400, "filter has 12004 bytes, the limit is 8192"},
		"limit":              {"redrive", api.DeadLetterSelection{All: true, Limit: 1001}, 400, "limit 1001 is not between 0 and 1000"},
		"page":               {"redrive", api.DeadLetterSelection{All: true, After: "x"}, 400, `after: "x" is not an id`},
		"no revision":        {"redrive", api.DeadLetterSelection{All: true, Revision: 7}, 404, `function "charge" has no revision 7; it keeps 1`},
		"negative revision":  {"redrive", api.DeadLetterSelection{All: true, Revision: -1}, 400, "revision -1 is below 1"},
		"event for all":      {"redrive", api.DeadLetterSelection{All: true, Event: event(`{}`)}, 400, "an edited event is for one dead letter, not 0"},
		"no event":           {"redrive", api.DeadLetterSelection{IDs: ids, Event: event(`[]`)}, 400, "event is not a JSON object"},
		"not a valid event":  {"redrive", api.DeadLetterSelection{IDs: ids, Event: event(`{"id":"1","subject":"k"}`)}, 400, "source"},
		"other key":          {"redrive", api.DeadLetterSelection{IDs: ids, Event: event(`{"id":"1","source":"/a","type":"t","subject":"z"}`)}, 400, `the edited event has the key "z", the dead letter "k"`},
		"no reason":          {"discard", api.DeadLetterSelection{IDs: ids}, 400, "a discard needs a reason"},
		"revision to forget": {"discard", api.DeadLetterSelection{IDs: ids, Reason: "r", Revision: 1}, 400, "are for a redrive, not for a discard"},
	} {
		p := b.send("POST", b.admin+"/api/v1/ns/default/deadletters/"+tt.path, tt.sel).problem(t)
		if p.Status != tt.status || !strings.Contains(p.Detail, tt.detail) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for query, detail := range map[string]string{
		"filter=type": "", "filter=(": "filter: ", "page=x": `page "x" is none that a list has named`, "parked=perhaps": `parked "perhaps" is neither true nor false`, "since=x": "since",
	} {
		got := b.do("GET", b.admin+"/api/v1/ns/default/deadletters?"+query, "")
		if detail == "" && got.status != 200 || detail != "" && !strings.Contains(got.problem(t).Detail, detail) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if list, err := b.client().DeadLetters(t.Context(), "default", "", 0); err != nil || len(list) != 1 {
		t.Errorf("a refused selection changed %+v %v", list, err)
	}
}

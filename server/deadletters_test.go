package server

import (
	"context"
	"fmt"
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
	if err != nil || *trigger.Stats != (api.TriggerStats{Pending: 1}) {
		t.Errorf("%+v %v", trigger.Stats, err)
	}
	if r, err := c.Redrive(ctx, "acme", api.DeadLetterSelection{All: true}); err != nil || r.Changed != 1 {
		t.Errorf("redrive all: %+v %v", r, err)
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
	id := list[0].ID
	for name, tt := range map[string]struct {
		path   string
		sel    api.DeadLetterSelection
		status int
		detail string
	}{
		"nothing":      {"redrive", api.DeadLetterSelection{}, 400, "either by ids or by trigger, or be all"},
		"both":         {"redrive", api.DeadLetterSelection{IDs: []string{id}, All: true}, 400, "either by ids or by trigger, or be all"},
		"one is wrong": {"redrive", api.DeadLetterSelection{IDs: []string{id, "1-2-3"}}, 404, `no dead letter 1-2-3 in namespace "default"`},
		"no id":        {"redrive", api.DeadLetterSelection{IDs: []string{"x"}}, 400, `"x" is not an id`},
		"no trigger":   {"redrive", api.DeadLetterSelection{Trigger: "x"}, 404, `no trigger "x"`},
		"no reason":    {"discard", api.DeadLetterSelection{IDs: []string{id}}, 400, "a discard needs a reason"},
	} {
		p := b.send("POST", b.admin+"/api/v1/ns/default/deadletters/"+tt.path, tt.sel).problem(t)
		if p.Status != tt.status || !strings.Contains(p.Detail, tt.detail) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if list, err := b.client().DeadLetters(t.Context(), "default", "", 0); err != nil || len(list) != 1 {
		t.Errorf("a refused selection changed %+v %v", list, err)
	}
}

func TestNewestDeadLettersComeFirst(t *testing.T) {
	t.Parallel()
	var all []api.DeadLetter
	for i := range 5 {
		all = append(all, api.DeadLetter{EventID: fmt.Sprint(i), Time: clock.Add(time.Duration(i) * time.Second)})
	}
	got := newest(all, 2)
	if len(got) != 2 || got[0].EventID != "4" || got[1].EventID != "3" {
		t.Errorf("%+v", got)
	}
}

package main

import (
	"encoding/json"
	"testing"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

func TestTallyCountsPerRepositoryAndType(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	var last summary
	for i, typ := range []string{"com.github.push", "com.github.star.created", "com.github.push"} {
		e := evoke.NewEvent(typ, nil)
		e.Subject = "a/b"
		got := rt.Deliver(tally, e)
		if got.Verdict != evoketest.Done || len(got.Emitted) != 1 || got.Emitted[0].Topic != "github.summaries" {
			t.Fatalf("%+v", got)
		}
		out := got.Emitted[0].Event
		if err := json.Unmarshal(out.Data(), &last); err != nil {
			t.Fatal(err)
		}
		if out.Type != "dev.evoke.example.summary" || out.Subject != "a/b" || last.Total != i+1 || last.Repository != "a/b" {
			t.Errorf("event %d gave %q about %q: %+v", i, out.Type, out.Subject, last)
		}
	}
	if last.ByType["com.github.push"] != 2 || last.ByType["com.github.star.created"] != 1 {
		t.Errorf("counts %v", last.ByType)
	}
	other := evoke.NewEvent("com.github.push", nil)
	other.Subject = "c/d"
	if got := rt.Deliver(tally, other); json.Unmarshal(got.Emitted[0].Event.Data(), &last) != nil || last.Total != 1 {
		t.Errorf("another repository begins with %+v", last)
	}
}

func TestTallyNeedsAKey(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	if got := rt.Deliver(tally, evoke.NewEvent("com.github.push", nil)); got.Verdict != evoketest.Failed || got.Reason == "" {
		t.Errorf("%+v", got)
	}
}

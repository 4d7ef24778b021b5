package main

import (
	"testing"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

func event(typ, data string) *evoke.Event {
	e := evoke.NewEvent(typ, nil)
	e.ID, e.Subject = "d1", "a/b"
	e.SetData("application/json", []byte(data))
	return e
}

func TestAudit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, typ, data, what string }{
		{"action", "com.github.star.created", `{"action":"created","sender":{"login":"octocat"}}`, "created"},
		{"push", "com.github.push", `{"ref":"refs/heads/main","head_commit":{"id":"6dcb09b"},"sender":{"login":"octocat"}}`, "pushed 6dcb09b to refs/heads/main"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var rt evoketest.Runtime
			got := rt.Deliver(audit, event(test.typ, test.data))
			if got.Verdict != evoketest.Done || len(got.Emitted) != 1 {
				t.Fatalf("%+v", got)
			}
			var r record
			if err := got.Emitted[0].Event.Decode(&r); err != nil {
				t.Fatal(err)
			}
			if want := (record{"d1", test.typ, "a/b", "octocat", test.what}); r != want {
				t.Errorf("record %+v, want %+v", r, want)
			}
		})
	}
}

func TestBadDataIsRejected(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	if got := rt.Deliver(audit, event("com.github.push", "{")); got.Verdict != evoketest.Rejected {
		t.Errorf("%+v", got)
	}
}

// TestDeletedBranch shows the bug that audit-fixed does not have.
func TestDeletedBranch(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	if got := rt.Deliver(audit, event("com.github.push", `{"ref":"refs/heads/old","head_commit":null}`)); got.Verdict != evoketest.Trapped {
		t.Errorf("%+v", got)
	}
}

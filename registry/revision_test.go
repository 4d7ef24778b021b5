package registry

import (
	"errors"
	"slices"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestOldRevisionsStayReadable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	f := function("v1", onTopic("a"))
	b.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": f}))
	f.Env = map[string]string{"A": "2"}
	_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": f}))
	now, ok := next(revision).Function("default", "f")
	if !ok {
		t.Fatal("not there")
	}
	for n, env := range map[int]string{1: "", 2: "2"} {
		got, err := b.Revision(t.Context(), now, n)
		if err != nil || got.Revision != n || got.Spec.Env["A"] != env || got.Name != "f" || len(got.Triggers) != 2 {
			t.Errorf("revision %d: %+v %v", n, got, err)
		}
	}
	if _, err := b.Revision(t.Context(), now, 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("revision 3: %v", err)
	}
	if kept, err := b.KeptRevisions(t.Context(), "default", "f"); err != nil || !slices.Equal(kept, []int{1, 2}) {
		t.Errorf("kept %v %v", kept, err)
	}
}

// A deploy that names a topic only for dead letters makes it.
func TestDeadLetterTopicIsMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := function("v1", onTopic("a"))
	f.DeadLetter = &api.DeadLetterSpec{Topic: "a.dead"}
	if d, _ := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": f})); !slices.Equal(d.Topics, []string{"a", "a.dead"}) {
		t.Errorf("made %v", d.Topics)
	}
}

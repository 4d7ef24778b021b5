package registry

import (
	"errors"
	"slices"
	"strings"
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
	if kept, err := b.RevisionNumbers(t.Context(), "default", "f"); err != nil || !slices.Equal(kept, []int{1, 2}) {
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

func TestSurplusIsNeitherNewNorUsed(t *testing.T) {
	t.Parallel()
	kept := func(n int) (out []int) {
		for i := 1; i <= n; i++ {
			out = append(out, i)
		}
		return out
	}
	f := api.Function{
		Revision: 15, Traffic: []api.Share{{Revision: 2, Percent: 95}, {Revision: 15, Percent: 5}},
		Rollout: &api.Rollout{Phase: api.PhaseProgressing, Candidate: 15, Good: []api.Share{{Revision: 2, Percent: 50}, {Revision: 4, Percent: 50}}},
	}
	for _, tc := range []struct {
		kept []int
		want []int
	}{
		{kept(10), nil},
		{kept(15), []int{1, 5}}, // 2 and 4 are good, 3 is wanted
		{append([]int{1}, kept(15)[5:]...), []int{1}},
		{nil, nil},
	} {
		if got := Surplus(&f, tc.kept, map[int]int{3: 1}); !slices.Equal(got, tc.want) {
			t.Errorf("of %v: %v, want %v", tc.kept, got, tc.want)
		}
	}
}

func TestDeleteRevision(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, version := range []string{"1", "2", "3", "4", "5"} {
		b.deployVersion(t, version, nil)
	}
	if _, err := b.SetTraffic(t.Context(), "default", "f", []api.Share{{Revision: 2, Percent: 90}, {Revision: 5, Percent: 10}}); err != nil {
		t.Fatal(err)
	}
	b.deployVersion(t, "6", &api.Canary{Percent: 99})
	wanted := func() map[int]int { return map[int]int{3: 2, 4: 1} }
	for n, want := range map[int]string{
		2: "revision 2: in use: it has 1% of the traffic, and the canary of revision 6 goes back to it when it fails",
		3: "revision 3: in use: 2 redriven events and dead letters wait for it",
		4: "revision 4: in use: a redriven event or dead letter waits for it",
		5: "revision 5: in use: the canary of revision 6 goes back to it when it fails",
		6: "revision 6: in use: it is the newest, and it has 99% of the traffic",
	} {
		if err := b.DeleteRevision(t.Context(), "default", "f", n, wanted); !errors.Is(err, ErrInUse) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("revision %d: %v, want %s", n, err, want)
		}
	}
	if err := b.DeleteRevision(t.Context(), "default", "f", 9, wanted); !errors.Is(err, ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	if err := b.DeleteRevision(t.Context(), "default", "f", 1, wanted); err != nil {
		t.Error(err)
	}
	if _, err := b.Seed(t.Context(), "default", "f", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("its seed: %v", err)
	}
	if got, err := b.RevisionNumbers(t.Context(), "default", "f"); err != nil || !slices.Equal(got, []int{2, 3, 4, 5, 6}) {
		t.Errorf("%v, %v are left", got, err)
	}
}

// Who gives a revision traffic while it is being removed wins.
func TestARevisionThatGetsTrafficIsNotRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployVersion(t, "1", nil)
	b.deployVersion(t, "2", nil)
	other := open(t, b.options) // of another process: its writes do not queue up behind ours
	raced := false
	err := b.DeleteRevision(t.Context(), "default", "f", 1, func() map[int]int {
		if !raced {
			raced = true
			if _, err := other.SetTraffic(t.Context(), "default", "f", []api.Share{{Revision: 1, Percent: 100}}); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if !errors.Is(err, ErrInUse) || !strings.HasSuffix(err.Error(), "it has 100% of the traffic") {
		t.Errorf("got %v", err)
	}
}

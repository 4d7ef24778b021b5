package registry

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// deployVersion deploys function f as a version, by canary when there is one, and answers what was said and what is stored.
func (b *bundle) deployVersion(t *testing.T, version string, canary *api.Canary, on ...api.TriggerSpec) (api.DeployedFunction, api.Function) {
	t.Helper()
	a := app(map[string]api.FunctionSpec{"f": function(version, on...)})
	a.Canary = canary
	d, _ := b.deploy(t, "shop", a)
	return d.Functions[0], b.function(t, "f")
}

func (b *bundle) function(t *testing.T, name string) api.Function {
	t.Helper()
	f, err := b.readFunction(t.Context(), "default", name)
	if err != nil {
		t.Fatal(err)
	}
	return f.value
}

func (b *bundle) steer(t *testing.T, edit func(*api.Function) bool) {
	t.Helper()
	if _, err := b.Steer(t.Context(), "default", "f", edit); err != nil {
		t.Fatal(err)
	}
}

func TestACanaryBeginsWithItsShare(t *testing.T) {
	t.Parallel()
	b := setup(t)
	five := &api.Canary{Percent: 5, Step: 30, Every: api.Duration(2 * time.Minute)}
	d, f := b.deployVersion(t, "v1", five)
	if f.Rollout != nil || f.Traffic != nil || d.Rollout != nil ||
		!slices.Contains(d.Notes, "f is new: there is no revision to go back to, so it gets all of its traffic at once and no canary begins") {
		t.Errorf("a new function: %+v, %+v", d, f)
	}
	if d, f = b.deployVersion(t, "v1", five); f.Rollout != nil || !slices.Equal(d.Notes, []string{"f did not change, so no canary begins"}) {
		t.Errorf("unchanged: %+v", d)
	}

	d, f = b.deployVersion(t, "v2", five)
	now := b.options.Now()
	want := &api.Rollout{
		Canary:    api.Canary{Percent: 5, Step: 30, Every: api.Duration(2 * time.Minute), Guards: "errors<1%,dead<1", Min: 20},
		Candidate: 2, Good: []api.Share{{Revision: 1, Percent: 100}}, Now: 5, Phase: api.PhaseProgressing, Started: now, Since: now,
	}
	if !reflect.DeepEqual(f.Rollout, want) || !reflect.DeepEqual(f.Traffic, []api.Share{{Revision: 1, Percent: 95}, {Revision: 2, Percent: 5}}) || !reflect.DeepEqual(d.Rollout, want) {
		t.Errorf("stored %+v with %v, want %+v; answered %+v", f.Rollout, f.Traffic, want, d.Rollout)
	}
	if want := "canary of f: revision 2 has 5% of the traffic, and gets 30% more after every 2m0s in which errors<1%,dead<1 held over at least 20 attempts: all of it in 8m0s at the earliest. " +
		"When a guard fails, the traffic goes back to r1=100. To see how it stands: fnctl traffic f"; !slices.Equal(d.Notes, []string{want}) {
		t.Errorf("notes %q, want %q", d.Notes, want)
	}
	if d, _ = b.deployVersion(t, "v2", five); !slices.Equal(d.Notes, []string{"f did not change, and the canary of its revision 2 goes on: it has 5%"}) {
		t.Errorf("the same again: %q", d.Notes)
	}
	list, err := b.Revisions(t.Context(), &f)
	if err != nil || list[0].Rollout == nil || list[0].Percent != 5 || list[1].Rollout != nil || list[1].Percent != 95 {
		t.Errorf("revisions %+v, %v", list, err)
	}
}

// The traffic that was good before stays good, also when there were several revisions in it, until a canary is promoted.
func TestASecondDeployTakesThePlaceOfACanary(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployVersion(t, "v1", nil)
	b.deployVersion(t, "v2", nil)
	good := []api.Share{{Revision: 1, Percent: 40}, {Revision: 2, Percent: 60}}
	if _, err := b.SetTraffic(t.Context(), "default", "f", good); err != nil {
		t.Fatal(err)
	}
	canary := &api.Canary{Percent: 50}
	_, f := b.deployVersion(t, "v3", canary)
	if !reflect.DeepEqual(f.Traffic, []api.Share{{Revision: 1, Percent: 20}, {Revision: 2, Percent: 30}, {Revision: 3, Percent: 50}}) {
		t.Errorf("traffic %v", f.Traffic)
	}
	b.steer(t, func(f *api.Function) bool { f.Rollout.Redrive = []int{9}; return true })
	d, f := b.deployVersion(t, "v4", canary, onTopic("new"))
	r := f.Rollout
	if r.Candidate != 4 || !reflect.DeepEqual(r.Good, good) || r.Reason != "takes the place of the canary of revision 3" || !slices.Equal(r.Redrive, []int{9}) || f.Percent(3) != 0 {
		t.Errorf("%+v with %v", r, f.Traffic)
	}
	if len(d.Notes) != 3 || !strings.HasPrefix(d.Notes[0], "the canary of f, revision 3, ended at 50%: this one takes its place. What revision 3 gave up on stays a dead letter") ||
		!strings.HasPrefix(d.Notes[1], "canary of f: revision 4 has 50% of the traffic") || !strings.HasSuffix(strings.Split(d.Notes[1], ". To see")[0], "goes back to r1=40 r2=60") ||
		d.Notes[2] != "the triggers of f are those of revision 4 at once, for all of its events; code and settings come step by step" {
		t.Errorf("notes %q", d.Notes)
	}
	d, f = b.deployVersion(t, "v5", nil)
	if f.Traffic != nil || f.Rollout.Phase != api.PhaseAborted || f.Rollout.Reason != "the deploy of revision 5, which is no canary, gives it everything" || f.Rollout.Ended.IsZero() ||
		!slices.Contains(d.Notes, "the canary of f, revision 4, ended at 50%; revision 5 gets all of the traffic now") || d.Rollout != nil {
		t.Errorf("without a canary: %+v, notes %q", f.Rollout, d.Notes)
	}
	if _, f = b.deployVersion(t, "v5a", nil); f.Rollout == nil || !slices.Equal(f.Rollout.Redrive, []int{9}) {
		t.Errorf("what is to be handed out again was forgotten: %+v", f.Rollout)
	}
	b.steer(t, func(f *api.Function) bool { f.Rollout.Redrive = nil; return true })
	if _, f = b.deployVersion(t, "v5b", nil); f.Rollout != nil {
		t.Errorf("one that has ended is still shown after a deploy that is none: %+v", f.Rollout)
	}
	if _, f = b.deployVersion(t, "v6", canary); !reflect.DeepEqual(f.Rollout.Good, []api.Share{{Revision: 7, Percent: 100}}) {
		t.Errorf("after one that has ended: %+v", f.Rollout)
	}
}

func TestTheHandWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hand := func(shares ...api.Share) api.Function {
		t.Helper()
		if _, err := b.SetTraffic(t.Context(), "default", "f", shares); err != nil {
			t.Fatal(err)
		}
		return b.function(t, "f")
	}
	one, two := api.Share{Revision: 1, Percent: 100}, api.Share{Revision: 2, Percent: 100}
	b.deployVersion(t, "v1", nil)
	b.deployVersion(t, "v2", &api.Canary{Percent: 5})
	if f := hand(one); f.Rollout.Phase != api.PhaseAborted || f.Rollout.Reason != "somebody set the traffic to r1=100" || f.Rollout.Ended.IsZero() || f.Percent(1) != 100 {
		t.Errorf("%+v", f.Rollout)
	}
	if f := hand(two); f.Rollout.Reason != "somebody set the traffic to r1=100" || f.Percent(2) != 100 {
		t.Errorf("a canary ends once: %+v", f.Rollout)
	}

	// One that rolls back goes on with it, unless somebody gives the bad one traffic.
	rollingBack := func() {
		b.steer(t, func(f *api.Function) bool {
			f.Traffic = []api.Share{one}
			f.Rollout.Phase, f.Rollout.Redrive, f.Rollout.Reason, f.Rollout.Ended = api.PhaseRollingBack, []int{2}, "errors<1%", time.Time{}
			return true
		})
	}
	rollingBack()
	if f := hand(one); f.Rollout.Phase != api.PhaseRollingBack || !slices.Equal(f.Rollout.Redrive, []int{2}) {
		t.Errorf("%+v", f.Rollout)
	}
	if f := hand(two); f.Rollout.Phase != api.PhaseAborted || len(f.Rollout.Redrive) != 0 || f.Rollout.Reason != "errors<1%; then somebody set the traffic to r2=100" {
		t.Errorf("%+v", f.Rollout)
	}
	rollingBack()
	if _, f := b.deployVersion(t, "v3", nil); f.Rollout.Phase != api.PhaseRollingBack || !slices.Equal(f.Rollout.Redrive, []int{2}) || f.Traffic != nil {
		t.Errorf("a deploy meanwhile: %+v", f.Rollout)
	}
	if _, err := b.Steer(t.Context(), "default", "none", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("no function: %v", err)
	}
}

func TestCanaryThatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := app(map[string]api.FunctionSpec{"f": function("v1")})
	for want, c := range map[string]api.Canary{
		"canary.percent: 0 is not between 1 and 99, the percent of the keys that a canary begins with": {},
		`canary.guards: "dead<1%": at 6: dead is a number of dead letters`:                             {Percent: 5, Guards: "dead<1%"},
	} {
		a.Canary = &c
		_, _, err := b.Deploy(t.Context(), "default", "shop", a, kindsOf(a))
		if _, ok := errors.AsType[*rules.InvalidError](err); !ok || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
}

package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestSetTraffic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, version := range []string{"v1", "v2", "v3"} {
		if _, _, err := b.Deploy(t.Context(), "default", "shop", app(map[string]api.FunctionSpec{"f": function(version)}), map[string]string{"f": "native"}); err != nil {
			t.Fatal(err)
		}
	}
	set := func(shares ...api.Share) error {
		_, err := b.SetTraffic(t.Context(), "default", "f", shares)
		return err
	}
	for want, shares := range map[string][]api.Share{
		"traffic: the shares add up to 90 percent, not to 100":                                     {{Revision: 1, Percent: 90}},
		"traffic[0].percent: 0 is not between 1 and 100; leave out a revision that gets nothing":   {{Revision: 1, Percent: 0}, {Revision: 2, Percent: 100}},
		"traffic[1].percent: 101 is not between 1 and 100; leave out a revision that gets nothing": {{Revision: 2, Percent: 101}, {Revision: 1, Percent: 1}},
		"traffic[0].revision: -1 is no revision; they count from 1":                                {{Revision: -1, Percent: 100}},
		"traffic[1].revision: revision 2 is named twice":                                           {{Revision: 2, Percent: 50}, {Revision: 2, Percent: 50}},
		"set the traffic of function f in namespace default: revision 9 of f: not found":           {{Revision: 9, Percent: 100}},
	} {
		if err := set(shares...); err == nil || err.Error() != want {
			t.Errorf("%v: got %v, want %s", shares, err, want)
		}
	}
	if _, err := b.SetTraffic(t.Context(), "default", "none", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("no function: %v", err)
	}
	percents := func() (out []int) {
		stored, err := b.readFunction(t.Context(), "default", "f")
		if err != nil {
			t.Fatal(err)
		}
		f := stored.value
		list, err := b.Revisions(t.Context(), &f)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range list {
			if r.Revision != len(list)-i || r.Module == "" || r.Created.IsZero() {
				t.Errorf("revision %+v at %d", r, i)
			}
			out = append(out, r.Percent)
		}
		return out
	}
	for _, tc := range []struct {
		shares []api.Share
		want   []int // of revisions 3, 2, 1
	}{
		{nil, []int{100, 0, 0}},
		{[]api.Share{{Revision: 3, Percent: 5}, {Revision: 1, Percent: 95}}, []int{5, 0, 95}},
		{[]api.Share{{Revision: 2, Percent: 100}}, []int{0, 100, 0}},
		{[]api.Share{{Revision: 3, Percent: 100}}, []int{100, 0, 0}},
		{[]api.Share{{Revision: 1, Percent: 40}, {Revision: 2, Percent: 60}}, []int{0, 60, 40}},
	} {
		if err := set(tc.shares...); err != nil {
			t.Fatal(err)
		}
		if got := percents(); !slices.Equal(got, tc.want) {
			t.Errorf("%v: shares %v, want %v", tc.shares, got, tc.want)
		}
	}
	redeploy := func(version string) api.DeployedFunction {
		d, _, err := b.Deploy(t.Context(), "default", "shop", app(map[string]api.FunctionSpec{"f": function(version)}), map[string]string{"f": "native"})
		if err != nil {
			t.Fatal(err)
		}
		return d.Functions[0]
	}
	if d := redeploy("v3"); d.Change != "unchanged" || !slices.Contains(d.Notes, "the traffic stays r1=40 r2=60; to give all of it to the newest revision: fnctl traffic f r3=100") {
		t.Errorf("%+v", d)
	}
	if d := redeploy("v4"); !slices.ContainsFunc(d.Notes, func(n string) bool {
		return strings.HasPrefix(n, "the traffic was r1=40 r2=60; revision 4 gets all of it now")
	}) {
		t.Errorf("%+v", d)
	}
	if got := percents(); !slices.Equal(got, []int{100, 0, 0, 0}) {
		t.Errorf("after a deploy: %v", got)
	}
}

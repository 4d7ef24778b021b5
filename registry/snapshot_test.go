package registry

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/evoke-run/evoke/api"
)

// changes says what FunctionsSince and TopicsSince yield.
func changes(s, before *Snapshot) string {
	var out []string
	say := func(name string, was, is bool) {
		switch {
		case !was:
			out = append(out, "+"+name)
		case !is:
			out = append(out, "-"+name)
		default:
			out = append(out, "~"+name)
		}
	}
	for was, is := range s.FunctionsSince(before) {
		if is != nil {
			say(is.Name, was != nil, true)
		} else {
			say(was.Name, true, false)
		}
	}
	for was, is := range s.TopicsSince(before) {
		if is != nil {
			say(is.Name, was != nil, true)
		} else {
			say(was.Name, true, false)
		}
	}
	return strings.Join(out, " ")
}

func TestSnapshotsTellWhatHasChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	first := next(0)
	_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v1", onTopic("orders")), "other": function("v1")}))
	second := next(revision)
	if got := changes(second, first); got != "+charge +other +orders" {
		t.Errorf("first deploy: %s", got)
	}
	_, revision = b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v2", onTopic("orders")), "new": function("v1", onTopic("more"))}))
	third := next(revision)
	if got := changes(third, second); got != "~charge +new +more" {
		t.Errorf("second deploy: %s", got)
	}
	revision, err := b.DeleteFunction(t.Context(), "default", "other")
	if err != nil {
		t.Fatal(err)
	}
	if got := changes(next(revision), third); got != "-other" {
		t.Errorf("after the removal: %s", got)
	}
	if got := changes(next(revision), first); got != "+charge +new +more +orders" {
		t.Errorf("of all since the first one: %s", got)
	}
}

// TestALoadAfterABreakChangesNothingByItself also loses changes: what a new load does not have has gone.
func TestALoadAfterABreakChangesNothingByItself(t *testing.T) {
	t.Parallel()
	k := keys{"/p/"}
	kv := func(key string, v any) *mvccpb.KeyValue {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return &mvccpb.KeyValue{Key: []byte(key), Value: text}
	}
	var functions, topics []*mvccpb.KeyValue
	for i := range 1000 {
		name := fmt.Sprintf("f%d", i)
		f := api.Function{Namespace: "default", Name: name, App: "shop", Revision: 1, Spec: function("v1", onHTTP(), onTopic("t"))}
		f.Triggers = bind("default", name, f.Spec.Triggers, nil, func() uint64 { return uint64(i) + 1 })
		functions = append(functions, kv(k.function("default", name), f))
		topics = append(topics, kv(k.topic("default", name), api.Topic{Namespace: "default", Name: name}))
	}
	v := &view{keys: k, log: slog.New(slog.DiscardHandler)}
	v.reload(0, functions, topics, nil)
	first := v.snapshot(1)
	v.reload(7, functions, topics, nil)
	second := v.snapshot(2)
	if got := changes(second, first); got != "" || second.Generation() != 9 {
		t.Errorf("the same again: generation %d, %s", second.Generation(), got)
	}
	functions[3] = kv(k.function("default", "f3"), api.Function{Namespace: "default", Name: "f3", App: "other", Revision: 2})
	functions[4].Value = []byte("{")
	v.reload(7, slices.Delete(functions, 8, 9), slices.Delete(topics, 5, 7), nil)
	third := v.snapshot(3)
	if got := changes(third, second); got != "~f3 -f8 -f5 -f6" {
		t.Errorf("others: %s", got)
	}
	if n := len(slices.Collect(third.ofApp("default", "shop"))); n != 998 {
		t.Errorf("%d functions of the app, want 998", n)
	}
	if n := len(slices.Collect(third.ofApp("default", "other"))); n != 1 {
		t.Errorf("%d functions of the other app, want 1", n)
	}
}

// TestSnapshotsAreWhatWasWritten compares with maps, whatever comes in one go.
func TestSnapshotsAreWhatWasWritten(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	k := keys{"/p/"}
	v := &view{keys: k, log: slog.New(slog.DiscardHandler)}
	v.reload(0, nil, nil, nil)
	v.snapshot(0)
	want := map[string]int{} // revision by name
	apps := map[string]string{}
	for round := range 300 {
		for range rng.IntN(40) {
			name := fmt.Sprintf("f%d", rng.IntN(600))
			key := k.function("default", name)
			if rng.IntN(3) == 0 {
				v.remove(key)
				delete(want, name)
				delete(apps, name)
				continue
			}
			apps[name] = fmt.Sprintf("app%d", rng.IntN(3))
			want[name] = round
			text, err := json.Marshal(api.Function{Namespace: "default", Name: name, App: apps[name], Revision: round})
			if err != nil {
				t.Fatal(err)
			}
			v.put(key, text)
		}
		s := v.snapshot(int64(round))
		got, ofApps := map[string]int{}, map[string]string{}
		for _, f := range s.Functions("") {
			got[f.Name] = f.Revision
		}
		for i := range 3 {
			for f := range s.ofApp("default", fmt.Sprintf("app%d", i)) {
				ofApps[f.Name] = f.App
			}
		}
		if !maps.Equal(got, want) || !maps.Equal(apps, ofApps) {
			t.Fatalf("round %d: %v, want %v; of apps %v, want %v", round, got, want, ofApps, apps)
		}
	}
}

// TestADeployReadsOnlyWhatItNames has others that cannot even be read.
func TestADeployReadsOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := app(map[string]api.FunctionSpec{"charge": function("v1", onTopic("orders")), "left": function("v1")})
	_, revision := b.deploy(t, "shop", a)
	run(t, b.Registry)(revision)
	for _, key := range []string{b.keys.function("default", "damaged"), b.keys.topic("default", "damaged")} {
		if _, err := b.client.Put(t.Context(), key, "{"); err != nil {
			t.Fatal(err)
		}
	}
	delete(a.Functions, "left")
	a.Functions["charge"] = function("v2", onTopic("orders"))
	d, _ := b.deploy(t, "shop", a)
	if d.Functions[0].Revision != 2 || !slices.Equal(d.Orphans, []string{"left"}) || len(d.Topics) != 0 {
		t.Errorf("deployed %+v", d)
	}
}

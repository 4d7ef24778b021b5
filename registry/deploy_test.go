package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

func TestDeployCreatesUpdatesAndLeavesAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := api.App{
		Functions: map[string]api.FunctionSpec{
			"charge":   function("v1", onTopic("orders.created")),
			"checkout": function("v1", onHTTP()),
		},
		Topics: map[string]api.TopicSpec{"orders.created": {Ingress: true}},
	}
	got, first := b.deploy(t, "shop", a)
	want := api.Deployed{App: "shop", Topics: []string{"orders.created"}, Functions: []api.DeployedFunction{
		{Name: "charge", Revision: 1, Change: "created", Triggers: []string{"charge:orders.created"}},
		{Name: "checkout", Revision: 1, Change: "created", Triggers: []string{"checkout:http"}, URLs: []string{"/fn/checkout"}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("first deploy:\n%+v, want\n%+v", got, want)
	}

	got, second := b.deploy(t, "shop", a)
	want.Functions[0].Change, want.Functions[1].Change, want.Topics = "unchanged", "unchanged", nil
	if !reflect.DeepEqual(got, want) || second != first {
		t.Errorf("same again: %+v at %d, want %+v at %d", got, second, want, first)
	}

	a.Functions["charge"] = function("v2", onTopic("orders.created"))
	got, third := b.deploy(t, "shop", a)
	want.Functions[0].Change, want.Functions[0].Revision = "updated", 2
	if !reflect.DeepEqual(got, want) || third <= second {
		t.Errorf("one changed: %+v at %d, want %+v after %d", got, third, want, second)
	}

	delete(a.Functions, "checkout")
	got, _ = b.deploy(t, "shop", a)
	if !slices.Equal(got.Orphans, []string{"checkout"}) {
		t.Errorf("orphans %v, want checkout", got.Orphans)
	}
	if f, ok := run(t, b.Registry)(third).Function("default", "checkout"); !ok || f.Revision != 1 {
		t.Errorf("the orphan is %+v, want it as it was", f)
	}
}

// What a function may invoke need not be there, and that it is not is said: of its own app, of another one, and when the same deploy removes it.
func TestDeployNotesWhatCannotBeInvoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	notes := func(app string, a api.App) (all []string) {
		t.Helper()
		d, _ := b.deploy(t, app, a)
		for _, f := range d.Functions {
			all = append(all, f.Notes...)
		}
		return all
	}
	order := function("v1", onHTTP())
	order.Allow.Invoke = []string{"price", "stock"}
	const lacks = "order may invoke %s, and there is no function %[1]s in namespace default: until it is deployed, each of these invocations fails"
	missing := func(names ...string) (out []string) {
		for _, name := range names {
			out = append(out, fmt.Sprintf(lacks, name))
		}
		return out
	}
	both := map[string]api.FunctionSpec{"order": order, "stock": function("v1")}
	alone := map[string]api.FunctionSpec{"order": order}
	for _, step := range []struct {
		app  string
		a    api.App
		want []string
	}{
		{"shop", api.App{Functions: alone}, missing("price", "stock")},
		{"shop", api.App{Functions: both}, missing("price")},
		{"prices", api.App{Functions: map[string]api.FunctionSpec{"price": function("v1")}}, nil},
		{"shop", api.App{Functions: both}, nil},
		{"shop", api.App{Functions: alone}, nil}, // stock stays, nobody's from now on
		{"shop", api.App{Functions: alone, Prune: true}, missing("stock")},
	} {
		if got := notes(step.app, step.a); !slices.Equal(got, step.want) {
			t.Errorf("deploy of %s with %d functions, prune %t: notes %q, want %q", step.app, len(step.a.Functions), step.a.Prune, got, step.want)
		}
	}
	if _, err := b.DeleteFunction(t.Context(), "default", "price"); err != nil {
		t.Fatal(err)
	}
	if got, want := notes("shop", api.App{Functions: alone}), missing("price", "stock"); !slices.Equal(got, want) {
		t.Errorf("after it was removed: %q, want %q", got, want)
	}
}

func TestDeployWritesImmutableRevisions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := 1; n <= 5; n++ {
		b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function(fmt.Sprint(n))}))
	}
	three, ok := readRevision(t, b, "charge", 3)
	four, _ := readRevision(t, b, "charge", 4)
	if !ok || three.Revision != 3 || three.Kind != "native" || three.Spec.Module != digestOf([]byte("3")) || !three.Created.Equal(b.options.Now()) {
		t.Errorf("revision 3 is %+v", three)
	}
	if len(three.Seed) != 32 || slices.Equal(three.Seed, four.Seed) {
		t.Errorf("seeds %x and %x, want different ones of 32 bytes", three.Seed, four.Seed)
	}
}

func readRevision(t *testing.T, b *bundle, name string, n int) (rev revision, ok bool) {
	t.Helper()
	resp, err := b.client.Get(t.Context(), b.keys.revision("default", name, n))
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return revision{}, false
	}
	if err := json.Unmarshal(resp.Kvs[0].Value, &rev); err != nil {
		t.Fatal(err)
	}
	return rev, true
}

func TestTriggerIDsLastAsLongAsTheBinding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	deploy := func(on ...api.TriggerSpec) map[string]uint64 {
		t.Helper()
		_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"charge": function("v1", on...)}))
		ids := map[string]uint64{}
		for _, trigger := range next(revision).Triggers("default") {
			ids[trigger.Name] = trigger.ID
		}
		return ids
	}
	check := func(got, want map[string]uint64) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	filtered := onTopic("a.b")
	filtered.Topic.Filter = "type = 'x'"
	check(deploy(onHTTP(), onTopic("a.b"), filtered), map[string]uint64{"charge:http": 1, "charge:a.b": 2, "charge:a.b:2": 3, "charge:inbox": 4})
	check(deploy(onTopic("new.>"), filtered, onHTTP()), map[string]uint64{"charge:http": 1, "charge:a.b": 2, "charge:new.>": 5, "charge:inbox": 4})
	check(deploy(onTopic("a.b"), onTopic("a.b")), map[string]uint64{"charge:a.b": 2, "charge:a.b:2": 6, "charge:inbox": 4})

	if _, err := b.DeleteFunction(t.Context(), "default", "charge"); err != nil {
		t.Fatal(err)
	}
	check(deploy(onTopic("a.b")), map[string]uint64{"charge:a.b": 7, "charge:inbox": 8})
}

func TestTopicsCalledLikeKindsDoNotClash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, revision := b.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": function("v1", onHTTP(), onTopic("http"), onTopic("inbox"))}))
	var names []string
	for _, trigger := range run(t, b.Registry)(revision).Triggers("default") {
		names = append(names, trigger.Name)
	}
	if want := []string{"f:http", "f:http:1", "f:inbox", "f:inbox:1"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestDeployCreatesTheTopicsItNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	spec := function("v1", onTopic("orders.created"), onTopic("orders.*"))
	spec.Allow.Emit = []string{"orders.charged", "audit.>"}
	open := api.App{Functions: map[string]api.FunctionSpec{"charge": spec}, Topics: map[string]api.TopicSpec{"orders.created": {Ingress: true}}}
	closed := app(open.Functions)

	got, _ := b.deploy(t, "shop", closed)
	if want := []string{"orders.charged", "orders.created"}; !slices.Equal(got.Topics, want) {
		t.Errorf("created %v, want %v", got.Topics, want)
	}
	got, revision := b.deploy(t, "shop", open)
	if want := []string{"orders.created"}; !slices.Equal(got.Topics, want) || got.Functions[0].Change != "unchanged" {
		t.Errorf("opened %v, functions %+v; want %v and unchanged", got.Topics, got.Functions, want)
	}
	got, again := b.deploy(t, "shop", closed) // naming it only in a trigger leaves it as it is
	if got.Topics != nil || again != revision {
		t.Errorf("changed %v at %d, want nothing at %d", got.Topics, again, revision)
	}
	topics := run(t, b.Registry)(revision).Topics("default")
	if len(topics) != 2 || topics[0].Name != "orders.charged" || topics[0].Spec.Ingress || !topics[1].Spec.Ingress {
		t.Errorf("topics %+v", topics)
	}
}

func TestDeployRefusesFunctionsOfOtherApps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := app(map[string]api.FunctionSpec{"charge": function("v1")})
	b.deploy(t, "shop", a)
	_, _, err := b.Deploy(t.Context(), "default", "bank", a, kindsOf(a))
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "function charge belongs to app shop") {
		t.Errorf("got %v, want a conflict that names shop", err)
	}
	if _, _, err := b.Deploy(t.Context(), "other", "bank", a, kindsOf(a)); err != nil {
		t.Errorf("in another namespace: %v", err)
	}
}

// An app that gets another name is the same app: its functions keep their revisions and triggers, also those that the deploy does not name, unless it prunes.
func TestAnAppGetsAnotherName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := app(map[string]api.FunctionSpec{"same": function("v1", at("/same")), "other": function("v1", onTopic("orders")), "left": function("v1", at("/left"))})
	_, revision := b.deploy(t, "shop", first)
	b.deploy(t, "bank", app(map[string]api.FunctionSpec{"pay": function("v1")}))
	next := run(t, b.Registry)
	triggers := func(s *Snapshot, name string) []api.Trigger {
		f, ok := s.Function("default", name)
		if !ok {
			t.Fatalf("there is no function %s", name)
		}
		return f.Triggers
	}
	same, left := triggers(next(revision), "same"), triggers(next(revision), "left")

	renamed := app(map[string]api.FunctionSpec{"same": function("v1", at("/same")), "other": function("v2", onTopic("orders"))})
	renamed.Formerly = "shop"
	got, revision := b.deploy(t, "market", renamed)
	want := api.Deployed{App: "market", Orphans: []string{"left"}, Functions: []api.DeployedFunction{
		{Name: "other", Revision: 2, Change: "updated", Triggers: []string{"other:orders"}},
		{Name: "same", Revision: 1, Change: "unchanged", Triggers: []string{"same:http"}, URLs: []string{"/same"}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	s := next(revision)
	apps := map[string]string{}
	for _, f := range s.Functions("default") {
		apps[f.Name] = f.App
	}
	if want := map[string]string{"same": "market", "other": "market", "left": "market", "pay": "bank"}; !maps.Equal(apps, want) {
		t.Errorf("functions are of %v, want %v", apps, want)
	}
	if !reflect.DeepEqual(triggers(s, "same"), same) || !reflect.DeepEqual(triggers(s, "left"), left) {
		t.Error("triggers have changed, and with them what waits for them")
	}
	if _, again := b.deploy(t, "market", renamed); again != revision {
		t.Errorf("a second time it wrote, at %d after %d", again, revision)
	}

	// Back, without what it does not name.
	delete(renamed.Functions, "same")
	renamed.Formerly, renamed.Prune = "market", true
	if got, _ := b.deploy(t, "shop", renamed); !slices.Equal(got.Removed, []string{"left", "same"}) || len(got.Functions) != 1 || got.Functions[0].Revision != 2 {
		t.Errorf("back: %+v", got)
	}
	if _, _, err := b.Deploy(t.Context(), "default", "bank", first, kindsOf(first)); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "function other belongs to app shop") {
		t.Errorf("a function of an app that is not named: %v", err)
	}
}

func TestWritersRace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Two registries, as on two nodes: their writers do not queue up behind each other.
	nodes := []*Registry{b.Registry, open(t, b.options)}
	const writers, rounds = 3, 8
	var wg sync.WaitGroup
	for n, r := range nodes {
		for w := range writers {
			wg.Go(func() {
				for i := range rounds {
					own := fmt.Sprintf("own-%d-%d", n, w)
					a := app(map[string]api.FunctionSpec{
						"shared": function(fmt.Sprint(n, w, i), onTopic("a")),
						own:      function(fmt.Sprint(i), onTopic("a"), onTopic(fmt.Sprintf("t%d", i))),
					})
					if _, _, err := r.Deploy(t.Context(), "default", "shop", a, kindsOf(a)); err != nil {
						t.Errorf("deploy: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	s := run(t, b.Registry)(1)
	shared, _ := s.Function("default", "shared")
	if want := len(nodes) * writers * rounds; shared.Revision != want {
		t.Errorf("shared has revision %d, want %d: no write may be lost", shared.Revision, want)
	}
	owner := map[uint64]string{}
	for _, trigger := range s.Triggers("") {
		if owner[trigger.ID] != "" {
			t.Errorf("id %d is of %s and of %s", trigger.ID, owner[trigger.ID], trigger.Name)
		}
		owner[trigger.ID] = trigger.Name
	}
	if want := 1 + len(nodes)*writers; len(s.Functions("")) != want {
		t.Errorf("%d functions, want %d", len(s.Functions("")), want)
	}
}

func TestDeployStopsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.writing <- struct{}{} // a writer that hangs
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := app(map[string]api.FunctionSpec{"charge": function("v1")})
	if _, _, err := b.Deploy(ctx, "default", "shop", a, kindsOf(a)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestDeployTooLargeForOneTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := app(map[string]api.FunctionSpec{})
	for i := range 12 {
		f := function("v1")
		f.Env = map[string]string{"BLOB": strings.Repeat("x", 500<<10)}
		a.Functions[fmt.Sprintf("f%d", i)] = f
	}
	_, _, err := b.Deploy(t.Context(), "default", "shop", a, kindsOf(a))
	if _, ok := errors.AsType[*rules.InvalidError](err); !ok || !strings.Contains(err.Error(), "split it into several apps") {
		t.Errorf("got %v", err)
	}
	a = api.App{Topics: map[string]api.TopicSpec{}}
	for i := range 5000 {
		a.Topics[fmt.Sprintf("t%d", i)] = api.TopicSpec{}
	}
	_, _, err = b.Deploy(t.Context(), "default", "shop", a, nil)
	if _, ok := errors.AsType[*rules.InvalidError](err); !ok || !strings.Contains(err.Error(), "more functions and topics than etcd takes") {
		t.Errorf("got %v", err)
	}
}

func TestDeleteFunction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	next := run(t, b.Registry)
	a := app(map[string]api.FunctionSpec{"charge": function("v1", onTopic("a"))})
	b.deploy(t, "shop", a)
	a.Functions["charge"] = function("v2", onTopic("a"))
	b.deploy(t, "shop", a)
	revision, err := b.DeleteFunction(t.Context(), "default", "charge")
	if err != nil {
		t.Fatal(err)
	}
	if s := next(revision); len(s.Functions("")) != 0 || len(s.Triggers("")) != 0 || len(s.Topics("")) != 1 {
		t.Errorf("left: %v, %v, %v", s.Functions(""), s.Triggers(""), s.Topics(""))
	}
	if _, ok := readRevision(t, b, "charge", 1); ok {
		t.Error("revision 1 is still there")
	}
	_, err = b.DeleteFunction(t.Context(), "default", "charge")
	if !errors.Is(err, ErrNotFound) || err.Error() != "delete function charge in namespace default: not found" {
		t.Errorf("second delete: %v", err)
	}
	// another app may take the name; revision numbers go on
	d, _ := b.deploy(t, "bank", app(map[string]api.FunctionSpec{"charge": function("v1")}))
	if f := d.Functions[0]; f.Revision != 3 || f.Change != "created" {
		t.Errorf("created again as %+v, want revision 3", f)
	}
}

func TestDeleteTopic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	emits := function("v1")
	emits.Allow.Emit = []string{"orders.charged"}
	b.deploy(t, "shop", api.App{
		Functions: map[string]api.FunctionSpec{"charge": function("v1", onTopic("orders.created"), onTopic("loose.*")), "emitter": emits},
		Topics:    map[string]api.TopicSpec{"loose.one": {}},
	})
	for topic, function := range map[string]string{"orders.created": "charge", "orders.charged": "emitter"} {
		_, err := b.DeleteTopic(t.Context(), "default", topic)
		if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "function "+function+" names it") {
			t.Errorf("delete %s: %v, want a conflict with %s", topic, err, function)
		}
	}
	revision, err := b.DeleteTopic(t.Context(), "default", "loose.one")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := run(t, b.Registry)(revision).Topic("default", "loose.one"); ok {
		t.Error("loose.one is still there")
	}
	if _, err := b.DeleteTopic(t.Context(), "default", "loose.one"); !errors.Is(err, ErrNotFound) {
		t.Errorf("second delete: %v", err)
	}
}

// TestTopicIsNeverDeletedUnderATrigger lets deploys that name a topic race with its deletion.
func TestTopicIsNeverDeletedUnderATrigger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	deleter := open(t, b.options)
	for i := range 20 {
		name := fmt.Sprintf("t%d", i)
		b.deploy(t, "shop", api.App{Topics: map[string]api.TopicSpec{name: {}}})
		var wg sync.WaitGroup
		wg.Go(func() {
			a := app(map[string]api.FunctionSpec{"charge": function(name, onTopic(name))})
			if _, _, err := b.Deploy(t.Context(), "default", "shop", a, kindsOf(a)); err != nil {
				t.Errorf("deploy: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := deleter.DeleteTopic(t.Context(), "default", name); err != nil && !errors.Is(err, ErrConflict) {
				t.Errorf("delete: %v", err)
			}
		})
		wg.Wait()
		if _, err := read[api.Topic](t.Context(), b.client, b.keys.topic("default", name)); err != nil {
			t.Fatalf("function charge names topic %s: %v", name, err)
		}
	}
}

// With Prune a deploy removes what it does not name any more, in the same transaction: a function can go on under another name, with its route.
func TestDeployPrunes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deploy(t, "shop", app(map[string]api.FunctionSpec{"show": function("v1", at("/orders")), "list": function("v1", onTopic("orders")), "keep": function("v1")}))
	b.deploy(t, "bank", app(map[string]api.FunctionSpec{"pay": function("v1")}))

	renamed := app(map[string]api.FunctionSpec{"view": function("v1", at("/orders")), "keep": function("v1")})
	if _, _, err := b.Deploy(t.Context(), "default", "shop", renamed, kindsOf(renamed)); !errors.Is(err, ErrConflict) {
		t.Errorf("the route of a function that stays: %v", err)
	}
	renamed.Prune = true
	got, revision := b.deploy(t, "shop", renamed)
	want := api.Deployed{App: "shop", Removed: []string{"list", "show"}, Functions: []api.DeployedFunction{
		{Name: "keep", Revision: 1, Change: "unchanged"},
		{Name: "view", Revision: 1, Change: "created", Triggers: []string{"view:http"}, URLs: []string{"/orders"}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	var names []string
	next := run(t, b.Registry)
	s := next(revision)
	for _, f := range s.Functions("default") {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"keep", "pay", "view"}) {
		t.Errorf("there are %v, want keep, pay of the other app, and view", names)
	}
	if topics := s.Topics("default"); len(topics) != 1 || topics[0].Name != "orders" {
		t.Errorf("topics %+v; their events stay", topics)
	}

	got, again := b.deploy(t, "shop", renamed)
	if got.Removed != nil || again != revision {
		t.Errorf("a second time it removed %v at %d, want nothing at %d", got.Removed, again, revision)
	}
	// The numbers of revisions go on.
	back := app(map[string]api.FunctionSpec{"show": function("v2")})
	if got, _ = b.deploy(t, "shop", back); got.Functions[0].Revision != 2 || !slices.Equal(got.Orphans, []string{"keep", "view"}) {
		t.Errorf("brought back as %+v", got)
	}
}

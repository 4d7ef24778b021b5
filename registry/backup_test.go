package registry

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestExportedRegistryComesBack(t *testing.T) {
	t.Parallel()
	from := setup(t)
	many := map[string]api.TopicSpec{}
	for i := range 2*page + 20 { // several pages
		many[fmt.Sprintf("topic-%d", i)] = api.TopicSpec{Ingress: i%2 == 0}
	}
	first := app(map[string]api.FunctionSpec{"f": function("one", onHTTP(), onTopic("a")), "g": function("two", onTopic("b"))})
	first.Topics = many
	from.deploy(t, "shop", first)
	from.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": function("three", onTopic("a"))}))
	lead(t, from.Registry, Candidate{Node: "node-1"})
	got, err := from.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got.Entries {
		if strings.HasPrefix(e.Key, "leaders/") {
			t.Errorf("the export has %s", e.Key)
		}
	}
	if want := []string{digestOf([]byte("three")), digestOf([]byte("two"))}; !sameSet(got.Required, want) || !sameSet(got.Old, []string{digestOf([]byte("one"))}) {
		t.Errorf("modules in force %q, old %q", got.Required, got.Old)
	}

	to := setup(t)
	const base = 1 << 40
	if err := to.Import(t.Context(), got.Entries, base); err != nil {
		t.Fatal(err)
	}
	again, err := to.Export(t.Context())
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("exported again: %d entries of %d, %v", len(again.Entries), len(got.Entries), err)
	}
	if epoch := lead(t, to.Registry, Candidate{Node: "node-1"}).Epoch; epoch <= base {
		t.Errorf("epoch %d; want more than %d", epoch, base)
	}
	s := run(t, to.Registry)(1)
	if f, ok := s.Function("default", "f"); !ok || f.Revision != 2 || s.Generation() != base+uint64(s.Revision) || len(s.Topics("")) != len(many)+2 {
		t.Errorf("function %+v, generation %d, %d topics", f, s.Generation(), len(s.Topics("")))
	}
	// What is deployed next has ids and revisions behind the old ones.
	d, revision := to.deploy(t, "shop", app(map[string]api.FunctionSpec{"f": function("four", onTopic("a"), onTopic("c"))}))
	if d.Functions[0].Revision != 3 || revision < s.Revision {
		t.Errorf("deployed %+v", d)
	}
	if err := to.Import(t.Context(), nil, 0); !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "import registry: not empty: etcd has the key /test-") {
		t.Errorf("import over something: %v", err)
	}
}

func sameSet(a, b []string) bool {
	seen := map[string]int{}
	for _, v := range a {
		seen[v]++
	}
	for _, v := range b {
		seen[v]--
	}
	for _, n := range seen {
		if n != 0 {
			return false
		}
	}
	return true
}

package scheduler

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
)

// listing is the answer of state.list as a text.
func listing(names ...string) string {
	var b []byte
	for _, n := range names {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(n))), n...)
	}
	return string(b)
}

var withState = api.FunctionSpec{Allow: api.Allow{State: true}}

// A delivery lists what is there, with what it has written and without what it has deleted.
func TestStateIsListed(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("f", scripted(0,
		capability{"state.list", pair("", "")},
		capability{"state.set", pair("a", "1")}, capability{"state.set", pair("b/2", "")}, capability{"state.set", pair("b/1", "1")}, capability{"state.set", pair("c", "1")},
		capability{"state.list", pair("", "")},
		capability{"state.list", pair("b/", "")},
		capability{"state.list", pair("", "b/1")},
		capability{"state.delete", "a"},
		capability{"state.list", pair("", "")},
		capability{"state.list", pair("x", "")},
	), withState)
	want := strings.Join([]string{
		"200", "204", "204", "204", "204",
		"200 " + listing("a", "b/1", "b/2", "c"), "200 " + listing("b/1", "b/2"), "200 " + listing("b/2", "c"),
		"204", "200 " + listing("b/1", "b/2", "c"), "200",
	}, "\n")
	if got := answers(t, b.call("f", newEvent("1", "k"))); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if got := answers(t, b.call("f", newEvent("2", "k"))); !strings.HasPrefix(got, "200 "+listing("b/1", "b/2", "c")+"\n") {
		t.Errorf("the next event of the key sees %q", got)
	}
	if got := answers(t, b.call("f", newEvent("3", "other"))); !strings.HasPrefix(got, "200\n") {
		t.Errorf("another key sees %q", got)
	}
}

func TestStateListsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	long := strings.Repeat("n", 513)
	b.deploy("f", scripted(0, capability{"state.list", ""}, capability{"state.list", "\xff\xff\xff\xffabc"}, capability{"state.list", pair(long, "")}, capability{"state.list", pair("", long)}), withState)
	b.deploy("denied", scripted(0, capability{"state.list", pair("", "")}), api.FunctionSpec{})
	const form = "400 a state.list request is the length of the prefix as u32, the prefix, and the name behind which to begin, of at most 512 bytes each"
	if got := answers(t, b.call("f", newEvent("1", "k"))); got != strings.Join([]string{form, form, form, form}, "\n") {
		t.Errorf("got %q", got)
	}
	if got := answers(t, b.call("f", newEvent("1", ""))); !strings.HasPrefix(got, "412 the event has no key") {
		t.Errorf("got %q", got)
	}
	if got := answers(t, b.call("denied", newEvent("1", "k"))); got != "403 state is not allowed; set allow: { state: true } in fn.yaml" {
		t.Errorf("got %q", got)
	}
}

// Many names come in pages, whose end is said, and a page whose names were all deleted is passed by.
func TestNamesOfStateInPages(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const n = 2500
	write := make([]partition.StateWrite, n)
	var names []string
	for i := range write {
		names = append(names, fmt.Sprintf("n%04d", i))
		write[i] = partition.StateWrite{Name: names[i], Value: []byte("v")}
	}
	b.deploy("f", scripted(0, capability{"state.list", pair("", "")}, capability{"state.list", pair("", "n0999")}, capability{"state.list", pair("", "n1999")}), withState)
	ev := newEvent("0", "k")
	if _, err := b.table.Perform(t.Context(), partition.Scope{Namespace: "default", Function: "f", Key: "k", Event: &ev}, "i", partition.Effects{Writes: write}); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{"206 " + listing(names[:1000]...), "206 " + listing(names[1000:2000]...), "200 " + listing(names[2000:]...)}, "\n")
	if got := answers(t, b.call("f", newEvent("1", "k"))); got != want {
		t.Errorf("got %d bytes %.100q", len(got), got)
	}
	var all []capability
	for _, name := range names[:999] {
		all = append(all, capability{"state.delete", name})
	}
	b.deploy("g", scripted(0, append(all, capability{"state.list", pair("", "")}, capability{"state.list", pair("", "n0999")})...), withState)
	if _, err := b.table.Perform(t.Context(), partition.Scope{Namespace: "default", Function: "g", Key: "k", Event: &ev}, "i", partition.Effects{Writes: write}); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, b.call("g", newEvent("1", "k"))); !strings.HasSuffix(got, "204\n206 "+listing("n0999")+"\n206 "+listing(names[1000:2000]...)) {
		t.Errorf("got %d bytes", len(got))
	}
}

// What a delivery may list is bounded.
func TestStateListsHaveAnEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	write := make([]partition.StateWrite, 999)
	for i := range write {
		write[i] = partition.StateWrite{Name: fmt.Sprint(i), Value: []byte("v")}
	}
	ev := newEvent("0", "k")
	if _, err := b.table.Perform(t.Context(), partition.Scope{Namespace: "default", Function: "f", Key: "k", Event: &ev}, "i", partition.Effects{Writes: write}); err != nil {
		t.Fatal(err)
	}
	steps := make([]capability, 0, 11)
	for range 11 {
		steps = append(steps, capability{"state.list", pair("", "")})
	}
	b.deploy("f", scripted(0, steps...), withState)
	if got := strings.Split(answers(t, b.call("f", newEvent("1", "k"))), "\n"); got[9][:4] != "200 " || got[10] != "413 the delivery lists more than 10000 names of state entries" {
		t.Errorf("got %.40q and %.40q", got[9], got[10])
	}
}

// Of those that see that nothing is there and then write something, one is first, and the others see it.
func TestListsOfAKeyLoseNoUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const n = 20
	b.deploy("f", scripted(0, capability{"state.list", pair("", "")}, capability{"state.set", pair("n", "v")}), withState)
	first := make([]bool, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			first[i] = answers(t, b.call("f", newEvent(fmt.Sprint(i), "k"))) == "200\n204"
		})
	}
	wg.Wait()
	if count := len(slices.DeleteFunc(first, func(f bool) bool { return !f })); count != 1 {
		t.Errorf("%d saw nothing", count)
	}
}

package ordered

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

type entry struct{ key, value int }

func byKey(a, b *entry) int { return cmp.Compare(a.key, b.key) }

// model is what a set must be like.
type model map[int]*entry

func (m model) check(t *testing.T, s Set[*entry]) {
	t.Helper()
	want := slices.Collect(func(yield func(*entry) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(m[key]) {
				return
			}
		}
	})
	if got := slices.Collect(s.All()); !slices.Equal(got, want) {
		t.Fatalf("%d values, want %d, or others", len(got), len(want))
	}
	if s.Len() != len(m) {
		t.Fatalf("length %d of %d", s.Len(), len(m))
	}
	for _, chunk := range s.chunks {
		if len(chunk) == 0 || len(chunk) > maxChunk {
			t.Fatalf("a chunk of %d", len(chunk))
		}
	}
}

func TestEditsMakeNewSetsAndLeaveTheOld(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	s, m := New(byKey), model{}
	var sets []Set[*entry]
	var models []model
	for round := range 400 {
		var edits []Edit[*entry]
		m = maps.Clone(m)
		for range rng.IntN([]int{2, 5, 900}[rng.IntN(3)]) {
			e := Edit[*entry]{Value: &entry{rng.IntN(3000), round}, Gone: rng.IntN(100) < 30+round/8}
			edits = append(edits, e)
			if e.Gone {
				delete(m, e.Value.key)
			} else {
				m[e.Value.key] = e.Value
			}
		}
		s = s.With(edits...)
		m.check(t, s)
		sets, models = append(sets, s), append(models, m)
		was := rng.IntN(len(sets))
		checkSince(t, sets[was], models[was], s, m)
		checkSince(t, s, m, sets[was], models[was])
	}
	for i := range sets {
		models[i].check(t, sets[i])
	}
}

func checkSince(t *testing.T, a Set[*entry], from model, b Set[*entry], to model) {
	t.Helper()
	got := maps.Clone(from)
	last := -1
	for was, is := range b.Since(a) {
		key := cmp.Or(was, is).key
		if key <= last || was == is || from[key] != was || to[key] != is {
			t.Fatalf("key %d behind %d: from %v to %v, want from %v to %v", key, last, was, is, from[key], to[key])
		}
		last = key
		if is == nil {
			delete(got, key)
		} else {
			got[key] = is
		}
	}
	if !maps.Equal(got, to) {
		t.Fatal("the difference does not lead from one to the other")
	}
}

func TestFindAndFrom(t *testing.T) {
	t.Parallel()
	var values []*entry
	for i := range 2000 {
		values = append(values, &entry{key: 2 * i})
	}
	s := New(byKey, values...)
	for key := -1; key < 4001; key++ {
		at := func(e *entry) int { return cmp.Compare(e.key, key) }
		v, ok := s.Find(at)
		if want := key >= 0 && key%2 == 0 && key < 4000; ok != want || ok && v.key != key || !ok && v != nil {
			t.Fatalf("find %d: %v, %v", key, v, ok)
		}
		n := 0
		for range s.From(at) {
			n++
		}
		if want := 2000 - (max(key, 0)+1)/2; n != want {
			t.Fatalf("from %d on: %d values, want %d", key, n, want)
		}
	}
}

func TestADifferenceIsFoundWithoutALookAtWhatIsShared(t *testing.T) {
	t.Parallel()
	compared := 0
	counting := func(a, b *entry) int { compared++; return byKey(a, b) }
	var values []*entry
	for i := range 100_000 {
		values = append(values, &entry{key: 2 * i})
	}
	a := New(counting, values...)
	b := a.With(Edit[*entry]{Value: &entry{key: 77_777}}, Edit[*entry]{Value: &entry{key: 4}, Gone: true})
	compared = 0
	n := 0
	for range b.Since(a) {
		n++
	}
	if n != 2 || compared > 4*maxChunk {
		t.Errorf("%d changes found by %d comparisons", n, compared)
	}
}

func TestASetThatShrinksKeepsNoSmallChunks(t *testing.T) {
	t.Parallel()
	s := New(byKey)
	for i := range 10_000 {
		s = s.With(Edit[*entry]{Value: &entry{key: i}})
	}
	for i := range 10_000 {
		if i%100 != 0 {
			s = s.With(Edit[*entry]{Value: &entry{key: i}, Gone: true})
		}
	}
	if s.Len() != 100 || len(s.chunks) > 3 {
		t.Errorf("%d values in %d chunks", s.Len(), len(s.chunks))
	}
}

func BenchmarkChangeOneOf100k(b *testing.B) {
	var values []*entry
	for i := range 100_000 {
		values = append(values, &entry{key: i})
	}
	s := New(byKey, values...)
	b.ReportAllocs()
	for b.Loop() {
		s = s.With(Edit[*entry]{Value: values[50_000]})
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/evoke-run/evoke/partition"
)

func TestRoutingWithTinyNumbers(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	rows, err := runRouting(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "route_100k_triggers_us", "change_one_of_100k_triggers_us", "route_1_trigger_us", "route_index_bytes")
	for _, r := range rows[:3] {
		if r.Runs != s.rounds || r.Value <= 0 || r.Against == "" {
			t.Errorf("%+v", r)
		}
	}
}

// A benchmark that finds something else than asking one by one must not print a time.
func TestRoutingThatIsWrongIsNotMeasured(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	w, err := openTable(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	r, err := s.newRouting(w.table, "route_test_us", 40)
	if err != nil {
		t.Fatal(err)
	}
	if r.set, err = r.set.With([]partition.Trigger{{ID: 99, Namespace: "default", Name: "more", Topic: routedTopic}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.check(); err == nil || !strings.Contains(err.Error(), "and should be for 3") {
		t.Errorf("check: %v", err)
	}
	if err := r.round(t.Context()); err == nil || !strings.Contains(err.Error(), "is for 4 triggers, not for 3") {
		t.Errorf("round: %v", err)
	}
}

// BenchmarkRoute is for profiles: go test ./bench -run '^$' -bench Route -benchmem -cpuprofile cpu.prof
func BenchmarkRoute(b *testing.B) {
	s := &session{}
	w, err := openTable(b.Context(), b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer w.close()
	r, err := s.newRouting(w.table, "route", 100_000)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := r.set.Match("default", routedTopic, r.events[n%len(r.events)].bytes); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

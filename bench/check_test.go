package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// fakeChecks prints like benchmarks of package server.
func fakeChecks(args []string) int {
	fmt.Println("goos: linux")
	for _, c := range checks {
		if c.name == "check_key_us" && strings.HasSuffix(args[len(args)-1], "=0s") {
			continue
		}
		fmt.Printf("%s-2 \t 1000\t  900.5 ns/op\t   800.0 cpu-ns/op\t  160 B/op\n", c.benchmark)
	}
	return 0
}

func TestChecks(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := quick(t)
	rows, err := s.inRounds(t.Context(), []roundCase{s.newCheckCase(self)})
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "check_jwt_us", "check_jwt_es256_us", "check_jwt_again_us", "check_key_us")
	if r := rows[3]; r.Value != 0.8 || r.AgainstValue != 2 || r.Ratio != 0.4 || r.Runs != 2 {
		t.Errorf("%+v", r)
	}
	s.slice = 0
	if err := s.newCheckCase(self).round(t.Context()); err == nil || !strings.Contains(err.Error(), "do not tell the cpu-ns/op of BenchmarkCheckKey:\ngoos: linux") {
		t.Errorf("one that is missing: %v", err)
	}
	if err := s.newCheckCase("/nowhere").round(t.Context()); err == nil || !strings.Contains(err.Error(), "benchmarks of package server: ") {
		t.Errorf("no program: %v", err)
	}
}

func TestMetricOf(t *testing.T) {
	t.Parallel()
	const out = "BenchmarkA-16   10   5 ns/op   3 cpu-ns/op\nBenchmarkA/RS256-again   10   6 ns/op\nBenchmarkB-2   x\n\n"
	for name, want := range map[string]string{"BenchmarkA ns/op": "5 true", "BenchmarkA cpu-ns/op": "3 true", "BenchmarkA/RS256-again ns/op": "6 true", "BenchmarkA/RS256 ns/op": "0 false", "BenchmarkB ns/op": "0 false"} {
		benchmark, unit, _ := strings.Cut(name, " ")
		value, ok := metricOf([]byte(out), benchmark, unit)
		if got := fmt.Sprint(value, ok); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

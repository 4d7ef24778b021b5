package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// realNode is the test binary under a name that makes it a runtime.
func realNode(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), realRuntime)
	if err := os.Symlink(self(t), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// The function in Go is replaced, because it takes long to compile; the runtime is a real one.
func TestSchedulerWithTinyNumbers(t *testing.T) {
	t.Parallel()
	needProc(t)
	s, said := quick(t)
	s.slice, s.limit = 5*time.Millisecond, 5*time.Minute
	rows, err := s.measureScheduler(t.Context(), schedulerBuilt{runtime: realNode(t), echo: guest(), c: readC(t, "loop.wasm")})
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows,
		"cold_first_event_ms_go", "cold_first_event_ms_c", "zero_to_1000_ms", "fairness_ms", "fairness_worst_ms", "fairness_alone_ms",
		"schedule_overhead_us", "schedule_overhead_cpu_us", "functions_100k_kib", "deploy_visible_ms", "functions_100k_deploy_visible_ms",
	)
	mayBeZero := map[string]bool{"fairness_ms": true, "fairness_worst_ms": true, "schedule_overhead_cpu_us": true, "functions_100k_kib": true}
	for _, r := range rows {
		if r.Value <= 0 && !mayBeZero[r.Case] {
			t.Errorf("%+v", r)
		}
	}
	if !strings.Contains(said.String(), "500 functions, the last 250 in ") {
		t.Errorf("said %q", said)
	}
}

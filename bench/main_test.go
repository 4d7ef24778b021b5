package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string // on stderr
	}{
		{"no name", nil, 2, []string{"usage: go run ./bench NAME", "  log ", "  pipeline ", "  backlog ", "  http ", "  scheduler ", "  routing ", "  sandbox ", "-rounds"}},
		{"help", []string{"-h"}, 0, []string{"  log ", "  http ", "-json"}},
		{"unknown name", []string{"lgo"}, 2, []string{`there is no benchmark "lgo"`, "  log ", "  http "}},
		{"unknown flag", []string{"log", "-fast"}, 2, []string{"flag provided but not defined: -fast"}},
		{"two names", []string{"log", "http"}, 2, []string{`"http" is one argument too many`}},
		{"no rounds", []string{"log", "-rounds", "0"}, 2, []string{"-rounds 0 must be at least 1"}},
		{"no such directory", []string{"log", "-dir", "/does/not/exist"}, 1, []string{"bench log: make a directory to measure in", "/does/not/exist"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errs strings.Builder
			if code := run(t.Context(), c.args, &out, &errs); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, w := range c.want {
				if !strings.Contains(errs.String(), w) {
					t.Errorf("stderr lacks %q:\n%s", w, errs.String())
				}
			}
			if out.Len() > 0 {
				t.Errorf("stdout: %q", out.String())
			}
		})
	}
}

func fixed(rows []row, err error) benchmark {
	return benchmark{name: "fixed", limit: time.Second, run: func(_ context.Context, s *session) ([]row, error) {
		s.disk = []time.Duration{2 * time.Millisecond, time.Millisecond, 3 * time.Millisecond}
		if err := os.WriteFile(s.dir+"/left", nil, 0o600); err != nil {
			return nil, err
		}
		return rows, err
	}}
}

func TestExecutePrintsOneJSONDocument(t *testing.T) {
	t.Parallel()
	s, said := quick(t)
	parent := t.TempDir()
	rows := []row{
		{Case: "a", Value: 10, Unit: "events/s", Against: "loop", AgainstValue: 4, Ratio: 2.5, Runs: 5, Noise: 0.1},
		{Case: "b", Value: 1, Unit: "ms", Runs: 5, Noise: 0.9, Noisy: true},
	}
	var out strings.Builder
	if err := s.execute(t.Context(), fixed(rows, nil), parent, printer(&out, true)); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Name    string
		Machine map[string]any
		Rows    []map[string]any
	}
	if err := json.Unmarshal([]byte(out.String()), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Name != "fixed" || doc.Machine["fsync_p50_ms"] != 2. || doc.Machine["fsync_p99_ms"] != 3. || doc.Machine["cpus"] == nil {
		t.Errorf("%s", out.String())
	}
	for _, name := range []string{"case", "value", "unit", "against", "against_value", "ratio", "runs", "noise", "noisy"} {
		if _, ok := doc.Rows[0][name]; !ok {
			t.Errorf("row has no %q: %v", name, doc.Rows[0])
		}
	}
	if !strings.Contains(said.String(), "b: noise 90% is over 30%: do not trust this row") || strings.Contains(said.String(), "a: noise") {
		t.Errorf("said %q", said)
	}
	if !strings.Contains(said.String(), "2 rounds are too few for a median") {
		t.Errorf("said %q", said)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestExecuteReportsTheError(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	broken := errors.New("broken")
	print := func(report) error { t.Error("printed a report of what failed"); return nil }
	if err := s.execute(t.Context(), fixed(nil, broken), t.TempDir(), print); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := report{Machine: machine{OS: "os", Arch: "arch", CPU: "cpu", CPUs: 2, Go: "go", FsyncP50: 0.25, FsyncP99: 1.5}, Rows: []row{
		{Case: "quiet", Value: 12345.6, Unit: "events/s", Against: "loop", AgainstValue: 12.34, Ratio: 1000.4, Runs: 5, Noise: 0.07},
		{Case: "loud", Value: 0.00669, Unit: "ms", Runs: 5, Noise: 0.5, Noisy: true},
	}}
	if err := printer(&out, false)(r); err != nil {
		t.Fatal(err)
	}
	want := `os/arch, 2 CPUs cpu, go, load 0.0, fsync p50 0.25 ms p99 1.50 ms

CASE   VALUE    UNIT      AGAINST  VALUE  RATIO  RUNS  NOISE
quiet  12346    events/s  loop     12.3   1000×  5     7%
loud   0.00669  ms                               5     50%  too noisy
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestRestlessDisk(t *testing.T) {
	t.Parallel()
	s, said := quick(t)
	s.rounds = minRounds
	s.warn(machine{FsyncP50: 0.2, FsyncP99: 2}, nil)
	if said.Len() > 0 {
		t.Errorf("said %q of a quiet disk", said)
	}
	s.warn(machine{FsyncP50: 0.2, FsyncP99: 2.5}, nil)
	if !strings.Contains(said.String(), "the disk has other work: fsync takes 0.20 ms, but 1 of 100 takes 2.50 ms") {
		t.Errorf("said %q", said)
	}
}

func TestMeasureSaysWhyItEnded(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	s.limit = time.Nanosecond
	_, err := s.measureLog(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "not done within 1ns: the machine or its disk is too slow or too busy") {
		t.Error(err)
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// checks are what package server's benchmarks of authenticate are called in a report, and their targets in µs. Tokens come for the first time: their signature is checked.
var checks = [...]struct {
	benchmark, name string
	target          float64 // 0 = none
}{
	{"BenchmarkCheckJWT/RS256", "check_jwt_us", 60},
	{"BenchmarkCheckJWT/ES256", "check_jwt_es256_us", 0},
	{"BenchmarkCheckJWT/RS256-again", "check_jwt_again_us", 0},
	{"BenchmarkCheckKey", "check_key_us", 2},
}

// buildTests builds the benchmarks of a package. What they measure is what no other package can call.
func buildTests(ctx context.Context, root, pkg, out string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", out, "./"+pkg)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c in %s: %w\n%s", filepath.Join(root, pkg), err, text)
	}
	return nil
}

// checkCase measures what it costs to tell who sent a request, in processor time.
type checkCase struct {
	session *session
	program string
	us      [len(checks)]series
}

func (s *session) newCheckCase(program string) *checkCase {
	c := &checkCase{session: s, program: program}
	for i, check := range checks {
		c.us[i] = series{name: check.name, unit: "µs/request"}
		if check.target > 0 {
			c.us[i].against, c.us[i].theirs = "target", []float64{check.target}
		}
	}
	return c
}

func (c *checkCase) rows() []row {
	out := make([]row, len(c.us))
	for i := range c.us {
		out[i] = c.us[i].row()
	}
	return out
}

func (c *checkCase) round(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.program, "-test.run=^$", "-test.bench=^BenchmarkCheck", "-test.benchtime="+(c.session.slice/5).String())
	cmd.Dir = c.session.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmarks of package server: %w\n%s", err, out)
	}
	for i, check := range checks {
		ns, ok := metricOf(out, check.benchmark, "cpu-ns/op")
		if !ok {
			return fmt.Errorf("the benchmarks of package server do not tell the cpu-ns/op of %s:\n%s", check.benchmark, out)
		}
		c.us[i].ours = append(c.us[i].ours, ns/1000)
	}
	return nil
}

// metricOf finds a number in what go test prints of a benchmark: "BenchmarkX-2   1000   12 ns/op   34 cpu-ns/op".
func metricOf(out []byte, benchmark, unit string) (value float64, ok bool) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		name := fields[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 { // the number of processors
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		if name != benchmark {
			continue
		}
		for i := 1; i+1 < len(fields); i++ {
			if fields[i+1] == unit {
				value, err := strconv.ParseFloat(fields[i], 64)
				return value, err == nil
			}
		}
	}
	return 0, false
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a run prints.
type report struct {
	Name    string  `json:"name"`
	Machine machine `json:"machine"`
	Rows    []row   `json:"rows"`
}

// machine is where the numbers come from.
type machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu,omitempty"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
	// Load is how many processes wanted to run in the minute before, the benchmark's own among them; only on Linux.
	Load float64 `json:"load,omitempty"`
	// FsyncP50 and FsyncP99 are milliseconds to append 1 KiB to a file and make it durable.
	FsyncP50 float64 `json:"fsync_p50_ms"`
	FsyncP99 float64 `json:"fsync_p99_ms"`
}

func describe(fsyncs []time.Duration) machine {
	m := machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		FsyncP50: milliseconds(quantile(fsyncs, 0.5)), FsyncP99: milliseconds(quantile(fsyncs, 0.99)),
	}
	info, _ := os.ReadFile("/proc/cpuinfo") // Linux only; elsewhere the report has no name
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	m.Load, _ = strconv.ParseFloat(first, 64)
	return m
}

// printer writes a report for people or for programs.
func printer(w io.Writer, asJSON bool) func(report) error {
	if !asJSON {
		return func(r report) error { return printTable(w, r) }
	}
	return func(r report) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
}

func printTable(w io.Writer, r report) error {
	m := r.Machine
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s/%s, %d CPUs %s, %s, load %.1f, fsync p50 %.2f ms p99 %.2f ms\n\n", m.OS, m.Arch, m.CPUs, m.CPU, m.Go, m.Load, m.FsyncP50, m.FsyncP99)
	fmt.Fprintln(t, "CASE\tVALUE\tUNIT\tAGAINST\tVALUE\tRATIO\tRUNS\tNOISE")
	for _, r := range r.Rows {
		note := ""
		if r.Noisy {
			note = "  too noisy"
		}
		if r.Against == "" {
			fmt.Fprintf(t, "%s\t%s\t%s\t\t\t\t%d\t%.0f%%%s\n", r.Case, number(r.Value), r.Unit, r.Runs, 100*r.Noise, note)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s×\t%d\t%.0f%%%s\n", r.Case, number(r.Value), r.Unit, r.Against, number(r.AgainstValue), number(r.Ratio),
			r.Runs, 100*r.Noise, note)
	}
	return t.Flush()
}

// number has three digits that count.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

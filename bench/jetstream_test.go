package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeJetStream answers like bench/peers/jetstream and does nothing; of a mode that it does not know it ends.
func fakeJetStream(stdin io.Reader, stdout io.Writer) int {
	in := bufio.NewScanner(stdin)
	for in.Scan() {
		switch mode, _, _ := strings.Cut(in.Text(), " "); mode {
		case "always", "async", "pipeline", "dispatch", "replay":
			fmt.Fprintln(stdout, `{"events":4,"took_ns":2000000,"cpu_ns":8000,"p50_ns":500000,"p99_ns":1000000}`)
		case "idle":
			fmt.Fprintln(stdout, `{"events":0,"took_ns":1}`)
		default:
			return 1
		}
	}
	return 0
}

// self is the test binary, which is every program that is measured.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJetStreamAnswers(t *testing.T) {
	t.Parallel()
	js, err := startJetStream(self(t), filepath.Join(t.TempDir(), "jetstream"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := js.run("always", 64, time.Second)
	if want := (figures{perSecond: 2000, cpuEach: 2, p50: 0.5, p99: 1}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := js.run("idle", 1, time.Second); err == nil || !strings.Contains(err.Error(), `JetStream did nothing of "idle"`) {
		t.Error(err)
	}
	if _, err := js.run("unknown", 1, time.Second); err == nil || !strings.Contains(err.Error(), "wait for JetStream: EOF") {
		t.Error(err)
	}
	if err := js.close(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Error(err)
	}
}

func TestNoJetStream(t *testing.T) {
	t.Parallel()
	js, err := startJetStream("", filepath.Join(t.TempDir(), "jetstream"))
	if err != nil || js.close() != nil {
		t.Errorf("%v, %v", js, err)
	}
}

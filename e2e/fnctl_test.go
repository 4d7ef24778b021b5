package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// result is what a command of fnctl answered.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", r.code, r.stdout, r.stderr)
}

// fnctl runs a command in the app's namespace and directory.
func (a *app) fnctl(t testing.TB, args ...string) result {
	t.Helper()
	cmd := a.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (a *app) command(args ...string) *exec.Cmd {
	cmd := exec.Command(programs.fnctl, append(args, "-n", a.ns, "--timeout", "10m")...) // a deploy may compile modules while all else is busy, too
	cmd.Dir = a.dir
	cmd.Env = cleanEnv("FNCTL_SERVER="+a.rt.admin, "FNCTL_TOKEN="+a.token)
	return cmd
}

// must is fnctl for what has to work; it answers stdout.
func (a *app) must(t testing.TB, args ...string) string {
	t.Helper()
	r := a.fnctl(t, args...)
	if r.code != 0 {
		t.Fatalf("fnctl %q: %s", args, r)
	}
	return r.stdout
}

// stream is the output of a command that follows something, one value a line.
type stream[T any] struct {
	values chan T // closed at the end of the command
	seen   []T
}

// logs follows the log of a function, from its first line on.
func (a *app) logs(t testing.TB, function string) *stream[api.LogEntry] {
	t.Helper()
	return follow[api.LogEntry](t, a.command("logs", function, "-f", "-o", "jsonl", "--limit", "10000"))
}

// tail follows a topic from its first event on.
func (a *app) tail(t testing.TB, topic string) *stream[api.TopicEvent] {
	t.Helper()
	return follow[api.TopicEvent](t, a.command("topic", "tail", topic, "-f", "-o", "jsonl", "--limit", "10000"))
}

func follow[T any](t testing.TB, cmd *exec.Cmd) *stream[T] {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &stream[T]{values: make(chan T, 10_000)}
	done := make(chan struct{})
	go func() { // ends with the command, which the cleanup kills and waits for
		defer close(done)
		defer close(s.values)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			var v T
			if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
				t.Errorf("%v printed %q: %v", cmd.Args, lines.Text(), err)
				return
			}
			s.values <- v
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-done
		_ = cmd.Wait() // killed
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("stderr of %v:\n%s", cmd.Args, &stderr)
		}
	})
	return s
}

// until waits for the value that is meant; what says what it is.
func (s *stream[T]) until(t testing.TB, what string, meant func(T) bool) T {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case v, ok := <-s.values:
			if !ok {
				t.Fatalf("the stream ended without %s; it had %+v", what, s.seen)
			}
			s.seen = append(s.seen, v)
			if meant(v) {
				return v
			}
		case <-deadline:
			t.Fatalf("no %s after %s; the stream had %+v", what, patience, s.seen)
		}
	}
}

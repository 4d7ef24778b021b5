package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// buildGo builds a guest of testdata with the toolchain the tests run with.
func buildGo(t testing.TB, folder string, flags ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", out}, flags, []string{"."})...)
	build.Dir = filepath.Join("testdata", folder)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

func TestGoGuest(t *testing.T) {
	t.Parallel()
	m := load(t, buildGo(t, "guest", "-buildmode=c-shared"), Settings{Function: "checkout", Revision: 3, Memory: 32 << 20})
	var started atomic.Int32
	t.Cleanup(func() { // the first event has the log of initialisation, which ran once
		if n := started.Load(); n != 1 {
			t.Errorf("%d events logged the start", n)
		}
	})
	run := func(t *testing.T, kind string, timeout time.Duration) (Result, []string) {
		h := &fakeHost{}
		e := &event.Event{ID: "1", Source: "/s", Type: kind, Data: []byte("hello")}
		res := m.Invoke(within(t, timeout), e, h)
		if slices.Contains(h.lines, "INFO started checkout 3") {
			started.Add(1)
		}
		return res, h.lines
	}
	for _, c := range []struct {
		kind, class, reason, data string
		timeout                   time.Duration
	}{
		{"echo", "", "", "hello", time.Minute},
		{"goroutines", "", "", "01234567", time.Minute},
		{"file", "", "", "open /etc/passwd: Bad file number", time.Minute},
		{"other", ClassRejected, "the function rejected the event and gave no reason", "", time.Minute},
		{"panic", ClassTrap, "panic: out of cheese (unreachable)", "", time.Minute},
		{"exit", ClassExit, "exited with code 4", "", time.Minute},
		{"recurse", ClassTrap, "stack overflow", "", time.Minute},
		{"hog", ClassMemory, "wanted more memory than its limit of 32Mi and then died: fatal error: out of memory", "", time.Minute},
		{"loop", ClassDeadline, "did not finish within ", "", 300 * time.Millisecond},
		{"sleep", ClassDeadline, "did not finish within ", "", 300 * time.Millisecond},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			res, log := run(t, c.kind, c.timeout)
			if res.Class != c.class || !strings.HasPrefix(res.Reason, c.reason) || string(res.Data) != c.data {
				t.Errorf("%s %q %q, log %q", res.Class, res.Reason, res.Data, log)
			}
		})
	}
	t.Run("random", func(t *testing.T) {
		t.Parallel()
		first, _ := run(t, "random", time.Minute)
		second, _ := run(t, "random", time.Minute)
		if len(first.Data) == 0 || string(first.Data) == string(second.Data) {
			t.Errorf("%q %q", first.Data, second.Data)
		}
	})
}

func TestGoCommand(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("compiling it takes many seconds under the race detector; TestGoGuest does it once")
	}
	m := load(t, buildGo(t, "command"), Settings{Env: map[string]string{"COLOUR": "blue"}})
	for _, c := range []struct {
		subject, class, reason, data string
		verdict                      abi.Verdict
	}{
		{"0", "", "", "e1 hello /x blue", abi.Done},
		{"65", ClassRejected, "subject 65", "e1 hello /x blue", abi.Rejected},
		{"1", ClassError, "subject 1", "e1 hello /x blue", abi.Failed},
		{"panic", ClassError, "panic: out of cheese", "", abi.Failed},
	} {
		t.Run(c.subject, func(t *testing.T) {
			t.Parallel()
			e := testEvent()
			e.Subject, e.Request = c.subject, []byte(`{"method":"GET","path":"/x"}`)
			res := m.Invoke(within(t, time.Minute), e, &fakeHost{})
			if res.Verdict != c.verdict || res.Class != c.class || res.Reason != c.reason || string(res.Data) != c.data {
				t.Errorf("%+v", res)
			}
		})
	}
}

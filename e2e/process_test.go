package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. It is long because the machine may be busy; nothing here takes that long.
const patience = 4 * time.Minute

// process is one run of the runtime.
type process struct {
	dir            string // its data directory
	gateway, admin string // base URLs, once it is ready

	cmd    *exec.Cmd
	stderr *output
	ended  chan struct{} // closed when the process has ended; err is set before
	err    error
}

// start runs the runtime on a data directory and free ports until the test ends, and waits until it is ready.
func start(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	p := launch(t, dir, args...)
	p.awaitReady(t)
	return p
}

// launch is start without the wait.
func launch(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	return launchEnv(t, dir, "", args...)
}

// launchEnv is launch with a setting in the environment, NAME=VALUE.
func launchEnv(t testing.TB, dir, setting string, args ...string) *process {
	t.Helper()
	p, err := newProcess(dir, setting, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("stderr of runtime %d:\n%s", p.pid(), p.stderr)
		}
		if err := p.stderr.fault(); err != nil {
			t.Errorf("runtime %d: %v", p.pid(), err)
		}
	})
	return p
}

func newProcess(dir, setting string, args ...string) (*process, error) {
	// One that was killed leaves its addresses behind.
	if err := os.Remove(filepath.Join(dir, "addresses.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	p := &process{dir: dir, ended: make(chan struct{}), stderr: &output{ready: make(chan struct{})}}
	args = append([]string{"--data-dir", dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
	p.cmd = exec.Command(programs.runtime, args...)
	p.cmd.Env, p.cmd.Stderr = cleanEnv(setting), p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process, which launch kills
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// cleanEnv is the environment without settings of the programs. GORACE: by default a race-detecting program takes a second to exit.
func cleanEnv(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "EVOKE_") && !strings.HasPrefix(v, "FNCTL_") {
			env = append(env, v)
		}
	}
	return append(append(env, "NO_COLOR=1", "GORACE=atexit_sleep_ms=0", "XDG_CACHE_HOME="+programs.home, "XDG_CONFIG_HOME="+filepath.Join(programs.home, "config"), "GOCACHE="+programs.gocache, "FNCTL_RUNTIME="+filepath.Join(programs.usual, "runtime")), more...)
}

// dataDir is a new data directory that shares the compiled modules with all others.
func dataDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := makeDataDir(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Symlink(programs.compiled, filepath.Join(dir, "cache"))
}

func (p *process) awaitReady(t testing.TB) {
	t.Helper()
	if err := p.waitReady(); err != nil {
		t.Fatal(err)
	}
}

func (p *process) waitReady() error {
	select {
	case <-p.stderr.ready:
	case <-p.ended:
		return fmt.Errorf("the runtime ended before it was ready: %w\n%s", p.err, p.stderr)
	case <-time.After(patience):
		return fmt.Errorf("the runtime is not ready after %s\n%s", patience, p.stderr)
	}
	raw, err := os.ReadFile(filepath.Join(p.dir, "addresses.json"))
	if err != nil {
		return err
	}
	var at struct{ Gateway, Admin string }
	if err := json.Unmarshal(raw, &at); err != nil {
		return fmt.Errorf("addresses.json: %w", err)
	}
	p.gateway, p.admin = "http://"+at.Gateway, "http://"+at.Admin
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process as kill -9 does and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// terminate asks it to stop and answers how it ended.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		return fmt.Errorf("still running %s after SIGTERM\n%s", patience, p.stderr)
	}
}

// fails waits for the end of a process that cannot start and answers its exit code and what it said.
func (p *process) fails(t testing.TB) (code int, stderr string) {
	t.Helper()
	select {
	case <-p.ended:
	case <-p.stderr.ready:
		t.Fatal("the runtime started")
	case <-time.After(patience):
		t.Fatalf("the runtime has not ended after %s\n%s", patience, p.stderr)
	}
	return p.cmd.ProcessState.ExitCode(), p.stderr.String()
}

// runProgram is for runs that end by themselves; it answers what they print.
func runProgram(t testing.TB, path string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = cleanEnv()
	out, err := cmd.Output()
	return string(out), err
}

// output collects what a process writes and tells when it is ready.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer

	ready chan struct{} // closed by the write that has the line
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := bytes.Contains(o.text.Bytes(), readyLine)
	o.text.Write(b)
	if !before && bytes.Contains(o.text.Bytes(), readyLine) {
		close(o.ready)
	}
	return len(b), nil
}

var readyLine = []byte("msg=ready ")

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// fault finds what no test may cause: a data race, a panic, or an error that the runtime logs as its own.
func (o *output) fault() error { return fault(o.String()) }

func fault(text string) error {
	for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "level=ERROR"} {
		if i := strings.Index(text, sign); i >= 0 {
			return fmt.Errorf("its stderr has %q:\n%s", sign, text[i:])
		}
	}
	return nil
}

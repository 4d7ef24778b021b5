package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is one session of a user: directory, variables and background jobs last from one block of commands to the next.
type shell struct {
	dir    string // where it began
	notes  string // a directory for scripts and their output
	in     io.Writer
	ready  chan string // the number of each block that has ended
	ended  chan struct{}
	blocks int
}

// newShell begins a session, which ends with the test, its background jobs with it.
func newShell(t testing.TB, dir string, env ...string) *shell {
	t.Helper()
	s := &shell{dir: dir, notes: t.TempDir(), ready: make(chan string, 100), ended: make(chan struct{})}
	marks, marksOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-s")
	cmd.Dir, cmd.Env = dir, cleanEnv(env...)
	cmd.ExtraFiles = []*os.File{marksOut} // number 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = marksOut.Close() // the shell has its own
	go func() {          // ends with the shell
		_ = cmd.Wait() // how it ended is told by the block it ended in
		close(s.ended)
	}()
	go func() { // ends when the pipe is closed below
		for lines := bufio.NewScanner(marks); lines.Scan(); {
			s.ready <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group that was made for it: the shell and its jobs
		<-s.ended
		_ = marks.Close()
		s.judge(t)
	})
	return s
}

// run runs a block, in which the first command that fails ends the session. The error shows every command and what it said.
func (s *shell) run(commands string) (stdout string, err error) {
	s.blocks++
	base := filepath.Join(s.notes, fmt.Sprint(s.blocks))
	if err := os.WriteFile(base+".sh", []byte("set -ex\n"+commands+"\n{ set +ex; } 2>/dev/null\n"), 0o600); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(s.in, ". '%s.sh' </dev/null >'%s.out' 2>'%s.err'; echo %d >&3\n", base, base, base, s.blocks); err != nil {
		return "", fmt.Errorf("the shell has ended: %w", err)
	}
	var failure error
	select {
	case <-s.ready:
	case <-s.ended:
		failure = fmt.Errorf("the last of these commands failed")
	case <-time.After(patience):
		failure = fmt.Errorf("the last of these commands has not ended after %s", patience)
	}
	out, err := os.ReadFile(base + ".out")
	if err != nil {
		return "", err
	}
	if failure != nil {
		said, err := os.ReadFile(base + ".err")
		if err != nil {
			return "", err
		}
		return "", fmt.Errorf("%w:\n%sstdout:\n%s", failure, said, out)
	}
	return string(out), nil
}

// judge looks for what no program may say, in what the commands and the background jobs wrote to stderr.
func (s *shell) judge(t testing.TB) {
	t.Helper()
	for i := range s.blocks {
		said, err := os.ReadFile(filepath.Join(s.notes, fmt.Sprintf("%d.err", i+1)))
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		if err := fault(string(said)); err != nil {
			t.Errorf("block %d: %v", i+1, err)
		}
	}
}

func TestShellKeepsWhatASessionKeeps(t *testing.T) {
	t.Parallel()
	s := newShell(t, t.TempDir(), "GREETING=hello")
	for _, tc := range [][2]string{
		{"mkdir a && cd a\nNAME=Ada", ""},
		{"printf '%s %s in %s\\n' $GREETING $NAME $(basename $PWD)", "hello Ada in a\n"},
		{"cat", ""}, // there is nothing to read
		{"mkfifo pipe\ncat pipe > copy &", ""},
		{"echo through the job > pipe\nwait\ncat copy", "through the job\n"},
		{"echo to stderr >&2", ""},
	} {
		out, err := s.run(tc[0])
		if err != nil || out != tc[1] {
			t.Fatalf("%s: %q, %v; want %q", tc[0], out, err, tc[1])
		}
	}
}

func TestShellTellsWhichCommandFailed(t *testing.T) {
	t.Parallel()
	s := newShell(t, t.TempDir())
	_, err := s.run("echo one\nls /nowhere/at/all\necho two")
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, err.Error(), "the last of these commands failed", "+ ls /nowhere/at/all", "No such file", "stdout:\none\n")
	if strings.Contains(err.Error(), "two") {
		t.Errorf("it went on: %v", err)
	}
	if _, err := s.run("echo three"); err == nil {
		t.Error("the session goes on after its end")
	}
}

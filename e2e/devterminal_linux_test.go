package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what a program that runs on it writes, and the keys that are pressed.
type terminal struct {
	keys, screen *os.File // its two ends: ours, and the program's

	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // has a token when there is more text
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine has no terminals: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{keys: keys, screen: screen, wrote: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() { // ends when the last who has the other end has closed it
		defer close(read)
		for b := make([]byte, 4096); ; {
			n, err := keys.Read(b)
			term.mu.Lock()
			term.text.Write(b[:n])
			term.mu.Unlock()
			select {
			case term.wrote <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = screen.Close()
		<-read
		_ = keys.Close()
		if t.Failed() {
			t.Logf("on the screen:\n%s", term)
		}
	})
	return term
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// await waits for a text on the screen, behind what was awaited before, and answers what came until then.
func (term *terminal) await(t *testing.T, text string) string {
	t.Helper()
	for deadline := time.After(patience); ; {
		term.mu.Lock()
		before, after, found := strings.Cut(term.text.String(), text)
		if found {
			term.text.Reset()
			term.text.WriteString(after)
		}
		term.mu.Unlock()
		if found {
			return before
		}
		select {
		case <-term.wrote:
		case <-deadline:
			t.Fatalf("no %q after %s; the screen has\n%s", text, patience, term)
		}
	}
}

func (term *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := term.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// mode is how the terminal treats keys and ends of lines.
func (term *terminal) mode(t *testing.T) unix.Termios {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(term.screen.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *mode
}

// devOn starts fnctl dev as the program in the foreground of a terminal.
func (term *terminal) devOn(t *testing.T, dir string) (cmd *exec.Cmd, ended chan error) {
	t.Helper()
	cmd = devCommand(dir)
	for i, v := range cmd.Env {
		if strings.HasPrefix(v, "NO_COLOR=") {
			cmd.Env[i] = "TERM=xterm"
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.screen, term.screen, term.screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the process, which the cleanup kills
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, ended
}

func TestDevOnATerminal(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"project/events/hello/plain.json": `{ "evokehttp": {} }`,
		"project/events/count/good.json":  `{ "type": "thing", "data": { "n": 7 } }`, "project/events/count/wrong.json": `{ "type": "thing", "data": { "bad": true } }`,
	}
	for name, text := range scriptFiles {
		files[name] = text
	}
	term := newTerminal(t)
	dir := writeProject(t, files)
	before := term.mode(t)
	_, ended := term.devOn(t, dir)
	term.await(t, "e sends a test event")
	if mode := term.mode(t); mode.Lflag&(unix.ICANON|unix.ECHO) != 0 || mode.Lflag&unix.ISIG == 0 || mode.Oflag != before.Oflag {
		t.Errorf("the terminal has the mode %+v, and had %+v", mode, before)
	}

	term.press(t, "r")
	term.await(t, "nothing has been sent yet")
	term.press(t, "h")
	term.await(t, "q  end, as Ctrl-C")
	term.press(t, "e")
	list := term.await(t, "3  count wrong")
	if !strings.Contains(list, "hello plain") {
		t.Errorf("the list of events is\n%s", list)
	}
	term.press(t, "1")
	term.await(t, "hello plain: GET http://127.0.0.1:")
	term.await(t, "/fn/hello → 200 OK in ")
	term.await(t, "hello")
	term.press(t, "e2")
	term.await(t, "counted 7")
	term.press(t, "r")
	term.await(t, "counted 7") // an event of its own, no duplicate
	term.press(t, "e3")
	term.await(t, "bad thing")
	term.await(t, "dead letter: ")
	term.await(t, "fnctl dlq peek ")

	saveFile(t, filepath.Join(dir, "count.ts"), "export default () => { console.log('taken'); };\n")
	term.await(t, "visible")
	term.press(t, "d")
	term.await(t, "1  count  thing ")
	term.await(t, "fnctl dlq peek ")
	term.press(t, "1")
	if log := term.await(t, "redrove 1 dead letter"); !strings.Contains(log, "taken") { // what the event logs may come first
		term.await(t, "taken")
	}
	term.press(t, "d")
	term.await(t, "no dead letters")

	term.press(t, "\x03")
	term.await(t, "ended")
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if after := term.mode(t); after != before {
		t.Errorf("the terminal has the mode %+v, and had %+v", after, before)
	}
	released(t, filepath.Join(dir, ".evoke"))
}

// The terminal is given back, and the runtime ends, also when fnctl dev is told to end from outside.
func TestDevGivesTheTerminalBack(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		term := newTerminal(t)
		dir := writeProject(t, scriptFiles)
		before := term.mode(t)
		cmd, ended := term.devOn(t, dir)
		term.await(t, "e sends a test event")
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: it ended with %v", s, err)
		}
		if after := term.mode(t); after != before {
			t.Errorf("%s: the terminal has the mode %+v, and had %+v", s, after, before)
		}
		released(t, filepath.Join(dir, ".evoke"))
	}
}

// Whoever begins with a fault is told what the keys do once it is corrected.
func TestDevTellsOfItsKeysAfterAFault(t *testing.T) {
	t.Parallel()
	dir := writeProject(t, map[string]string{"project/fn.yaml": "version: 1\napp: one\nfunctions:\n  one: { source: ./one.js, on: [ { http: {} } ] }\n"})
	term := newTerminal(t)
	cmd, ended := term.devOn(t, dir)
	term.await(t, "there is no file ")
	saveFile(t, filepath.Join(dir, "one.js"), "export default () => 1;\n")
	term.await(t, "visible")
	term.await(t, "e sends a test event")
	term.press(t, "q")
	if err := <-ended; err != nil {
		t.Error(cmd, err)
	}
}

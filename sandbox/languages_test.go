package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
)

// languages are folders of testdata. Each has sources, a program "build" and what it made: guest.wasm, upper.wasm and SHA256SUMS.
var languages = []string{"c", "rust", "assemblyscript"}

// guestCase is one event for a guest and how it ends.
type guestCase struct {
	kind          string // type of the event, whose data is "hello" and some bytes more
	data          string // of the reply
	class, reason string // reason begins so
	log           string // a line of it
}

// inEveryLanguage are the events that end the same whatever a guest was written in.
var inEveryLanguage = []guestCase{
	{kind: "echo", data: "hello \xf0\x9f\xa7\x80"},
	{kind: "upper", data: "HELLO \xf0\x9f\xa7\x80"},
	{kind: "config", data: "absent"},
	{kind: "log", log: "WARN hello \U0001f9c0"},
	{kind: "recurse", class: ClassTrap, reason: "stack overflow"},
	{kind: "loop", class: ClassDeadline, reason: "did not finish within "},
	{kind: "nonsense", class: ClassRejected, reason: "no such type: nonsense"},
}

// inOneLanguage are the others: how a program dies is its language's own.
var inOneLanguage = map[string][]guestCase{
	"c": {
		{kind: "trap", class: ClassTrap, reason: "panic: out of cheese (unreachable", log: "ERROR panic: out of cheese"},
		{kind: "hog", data: "malloc said no"},
		{kind: "print", log: "INFO hello \U0001f9c0"},
		{kind: "exit", class: ClassExit, reason: "exited with code 4"},
		{kind: "sleep", class: ClassDeadline, reason: "did not finish within "},
	},
	"rust": {
		{kind: "trap", class: ClassTrap, reason: "thread '<unnamed>' panicked at 'out of cheese', guest.rs:"},
		{kind: "hog", class: ClassMemory, reason: "wanted more memory than its limit of 16Mi and then died: unreachable", log: "INFO memory allocation of 1048576 bytes failed"},
		{kind: "print", log: "INFO hello \U0001f9c0"},
		{kind: "exit", class: ClassExit, reason: "exited with code 4"},
		{kind: "sleep", class: ClassDeadline, reason: "did not finish within "},
	},
	"assemblyscript": {
		{kind: "trap", class: ClassTrap, reason: "unreachable", log: "ERROR out of cheese in guest.ts("},
		{kind: "hog", class: ClassMemory, reason: "wanted more memory than its limit of 16Mi and then died: unreachable"},
	},
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			checkedIn := readFile(t, "testdata", language, "guest.wasm")
			t.Run("checked in", func(t *testing.T) { testGuest(t, language, checkedIn) })
			t.Run("built now", func(t *testing.T) {
				if raceDetector {
					t.Skip("compilers take seconds; the same runs without the race detector")
				}
				out := t.TempDir()
				buildGuests(t, language, out)
				if guest := readFile(t, out, "guest.wasm"); !bytes.Equal(guest, checkedIn) {
					t.Log("another version of the compiler than the one of the binary checked in")
					testGuest(t, language, guest)
				}
			})
		})
	}
}

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// buildGuests runs a language's build with an argument, or skips the test without the toolchain.
func buildGuests(t *testing.T, language, argument string) {
	t.Helper()
	const noToolchain = 77
	build := exec.CommandContext(t.Context(), "sh", filepath.Join("testdata", language, "build"), argument)
	text, err := build.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == noToolchain {
		t.Skip("no compiler; testdata/" + language + "/build says which")
	}
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func testGuest(t *testing.T, language string, wasm []byte) {
	m := load(t, wasm, Settings{Memory: 16 << 20, Env: map[string]string{"COLOUR": "blue"}})
	if w := m.Warnings(); m.InitError() != nil || len(w) > 0 {
		t.Errorf("init %v, warnings %q", m.InitError(), w)
	}
	run := func(t *testing.T, kind, data string) (Result, []string) {
		timeout := time.Minute
		if kind == "loop" || kind == "sleep" {
			timeout = 300 * time.Millisecond
		}
		h := &fakeHost{}
		res := m.Invoke(within(t, timeout), &event.Event{ID: "1", Source: "/s", Type: kind, Data: []byte(data)}, h)
		return res, h.lines
	}
	// One after the other, so that the instance that saw the secret is the one that is searched.
	for _, c := range []struct{ kind, data string }{{"hide", "2"}, {"search", "0"}, {"hide", "2"}} {
		if res, _ := run(t, c.kind, "eldrow dekcirw a"); string(res.Data) != c.data {
			t.Errorf("%s: %q copies of the secret, want %s: %s", c.kind, res.Data, c.data, res.Reason)
		}
	}
	for _, c := range slices.Concat(inEveryLanguage, inOneLanguage[language]) {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			res, log := run(t, c.kind, "hello \U0001f9c0")
			if res.Class != c.class || !strings.HasPrefix(res.Reason, c.reason) || string(res.Data) != c.data {
				t.Errorf("%s %q %q, log %q", res.Class, res.Reason, res.Data, log)
			}
			if c.log != "" && !slices.ContainsFunc(log, func(line string) bool { return strings.HasPrefix(line, c.log) }) {
				t.Errorf("log %q, want %q", log, c.log)
			}
		})
	}
	t.Run("configured", func(t *testing.T) {
		t.Parallel()
		if res, _ := run(t, "config", "COLOUR"); string(res.Data) != "blue" {
			t.Errorf("%q %s", res.Data, res.Reason)
		}
	})
	t.Run("emit", func(t *testing.T) {
		t.Parallel()
		res, _ := run(t, "emit", "hello")
		if len(res.Emitted) != 1 {
			t.Fatalf("%d events, %s", len(res.Emitted), res.Reason)
		}
		if e := res.Emitted[0]; e.Topic != "out" || e.Event.Type != "dev.test.emitted" || string(e.Event.Data) != `"hello"` {
			t.Errorf("to %s: %+v", e.Topic, e.Event)
		}
	})
	t.Run("random", func(t *testing.T) {
		t.Parallel()
		first, _ := run(t, "random", "")
		second, _ := run(t, "random", "")
		if len(first.Data) == 0 || bytes.Equal(first.Data, second.Data) {
			t.Errorf("%q %q", first.Data, second.Data)
		}
	})
}

// A binary that was not made of the sources beside it would test something else than what they say.
func TestBinariesAreOfTheirSources(t *testing.T) {
	t.Parallel()
	for _, language := range languages {
		folder := filepath.Join("testdata", language)
		sums := map[string]string{}
		for line := range strings.Lines(string(readFile(t, folder, "SHA256SUMS"))) {
			sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			sums[name] = sum
		}
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Name() == "SHA256SUMS" {
				continue
			}
			sum := sha256.Sum256(readFile(t, folder, f.Name()))
			if sums[f.Name()] != hex.EncodeToString(sum[:]) {
				t.Errorf("%s/%s has changed since the binaries were built: run %s/build", folder, f.Name(), folder)
			}
			delete(sums, f.Name())
		}
		for name := range sums {
			t.Errorf("%s/SHA256SUMS names %s, which is not there: run %s/build", folder, name, folder)
		}
		for _, name := range []string{"guest.wasm", "upper.wasm"} {
			if n := len(readFile(t, folder, name)); n >= 100<<10 {
				t.Errorf("%s/%s has %d bytes; binaries checked in stay below 100 KiB", folder, name, n)
			}
		}
	}
}

// Every program on the page is the file in testdata, and its command makes a module that does what the page says.
func TestGuestsPage(t *testing.T) {
	t.Parallel()
	page := string(readFile(t, "..", "docs", "guests.md"))
	for _, c := range []struct{ fence, language, file string }{
		{"c", "c", "upper.c"}, {"rust", "rust", "upper.rs"}, {"ts", "assemblyscript", "upper.ts"},
	} {
		t.Run(c.language, func(t *testing.T) {
			t.Parallel()
			source := readFile(t, "testdata", c.language, c.file)
			program, rest := fenced(t, page, c.fence)
			if program != string(source) {
				t.Errorf("docs/guests.md shows another program than testdata/%s/%s:\n%s", c.language, c.file, program)
			}
			testUpper(t, readFile(t, "testdata", c.language, "upper.wasm"))
			if raceDetector {
				return // compilers take seconds; the same runs without the race detector
			}
			buildGuests(t, c.language, "-n")
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), source, 0o600); err != nil {
				t.Fatal(err)
			}
			commands, _ := fenced(t, rest, "sh")
			build := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
			build.Dir = dir
			build.Env = append(os.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH")) // the system's rustc before one without the target
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			testUpper(t, readFile(t, dir, "upper.wasm"))
		})
	}
}

// The command of the page is built as it says, and does what the others do.
func TestGuestsPageCommand(t *testing.T) {
	t.Parallel()
	program, rest := fenced(t, string(readFile(t, "..", "docs", "guests.md")), "go")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "upper.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	commands, _ := fenced(t, rest, "sh")
	build := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
	build.Dir = dir
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	m := load(t, readFile(t, dir, "upper.wasm"), Settings{})
	for _, c := range []struct {
		data                 []byte
		reply, class, reason string
	}{{[]byte("Hello, World"), "HELLO, WORLD", "", ""}, {nil, "", ClassRejected, "no text"}} {
		e := testEvent()
		e.DataContentType, e.Data = "text/plain", c.data
		if res := m.Invoke(t.Context(), e, &fakeHost{}); res.Class != c.class || string(res.Data) != c.reply || res.Reason != c.reason {
			t.Errorf("%q: %s %q %q", c.data, res.Class, res.Reason, res.Data)
		}
	}
}

// fenced returns the first code block of a language and what comes after it.
func fenced(t *testing.T, page, language string) (block, rest string) {
	t.Helper()
	_, after, ok := strings.Cut(page, "\n```"+language+"\n")
	block, rest, closed := strings.Cut(after, "```\n")
	if !ok || !closed {
		t.Fatalf("docs/guests.md has no block of %s", language)
	}
	return block, rest
}

func testUpper(t *testing.T, wasm []byte) {
	t.Helper()
	m := load(t, wasm, Settings{})
	for _, c := range []struct {
		data         []byte
		reply, class string
	}{{[]byte("Hello, World"), "HELLO, WORLD", ""}, {[]byte{}, "", ""}, {nil, "", ClassRejected}} {
		e := testEvent()
		e.Data = c.data
		if res := m.Invoke(t.Context(), e, &fakeHost{}); res.Class != c.class || string(res.Data) != c.reply {
			t.Errorf("%q: %s %q %q", c.data, res.Class, res.Reason, res.Data)
		}
	}
}

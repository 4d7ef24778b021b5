package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// How a runtime of fnctl dev ends, and begins again.
const (
	devDrain    = 3 * time.Second  // what runs may end
	devPatience = 10 * time.Second // then it is killed
	mostCrashes = 5                // in crashSpan; one more, and fnctl dev gives up
	crashSpan   = time.Minute
	crashDelay  = 300 * time.Millisecond
)

// devRuntime runs the program runtime for fnctl dev, again when it ends by itself.
type devRuntime struct {
	path    string
	dataDir string
	args    []string // more settings, of the user
	// The addresses to listen on. When it is ready for the first time they become what they came to, so that a restart has the same.
	listen, admin string

	ready func(gateway, admin string) // each time it is ready; addresses are host:port
	down  func(note string)           // each time it has ended by itself and is begun again
	warn  func(text string)           // what it logs as a warning or an error

	kill chan struct{} // closed when it shall not be waited for
}

// endedError is a runtime that has ended by itself.
type endedError struct {
	state *os.ProcessState
	wasUp bool
	words string // its last ones
}

func (e *endedError) Error() string {
	how := "the runtime does not start"
	if e.wasUp {
		how = "the runtime has ended by itself (" + e.state.String() + ")"
	}
	if e.words == "" {
		return how
	}
	return how + ": " + e.words
}

// Run runs it until ctx ends; then it has ended, too. It answers why there is none any more.
func (r *devRuntime) Run(ctx context.Context) error {
	var crashes []time.Time
	for {
		err := r.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var ended *endedError
		if !errors.As(err, &ended) || !ended.wasUp && len(crashes) == 0 {
			return r.advise(err)
		}
		now := time.Now()
		crashes = slices.DeleteFunc(append(crashes, now), func(t time.Time) bool { return now.Sub(t) > crashSpan })
		if len(crashes) > mostCrashes {
			return &adviceError{fmt.Errorf("%w; that was the %d. time in a minute, and it is not started again", err, len(crashes)), "the cause is in what it said; fnctl dev --temp begins without what is kept in " + r.dataDir}
		}
		r.down(ended.Error())
		select {
		case <-time.After(crashDelay):
		case <-ctx.Done():
			return nil
		}
	}
}

// The exit codes of a runtime that others are in the way of.
const (
	exitAddressTaken = 4
	exitDataTaken    = 5
)

// advise knows the troubles that a start has with others.
func (r *devRuntime) advise(err error) error {
	var ended *endedError
	if !errors.As(err, &ended) {
		return err
	}
	switch ended.state.ExitCode() {
	case exitAddressTaken:
		return &adviceError{err, "end who listens there, or choose other addresses: fnctl dev --listen 127.0.0.1:0 --admin 127.0.0.1:0 takes free ones"}
	case exitDataTaken:
		return &adviceError{err, "the fnctl dev that runs for this project already; another one beside it: fnctl dev --temp --listen 127.0.0.1:0 --admin 127.0.0.1:0"}
	}
	return err
}

// once runs it to its end, which comes soon after that of ctx.
func (r *devRuntime) once(ctx context.Context) error {
	cmd := exec.Command(r.path, append(slices.Clone(r.args),
		"--data-dir", r.dataDir, "--listen", r.listen, "--admin", r.admin, "--log-format", "json", "--drain", devDrain.String(), "--stop-with-stdin", "true")...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "EVOKE_") }) // those are for another runtime, and may name its etcd
	cmd.SysProcAttr = ownGroup()                                                                             // a Ctrl-C is for fnctl, which ends it
	// It ends when this pipe does, however fnctl ends.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", r.path, err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", r.path, err)
	}
	if err := cmd.Start(); err != nil {
		return &adviceError{fmt.Errorf("start %s: %w", r.path, err), "FNCTL_RUNTIME=/path/to/runtime"}
	}
	finished := make(chan struct{})
	stopping := context.AfterFunc(ctx, func() {
		_ = stdin.Close() // it may have ended already
		select {
		case <-finished:
			return
		case <-time.After(devPatience):
		case <-r.kill:
		}
		_ = cmd.Process.Kill() // as above
	})
	defer stopping()
	said := r.listenTo(stderr) // until it ends
	err = cmd.Wait()
	close(finished)
	_ = stdin.Close() // Wait has done so
	if err == nil || cmd.ProcessState != nil {
		return &endedError{cmd.ProcessState, said.ready, said.words()}
	}
	return fmt.Errorf("wait for the runtime: %w", err)
}

// runtimeWords is what a runtime has said.
type runtimeWords struct {
	ready bool
	last  []string // what was no log, or an error
}

// words are the last that it said. When it has told why it ends, "runtime: …", they are that.
func (w *runtimeWords) words() string {
	for _, line := range slices.Backward(w.last) {
		if why, ok := strings.CutPrefix(line, "runtime: "); ok {
			return why
		}
	}
	return strings.Join(w.last, "\n")
}

// listenTo reads what a runtime says until it ends.
func (r *devRuntime) listenTo(stderr io.Reader) *runtimeWords {
	const lastLines = 20
	var said runtimeWords
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimRight(line, "\n"); len(line) > 0 {
			if text := r.heed(line, &said); text != "" {
				said.last = append(said.last, text)
				said.last = said.last[max(0, len(said.last)-lastLines):]
			}
		}
		if err != nil {
			return &said
		}
	}
}

// heed does what a line of the log is for. It answers what may be the last words.
func (r *devRuntime) heed(line []byte, said *runtimeWords) string {
	entry := map[string]any{}
	if json.Unmarshal(line, &entry) != nil || entry["msg"] == nil {
		return string(line)
	}
	level, message := fmt.Sprint(entry["level"]), fmt.Sprint(entry["msg"])
	if message == "ready" && level == "INFO" {
		said.ready = true
		r.listen, r.admin = fmt.Sprint(entry["gateway"]), fmt.Sprint(entry["admin"])
		r.ready(r.listen, r.admin)
		return ""
	}
	if level != "WARN" && level != "ERROR" {
		return ""
	}
	text := logText(message, entry)
	r.warn(text)
	if level == "ERROR" {
		return text
	}
	return ""
}

// logText is an entry of a log as people read it.
func logText(message string, entry map[string]any) string {
	for _, k := range slices.Sorted(maps.Keys(entry)) {
		if k != "time" && k != "level" && k != "msg" {
			message += fmt.Sprintf(" %s=%v", k, entry[k])
		}
	}
	return message
}

// devDir makes the directory of what a runtime of fnctl dev keeps, in the project, and out of sight of git.
func devDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return &adviceError{fmt.Errorf("make the directory of the runtime: %w", err), "fnctl dev --data-dir DIR, or fnctl dev --temp"}
	}
	ignore := filepath.Join(dir, ".gitignore")
	if _, err := os.Stat(ignore); err == nil {
		return nil
	}
	if err := os.WriteFile(ignore, []byte("*\n"), 0o640); err != nil {
		return &adviceError{fmt.Errorf("keep %s out of git: %w", dir, err), "fnctl dev --data-dir DIR, or fnctl dev --temp"}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
)

// runtimeName is the program that has the sandbox.
const runtimeName = "runtime"

// findRuntime finds it for a command.
func (c *cli) findRuntime(command string) (string, error) {
	if path := c.getenv("FNCTL_RUNTIME"); path != "" {
		return path, nil
	}
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		beside := filepath.Join(filepath.Dir(self), runtimeName+filepath.Ext(self)) // .exe, where programs are called so
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(runtimeName)
	if err != nil {
		return "", &adviceError{
			err: fmt.Errorf("%s needs the program runtime, which has the sandbox, and it is neither beside fnctl nor on PATH", command),
			try: "name it: FNCTL_RUNTIME=/path/to/runtime " + command,
		}
	}
	return path, nil
}

// trialProcess is a `runtime test` with one function.
type trialProcess struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	requests *json.Encoder
	answers  *json.Decoder
	stderr   bytes.Buffer
	report   api.TrialReport
}

// startTrial starts one. End it, unless there is an error.
func startTrial(ctx context.Context, path string, t api.Trial) (*trialProcess, error) {
	p := &trialProcess{cmd: exec.CommandContext(ctx, path, "test")}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.WaitDelay = 5 * time.Second
	p.cmd.Stderr = &p.stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s test: %w", path, err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s test: %w", path, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, &adviceError{fmt.Errorf("start %s test: %w", path, err), "FNCTL_RUNTIME=/path/to/runtime"}
	}
	p.requests, p.answers = json.NewEncoder(p.in), json.NewDecoder(out)
	if err := p.ask(t, &p.report); err != nil {
		return nil, err
	}
	if p.report.Error != "" {
		err := fmt.Errorf("function %s: %s", t.Function, p.report.Error)
		return nil, errors.Join(&adviceError{err: err, try: p.report.Advice}, p.end())
	}
	return p, nil
}

func (p *trialProcess) try(c api.TrialCase) (r api.TrialResult, err error) { return r, p.ask(c, &r) }

// ask sends a value and reads the answer. An error ends the process.
func (p *trialProcess) ask(request, answer any) error {
	err := p.requests.Encode(request)
	if err == nil {
		err = p.answers.Decode(answer)
	}
	if err == nil {
		return nil
	}
	if ended := p.end(); ended != nil {
		err = ended // says why it went away
	}
	return fmt.Errorf("%s test: %w", p.cmd.Path, err)
}

// end lets the process end, and says what it complained about. Only the first time does anything.
func (p *trialProcess) end() error {
	if p.cmd.ProcessState != nil {
		return nil
	}
	_ = p.in.Close() // it may have gone already
	err := p.cmd.Wait()
	if said := strings.TrimSpace(p.stderr.String()); err != nil && said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

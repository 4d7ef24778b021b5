package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// dialogue is a yardstick in a process of its own: it gets a line for each thing that it must do, and answers with a line of JSON.
type dialogue struct {
	name    string // for people
	process *process
	in      io.WriteCloser
	answers *bufio.Reader
	out     io.Closer
}

func startDialogue(name, binary string, args ...string) (*dialogue, error) {
	cmd := exec.Command(binary, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	cmd.Stdout = w
	p, err := start(cmd)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), in.Close(), r.Close())
	}
	return &dialogue{name: name, process: p, in: in, answers: bufio.NewReader(r), out: r}, nil
}

// ask waits for the answer.
func (d *dialogue) ask(answer any, line ...any) error {
	if _, err := fmt.Fprintln(d.in, line...); err != nil {
		return fmt.Errorf("ask %s: %w", d.name, err)
	}
	text, err := d.answers.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("wait for %s: %w", d.name, err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("read the answer of %s, %q: %w", d.name, text, err)
	}
	return nil
}

// close ends it by ending its input.
func (d *dialogue) close() error {
	return errors.Join(d.in.Close(), <-d.process.ended, d.out.Close())
}

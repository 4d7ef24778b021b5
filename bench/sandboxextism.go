package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// buildPeer builds a yardstick that is a module of its own, with requirements that Evoke does not have.
func buildPeer(ctx context.Context, root, name, out string) error {
	return build(ctx, filepath.Join(root, "bench", "peers"), []string{"GOWORK=off", "GOFLAGS="}, "-trimpath", "-o", out, "./"+name)
}

// buildExtism answers "" where the yardstick cannot be built, as without Go's module proxy: everything else is measured all the same.
func (s *session) buildExtism(ctx context.Context, root string) string {
	out := filepath.Join(s.dir, "extism")
	if err := buildPeer(ctx, root, "extism", out); err != nil {
		s.say("without the rows of Extism, which cannot be built here: %v", err)
		return ""
	}
	return out
}

// extism is the yardstick with Extism: it handles events for as long as it is told to, and says how many.
type extism struct {
	process *process
	in      io.WriteCloser
	answers *bufio.Reader
	out     io.Closer
}

// extismAnswer is a line of what bench/peers/extism prints.
type extismAnswer struct {
	Events int           `json:"events"`
	Took   time.Duration `json:"took_ns"`
}

func startExtism(binary, plugin string) (*extism, error) {
	cmd := exec.Command(binary, plugin)
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
		return nil, errors.Join(fmt.Errorf("start Extism: %w", err), in.Close(), r.Close())
	}
	return &extism{process: p, in: in, answers: bufio.NewReader(r), out: r}, nil
}

// run handles events in one of the modes of bench/peers/extism and answers what one took.
func (e *extism) run(mode string, length time.Duration) (time.Duration, error) {
	if _, err := fmt.Fprintln(e.in, mode, length); err != nil {
		return 0, fmt.Errorf("ask Extism: %w", err)
	}
	line, err := e.answers.ReadBytes('\n')
	if err != nil {
		return 0, fmt.Errorf("wait for Extism: %w", err)
	}
	var a extismAnswer
	if err := json.Unmarshal(line, &a); err != nil || a.Events < 1 {
		return 0, fmt.Errorf("read the answer of Extism, %q: %w", line, err)
	}
	return a.Took / time.Duration(a.Events), nil
}

// close ends it by ending its input.
func (e *extism) close() error {
	return errors.Join(e.in.Close(), <-e.process.ended, e.out.Close())
}

// foreign compares Extism with our isolated C function.
type foreign struct {
	*box
	ours          subject
	pooled, fresh series
}

func (x *box) extismCases(ctx context.Context) ([]sandboxCase, error) {
	if x.extism == nil {
		return nil, nil
	}
	m, err := x.load(ctx, x.guests.c, false)
	const ours = "isolated_c_1k"
	return []sandboxCase{&foreign{
		box: x, ours: invoke(ctx, m, loopData()),
		pooled: series{name: "extism_pooled_1k", unit: "µs/event", against: ours}, fresh: series{name: "extism_fresh_1k", unit: "µs/event", against: ours},
	}}, err
}

func (f *foreign) rows() []row { return []row{f.pooled.row(), f.fresh.row()} }

func (f *foreign) round(ctx context.Context) error {
	turn := f.session.slice / 2 / (3 * pieces)
	took := map[string][]float64{}
	for range pieces {
		each, err := repeat(ctx, turn, f.ours)
		if err != nil {
			return err
		}
		took["ours"] = append(took["ours"], microseconds(each))
		for _, mode := range []string{"pooled", "fresh"} {
			each, err := f.extism.run(mode, turn)
			if err != nil {
				return err
			}
			took[mode] = append(took[mode], microseconds(each))
		}
	}
	f.pooled.add(median(took["pooled"]), median(took["ours"]))
	f.fresh.add(median(took["fresh"]), median(took["ours"]))
	return nil
}

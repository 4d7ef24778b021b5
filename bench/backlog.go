package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	restartTarget = 3   // s
	backlogTarget = 100 // MiB
)

// runBacklog lets ten million small events wait, in a process of its own: memory then is what they take, and a restart is one. Each number is of one run; it
// takes minutes, and gigabytes of disk.
func runBacklog(ctx context.Context, s *session) ([]row, error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	if _, err := s.fsyncLoop(ctx); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.dir, "backlog")
	growth, err := s.growth(ctx, self, dir)
	if err != nil {
		return nil, err
	}
	s.say("restart")
	restart, err := s.restart(ctx, self, dir)
	if err != nil {
		return nil, err
	}
	return []row{
		target("restart_10M_events", "s", []float64{restart.Seconds()}, restartTarget),
		target("backlog_10M_rss_mib", "MiB", []float64{growth}, backlogTarget),
	}, nil
}

// growth is by how many MiB the resident memory grows between one million and ten million waiting events. Deduplication remembers as much as it may at both
// times: before them come events that nobody waits for. The process is killed in the end.
func (s *session) growth(ctx context.Context, program, dir string) (mib float64, err error) {
	million := int(1e6 * s.slice.Seconds())
	c, err := startBacklog(ctx, program, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.kill()) }()
	var one, ten backlogAnswer
	for _, step := range []struct {
		say    string
		answer *backlogAnswer
		line   []any
	}{
		{"open", &backlogAnswer{}, []any{askOpen, 1}},
		{"fill the deduplication", &backlogAnswer{}, []any{plainTopic, 44 * million / 10}},
		{"1 million events", &one, []any{inTopic, million}},
		{"10 million events", &ten, []any{inTopic, 9 * million}},
	} {
		s.say("backlog: %s", step.say)
		if err := c.ask(step.answer, step.line...); err != nil {
			return 0, errors.Join(err, context.Cause(ctx))
		}
	}
	return max(0, ten.RSS-one.RSS), nil
}

// restart is how long it takes from opening what the killed process has left to the first event.
func (s *session) restart(ctx context.Context, program, dir string) (took time.Duration, err error) {
	c, err := startBacklog(ctx, program, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	var a backlogAnswer
	if err := c.ask(&a, askOpen, 2); err != nil {
		return 0, errors.Join(err, context.Cause(ctx))
	}
	if a.Took == 0 {
		return 0, errors.New("nothing waits after the restart")
	}
	return a.Took, nil
}

// backlogProcess is this program with backlogArg.
type backlogProcess struct {
	*dialogue
	stop func() bool
}

// startBacklog kills it when ctx ends, which the one who waits for an answer would not see.
func startBacklog(ctx context.Context, program, dir string) (*backlogProcess, error) {
	d, err := startDialogue("the process with the backlog", program, backlogArg, dir)
	if err != nil {
		return nil, err
	}
	kill := func() { _ = d.process.cmd.Process.Kill() } // the error of the context counts
	return &backlogProcess{d, context.AfterFunc(ctx, kill)}, nil
}

// end lets it close what it has opened.
func (p *backlogProcess) end() error {
	p.stop()
	return p.close()
}

// kill ends it as it is.
func (p *backlogProcess) kill() error {
	p.stop()
	if err := p.process.kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	return p.out.Close() // its input was closed when it had ended
}

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// runScheduler measures what happens around the sandbox: first events, many at once, floods of others, functions that nobody calls.
func runScheduler(ctx context.Context, s *session) ([]row, error) {
	b, err := s.buildScheduler(ctx)
	if err != nil {
		return nil, err
	}
	return s.measureScheduler(ctx, b)
}

// schedulerBuilt is what has to be built first. Its time is not measured.
type schedulerBuilt struct {
	runtime string // path of the program
	echo    []byte // testdata/echo
	c       []byte // testdata/c/loop.c
}

func (s *session) buildScheduler(ctx context.Context) (schedulerBuilt, error) {
	root, err := sources(ctx)
	if err != nil {
		return schedulerBuilt{}, err
	}
	b, err := s.buildNode(ctx, root)
	if err != nil {
		return schedulerBuilt{}, err
	}
	c, err := os.ReadFile(filepath.Join(root, "bench", "testdata", "c", "loop.wasm"))
	return schedulerBuilt{runtime: b.runtime, echo: b.guest, c: c}, err
}

// measureScheduler: the yardsticks are those of the rows, but the report says what the disk can do, too.
func (s *session) measureScheduler(ctx context.Context, b schedulerBuilt) ([]row, error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	if _, err := s.fsyncLoop(ctx); err != nil {
		return nil, err
	}
	rows, err := s.eventRows(ctx, b)
	if err != nil {
		return nil, err
	}
	more, err := s.crowdRows(ctx, b)
	return append(rows, more...), err
}

// eventRows are all rows that are measured in rounds.
func (s *session) eventRows(ctx context.Context, b schedulerBuilt) (rows []row, err error) {
	p, err := s.newWasmPipeline(ctx, wasmtest.Returns(abi.Done))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	cold, err := s.newColdStarts(ctx, b)
	if err != nil {
		return nil, err
	}
	m, err := p.sandbox.Load(ctx, b.c, sandbox.Settings{Function: "bench"})
	if err != nil {
		return nil, err
	}
	burst, err := s.newBurst(ctx, m, b)
	if err != nil {
		return nil, err
	}
	flood, err := s.newFlood(ctx, m, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, flood.close()) }()
	return s.inRounds(ctx, []roundCase{cold, burst, flood, s.newOverhead(p)})
}

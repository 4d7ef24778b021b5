package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/evoke-run/evoke/sandbox"
)

// runSandbox measures the sandbox in process, beside the same handlers never reset and on the stock engine, and a runtime that has its guests.
func runSandbox(ctx context.Context, s *session) ([]row, error) {
	b, err := s.buildSandbox(ctx)
	if err != nil {
		return nil, err
	}
	return s.measureSandbox(ctx, b)
}

// sandboxBuilt is what has to be built first. Its time is not measured.
type sandboxBuilt struct {
	guests  guests
	runtime string // path of the program
	extism  string // path of the yardstick with Extism; "" where it cannot be built
	plugin  string // path of Extism's guest
}

func (s *session) measureSandbox(ctx context.Context, b sandboxBuilt) ([]row, error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	rows, err := s.boxRows(ctx, b)
	if err != nil {
		return nil, err
	}
	idle, err := s.idleRow(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("idle instances: %w", err)
	}
	server, err := s.serverRows(ctx, b)
	return append(append(rows, idle), server...), err
}

// boxRows are all rows that are measured in rounds.
func (s *session) boxRows(ctx context.Context, b sandboxBuilt) (rows []row, err error) {
	box, err := s.openBox(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, box.close()) }()
	cases, err := box.cases(ctx)
	if err != nil {
		return nil, err
	}
	return s.inRounds(ctx, cases)
}

// box is our sandbox and the stock engine, with the guests loaded in both.
type box struct {
	session *session
	guests  guests
	ours    *sandbox.Runtime
	stock   *stock
	extism  *extism // nil where there is none
}

func (s *session) openBox(ctx context.Context, b sandboxBuilt) (*box, error) {
	x := &box{session: s, guests: b.guests}
	var err error
	x.ours, err = sandbox.New(ctx, sandbox.Options{
		CacheDir: filepath.Join(s.dir, "code"), ImageDir: filepath.Join(s.dir, "images"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	if x.stock, err = newStock(ctx); err != nil {
		return nil, errors.Join(err, x.close())
	}
	if b.extism == "" {
		return x, nil
	}
	if x.extism, err = startExtism(b.extism, b.plugin); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

func (x *box) close() error {
	var err error
	if x.extism != nil {
		err = x.extism.close()
	}
	if x.stock != nil {
		err = errors.Join(err, x.stock.close())
	}
	return errors.Join(err, x.ours.Close(context.Background()))
}

// cases are all that is measured in rounds, in the order of their rows.
func (x *box) cases(ctx context.Context) ([]roundCase, error) {
	x.session.say("compiling the guests")
	var all []roundCase
	for _, prepare := range []func(context.Context) ([]roundCase, error){
		x.isolationCases, x.workerCases, x.extismCases, x.newInstanceCases, x.killCases, x.stallCases, x.overflowCases, x.allocCases,
	} {
		some, err := prepare(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// load loads a guest into our sandbox.
func (x *box) load(ctx context.Context, wasm []byte, never bool) (*sandbox.Module, error) {
	return x.ours.Load(ctx, wasm, sandbox.Settings{Function: "bench", Reuse: never})
}

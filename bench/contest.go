package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// figures are what one side did in one round: milliseconds, microseconds of processor time.
type figures struct{ perSecond, cpuEach, p50, p99 float64 }

func (s *sample) figures() figures {
	return figures{perSecond: s.perSecond(), cpuEach: s.cpuEach(), p50: s.p(0.5), p99: s.p(0.99)}
}

// contest is what Evoke and JetStream do in turn, round by round. A name of "" is no row.
type contest struct {
	rate, cpu, p50, p99 string // of the rows

	ours func(ctx context.Context, dir string) (sample, error)

	// What JetStream is asked for.
	mode   string
	n      int
	length time.Duration

	mine, theirs []figures
}

// round lets both sides work once, each on a new directory, so that none finds what another has left.
func (d *contest) round(ctx context.Context, s *session, js *jetstream) error {
	dir := filepath.Join(s.dir, d.mode+"-"+strconv.Itoa(len(d.mine)))
	out, err := d.ours(ctx, dir)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("%s: %w", d.title(), err)
	}
	d.mine = append(d.mine, out.figures())
	if js == nil {
		return nil
	}
	theirs, err := js.run(d.mode, d.n, d.length)
	if err != nil {
		return fmt.Errorf("%s: %w", d.title(), err)
	}
	d.theirs = append(d.theirs, theirs)
	return nil
}

func (d *contest) title() string {
	if d.rate != "" {
		return d.rate
	}
	return d.p50
}

func (d *contest) rows() (rows []row) {
	for _, r := range []struct {
		name, unit string
		of         func(figures) float64
	}{
		{d.rate, "events/s", func(f figures) float64 { return f.perSecond }},
		{d.p50, "ms", func(f figures) float64 { return f.p50 }},
		{d.p99, "ms", func(f figures) float64 { return f.p99 }},
		{d.cpu, "µs/event", func(f figures) float64 { return f.cpuEach }},
	} {
		if r.name == "" {
			continue
		}
		s := series{name: r.name, unit: r.unit}
		for _, f := range d.mine {
			s.ours = append(s.ours, r.of(f))
		}
		if len(d.theirs) > 0 {
			s.against = "JetStream"
			for _, f := range d.theirs {
				s.theirs = append(s.theirs, r.of(f))
			}
		}
		rows = append(rows, s.row())
	}
	return rows
}

// contests holds all of them in every round, with the fsync loop in front for the report.
func (s *session) contests(ctx context.Context, peer string, list []*contest) (rows []row, err error) {
	js, err := startJetStream(peer, filepath.Join(s.dir, "stores", "jetstream"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, js.close()) }()
	for round := range s.rounds {
		s.say("round %d of %d", round+1, s.rounds)
		if _, err := s.fsyncLoop(ctx); err != nil {
			return nil, err
		}
		for _, d := range list {
			if err := d.round(ctx, s, js); err != nil {
				return nil, err
			}
		}
	}
	for _, d := range list {
		rows = append(rows, d.rows()...)
	}
	return rows, nil
}

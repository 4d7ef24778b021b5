package main

import (
	"context"
	"fmt"
	"time"
)

// subject handles one event.
type subject func() error

// duel lets two subjects take turns.
type duel struct {
	session      *session
	ours, theirs subject
	perSecond    bool // the row says how many a second, so that its ratio is how many times faster ours is; else µs each, how many times slower
	series       series
}

func (x *box) duel(name, against string, ours, theirs subject) *duel {
	return &duel{session: x.session, ours: ours, theirs: theirs, series: series{name: name, unit: "µs/event", against: against}}
}

// faster turns the row around.
func (d *duel) faster() *duel {
	d.perSecond, d.series.unit = true, "events/s"
	return d
}

func (d *duel) round(ctx context.Context) error {
	each, err := takeTurns(ctx, d.session.slice/2, d.ours, d.theirs)
	if err != nil {
		return fmt.Errorf("%s: %w", d.series.name, err)
	}
	ours, theirs := microseconds(each[0]), microseconds(each[1])
	if d.perSecond {
		ours, theirs = 1e6/ours, 1e6/theirs
	}
	d.series.add(ours, theirs)
	return nil
}

func (d *duel) rows() []row { return []row{d.series.row()} }

// pieces is how many turns each subject gets in a round: so short that on a busy machine most of them are not interrupted, and the median is of those.
const pieces = 100

// takeTurns shares a time among subjects and answers what an event took each of them: the median of its turns.
func takeTurns(ctx context.Context, length time.Duration, subjects ...subject) ([]time.Duration, error) {
	turn := length / time.Duration(pieces*len(subjects))
	took := make([][]float64, len(subjects))
	for range pieces {
		for i, s := range subjects {
			each, err := repeat(ctx, turn, s)
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], float64(each))
		}
	}
	out := make([]time.Duration, len(subjects))
	for i, t := range took {
		out[i] = time.Duration(median(t))
	}
	return out, nil
}

// repeat runs a subject for a time and answers what one run took. It looks at the clock now and then only, because that costs as much as a small event.
func repeat(ctx context.Context, length time.Duration, s subject) (time.Duration, error) {
	start := time.Now()
	if err := s(); err != nil {
		return 0, err
	}
	batch := int(min(max(length/20/max(time.Since(start), 1), 1), 100))
	n := 0
	for start = time.Now(); ; {
		for range batch {
			if err := s(); err != nil {
				return 0, err
			}
		}
		n += batch
		if took := time.Since(start); took >= length {
			return took / time.Duration(n), nil
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}

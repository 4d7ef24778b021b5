package partition

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// oldest is what is known of the oldest dead letter of a trigger. New ones are never older than those there; when the oldest goes, the next is looked for in the state
// once someone asks. It follows from the state and is no part of it.
type oldest struct {
	known  bool
	offset uint64
	time   int64
	gone   int // how many dead letters went; a search that others went during is not kept
}

func (o *oldest) added(offset uint64, time int64, first bool) {
	if first {
		o.known, o.offset, o.time = true, offset, time
	}
}

func (o *oldest) removed(offset uint64) {
	o.gone++
	if o.offset == offset {
		o.known = false
	}
}

// oldestLetter is when the oldest dead letter of a trigger was given up; zero when there is none.
func (p *partition) oldestLetter(trigger uint64) (time.Time, error) {
	p.mu.Lock()
	t := p.machine.triggers[trigger]
	if t == nil || t.dead == 0 {
		p.mu.Unlock()
		return time.Time{}, nil
	}
	known := t.oldest
	p.mu.Unlock()
	if known.known {
		return time.UnixMilli(known.time).UTC(), nil
	}
	found, err := p.searchOldest(trigger)
	if err != nil || !found.known {
		return time.Time{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.oldest.gone == known.gone {
		found.gone = known.gone
		t.oldest = found
	}
	return time.UnixMilli(found.time).UTC(), nil
}

func (p *partition) searchOldest(trigger uint64) (oldest, error) {
	var found oldest
	err := scan(p.table.db, p.machine.store.key(keyDeadLetter, trigger), func(rest, value []byte) error {
		r := wire.NewReader(value)
		r.Uvarint() // generation
		at := int64(r.U64())
		if len(rest) != 8 || r.Err() != nil {
			return errors.New("dead letter is cut short")
		}
		if !found.known || at < found.time {
			found = oldest{known: true, offset: binary.BigEndian.Uint64(rest), time: at}
		}
		return nil
	})
	return found, err
}

// LetterStats are the dead letters of one trigger.
type LetterStats struct {
	Trigger      Trigger
	Letters      int
	Oldest       time.Time // when the oldest was given up
	Parked       int       // keys that stand still
	OldestParked time.Time // since when the first of them does
	Behind       int       // events found waiting behind them
}

// LetterStats lists the triggers that have dead letters, by id.
func (t *Table) LetterStats() (map[uint64]LetterStats, error) {
	all := map[uint64]LetterStats{}
	for _, p := range t.parts {
		p.mu.Lock()
		for id, tr := range p.machine.triggers {
			if tr.dead > 0 {
				s := all[id]
				s.Trigger = *tr.Trigger
				all[id] = s
			}
		}
		p.mu.Unlock()
	}
	for id, s := range all {
		if err := t.letterStats(id, &s); err != nil {
			return nil, err
		}
		all[id] = s
	}
	return all, nil
}

func (t *Table) letterStats(trigger uint64, s *LetterStats) error {
	for _, p := range t.parts {
		p.mu.Lock()
		if tr := p.machine.triggers[trigger]; tr != nil {
			s.Letters += tr.dead
			p.countParked(tr, s)
		}
		p.mu.Unlock()
		if t.isClosed() {
			return ErrClosed
		}
		at, err := p.oldestLetter(trigger)
		if err != nil {
			return err
		}
		s.Oldest = earlier(s.Oldest, at)
	}
	return nil
}

// addLetters completes the stats of a trigger.
func (t *Table) addLetters(trigger uint64, s *Stats) {
	var l LetterStats
	if err := t.letterStats(trigger, &l); err != nil {
		t.opts.Logger.Warn("cannot find the oldest dead letter", "trigger", trigger, "err", err)
	}
	s.DeadLetters, s.Parked, s.Behind, s.OldestDeadLetter, s.OldestParked = l.Letters, l.Parked, l.Behind, l.Oldest, l.OldestParked
}

// countParked needs mu. A head that was redriven keeps its key, but somebody did something about it.
func (p *partition) countParked(t *trigger, s *LetterStats) {
	for hash, lane := range t.parked.lanes {
		if !t.pending.has(lane.head) {
			s.Parked++
			s.OldestParked = earlier(s.OldestParked, time.UnixMilli(lane.since).UTC())
			s.Behind += p.ready.behind(t.ID, hash)
		}
	}
}

// earlier is the first of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

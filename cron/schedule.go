// Package cron says when a schedule is due: what crontab fields and @ words mean, in which time zone, and what becomes of times that a change of the clocks leaves out or
// brings twice. The fields are read by a library; how they meet real time is decided here (docs/cron.md has it as a table).
package cron

import (
	"fmt"
	"time"

	crontab "github.com/netresearch/go-cron"
)

// Schedule is a sequence of due times, each a whole second. It is immutable.
type Schedule struct {
	zone *time.Location

	// Either every, counted from an anchor, or fields.
	every  time.Duration
	anchor time.Time
	// fields are asked in a zone without changes of the clock, where their times are those that a clock on the wall in zone shows.
	fields crontab.Schedule
	// elapsed is for fields that do not name hours: they follow time as it passes. Others follow the clock on the wall.
	elapsed bool
}

// Next is the first due time after a time; zero when there is none within about ten years.
//
// Between two changes of the clocks the zone has one offset, and wall time is real time plus that. So it looks in one such span after the other.
func (s *Schedule) Next(after time.Time) time.Time {
	after = after.Truncate(time.Second)
	if s.every > 0 {
		return s.nextEvery(after)
	}
	for at := after.In(s.zone); ; {
		start, end := at.ZoneBounds()
		offset := offsetAt(at)
		from := after.Add(offset)
		if !s.elapsed && !start.IsZero() { // what the wall has shown before the clock went back does not come again
			from = latest(from, start.Add(offsetAt(start.Add(-time.Second))).Add(-time.Second))
		}
		next := s.fields.Next(from.UTC())
		if next.IsZero() {
			return time.Time{}
		}
		if due := next.Add(-offset); end.IsZero() || due.Before(end) {
			return due.In(s.zone)
		}
		if !s.elapsed && next.Before(end.Add(offsetAt(end))) { // the clock leaves it out: as soon as it has gone ahead
			return end
		}
		after, at = end.Add(-time.Second), end
		if skip := next.Add(-offset - 48*time.Hour); skip.After(end) { // no offset is as far from another one
			after, at = skip, skip.In(s.zone)
		}
	}
}

func offsetAt(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *Schedule) nextEvery(after time.Time) time.Time {
	if after.Before(s.anchor) {
		return s.anchor.Add(s.every).In(s.zone)
	}
	return s.anchor.Add((after.Sub(s.anchor)/s.every + 1) * s.every).In(s.zone)
}

// Last is the last due time after a time and not after another one; ok is false when there is none. It does not look at those before, however many there are.
func (s *Schedule) Last(after, until time.Time) (last time.Time, ok bool) {
	last = s.Next(after)
	if last.IsZero() || last.After(until) {
		return time.Time{}, false
	}
	for low, high := last.Unix(), until.Unix(); low < high; { // the last is at low or later, and not after high
		middle := low + (high-low)/2
		if next := s.Next(time.Unix(middle, 0)); next.IsZero() || next.After(until) {
			high = middle
		} else {
			last, low = next, next.Unix()
		}
	}
	return last, true
}

// Upcoming are the first n due times after a time.
func (s *Schedule) Upcoming(after time.Time, n int) (list []time.Time) {
	for range n {
		if after = s.Next(after); after.IsZero() {
			break
		}
		list = append(list, after)
	}
	return list
}

// Shortest is the least time between two of the next due times after a time; 0 when there is only one.
func (s *Schedule) Shortest(after time.Time) (shortest time.Duration) {
	const look = 200
	var before time.Time
	for _, due := range s.Upcoming(after, look) {
		if gap := due.Sub(before); !before.IsZero() && (shortest == 0 || gap < shortest) {
			shortest = gap
		}
		before = due
	}
	return shortest
}

// CheckJitter says what is wrong with a jitter: one that is not shorter than the time between due times would mix them up.
func (s *Schedule) CheckJitter(jitter time.Duration, now time.Time) error {
	if jitter < 0 || jitter%time.Second != 0 || jitter > maxJitter {
		return fmt.Errorf("%s is not a number of whole seconds up to %s", jitter, maxJitter)
	}
	if shortest := s.Shortest(now); shortest > 0 && jitter >= shortest {
		return fmt.Errorf("%s is not shorter than the time between two firings, which can be %s; make it shorter", jitter, shortest)
	}
	return nil
}

// maxJitter is what spreads a load over a day, and no more.
const maxJitter = 24 * time.Hour

package triggers

import (
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cron"
)

// entry is a trigger that is watched.
//
//	due times:  … last  ×  ×  ×  │  ○  ○  ○  now …      × missed: `missed` decides     ○ on time: each fires
//	                             watched
type entry struct {
	trigger  *api.Trigger
	schedule *cron.Schedule

	last    time.Time // the last due time that has passed
	watched time.Time // what was to fire until then is missed
	passed  int       // due times that were missed since the last firing
	lost    int       // those of them that no firing has told of

	fires time.Time // the next due time, with its jitter
	at    int       // in the heap; -1 = it is not there
}

// firing is one due time of a trigger that fires, or passes.
type firing struct {
	trigger *api.Trigger
	due     time.Time // zero = by hand
	fires   time.Time // with its jitter
	missed  int       // due times that were missed between the firing before and this one
	lost    int       // those of them that metrics do not know
	passes  bool      // it does not fire: what was missed is over
}

// take is all that fires at now or before, and what is over without firing.
func (e *entry) take(now time.Time) []firing {
	list := e.takeMissed()
	for len(list) < api.MaxMissed { // the next round goes on
		due := e.schedule.Next(e.last)
		if due.IsZero() || due.Add(e.jitter(due)).After(now) {
			break
		}
		list = append(list, e.fire(due))
	}
	return list
}

// takeMissed is what becomes of due times that nobody watched.
func (e *entry) takeMissed() []firing {
	end, ok := e.schedule.Last(e.last, e.watched)
	if ok && end.Add(e.jitter(end)).After(e.watched) { // its jitter makes it one that is watched
		end, ok = e.schedule.Last(e.last, end.Add(-time.Second))
	}
	if !ok {
		return nil
	}
	switch e.trigger.Cron.Missed {
	case "skip":
		e.lose(e.count(end))
		f := firing{trigger: e.trigger, due: end, lost: e.lost, passes: true}
		e.last, e.lost = end, 0
		return []firing{f}
	case "all":
		return e.takeAll(end)
	}
	e.lose(e.count(end) - 1)
	return []firing{e.fire(end)}
}

// takeAll fires the last of the due times up to one.
func (e *entry) takeAll(end time.Time) (list []firing) {
	if e.count(end) < api.MaxMissed {
		for e.last.Before(end) {
			list = append(list, e.fire(e.schedule.Next(e.last)))
		}
		return list
	}
	first := end
	for range api.MaxMissed - 1 {
		before, ok := e.schedule.Last(e.last, first.Add(-time.Second))
		if !ok {
			break
		}
		first = before
	}
	if before, more := e.schedule.Last(e.last, first.Add(-time.Second)); more {
		e.lose(e.count(before))
	}
	for due := first; !due.IsZero() && !due.After(end); due = e.schedule.Next(due) {
		list = append(list, e.fire(due))
	}
	return list
}

func (e *entry) fire(due time.Time) firing {
	f := firing{trigger: e.trigger, due: due, fires: due.Add(e.jitter(due)), missed: e.passed, lost: e.lost}
	e.last, e.passed, e.lost = due, 0, 0
	return f
}

func (e *entry) lose(n int) {
	e.passed += n
	e.lost += n
}

// count is how many due times there are behind the last one, up to and with end. It counts no further than MaxMissed.
func (e *entry) count(end time.Time) (n int) {
	for due := e.schedule.Next(e.last); n < api.MaxMissed && !due.IsZero() && !due.After(end); due = e.schedule.Next(due) {
		n++
	}
	return n
}

// jitter is the same for a due time of a trigger whoever asks, and shorter than the time to the next.
func (e *entry) jitter(due time.Time) time.Duration {
	most := uint64(time.Duration(e.trigger.Cron.Jitter) / time.Millisecond)
	if most == 0 {
		return 0
	}
	return time.Duration(mix(e.trigger.ID^mix(uint64(due.Unix())))%most) * time.Millisecond
}

// mix spreads a number over all bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

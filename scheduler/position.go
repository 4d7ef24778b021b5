package scheduler

import (
	"fmt"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
)

// TopicTrigger is what partitions must know of a trigger that is bound to a topic or to a function's inbox.
func TopicTrigger(t *api.Trigger) (partition.Trigger, error) {
	out := partition.Trigger{
		ID: t.ID, Namespace: t.Namespace, Name: t.Name, Function: t.Function,
		Topic: t.Topic.Name, Filter: t.Topic.Filter, Order: orderOf(t.Topic.Order), OnFailure: onFailureOf(t.Topic.OnFailure), Priority: t.Topic.Priority, Paused: !t.PausedSince.IsZero(),
	}
	if b := t.Topic.Batch; b != nil {
		out.Batch = &partition.Batch{Size: b.Size, Window: time.Duration(b.Window).Milliseconds()}
	}
	if t.Start != "" {
		start, err := Range(t.Start, "")
		if err != nil {
			return out, fmt.Errorf("start of trigger %s: %w", t.Name, err)
		}
		out.Start = &start
	}
	if t.Replay != nil {
		r, err := Range(t.Replay.From, t.Replay.To)
		if err != nil {
			return out, fmt.Errorf("replay of trigger %s: %w", t.Name, err)
		}
		out.Replay = &partition.Replay{ID: t.Replay.ID, Range: r}
	}
	return out, nil
}

// Range is what lies between two resolved positions; to "" is the head.
func Range(from, to string) (partition.Range, error) {
	var r partition.Range
	first, err := api.ParsePosition(from)
	if err != nil {
		return r, err
	}
	end, err := api.ParsePosition(to)
	if err != nil {
		return r, err
	}
	if first.Token != nil {
		r.From = first.Token.Offsets
	}
	if end.Token != nil {
		r.To = end.Token.Offsets
	}
	r.Since, r.Until = milliseconds(first.Time), milliseconds(end.Time)
	return r, nil
}

// milliseconds rounds up: what was stored in the millisecond before is before.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, t.Add(time.Millisecond-1).UnixMilli())
}

// isPaused is asked just before an attempt starts: a delivery may have waited for its place since before the pause.
func (s *Scheduler) isPaused(trigger uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, paused := s.paused[trigger]
	return paused
}

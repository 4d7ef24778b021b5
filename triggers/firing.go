package triggers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cron"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

// Errors of RunNow.
var (
	ErrOverlaps = errors.New("an earlier firing is not done")
	ErrGone     = errors.New("the trigger is not in force")
)

// eventType is that of the events of cron triggers.
const eventType = "dev.evoke.cron"

// eventData is what such an event says, as JSON.
type eventData struct {
	Schedule string     `json:"schedule"`
	Timezone string     `json:"timezone"`
	Due      *time.Time `json:"due,omitempty"` // absent in a run by hand
	Fired    time.Time  `json:"fired"`
	Missed   int        `json:"missed"`
	Manual   bool       `json:"manual,omitempty"`
}

// stored is the firing as partitions take it.
func (f *firing) stored(now time.Time) partition.Firing {
	t := f.trigger
	out := partition.Firing{
		Trigger: t.ID, Namespace: t.Namespace, Name: t.Name, Topic: t.Topic.Name, Due: f.due, Alone: t.Cron.Overlap == "skip" && !f.passes,
	}
	if !f.passes {
		e := f.event(now)
		out.Event = &e
	}
	return out
}

// event has the trigger's name as its key: state that the function keeps is that of the trigger.
func (f *firing) event(now time.Time) event.Event {
	t := f.trigger
	e := event.Event{
		ID: fmt.Sprintf("%d.%d", t.ID, f.due.Unix()), Source: "/ns/" + t.Namespace + "/triggers/" + t.Name, Type: eventType, Subject: t.Name,
		Time: f.due.UTC(), DataContentType: "application/json",
	}
	data := eventData{Schedule: t.Cron.Schedule, Timezone: cmp.Or(t.Cron.Timezone, "UTC"), Due: &f.due, Fired: now.UTC(), Missed: f.missed}
	if f.due.IsZero() {
		e.ID, e.Time = fmt.Sprintf("%d.run.%d", t.ID, now.UnixNano()), now.UTC()
		data.Due, data.Manual = nil, true
	}
	e.Data, _ = json.Marshal(data) // texts, numbers and times of this era always marshal
	return e
}

// RunNow makes a trigger fire beside its schedule and returns the id of the invocation. It may be paused: then the invocation waits.
func (c *Cron) RunNow(ctx context.Context, t *api.Trigger) (invocation string, err error) {
	f := firing{trigger: t}
	fired, err := c.o.Table.Fire(ctx, []partition.Firing{f.stored(c.o.Now())})
	if err != nil {
		return "", err
	}
	switch fired[0].Outcome {
	case partition.Overlaps:
		return "", ErrOverlaps
	case partition.Stale:
		return "", ErrGone
	}
	return fired[0].ID.String(), nil
}

// Due says when a trigger fires: its next n due times.
func (c *Cron) Due(t *api.Trigger, n int) *api.Due {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := &api.Due{Last: c.o.Table.LastDue(t.ID)}
	if !t.PausedSince.IsZero() {
		return due
	}
	s, err := c.schedule(t)
	if err != nil {
		return due // it does not fire; Apply has said so
	}
	from := c.o.Now()
	if due.Last.After(from) {
		from = due.Last
	}
	due.Next = s.Upcoming(from, n)
	return due
}

// schedule needs mu. It may be asked for a trigger that Apply has not heard of.
func (c *Cron) schedule(t *api.Trigger) (*cron.Schedule, error) {
	if e := c.entries[t.ID]; e != nil && *e.trigger.Cron == *t.Cron && e.trigger.Since.Equal(t.Since) {
		return e.schedule, nil
	}
	return c.parser.Parse(t.Cron.Schedule, t.Cron.Timezone, t.Since)
}

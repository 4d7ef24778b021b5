package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/evoke-run/evoke/api"
)

// keepPositions carries over what triggers of the same id have had before: their pause, start and replay. The start of a new one is resolved at its first deploy.
func keepPositions(after, before []api.Trigger, now time.Time) {
	for i := range after {
		t := &after[i]
		if old := triggerOf(before, t.ID); old != nil {
			t.PausedSince, t.Start, t.Replay = old.PausedSince, old.Start, old.Replay
			t.Since = since(t, old, now)
			continue
		}
		t.Since = since(t, nil, now)
		if t.Topic == nil {
			continue
		}
		if at, err := api.ParsePosition(t.Topic.Start); err == nil { // validated
			t.Start = at.Resolve(now)
		}
	}
}

// positionNotes say what a deploy leaves as it was.
func positionNotes(after, before []api.Trigger) (notes []string) {
	for _, t := range after {
		old := triggerOf(before, t.ID)
		if old == nil {
			continue
		}
		if !t.PausedSince.IsZero() {
			notes = append(notes, fmt.Sprintf("trigger %s stays paused, since %s; to resume it: fnctl resume %s", t.Name, t.PausedSince.Format(time.RFC3339), t.Name))
		}
		if t.Topic != nil && old.Topic != nil && t.Topic.Start != old.Topic.Start {
			notes = append(notes, fmt.Sprintf("trigger %s was there before, its start does nothing now; to hand earlier events out: fnctl replay %s --since 2h", t.Name, t.Name))
		}
	}
	return notes
}

func triggerOf(list []api.Trigger, id uint64) *api.Trigger {
	i := slices.IndexFunc(list, func(t api.Trigger) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// SetPaused pauses or resumes a trigger of a function, or with trigger "" all in which events can wait. It returns the names of those that were not so before, and
// the etcd revision at which it holds; ErrNotFound.
func (r *Registry) SetPaused(ctx context.Context, namespace, function, trigger string, paused bool) (changed []string, revision int64, err error) {
	revision, err = r.changeTriggers(ctx, namespace, function, trigger, func(t *api.Trigger) bool {
		if t.PausedSince.IsZero() != paused {
			return false
		}
		t.PausedSince = time.Time{}
		if paused {
			t.PausedSince = r.now().UTC()
		}
		changed = append(changed, t.Name)
		return true
	}, func() { changed = nil })
	if err != nil {
		return nil, 0, fmt.Errorf("change pause of %s in namespace %s: %w", nameOf(function, trigger), namespace, err)
	}
	return changed, revision, nil
}

// Replay asks for a replay of a trigger between two resolved positions. It returns the id of the replay and the etcd revision at which it holds; ErrNotFound.
func (r *Registry) Replay(ctx context.Context, namespace, function, trigger, from, to string) (id uint64, revision int64, err error) {
	revision, err = r.changeTriggers(ctx, namespace, function, trigger, func(t *api.Trigger) bool {
		id = 1
		if t.Replay != nil {
			id = t.Replay.ID + 1
		}
		t.Replay = &api.Replay{ID: id, From: from, To: to}
		return true
	}, func() {})
	if err != nil {
		return 0, 0, fmt.Errorf("replay trigger %s in namespace %s: %w", trigger, namespace, err)
	}
	return id, revision, nil
}

func nameOf(function, trigger string) string {
	if trigger == "" {
		return "function " + function
	}
	return "trigger " + trigger
}

// changeTriggers edits the named trigger of a function, or with "" those of topics and the inbox. It starts over, after again, when someone else was faster.
func (r *Registry) changeTriggers(ctx context.Context, namespace, function, trigger string, edit func(*api.Trigger) bool, again func()) (int64, error) {
	return r.write(ctx, func() (change, error) {
		again()
		f, err := r.readFunction(ctx, namespace, function)
		if err != nil {
			return change{}, err
		}
		found, edited := false, false
		for i := range f.value.Triggers {
			t := &f.value.Triggers[i]
			if t.Topic == nil || trigger != "" && t.Name != trigger {
				continue
			}
			found = true
			edited = edit(t) || edited
		}
		switch {
		case !found:
			return change{}, ErrNotFound
		case !edited:
			return change{holdsAt: f.mod}, nil
		}
		p := &plan{}
		key := r.keys.function(namespace, function)
		p.relyOn(key, f.mod)
		err = p.put(key, f.value)
		return change{compares: p.compares, writes: p.writes}, err
	})
}

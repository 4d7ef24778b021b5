package scheduler

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
)

// changes is what a snapshot has that is not in force yet. It is a difference of levels: to the snapshot that was applied last, or, when there is none or it was applied in
// part, to the functions that this node has.
type changes struct {
	snap      *registry.Snapshot
	before    *registry.Snapshot // nil = functions has all
	functions []change
}

// change is that of one function.
type change struct {
	name    functionName
	was, is *api.Function // nil = it was not, or is not any more
	loaded  *function     // nil when it is not any more
}

// changesIn also has the functions that could not be loaded, to try again.
func (s *Scheduler) changesIn(snap *registry.Snapshot) *changes {
	c := &changes{snap: snap, before: s.applied}
	add := func(was, is *api.Function) {
		f := is
		if f == nil {
			f = was
		}
		c.functions = append(c.functions, change{name: functionName{f.Namespace, f.Name}, was: was, is: is})
	}
	if c.before != nil {
		for was, is := range snap.FunctionsSince(c.before) {
			add(was, is)
		}
		for name := range s.broken {
			now, there := snap.Function(name.namespace, name.name)
			if was, _ := c.before.Function(name.namespace, name.name); there && was == now {
				add(was, now)
			}
		}
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, is := range snap.Functions("") {
		var was *api.Function
		if f := s.functions[functionName{is.Namespace, is.Name}]; f != nil {
			was = f.spec
		}
		add(was, is)
	}
	for name, f := range s.functions {
		if _, there := snap.Function(name.namespace, name.name); !there {
			add(f.spec, nil)
		}
	}
	return c
}

// Apply makes a snapshot of the registry in force: modules first, then the triggers in every partition. It costs about as much as is different from the snapshot before. The
// caller applies snapshots in order, and may leave some out.
func (s *Scheduler) Apply(ctx context.Context, snap *registry.Snapshot) error {
	c := s.changesIn(snap)
	s.applied = nil // until all of it is
	for i := range c.functions {
		if one := &c.functions[i]; one.is != nil {
			one.loaded = s.keepOrLoad(ctx, one.name, one.is)
		}
	}
	s.rollouts.apply(c)
	s.collector.apply(c)
	if err := s.blame(ctx, c); err != nil { // nothing is in force yet
		for _, one := range c.functions {
			if one.loaded != nil {
				s.release(one.loaded)
			}
		}
		return err
	}
	s.putInForce(c)
	if err := s.applyTriggers(ctx, c); err != nil {
		return err
	}
	s.applyRetention(c)
	s.applied = snap
	for _, one := range c.functions {
		if one.loaded != nil {
			one.loaded.flow.clear()
		}
	}
	s.mu.Lock()
	s.inForce = snap.Revision
	close(s.forced)
	s.forced = make(chan struct{})
	s.mu.Unlock()
	s.wake() // functions may run now that had waiting events before
	return nil
}

// putInForce exchanges functions. Those that are not in force any more end when nobody uses them.
func (s *Scheduler) putInForce(c *changes) {
	replaced := make([]*function, len(c.functions))
	s.mu.Lock()
	for i, one := range c.functions {
		old := s.functions[one.name]
		if old != one.loaded {
			replaced[i] = old
		}
		for _, id := range one.gone() {
			delete(s.triggers, id)
			s.forgetPace(id)
		}
		if one.loaded == nil {
			delete(s.functions, one.name)
			continue
		}
		s.functions[one.name] = one.loaded
		for id := range topicTriggers(one.is) {
			s.triggers[id] = one.loaded
		}
	}
	s.mu.Unlock()
	for i, one := range c.functions {
		if one.loaded == nil || one.loaded.module != nil {
			delete(s.broken, one.name)
		} else {
			s.broken[one.name] = struct{}{}
		}
		old := replaced[i]
		if old == nil {
			continue
		}
		s.release(old)
		if one.loaded == nil {
			old.flow.stop()
			s.metrics.forget(one.name)
		}
		if one.loaded == nil || !one.loaded.spec.Created.Equal(old.spec.Created) {
			s.pins.forget(one.name)
		}
	}
}

// topicTriggers are those that partitions match, by id: bound to a topic or to a function's inbox. f may be nil.
func topicTriggers(f *api.Function) map[uint64]*api.Trigger {
	if f == nil {
		return nil
	}
	triggers := map[uint64]*api.Trigger{}
	for i := range f.Triggers {
		if t := &f.Triggers[i]; t.Topic != nil {
			triggers[t.ID] = t
		}
	}
	return triggers
}

// gone are the ids of the triggers that the function does not have any more.
func (c *change) gone() (ids []uint64) {
	is := topicTriggers(c.is)
	for id := range topicTriggers(c.was) {
		if is[id] == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// applyTriggers puts the triggers in force in every partition. Pauses that are not wanted any more end before partitions hand events out, and new ones begin when partitions
// have stopped.
func (s *Scheduler) applyTriggers(ctx context.Context, c *changes) error {
	set := s.wanted
	if c.before == nil {
		set = s.opts.Table.NoTriggers()
	}
	var put []partition.Trigger
	var remove []uint64
	paused := map[uint64]struct{}{}
	for i := range c.functions {
		for id, t := range topicTriggers(c.functions[i].is) {
			trigger, err := TopicTrigger(t)
			if err != nil {
				return err
			}
			put = append(put, trigger)
			if trigger.Paused {
				paused[id] = struct{}{}
			}
		}
		remove = append(remove, c.functions[i].gone()...)
	}
	set, err := set.With(put, remove)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for i := range c.functions {
		for id := range topicTriggers(c.functions[i].was) {
			if _, still := paused[id]; !still {
				delete(s.paused, id)
			}
		}
	}
	s.mu.Unlock()
	if err := s.opts.Table.PutInForce(ctx, c.snap.Generation(), set); err != nil {
		return fmt.Errorf("put triggers in force: %w", err)
	}
	s.wanted = set
	s.mu.Lock()
	maps.Copy(s.paused, paused)
	s.mu.Unlock()
	return nil
}

// applyRetention says how long things stay when that is not as it was: partitions look at all they have then.
func (s *Scheduler) applyRetention(c *changes) {
	r := partition.Retention{Topics: maps.Clone(s.retention.Topics), DeadLetters: maps.Clone(s.retention.DeadLetters)}
	changed := c.before == nil
	if changed {
		r = partition.Retention{Topics: map[partition.TopicName]partition.TopicRetention{}, DeadLetters: map[uint64]time.Duration{}}
		for _, t := range c.snap.Topics("") {
			r.Topics[topicName(t)] = topicRetention(t)
		}
	} else {
		for was, is := range c.snap.TopicsSince(c.before) {
			changed = true
			if is == nil {
				delete(r.Topics, topicName(was))
			} else {
				r.Topics[topicName(is)] = topicRetention(is)
			}
		}
	}
	for _, one := range c.functions {
		if one.was != nil && one.was.Spec.DeadLetter != nil {
			changed = true
			for _, t := range one.was.Triggers {
				delete(r.DeadLetters, t.ID)
			}
		}
		if one.is != nil && one.is.Spec.DeadLetter != nil {
			changed = true
			for _, t := range one.is.Triggers {
				r.DeadLetters[t.ID] = time.Duration(one.is.Spec.DeadLetter.Keep)
			}
		}
	}
	if changed {
		s.retention = r
		s.opts.Table.SetRetention(r)
	}
}

func topicName(t *api.Topic) partition.TopicName {
	return partition.TopicName{Namespace: t.Namespace, Name: t.Name}
}

func topicRetention(t *api.Topic) partition.TopicRetention {
	return partition.TopicRetention{Keep: time.Duration(t.Spec.Retention), DeadLetter: t.Spec.Unsettled == "deadletter"}
}

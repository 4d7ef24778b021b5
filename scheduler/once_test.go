package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
)

func once(topic string, batch *api.BatchSpec) []api.TriggerSpec {
	return []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: topic, Delivery: atMostOnce, Batch: batch}}}
}

// What is done has its effects, what is not is neither tried again nor kept, one event at a time or several.
func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		batch    *api.BatchSpec
		out      []string
		attempts []string
	}{
		"alone":      {nil, []string{"00d", "04d"}, []string{"00d 1 done", "01f 1 failed error", "02r 1 rejected rejected", "03t 1 failed trap", "04d 1 done"}},
		"in a batch": {&api.BatchSpec{Size: 5, Window: api.Duration(time.Minute)}, nil, []string{"00d 1 failed trap", "01f 1 failed trap", "02r 1 failed trap", "03t 1 failed trap", "04d 1 failed trap"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.deploy("sends", forwards("out"), api.FunctionSpec{Triggers: once("in", tc.batch), Allow: api.Allow{Emit: []string{"out"}}})
			b.publish("in", saying("dfrtd")...)
			waitUntil(t, func() bool { return len(b.attempts()) == 5 })
			if got := b.attempts(); !slices.Equal(got, tc.attempts) {
				t.Errorf("attempts %q, want %q", got, tc.attempts)
			}
			b.want("out", tc.out...)
			if s := b.stats("sends:in"); s.Pending != 0 || s.DeadLetters != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestABatchAtMostOnceHasItsEffects(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("sends", forwards("out"), api.FunctionSpec{Triggers: once("in", &api.BatchSpec{Size: 3, Window: api.Duration(time.Minute)}), Allow: api.Allow{Emit: []string{"out"}}})
	b.publish("in", saying("ddd")...)
	b.eventually("its effects", func() bool { return len(b.stored("out")) == 3 })
	b.want("out", "00d", "01d", "02d")
}

// An event that runs when the runtime dies does not run again; one that waits for its seat does.
func TestAtMostOnceOverACrash(t *testing.T) {
	t.Parallel()
	c := setupCrashing(t)
	c.stop()
	c.options.Running = 1
	c.restart()
	c.deploy("sends", forwards("out"), api.FunctionSpec{Triggers: once("in", nil), Allow: api.Allow{Emit: []string{"out"}}})
	c.publish("in", saying("l")...)
	c.runs()
	c.publish("in", newEvent("waits", "k"))
	waitUntil(t, func() bool { return len(c.pending(partition.Running)) == 1 }) // the one that runs is settled already
	c.crash()
	c.restart()
	c.eventually("the one that waited has run", func() bool { return len(c.stored("out")) == 1 })
	c.want("out", "waits")
	if s := c.stats("sends:in"); s.Pending != 0 || s.DeadLetters != 0 {
		t.Errorf("%+v", s)
	}
	for _, a := range c.attempts() {
		if a != "00l 1 failed "+sandbox.ClassCanceled && a != "waits 1 done" {
			t.Errorf("attempt %q", a)
		}
	}
}

func TestAtMostOnceKeepsState(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("counts", counts(""), api.FunctionSpec{Triggers: append(once("in", nil), onTopic("other")...), Allow: api.Allow{State: true}})
	const n = 40
	for range n {
		b.publish("in", newEvent(newInvocationID(), "k"))
	}
	waitUntil(t, func() bool { return len(b.attempts()) == n })
	if got := b.call("counts", newEvent("last", "k")); len(got.Data) != 4 || got.Data[0] != n+1 {
		t.Errorf("counted %v (%s), want %d", got.Data, got.Error, n+1)
	}
}

// It is settled and runs, so it is not among the open ones, and can be cut all the same.
func TestCancelOfOneThatWasSettledBefore(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("sends", forwards(""), api.FunctionSpec{Triggers: once("in", nil)})
	b.publish("in", saying("l")...)
	id := ""
	waitUntil(t, func() bool {
		at := &b.scheduler.seats.list
		for i := range *at {
			(*at)[i].mu.Lock()
			if g := (*at)[i].sitting; g != nil {
				id = g.id
			}
			(*at)[i].mu.Unlock()
		}
		return id != ""
	})
	b.cancel(id)
	if got := b.closing(id); got.Attempt.Class != sandbox.ClassCanceled || got.Attempt.Error != "not needed" {
		t.Errorf("it ended with %+v", got.Attempt)
	}
}

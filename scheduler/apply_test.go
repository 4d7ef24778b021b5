package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// applyTest has a scheduler that only applies what the test gives it.
type applyTest struct {
	*bundle
	s    *Scheduler
	next func(revision int64) *registry.Snapshot
	spec api.FunctionSpec
	rng  *rand.Rand
}

func setupApply(t *testing.T) *applyTest {
	b := setup(t, nil)
	b.stop()
	a := &applyTest{bundle: b, s: New(b.scheduler.opts), rng: rand.New(rand.NewPCG(7, 8))}
	ctx, cancel := context.WithCancel(t.Context())
	snapshots, ended := make(chan *registry.Snapshot, 10_000), make(chan error, 1)
	go func() { ended <- b.registry.Run(ctx, func(s *registry.Snapshot) { snapshots <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		a.s.closeFunctions()
	})
	last := <-snapshots
	a.next = func(revision int64) *registry.Snapshot {
		for last.Revision < revision {
			last = <-snapshots
		}
		return last
	}
	module := wasmtest.Returns(abi.Done)
	sum := sha256.Sum256(module)
	a.spec.Module = "sha256:" + hex.EncodeToString(sum[:])
	if err := b.registry.PutModule(t.Context(), a.spec.Module, strings.NewReader(string(module))); err != nil {
		t.Fatal(err)
	}
	return a
}

// change does one thing to the registry.
func (a *applyTest) change() (revision int64) {
	a.t.Helper()
	name := fmt.Sprintf("f%d", a.rng.IntN(12))
	var err error
	switch a.rng.IntN(4) {
	case 0:
		revision, err = a.registry.DeleteFunction(a.t.Context(), "default", name)
	case 1:
		_, revision, err = a.registry.SetPaused(a.t.Context(), "default", name, "", a.rng.IntN(2) == 0)
	default:
		spec := a.spec
		spec.Triggers = slices.Repeat(onTopic(fmt.Sprintf("t%d", a.rng.IntN(4))), a.rng.IntN(3))
		if a.rng.IntN(3) == 0 {
			spec.DeadLetter = &api.DeadLetterSpec{Keep: api.Duration(time.Duration(1+a.rng.IntN(9)) * time.Hour)}
		}
		app := api.App{Functions: map[string]api.FunctionSpec{name: spec}}
		if a.rng.IntN(3) == 0 {
			app.Topics = map[string]api.TopicSpec{"t1": {Retention: api.Duration(time.Duration(1+a.rng.IntN(9)) * time.Hour)}}
		}
		_, revision, err = a.registry.Deploy(a.t.Context(), "default", "app", app, map[string]string{name: "native"})
	}
	if err != nil && !strings.Contains(err.Error(), registry.ErrNotFound.Error()) {
		a.t.Fatal(err)
	}
	return revision
}

// check compares what is in force with what a snapshot says, however it came to be.
func (a *applyTest) check(snap *registry.Snapshot) {
	a.t.Helper()
	s := a.s
	functions, triggers, paused := map[functionName]int{}, map[uint64]functionName{}, map[uint64]struct{}{}
	r := partition.Retention{Topics: map[partition.TopicName]partition.TopicRetention{}, DeadLetters: map[uint64]time.Duration{}}
	var list []partition.Trigger
	for _, f := range snap.Functions("") {
		name := functionName{f.Namespace, f.Name}
		functions[name] = f.Revision
		for i := range f.Triggers {
			if f.Spec.DeadLetter != nil {
				r.DeadLetters[f.Triggers[i].ID] = time.Duration(f.Spec.DeadLetter.Keep)
			}
			t, err := TopicTrigger(&f.Triggers[i])
			if err != nil {
				a.t.Fatal(err)
			}
			list = append(list, t)
			triggers[t.ID] = name
			if t.Paused {
				paused[t.ID] = struct{}{}
			}
		}
	}
	for _, t := range snap.Topics("") {
		r.Topics[topicName(t)] = topicRetention(t)
	}
	gotFunctions, gotTriggers := map[functionName]int{}, map[uint64]functionName{}
	for name, f := range s.functions {
		gotFunctions[name] = f.spec.Revision
		if f.module == nil || f.holds.Load() != 1 {
			a.t.Errorf("function %s: module %v, %d holds: %v", name.name, f.module, f.holds.Load(), f.broken)
		}
	}
	for id, f := range s.triggers {
		gotTriggers[id] = functionName{f.spec.Namespace, f.spec.Name}
		if s.functions[gotTriggers[id]] != f {
			a.t.Errorf("trigger %d runs a function %s that is not in force", id, f.spec.Name)
		}
	}
	switch {
	case !maps.Equal(functions, gotFunctions):
		a.t.Errorf("functions %v, want %v", gotFunctions, functions)
	case !maps.Equal(triggers, gotTriggers):
		a.t.Errorf("triggers %v, want %v", gotTriggers, triggers)
	case !maps.Equal(paused, s.paused):
		a.t.Errorf("paused %v, want %v", s.paused, paused)
	case !reflect.DeepEqual(r, s.retention):
		a.t.Errorf("retention %v, want %v", s.retention, r)
	case len(s.broken) > 0:
		a.t.Errorf("broken %v", s.broken)
	}
	for id := range s.paces {
		if s.triggers[id] == nil {
			a.t.Errorf("trigger %d has a pace and is gone", id)
		}
	}
	want, err := a.table.NoTriggers().With(list, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if !s.wanted.Equal(want) {
		a.t.Error("other triggers are in force")
	}
}

// TestApplyEndsUpWithTheSnapshotWhateverCameBefore leaves snapshots out, and lets some fail in the middle.
func TestApplyEndsUpWithTheSnapshotWhateverCameBefore(t *testing.T) {
	t.Parallel()
	a := setupApply(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	failed := 0
	for range 120 {
		var revision int64
		for range 1 + a.rng.IntN(3) {
			revision = max(revision, a.change())
		}
		if revision == 0 {
			continue
		}
		snap := a.next(revision)
		for id := range a.s.triggers {
			a.s.pace(id)
		}
		if a.rng.IntN(3) == 0 {
			if err := a.s.Apply(canceled, snap); err != nil {
				failed++
			}
			if a.rng.IntN(2) == 0 {
				continue
			}
		}
		if err := a.s.Apply(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		a.check(snap)
		if t.Failed() {
			return
		}
	}
	if failed == 0 {
		t.Error("nothing failed")
	}
	fresh := New(a.scheduler.opts) // as after a restart
	defer fresh.closeFunctions()
	snap := a.registry.Snapshot()
	if err := fresh.Apply(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	was := a.s
	a.s = fresh
	a.check(snap)
	a.s = was
}

func TestApplyLeavesAloneWhatHasNotChanged(t *testing.T) {
	t.Parallel()
	a := setupApply(t)
	app := api.App{Functions: map[string]api.FunctionSpec{}}
	kinds := map[string]string{}
	for i := range 50 {
		name := fmt.Sprintf("f%d", i)
		app.Functions[name], kinds[name] = a.spec, "native"
	}
	_, revision, err := a.registry.Deploy(t.Context(), "default", "app", app, kinds)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.s.Apply(t.Context(), a.next(revision)); err != nil {
		t.Fatal(err)
	}
	before := maps.Clone(a.s.functions)
	spec := a.spec
	spec.Env = map[string]string{"A": "b"}
	_, revision, err = a.registry.Deploy(t.Context(), "default", "app", api.App{Functions: map[string]api.FunctionSpec{"f7": spec}}, kinds)
	if err != nil {
		t.Fatal(err)
	}
	snap := a.next(revision)
	if c := a.s.changesIn(snap); len(c.functions) != 1 || c.functions[0].name.name != "f7" {
		t.Errorf("changes %+v", c.functions)
	}
	if err := a.s.Apply(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	for name, f := range a.s.functions {
		if same := before[name] == f; same == (name.name == "f7") {
			t.Errorf("function %s is the same: %v", name.name, same)
		}
	}
}

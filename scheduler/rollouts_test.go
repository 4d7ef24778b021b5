package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// canaries is a bundle whose function f has a good revision 1 and gets another by canary.
type canaries struct {
	*bundle
	options *Options
	reg     *prometheus.Registry
	sent    int
	batched int // of those: a batch has one output
}

func canarySpec() api.FunctionSpec {
	return api.FunctionSpec{
		Triggers: append(onTopic("in"), inBatches("many", 10, 5*time.Millisecond)...), Allow: api.Allow{Emit: []string{"out"}},
		Retry: &api.Retry{Attempts: 1}, Timeout: api.Duration(300 * time.Millisecond),
	}
}

func setupCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{reg: prometheus.NewRegistry()}
	c.bundle = setup(t, func(o *Options) { o.Registerer, c.options = c.reg, o })
	c.deploy("f", version("good"), canarySpec())
	return c
}

// begin deploys a module by canary, with an interval that only tests may have.
func (c *canaries) begin(module []byte, canary api.Canary, every time.Duration) {
	c.t.Helper()
	c.app.Canary = &canary
	c.deploy("f", module, canarySpec())
	c.app.Canary = nil
	revision, err := c.registry.Steer(c.t.Context(), "default", "f", func(f *api.Function) bool {
		f.Rollout.Every = api.Duration(every)
		return true
	})
	if err == nil {
		err = c.scheduler.WaitInForce(c.t.Context(), revision)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// send publishes n events, each with a key of its own.
func (c *canaries) send(topic string, n int) {
	c.t.Helper()
	for range n {
		c.sent++
		if topic == "many" {
			c.batched++
		}
		c.publish(topic, newEvent(fmt.Sprint("e", c.sent), fmt.Sprint("k", c.sent)))
	}
}

func (c *canaries) rollout() *api.Rollout {
	c.t.Helper()
	f, ok := c.registry.Snapshot().Function("default", "f")
	if !ok || f.Rollout == nil {
		c.t.Fatalf("no rollout: %+v", f)
	}
	return f.Rollout
}

func (c *canaries) awaitPhase(phase string) *api.Rollout {
	c.t.Helper()
	waitUntil(c.t, func() bool { return c.rollout().Phase == phase })
	return c.rollout()
}

// wantAllDone checks that every event sent was done once, by the good revision or by one that did it as well.
func (c *canaries) wantAllDone() {
	c.t.Helper()
	c.eventually("all settled", func() bool { return c.stats("f:in").Pending == 0 && c.stats("f:many").Pending == 0 })
	if letters := c.letters(); len(letters) != 0 {
		c.t.Errorf("%d dead letters, the first %+v", len(letters), letters[0])
	}
	done := map[string]int{}
	waitUntil(c.t, func() bool { // the history is written behind
		clear(done)
		for _, e := range c.entries() {
			if e.Attempt != nil && e.Attempt.Verdict == "done" {
				done[e.EventID]++
			}
		}
		return len(done) >= c.sent
	})
	for id, n := range done {
		if n != 1 {
			c.t.Errorf("event %s was done %d times", id, n)
		}
	}
	c.eventually("outputs of all events", func() bool { return len(c.stored("out")) >= c.sent-c.batched })
	if n := len(c.stored("out")); c.batched == 0 && n != c.sent {
		c.t.Errorf("%d outputs of %d events", n, c.sent)
	}
}

func (c *canaries) wantOutcomes(want string) {
	c.t.Helper()
	families, err := c.reg.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, family := range families {
		switch family.GetName() {
		case "evoke_rollouts_total":
			for _, m := range family.GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetName() == "outcome" {
						got = append(got, fmt.Sprintf("%s %v", l.GetValue(), m.GetCounter().GetValue()))
					}
				}
			}
		case "evoke_rollout_percent":
			for _, m := range family.GetMetric() {
				got = append(got, fmt.Sprintf("at %v%%", m.GetGauge().GetValue()))
			}
		}
	}
	if text := strings.Join(got, ", "); text != want {
		c.t.Errorf("metrics say %q, want %q", text, want)
	}
}

func TestAGoodCanaryIsPromoted(t *testing.T) {
	t.Parallel()
	c := setupCanaries(t)
	c.begin(version("better"), api.Canary{Percent: 10, Step: 40, Min: 5}, 30*time.Millisecond)
	c.wantOutcomes("at 10%")
	shares := []int{10}
	waitUntil(t, func() bool {
		c.send("in", 5)
		c.send("many", 5)
		r := c.rollout()
		if r.Now != shares[len(shares)-1] {
			shares = append(shares, r.Now)
		}
		return r.Phase == api.PhasePromoted
	})
	f, _ := c.registry.Snapshot().Function("default", "f")
	for _, n := range shares { // some may have been too short to be seen
		if !slices.Contains([]int{10, 50, 90, 100}, n) {
			t.Errorf("it had %d%%", n)
		}
	}
	if !slices.IsSorted(shares) || len(shares) < 2 || f.Traffic != nil || f.Rollout.Ended.IsZero() || f.Rollout.Reason != "" {
		t.Errorf("shares %v, then %+v with traffic %v", shares, f.Rollout, f.Traffic)
	}
	c.wantAllDone()
	c.wantOutcomes("promoted 1")
	if _, runs := c.scheduler.RolloutCounts("default", "f"); runs {
		t.Error("it is still counted")
	}
}

func TestABadCanaryGoesBackAndNothingIsLost(t *testing.T) {
	t.Parallel()
	for name, module := range map[string][]byte{"fails": w.Returns(abi.Failed), "traps": w.Traps(), "rejects": w.Returns(abi.Rejected)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupCanaries(t)
			c.begin(module, api.Canary{Percent: 50}, time.Hour)
			c.send("in", 60)
			c.send("many", 60)
			r := c.awaitPhase(api.PhaseRolledBack)
			if !strings.Contains(r.Reason, " does not hold: ") || r.Now != 0 || len(r.Redrive) != 0 || r.Ended.IsZero() {
				t.Errorf("%+v", r)
			}
			c.wantAllDone()
			f, _ := c.registry.Snapshot().Function("default", "f")
			if f.Percent(1) != 100 || f.Percent(2) != 0 {
				t.Errorf("traffic %v", f.Traffic)
			}
			waitUntil(t, func() bool { return len(c.entries()) > 0 })
			ranAt2 := false
			for _, e := range c.entries() {
				ranAt2 = ranAt2 || e.Attempt != nil && e.Attempt.Revision == 2
			}
			if !ranAt2 {
				t.Error("the canary had nothing to do")
			}
			waitUntil(t, func() bool { v, _ := gathered(t, c.reg, "evoke_rollouts_total", "f"); return v == 1 })
			c.wantOutcomes("rolled-back 1")
		})
	}
}

// What runs, or waits for its place, when the traffic goes back is given up on later: it is handed out again, too. So it is when the scheduler ends in between, whose
// successor finds in the registry what is left to do.
func TestARollbackWaitsForWhatRunsAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			t.Parallel()
			c := setupCanaries(t)
			c.begin(w.Loops(), api.Canary{Percent: 60}, time.Hour)
			c.send("in", 40) // more than run at once
			r := c.awaitPhase(api.PhaseRollingBack)
			if !slices.Equal(r.Redrive, []int{2}) {
				t.Errorf("%+v", r)
			}
			if restart {
				c.stop()
				if n := c.stats("f:in").DeadLetters; n == 0 {
					t.Fatal("nothing was left to be done after the restart")
				}
				c.options.Registerer = nil
				c.scheduler = New(*c.options)
				c.run()
			}
			c.awaitPhase(api.PhaseRolledBack)
			c.wantAllDone()
		})
	}
}

func TestACanaryWithoutTrafficWaits(t *testing.T) {
	t.Parallel()
	c := setupCanaries(t)
	c.begin(version("better"), api.Canary{Percent: 50, Step: 50, Min: 8}, 10*time.Millisecond)
	if r := c.awaitPhase(api.PhaseWaiting); r.Reason != "an interval needs 8 attempts of revision 2" || r.Now != 50 {
		t.Errorf("%+v", r)
	}
	seen := 0
	for seen < 7 { // one by one, until one more is enough
		c.send("in", 1)
		c.eventually("done", func() bool { return c.stats("f:in").Pending == 0 })
		counts, runs := c.scheduler.RolloutCounts("default", "f")
		if !runs {
			t.Fatal("nothing is counted")
		}
		seen = counts.Attempts
	}
	if r := c.rollout(); r.Phase != api.PhaseWaiting {
		t.Errorf("with 7 attempts: %+v", r)
	}
	waitUntil(t, func() bool { c.send("in", 1); return c.rollout().Phase == api.PhasePromoted })
	c.wantAllDone()
}

func TestCallsCountAsEventsDo(t *testing.T) {
	t.Parallel()
	c := setupCanaries(t)
	c.begin(w.Returns(abi.Failed), api.Canary{Percent: 50}, time.Hour)
	for k := range 100 {
		if c.call("f", newEvent(fmt.Sprint(k), fmt.Sprint("k", k))).Verdict == abi.Failed {
			break
		}
	}
	if r := c.awaitPhase(api.PhaseRolledBack); r.Reason != "errors<1% does not hold: 1 of 1 attempt failed" {
		t.Errorf("%+v", r)
	}
}

func TestTheHandEndsACanary(t *testing.T) {
	t.Parallel()
	c := setupCanaries(t)
	c.begin(w.Returns(abi.Failed), api.Canary{Percent: 50}, time.Hour)
	c.setTraffic("f", api.Share{Revision: 1, Percent: 30}, api.Share{Revision: 2, Percent: 70})
	c.send("in", 20)
	c.eventually("all settled", func() bool { return c.stats("f:in").Pending == 0 })
	if n := len(c.letters()); n == 0 {
		t.Error("revision 2 had nothing to do")
	}
	if r := c.rollout(); r.Phase != api.PhaseAborted || r.Reason != "somebody set the traffic to r1=30 r2=70" {
		t.Errorf("%+v", r)
	}
	c.wantOutcomes("aborted 1")
}

// A canary that takes the place of another one, which had failed and is not all handed out again yet, does not lose that.
func TestADeployDuringARollback(t *testing.T) {
	t.Parallel()
	c := setupCanaries(t)
	c.begin(w.Loops(), api.Canary{Percent: 60}, time.Hour)
	c.send("in", 40)
	c.awaitPhase(api.PhaseRollingBack)
	c.begin(version("better"), api.Canary{Percent: 50}, time.Hour)
	if r := c.rollout(); r.Candidate != 3 || !slices.Equal(r.Good, []api.Share{{Revision: 1, Percent: 100}}) || !slices.Equal(r.Redrive, []int{2}) {
		t.Errorf("%+v", r)
	}
	waitUntil(t, func() bool { return len(c.rollout().Redrive) == 0 })
	c.wantAllDone()
	if r := c.rollout(); r.Phase != api.PhaseProgressing {
		t.Errorf("%+v", r)
	}
}

func TestRevisionsAreCollected(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	deploy := func(n int) {
		t.Helper()
		b.deploy("f", w.Returns(abi.Failed), api.FunctionSpec{Triggers: onTopic("in"), Retry: &api.Retry{Attempts: 1}, Env: map[string]string{"N": fmt.Sprint(n)}})
	}
	for n := 1; n <= 4; n++ {
		deploy(n)
	}
	b.publish("in", newEvent("1", "k"))
	b.eventually("dead letter", func() bool { return b.stats("f:in").DeadLetters == 1 })
	redrive := func(revision int) {
		t.Helper()
		letter := b.letters()[0]
		_, err := b.table.RedriveAs(t.Context(), []partition.Redriving{{Letter: partition.LetterID{ID: letter.ID, Generation: letter.Generation}, Revision: revision}})
		if err != nil {
			t.Fatal(err)
		}
		b.eventually("dead letter again", func() bool {
			return b.stats("f:in").DeadLetters == 1 && len(b.letters()) == 1 && b.letters()[0].Generation > letter.Generation
		})
	}
	redrive(3) // it must run by 3, and waits as a dead letter
	for n := 5; n <= 14; n++ {
		deploy(n)
	}
	kept := func(want ...int) {
		t.Helper()
		waitUntil(t, func() bool {
			got, err := b.registry.RevisionNumbers(t.Context(), "default", "f")
			if err != nil {
				t.Fatal(err)
			}
			return slices.Equal(got, want)
		})
	}
	kept(3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
	b.setTraffic("f", api.Share{Revision: 5, Percent: 99}, api.Share{Revision: 14, Percent: 1})
	redrive(0)
	if f, _ := b.registry.Snapshot().Function("default", "f"); len(registry.Uses(f, 3, b.table.WantedRevisions("default", "f"))) != 0 {
		t.Error("revision 3 is still in use")
	}
	b.app.Canary = &api.Canary{Percent: 5} // keeps revision 5 as the good one
	deploy(15)
	kept(5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

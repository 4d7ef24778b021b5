package scheduler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/inflight"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// crashing is a scheduler that can be replaced by one that finds what a process killed now would leave.
type crashing struct {
	*bundle
	options *Options
	path    string // of the notes
}

func setupCrashing(t *testing.T) *crashing {
	t.Helper()
	c := &crashing{path: filepath.Join(t.TempDir(), "inflight")}
	c.bundle = setup(t, func(o *Options) {
		o.InFlight, o.Drain, c.options = c.open(t), time.Millisecond, o
	})
	return c
}

func (c *crashing) open(t *testing.T) *inflight.File {
	t.Helper()
	f, err := inflight.Open(c.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// notes are those on disk.
func (c *crashing) notes() []inflight.Note {
	c.t.Helper()
	f, err := inflight.Open(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	return f.Left()
}

// crash ends the scheduler and puts the notes back as they were before that.
func (c *crashing) crash() {
	c.t.Helper()
	left, err := os.ReadFile(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	c.stop()
	if err := os.WriteFile(c.path, left, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crashing) restart() {
	c.t.Helper()
	c.options.InFlight = c.open(c.t)
	c.scheduler = New(*c.options)
	c.run()
	if err := c.scheduler.WaitInForce(c.t.Context(), 1); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crashing) runs() {
	c.t.Helper()
	waitUntil(c.t, func() bool { return len(c.notes()) > 0 })
}

// Three deaths of the runtime under an event are enough, although its policy has eight attempts.
func TestEventThatTheRuntimeDiesUnderBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	c := setupCrashing(t)
	retry := &api.Retry{Initial: api.Duration(time.Millisecond), Max: api.Duration(time.Millisecond)}
	c.deploy("loops", wasmtest.Loops(), api.FunctionSpec{Triggers: onTopic("in"), Retry: retry})
	c.publish("in", newEvent("1", "k"))
	for range 3 {
		c.runs()
		c.crash()
		c.restart()
	}
	c.eventually("a dead letter", func() bool { return len(c.letters()) == 1 })
	d := c.letters()[0]
	if len(d.Attempts) != 3 || c.stats("loops:in").Pending != 0 {
		t.Fatalf("dead letter %+v", d)
	}
	for i, a := range d.Attempts {
		if a.Number != i+1 || a.Class != ClassNodeCrash || a.Revision != 1 || !strings.HasPrefix(a.Error, crashReason) || a.Start.IsZero() {
			t.Errorf("attempt %+v", a)
		}
	}
	if text := d.Attempts[2].Error; !strings.Contains(text, "3 times") {
		t.Errorf("the last attempt says %q", text)
	}
	waitUntil(t, func() bool {
		n := 0
		for _, e := range c.entries() {
			if e.Attempt != nil && e.Attempt.Class == ClassNodeCrash {
				n++
			}
		}
		return n == 3
	})
}

// It is the revision that ran whose policy counts, not the newest's.
func TestACrashIsJudgedByTheRevisionThatRan(t *testing.T) {
	t.Parallel()
	c := setupCrashing(t)
	spec := func(attempts int) api.FunctionSpec {
		return api.FunctionSpec{Triggers: onTopic("in"), Retry: &api.Retry{Attempts: attempts, Initial: api.Duration(5 * time.Minute), Jitter: "none"}}
	}
	c.deploy("loops", wasmtest.Loops(), spec(5))
	c.deploy("loops", wasmtest.Loops(), spec(1))
	c.setTraffic("loops", api.Share{Revision: 1, Percent: 100})
	c.publish("in", newEvent("1", "k"))
	c.runs()
	c.crash()
	c.restart()
	c.eventually("a retry", func() bool { return c.stats("loops:in").Retrying == 1 })
	if letters := c.letters(); len(letters) > 0 {
		t.Errorf("given up after %d of 5 attempts: %+v", len(letters[0].Attempts), letters[0].Attempts)
	}
}

func TestCrashesOfAnEarlierGenerationDoNotCount(t *testing.T) {
	t.Parallel()
	crashed := partition.Attempt{Class: ClassNodeCrash}
	for name, tc := range map[string]struct {
		inv  partition.Invocation
		want int
	}{
		"none":            {partition.Invocation{}, 0},
		"other failures":  {partition.Invocation{Finished: 2, Attempts: []partition.Attempt{{Class: "error"}, crashed}}, 1},
		"redriven":        {partition.Invocation{Finished: 0, Attempts: []partition.Attempt{crashed, crashed, crashed}}, 0},
		"redriven, again": {partition.Invocation{Finished: 1, Attempts: []partition.Attempt{crashed, crashed, crashed}}, 1},
	} {
		if got := nodeCrashes(&tc.inv); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestOrderlyStopBlamesNobody(t *testing.T) {
	t.Parallel()
	c := setupCrashing(t)
	c.deploy("loops", wasmtest.Loops(), api.FunctionSpec{Triggers: onTopic("in")})
	c.publish("in", newEvent("1", "k"))
	c.runs()
	c.stop()
	if left := c.notes(); len(left) > 0 {
		t.Errorf("an orderly stop leaves %v", left)
	}
	c.restart()
	c.runs()
	if n := c.notes()[0]; n.Attempt != 1 {
		t.Errorf("it runs as %+v", n)
	}
}

// Notes that the log contradicts, or that are of nobody, settle nothing and keep nothing from starting.
func TestNotesThatSettleNothing(t *testing.T) {
	t.Parallel()
	c := setupCrashing(t)
	c.options.Registerer = prometheus.NewRegistry()
	c.deploy("f", wasmtest.Says(abi.Failed, time.Hour.Milliseconds(), "later"), api.FunctionSpec{Triggers: onTopic("in")})
	c.publish("in", newEvent("1", "k"))
	c.eventually("the first failure", func() bool { return c.stats("f:in").Retrying == 1 })
	list, err := c.table.Invocations(partition.InvocationQuery{Limit: 10})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	id := list[0].ID
	c.stop()
	left, err := inflight.Open(c.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := left.Start(8); err != nil {
		t.Fatal(err)
	}
	for i, n := range []inflight.Note{
		{Invocation: id.String(), Function: "f", Attempt: 1}, // settled meanwhile
		{Invocation: id.String(), Function: "f", Attempt: 3}, // never happened
		{Invocation: id.String() + "-g1", Function: "f", Attempt: 2},
		{Invocation: partition.ID{Partition: 99, Offset: 1, Trigger: 1}.String(), Function: "f", Attempt: 1},
		{Invocation: id.String(), Function: "gone", Attempt: 2},
		{Invocation: "0123456789abcdef01234567", Function: "f", Attempt: 1}, // a call
	} {
		n.Namespace, n.Start = "default", time.Now()
		left.Set(i, &n)
	}
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	c.restart()
	if r := c.call("f", newEvent("2", "")); r.Verdict != abi.Failed {
		t.Errorf("a call answers %+v", r)
	}
	inv, err := c.table.Invocation(id)
	if err != nil || inv.Finished != 1 || inv.State != partition.Retrying {
		t.Errorf("%+v, %v", inv, err)
	}
	if n, there := gathered(t, c.options.Registerer.(*prometheus.Registry), "evoke_attempts_total", "f"); !there || n != 2 { // the call that was cut, and the one just made
		t.Errorf("%v attempts are counted", n)
	}
}

func TestDecideAfterCrashesAndCancellation(t *testing.T) {
	t.Parallel()
	now := time.Now()
	failed := sandbox.Result{Verdict: abi.Failed, RetryAfter: -1}
	for name, tc := range map[string]struct {
		try  try
		want string
	}{
		"first crash":        {try{attempt: 1, crashes: 1, result: failed}, "retry"},
		"second crash":       {try{attempt: 2, crashes: 2, result: failed}, "retry"},
		"third crash":        {try{attempt: 3, crashes: 3, result: failed}, "dead 3 times by now"},
		"last attempt":       {try{attempt: 8, crashes: 1, result: failed}, "dead all 8 attempts failed"},
		"canceled":           {try{attempt: 1, canceled: true, result: failed}, "cancel"},
		"canceled when done": {try{attempt: 1, canceled: true, result: sandbox.Result{Verdict: abi.Done}}, "cancel"},
	} {
		tc.try.first, tc.try.now = now, now
		next, why := newPolicy(nil).decide(tc.try, 0.5)
		got := "done"
		switch {
		case next.DeadLetter:
			got = "dead " + why
		case next.Cancel:
			got = "cancel"
		case !next.RetryAt.IsZero():
			got = "retry"
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

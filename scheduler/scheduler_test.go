package scheduler

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestEventRunsAndItsEffectsBecomeReal(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("f", counts("out"), api.FunctionSpec{Allow: api.Allow{Emit: []string{"out"}, State: true}, Triggers: onTopic("in")})
	b.publish("in", newEvent("1", "k"), newEvent("2", "k"), newEvent("3", "other"))
	b.eventually("three outputs", func() bool { return len(b.stored("out")) == 3 })
	for key, want := range map[string]uint32{"k": 2, "other": 1} {
		value, _, err := b.table.State("default", "f", key, "n")
		if err != nil || len(value) != 4 || binary.LittleEndian.Uint32(value) != want {
			t.Errorf("key %s: state %v, %v, want %d", key, value, err, want)
		}
	}
	for _, r := range b.stored("out") {
		if !strings.HasSuffix(r.Event.ID, ".0") || r.Event.Source != "/ns/default/functions/f" || r.Event.Time.IsZero() || r.Event.Type != "counted" {
			t.Errorf("emitted %+v", r.Event)
		}
	}
	b.eventually("nothing pending", func() bool { return b.stats("f:in").Pending == 0 })
	waitUntil(t, func() bool { // the history hears of an attempt after the log
		done := 0
		for _, e := range b.entries() {
			if e.Attempt != nil && e.Attempt.Verdict == "done" && e.Function == "f" && e.Trigger == "f:in" && e.Revision == 1 {
				done++
			}
		}
		return done == 3
	})
}

func TestFailuresAreRetriedThenDeadLettered(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	retry := &api.Retry{Attempts: 3, Initial: api.Duration(time.Millisecond), Max: api.Duration(time.Millisecond)}
	b.deploy("says", wasmtest.Says(abi.Failed, -1, "no luck"), api.FunctionSpec{Retry: retry, Triggers: onTopic("a")})
	b.deploy("rejects", wasmtest.Says(abi.Rejected, -1, "not mine"), api.FunctionSpec{Retry: retry, Triggers: onTopic("b")})
	b.deploy("traps", wasmtest.Traps(), api.FunctionSpec{Retry: retry, Triggers: onTopic("c")})
	b.deploy("loops", wasmtest.Loops(), api.FunctionSpec{Retry: &api.Retry{Attempts: 1}, Timeout: api.Duration(50 * time.Millisecond), Triggers: onTopic("d")})
	for _, topic := range []string{"a", "b", "c", "d"} {
		b.publish(topic, newEvent("1", "k"))
	}
	b.eventually("four dead letters", func() bool { return len(b.letters()) == 4 })
	want := map[string]struct {
		attempts    int
		class, text string
	}{
		"says":    {3, "error", "no luck (all 3 attempts failed)"},
		"rejects": {1, "rejected", "not mine"},
		"traps":   {3, "trap", "unreachable"},
		"loops":   {1, "deadline", "did not finish within "},
	}
	for _, d := range b.letters() {
		w, last := want[d.Trigger.Function], d.Attempts[len(d.Attempts)-1]
		if len(d.Attempts) != w.attempts || last.Class != w.class || !strings.Contains(last.Error, w.text) || d.Event.ID != "1" {
			t.Errorf("%s: %+v", d.Trigger.Function, d)
		}
	}
}

func TestRedriveRunsTheRevisionInForce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	spec := api.FunctionSpec{Retry: &api.Retry{Attempts: 1}, Allow: api.Allow{Emit: []string{"out"}}, Triggers: onTopic("in")}
	b.deploy("f", wasmtest.Returns(abi.Failed), spec)
	b.publish("in", newEvent("1", "k"))
	b.eventually("a dead letter", func() bool { return len(b.letters()) == 1 })
	letter := b.letters()[0]
	b.deploy("f", wasmtest.Emits("out", `{"type":"fixed"}`), spec)
	if n, err := b.table.Redrive(t.Context(), []partition.ID{letter.ID}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b.eventually("the output", func() bool { return len(b.stored("out")) == 1 })
	if got := b.stored("out")[0].Event.ID; got != letter.ID.String()+"-g1.0" {
		t.Errorf("emitted id %s", got)
	}
	b.eventually("nothing left", func() bool { return b.stats("f:in").Pending == 0 && len(b.letters()) == 0 })
}

func TestConcurrentCallsOfAKeyLoseNoUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("f", counts(""), api.FunctionSpec{Allow: api.Allow{State: true}, Triggers: onTopic("in")})
	const calls, events = 40, 40
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if _, err := b.scheduler.Call(t.Context(), Call{Namespace: "default", Function: "f", Event: newEvent(fmt.Sprint("c", i), ""), Key: "k"}); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range events {
		b.publish("in", newEvent(fmt.Sprint("e", i), "k"))
	}
	wg.Wait()
	b.eventually("all settled", func() bool { return b.stats("f:in").Pending == 0 })
	value, _, err := b.table.State("default", "f", "k", "n")
	if err != nil || binary.LittleEndian.Uint32(value) != calls+events {
		t.Errorf("counted %v, %v, want %d", value, err, calls+events)
	}
}

func TestCallAnswersWithTheVerdict(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("echo", wasmtest.Echo(), api.FunctionSpec{})
	b.deploy("fails", wasmtest.Says(abi.Failed, 1500, "later"), api.FunctionSpec{})
	b.deploy("state", wasmtest.Calls(abi.OpStateGet, "n"), api.FunctionSpec{})
	e := newEvent("1", "")
	e.Data = []byte("hello")
	if r := b.call("echo", e); r.Verdict != abi.Done || string(r.Data) != "hello" || r.Revision != 1 || r.Invocation == "" {
		t.Errorf("echo: %+v", r)
	}
	if r := b.call("fails", e); r.Verdict != abi.Failed || r.Error != "later" || r.RetryAfter != 1500*time.Millisecond || r.Class != "error" {
		t.Errorf("fails: %+v", r)
	}
	if r := b.call("state", e); binary.LittleEndian.Uint32(r.Data) != 403 || !strings.Contains(string(r.Data[4:]), "allow: { state: true }") {
		t.Errorf("state without allow: %q", r.Data)
	}
	if _, err := b.scheduler.Call(t.Context(), Call{Namespace: "default", Function: "nobody", Event: e}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown function: %v", err)
	}
}

func TestStateCapabilitiesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	long := string(binary.LittleEndian.AppendUint32(nil, 1)) + "n" + strings.Repeat("x", abi.MaxStateValue+1)
	for i, tt := range []struct {
		op, request, key string
		status           int32
		text             string
	}{
		{abi.OpStateGet, "n", "", 412, "the event has no key"},
		{abi.OpStateGet, "n", "k", 404, ""},
		{abi.OpStateGet, "", "k", 400, "has 1 to 512 bytes, not 0"},
		{abi.OpStateGet, strings.Repeat("n", 513), "k", 400, "not 513"},
		{abi.OpStateSet, "abc", "k", 400, "the length of the name"},
		{abi.OpStateSet, "\xff\xff\xff\xffn", "k", 400, "the length of the name"},
		{abi.OpStateSet, long, "k", 413, "the limit is 262144"},
		{abi.OpStateDelete, "n", "k", 204, ""},
		{"frobnicate", "", "k", 404, `no capability "frobnicate"`},
	} {
		name := fmt.Sprint("f", i)
		b.deploy(name, wasmtest.Calls(tt.op, tt.request), api.FunctionSpec{Allow: api.Allow{State: true}})
		r := b.call(name, newEvent("1", tt.key))
		if len(r.Data) < 4 || int32(binary.LittleEndian.Uint32(r.Data)) != tt.status || !strings.Contains(string(r.Data[4:]), tt.text) {
			t.Errorf("%s %.10q with key %q: %+v", tt.op, tt.request, tt.key, r)
		}
	}
}

func TestCallIsRefusedBeyondItsLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Calls = 2 })
	b.deploy("slow", wasmtest.Loops(), api.FunctionSpec{Concurrency: 1})
	ctx, cancel := context.WithCancel(t.Context())
	call := func(ctx context.Context) (Reply, error) {
		return b.scheduler.Call(ctx, Call{Namespace: "default", Function: "slow", Event: newEvent("1", "")})
	}
	ended := make(chan Reply, 1)
	go func() {
		r, err := call(ctx)
		if err != nil {
			t.Error(err)
		}
		ended <- r
	}()
	waitUntil(t, func() bool { return b.seated() == 1 })
	if _, err := call(t.Context()); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "slow runs 1 at once") {
		t.Errorf("beyond the function's concurrency: %v", err)
	}
	b.scheduler.calls <- struct{}{}
	if _, err := call(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the scheduler's calls: %v", err)
	}
	<-b.scheduler.calls
	cancel()
	if r := <-ended; r.Class != "canceled" {
		t.Errorf("cancelled call: %+v", r)
	}
}

// waitUntil is for what nobody signals: that a goroutine of the scheduler has come to a point.
func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("not in time")
		}
	}
}

func TestStopCutsWhatDoesNotEndAndBlamesNoEvent(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Drain = 20 * time.Millisecond })
	b.deploy("loops", wasmtest.Loops(), api.FunctionSpec{Triggers: onTopic("in")})
	b.publish("in", newEvent("1", "k"))
	waitUntil(t, func() bool { return b.seated() == 1 })
	b.stop()
	if s := b.stats("loops:in"); s.Pending != 1 || s.Retrying != 0 || s.DeadLetters != 0 {
		t.Errorf("after the stop: %+v, want one pending without an attempt", s)
	}
	if _, err := b.scheduler.Call(t.Context(), Call{Namespace: "default", Function: "loops", Event: newEvent("2", "")}); !errors.Is(err, ErrDraining) {
		t.Errorf("call after the stop: %v", err)
	}
}

func TestConcurrencyOfAFunctionIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 8; o.Drain = time.Millisecond })
	b.deploy("loops", wasmtest.Loops(), api.FunctionSpec{Concurrency: 2, Triggers: onTopic("in")})
	b.deploy("quick", wasmtest.Returns(abi.Done), api.FunctionSpec{Triggers: onTopic("quick")})
	var events []event.Event
	for i := range 20 {
		events = append(events, newEvent(fmt.Sprint(i), fmt.Sprint(i)))
	}
	b.publish("in", events...)
	waitUntil(t, func() bool { return b.seated() == 2 })
	b.publish("quick", events...) // another function is not held up
	b.eventually("the other function is done", func() bool { return b.stats("quick:quick").Pending == 0 })
	if n := b.seated(); n != 2 {
		t.Errorf("%d run at once, want 2", n)
	}
}

func TestModuleThatCannotRunIsAModuleError(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	check := func(wasm []byte, memory int64) (string, error) {
		kind, _, err := b.scheduler.CheckModule(t.Context(), "f", wasm, api.FunctionSpec{Memory: memory})
		return kind, err
	}
	var refused *ModuleError
	if _, err := check([]byte("#!/bin/sh\n"), 0); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	if kind, err := check(wasmtest.Echo(), 0); kind != "native" || err != nil {
		t.Errorf("got %s, %v", kind, err)
	}
	big := wasmtest.New()
	big.Memory(2048)
	big.Handle(wasmtest.I32Const(0))
	if _, err := check(big.Bytes(), 0); !errors.As(err, &refused) {
		t.Errorf("128 MiB in the default limit: %v", err)
	}
	if kind, err := check(big.Bytes(), 256<<20); kind != "native" || err != nil {
		t.Errorf("128 MiB in a limit of 256 MiB: %s, %v", kind, err)
	}
}

func TestModuleThatFailsAtItsStartIsRefusedAtDeploy(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	m := wasmtest.New()
	m.Func(abi.ExportInit, nil, []byte{wasmtest.I32}, 0, wasmtest.I32Const(7))
	m.Handle(wasmtest.I32Const(0))
	var refused *ModuleError
	if _, _, err := b.scheduler.CheckModule(t.Context(), "f", m.Bytes(), api.FunctionSpec{}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "it fails before it sees an event") {
		t.Errorf("got %v", err)
	}
}

func TestStateEntriesOfADeliveryAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	f := &function{spec: &api.Function{Namespace: "default", Name: "f", Spec: api.FunctionSpec{Allow: api.Allow{State: true}}}}
	h := &host{scheduler: b.scheduler, function: f, key: "k"}
	for i := range abi.MaxState {
		if status, answer := h.Call(t.Context(), abi.OpStateGet, fmt.Append(nil, i)); status != abi.StatusNotFound {
			t.Fatalf("entry %d: %d %s", i, status, answer)
		}
	}
	if status, answer := h.Call(t.Context(), abi.OpStateDelete, []byte("more")); status != abi.StatusTooLarge || !strings.Contains(string(answer), "more than 1000 state entries") {
		t.Errorf("got %d %s", status, answer)
	}
	if status, _ := h.Call(t.Context(), abi.OpStateGet, []byte("0")); status != abi.StatusNotFound {
		t.Errorf("an entry known before: %d", status)
	}
}

func TestEffectsTooLargeTogetherFailTheAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	f := &function{spec: &api.Function{Namespace: "default", Name: "f"}}
	e := newEvent("1", "k")
	h := &host{scheduler: b.scheduler, function: f, invocation: invocation{id: "i", event: &e}, key: "k"}
	h.state = []stateEntry{{name: "n", value: make([]byte, abi.MaxEffects), changed: true}}
	_, r := h.finish(sandbox.Result{Verdict: abi.Done, RetryAfter: -1})
	if r.Verdict != abi.Failed || !strings.Contains(r.Reason, "the limit is 4194304") {
		t.Errorf("got %+v", r)
	}
}

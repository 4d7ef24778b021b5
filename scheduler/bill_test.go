package scheduler

import (
	"context"
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// The echo guest reads the event's data and replies with it: two host calls, as many bytes out as in.
func TestBillReachesCallerHistoryAndMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := setup(t, func(o *Options) { o.Registerer = reg })
	b.deploy("echo", wasmtest.Echo(), api.FunctionSpec{Triggers: onTopic("in")})
	e := newEvent("1", "")
	e.Data = []byte("hello")
	r := b.call("echo", e)
	if r.Attempt != 1 || r.Bill.HostCalls != 2 || r.Bill.BytesIn != 5 || r.Bill.BytesOut != 5 || r.Bill.Fuel <= 0 || r.Bill.PeakMemory <= 0 || r.Bill.Guest <= 0 || r.Bill.Wall < r.Bill.Guest {
		t.Errorf("the caller gets attempt %d, %+v", r.Attempt, r.Bill)
	}
	b.publish("in", e)
	b.eventually("the event is done", func() bool { return b.stats("echo:in").Pending == 0 })
	var bills []api.Bill
	waitUntil(t, func() bool { // the history hears of an attempt after the log
		bills = nil
		for _, e := range b.entries() {
			if e.Attempt != nil {
				bills = append(bills, e.Attempt.Bill)
			}
		}
		return len(bills) == 2
	})
	if bills[0] != r.Bill || bills[1].Fuel != r.Bill.Fuel || bills[1].HostCalls != 2 {
		t.Errorf("the history has %+v, the caller got %+v", bills, r.Bill)
	}
	guest := (bills[0].Guest + bills[1].Guest).Seconds()
	for name, want := range map[string]float64{
		"evoke_attempts_total": 2, "evoke_attempt_seconds": 2, "evoke_attempt_fuel_total": float64(2 * r.Bill.Fuel), "evoke_attempt_guest_seconds_total": guest,
		"evoke_attempt_peak_memory_bytes": 2, "evoke_attempt_in_bytes_total": 10, "evoke_attempt_out_bytes_total": 10, "evoke_attempt_host_calls_total": 4,
	} {
		if got, there := gathered(t, reg, name, "echo"); !there || (got-want) > want/1e9 || (want-got) > want/1e9 {
			t.Errorf("%s is %v (there: %v), want %v", name, got, there, want)
		}
	}
}

func TestAttemptsAreCountedByVerdictAndClass(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	s := newMetrics(reg).function(functionName{"default", "f"})
	for _, r := range []sandbox.Result{
		{Verdict: abi.Done}, {Verdict: abi.Done}, {Verdict: abi.Failed, Class: sandbox.ClassTrap}, {Verdict: abi.Rejected, Class: sandbox.ClassRejected},
		{Verdict: abi.Failed, Class: "of a later sandbox"},
	} {
		s.attempt(&attempt{result: r})
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "evoke_attempts_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := m.GetLabel() // by name: class, function, namespace, verdict
			got[labels[3].GetValue()+" "+labels[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{
		"done ": 2, "rejected rejected": 1, "failed error": 0, "failed trap": 1, "failed deadline": 0, "failed memory": 0, "failed exit": 0, "failed init": 0,
		"failed canceled": 0, "failed internal": 1, "failed node_crash": 0,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSeriesGoWithTheirFunctionEvenWhileItRuns(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := setup(t, func(o *Options) { o.Registerer = reg })
	b.deploy("stays", wasmtest.Echo(), api.FunctionSpec{})
	b.deploy("goes", wasmtest.Loops(), api.FunctionSpec{})
	b.call("stays", newEvent("1", ""))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := b.scheduler.Call(ctx, Call{Namespace: "default", Function: "goes", Event: newEvent("2", "")})
		ended <- err
	}()
	waitUntil(t, func() bool { return b.seated() == 1 })
	revision, err := b.registry.DeleteFunction(t.Context(), "default", "goes")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.scheduler.WaitInForce(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"goes": false, "stays": true} {
		for _, metric := range []string{
			"evoke_attempts_total", "evoke_attempt_seconds", "evoke_attempt_fuel_total", "evoke_attempt_guest_seconds_total",
			"evoke_attempt_peak_memory_bytes", "evoke_attempt_in_bytes_total", "evoke_attempt_out_bytes_total", "evoke_attempt_host_calls_total",
		} {
			if _, there := gathered(t, reg, metric, name); there != want {
				t.Errorf("%s of function %q is there: %v", metric, name, there)
			}
		}
	}
}

func TestSeriesBeginWithTheFirstAttempt(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	name := functionName{"default", "f"}
	there := func() bool {
		_, ok := gathered(t, reg, "evoke_attempts_total", "f")
		return ok
	}
	first := m.function(name)
	if there() {
		t.Error("a function that nothing has run of has series")
	}
	m.forget(name)
	if first.attempt(&attempt{}); there() {
		t.Error("an attempt brings the series of a function back that is gone")
	}
	again := m.function(name)
	if again.attempt(&attempt{}); !there() {
		t.Error("a function that is deployed again has no series")
	}
	if m.function(name) != again {
		t.Error("the next revision has series of its own")
	}
	m.forget(name)
	if again.attempt(&attempt{}); there() {
		t.Error("an attempt brings series back that were deleted")
	}
}

// gathered adds up the series of a function: the values of a counter, the counts of a histogram.
func gathered(t *testing.T, reg *prometheus.Registry, metric, function string) (sum float64, there bool) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "function" && l.GetValue() == function {
					sum, there = sum+m.GetCounter().GetValue()+float64(m.GetHistogram().GetSampleCount()), true
				}
			}
		}
	}
	return sum, there
}

func BenchmarkCountAttempt(b *testing.B) {
	s := newMetrics(nil).function(functionName{"default", "f"})
	a := &attempt{result: sandbox.Result{Bill: sandbox.Bill{Wall: 1e6, Guest: 4e5, Fuel: 97_041, PeakMemory: 2 << 20, BytesIn: 1024, BytesOut: 1024, HostCalls: 7}}}
	b.ReportAllocs()
	for b.Loop() {
		s.attempt(a)
	}
}

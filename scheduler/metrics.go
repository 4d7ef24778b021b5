package scheduler

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// metrics of this node. Those of functions are resolved once for each function, see series.
type metrics struct {
	attempts                             *prometheus.CounterVec
	seconds, memory                      *prometheus.HistogramVec
	fuel, guest, bytesIn, bytesOut, host *prometheus.CounterVec
	dropped                              *prometheus.CounterVec
	conflicts                            prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	labels := []string{"namespace", "function"}
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(labels, more...))
	}
	m := &metrics{
		attempts: counter("evoke_attempts_total", "Attempts by function, verdict and class of failure.", "verdict", "class"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "evoke_attempt_seconds", Help: "Time of an attempt in the sandbox.", Buckets: prometheus.ExponentialBuckets(50e-6, 4, 10),
		}, labels),
		memory: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "evoke_attempt_peak_memory_bytes", Help: "Most linear memory that an attempt had.", Buckets: prometheus.ExponentialBuckets(1<<20, 4, 6),
		}, labels),
		fuel:     counter("evoke_attempt_fuel_total", "Units of work that attempts did, about one for each instruction."),
		guest:    counter("evoke_attempt_guest_seconds_total", "Time in which guests ran, without what they waited for."),
		bytesIn:  counter("evoke_attempt_in_bytes_total", "Bytes of events and answers that were copied into guests."),
		bytesOut: counter("evoke_attempt_out_bytes_total", "Bytes of replies, emitted events and requests that were copied out of guests."),
		host:     counter("evoke_attempt_host_calls_total", "Imported functions that guests called."),
		dropped:  counter("evoke_rate_limited_total", "Events that were dropped by rateLimit."),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "evoke_state_conflicts_total", Help: "Attempts run again because keyed state had changed under them.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.attempts, m.seconds, m.memory, m.fuel, m.guest, m.bytesIn, m.bytesOut, m.host, m.dropped, m.conflicts)
	}
	return m
}

// series are those of one function, whatever its revision. An attempt that ends when its function is gone still counts, in series that nobody shows any more:
// looking them up for each attempt would bring them back for ever.
type series struct {
	attempts                             map[string]prometheus.Counter // by class; only read
	seconds, memory                      prometheus.Observer
	fuel, guest, bytesIn, bytesOut, host prometheus.Counter
	dropped                              prometheus.Counter
}

func (m *metrics) function(n functionName) *series {
	s := &series{
		attempts: map[string]prometheus.Counter{},
		seconds:  m.seconds.WithLabelValues(n.namespace, n.name),
		memory:   m.memory.WithLabelValues(n.namespace, n.name),
		fuel:     m.fuel.WithLabelValues(n.namespace, n.name),
		guest:    m.guest.WithLabelValues(n.namespace, n.name),
		bytesIn:  m.bytesIn.WithLabelValues(n.namespace, n.name),
		bytesOut: m.bytesOut.WithLabelValues(n.namespace, n.name),
		host:     m.host.WithLabelValues(n.namespace, n.name),
		dropped:  m.dropped.WithLabelValues(n.namespace, n.name),
	}
	verdicts := map[abi.Verdict][]string{
		abi.Done:     {""},
		abi.Rejected: {sandbox.ClassRejected},
		abi.Failed: {
			sandbox.ClassError, sandbox.ClassTrap, sandbox.ClassDeadline, sandbox.ClassMemory, sandbox.ClassExit, sandbox.ClassInit,
			sandbox.ClassCanceled, sandbox.ClassInternal, ClassNodeCrash,
		},
	}
	for verdict, classes := range verdicts {
		for _, class := range classes {
			s.attempts[class] = m.attempts.WithLabelValues(n.namespace, n.name, verdictName(verdict), class)
		}
	}
	return s
}

// attempt counts one that has run, also when a conflict makes it run again: it used what it used.
func (s *series) attempt(a *attempt) {
	bill := &a.result.Bill
	s.count(a.result.Class)
	for i := range a.result.More {
		s.count(a.result.More[i].Class)
	}
	s.seconds.Observe(a.duration.Seconds())
	s.memory.Observe(float64(bill.PeakMemory))
	s.fuel.Add(float64(bill.Fuel))
	s.guest.Add(bill.Guest.Seconds())
	s.bytesIn.Add(float64(bill.BytesIn))
	s.bytesOut.Add(float64(bill.BytesOut))
	s.host.Add(float64(bill.HostCalls))
}

func (s *series) count(class string) {
	counted, known := s.attempts[class]
	if !known {
		counted = s.attempts[sandbox.ClassInternal]
	}
	counted.Inc()
}

// forget deletes the series of a function that is gone.
func (m *metrics) forget(n functionName) {
	labels := prometheus.Labels{"namespace": n.namespace, "function": n.name}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.attempts, m.seconds, m.memory, m.fuel, m.guest, m.bytesIn, m.bytesOut, m.host, m.dropped,
	} {
		v.DeletePartialMatch(labels)
	}
}

package scheduler

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

// metrics of this node. Those of functions are resolved once for each function, see series.
type metrics struct {
	mu        sync.Mutex // before that of a series
	functions map[functionName]*series

	attempts                             *prometheus.CounterVec
	seconds, memory                      *prometheus.HistogramVec
	fuel, guest, bytesIn, bytesOut, host *prometheus.CounterVec
	conflicts                            prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	labels := []string{"namespace", "function"}
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(labels, more...))
	}
	m := &metrics{
		functions: map[functionName]*series{},
		attempts:  counter("evoke_attempts_total", "Attempts by function, verdict and class of failure.", "verdict", "class"),
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
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "evoke_state_conflicts_total", Help: "Attempts run again because keyed state had changed under them.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.attempts, m.seconds, m.memory, m.fuel, m.guest, m.bytesIn, m.bytesOut, m.host, m.conflicts)
	}
	return m
}

// series are those of one function, whatever its revision, from its first attempt on: of a function that nothing has run of there are none, because they take more
// memory than all else of it. An attempt that ends when its function is gone does not count: it would bring them back for ever.
type series struct {
	metrics *metrics
	name    functionName
	counted atomic.Pointer[counters] // nil before the first attempt

	mu   sync.Mutex
	gone bool
}

// counters are what attempts of one function add to.
type counters struct {
	attempts                             map[string]prometheus.Counter // by class; only read
	seconds, memory                      prometheus.Observer
	fuel, guest, bytesIn, bytesOut, host prometheus.Counter
}

func (m *metrics) function(n functionName) *series {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.functions[n]
	if s == nil {
		s = &series{metrics: m, name: n}
		m.functions[n] = s
	}
	return s
}

// counters is nil when the function is gone.
func (s *series) counters() *counters {
	if c := s.counted.Load(); c != nil {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counted.Load()
	if c == nil && !s.gone {
		c = s.metrics.resolve(s.name)
		s.counted.Store(c)
	}
	return c
}

func (m *metrics) resolve(n functionName) *counters {
	c := &counters{
		attempts: map[string]prometheus.Counter{},
		seconds:  m.seconds.WithLabelValues(n.namespace, n.name),
		memory:   m.memory.WithLabelValues(n.namespace, n.name),
		fuel:     m.fuel.WithLabelValues(n.namespace, n.name),
		guest:    m.guest.WithLabelValues(n.namespace, n.name),
		bytesIn:  m.bytesIn.WithLabelValues(n.namespace, n.name),
		bytesOut: m.bytesOut.WithLabelValues(n.namespace, n.name),
		host:     m.host.WithLabelValues(n.namespace, n.name),
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
			c.attempts[class] = m.attempts.WithLabelValues(n.namespace, n.name, verdictName(verdict), class)
		}
	}
	return c
}

// attempt counts one that has run, also when a conflict makes it run again: it used what it used.
func (s *series) attempt(a *attempt) {
	c := s.counters()
	if c == nil {
		return
	}
	bill := &a.result.Bill
	c.count(a.result.Class)
	for i := range a.result.More {
		c.count(a.result.More[i].Class)
	}
	c.seconds.Observe(a.duration.Seconds())
	c.memory.Observe(float64(bill.PeakMemory))
	c.fuel.Add(float64(bill.Fuel))
	c.guest.Add(bill.Guest.Seconds())
	c.bytesIn.Add(float64(bill.BytesIn))
	c.bytesOut.Add(float64(bill.BytesOut))
	c.host.Add(float64(bill.HostCalls))
}

// crashed counts an attempt that the runtime died under.
func (s *series) crashed() {
	if c := s.counters(); c != nil {
		c.count(ClassNodeCrash)
	}
}

func (c *counters) count(class string) {
	counted, known := c.attempts[class]
	if !known {
		counted = c.attempts[sandbox.ClassInternal]
	}
	counted.Inc()
}

// forget deletes the series of a function that is gone.
func (m *metrics) forget(n functionName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.functions[n]
	if s == nil {
		return
	}
	delete(m.functions, n)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if s.counted.Load() == nil {
		return
	}
	labels := prometheus.Labels{"namespace": n.namespace, "function": n.name}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.attempts, m.seconds, m.memory, m.fuel, m.guest, m.bytesIn, m.bytesOut, m.host,
	} {
		v.DeletePartialMatch(labels)
	}
}

package scheduler

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
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
	dropped, unfit                       *prometheus.CounterVec
	fetches                              *prometheus.CounterVec
	fetchTime                            *prometheus.HistogramVec
	conflicts                            prometheus.Counter
	percent                              *prometheus.GaugeVec // of the candidates of rollouts that run
	rollouts                             *prometheus.CounterVec
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
		dropped:  counter("evoke_rate_limited_total", "Events that were dropped by rateLimit."),
		unfit:    counter("evoke_unfit_events_total", "Events that did not run but became dead letters, by class: expired, past their expirytime, or loop.", "class"),
		fetches:  counter("evoke_fetches_total", "Requests of functions by how they ended: 2xx to 5xx, or what kept them from an answer.", "outcome"),
		fetchTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "evoke_fetch_seconds", Help: "Time of a request of a function until it had its whole answer.", Buckets: prometheus.ExponentialBuckets(1e-3, 4, 8),
		}, labels),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "evoke_state_conflicts_total", Help: "Attempts run again because keyed state had changed under them.",
		}),
		percent:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "evoke_rollout_percent", Help: "Share of the traffic that the candidate of a canary that runs has."}, labels),
		rollouts: counter("evoke_rollouts_total", "Canaries that ended, by outcome: promoted, rolled-back or aborted.", "outcome"),
	}
	if reg != nil {
		reg.MustRegister(m.attempts, m.seconds, m.memory, m.fuel, m.guest, m.bytesIn, m.bytesOut, m.host, m.dropped, m.unfit, m.fetches, m.fetchTime, m.conflicts, m.percent, m.rollouts)
	}
	return m
}

// series are those of one function, whatever its revision, from its first attempt on: of a function that nothing has run of there are none, because they take more
// memory than all else of it. An attempt that ends when its function is gone does not count: it would bring them back for ever.
type series struct {
	metrics *metrics
	name    functionName
	counted atomic.Pointer[counters] // nil before the first attempt

	candidate atomic.Pointer[tally] // of the rollout that runs; nil = none

	mu   sync.Mutex
	gone bool
}

// counters are what attempts of one function add to.
type counters struct {
	attempts                             map[string]prometheus.Counter // by class; only read
	seconds, memory                      prometheus.Observer
	fuel, guest, bytesIn, bytesOut, host prometheus.Counter
	dropped                              prometheus.Counter
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
			c.attempts[class] = m.attempts.WithLabelValues(n.namespace, n.name, verdict.Name(), class)
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
	if t := s.tallyOf(a.revision); t != nil {
		t.attempt(a)
	}
}

// tallyOf is nil unless the revision is the candidate of a rollout.
func (s *series) tallyOf(revision int) *tally {
	if t := s.candidate.Load(); t != nil && t.candidate == revision {
		return t
	}
	return nil
}

// fetched counts a request, which took no time when it was not made. Few functions make any, and one takes long, so nothing is resolved before.
func (s *series) fetched(outcome string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.metrics.fetches.WithLabelValues(s.name.namespace, s.name.name, outcome).Inc()
	if took > 0 {
		s.metrics.fetchTime.WithLabelValues(s.name.namespace, s.name.name).Observe(took.Seconds())
	}
}

// crash counts an attempt under which the runtime died.
func (s *series) crash(revision int) {
	if c := s.counters(); c != nil {
		c.count(ClassNodeCrash)
	}
	if t := s.tallyOf(revision); t != nil {
		t.crash()
	}
}

// unfit counts an event that did not run.
func (s *series) unfit(class string) {
	if s.counters() != nil {
		s.metrics.unfit.WithLabelValues(s.name.namespace, s.name.name, class).Inc()
	}
}

// settled hears of what became of an event by the last attempt, which a revision made.
func (s *series) settled(revision int, next partition.Next) {
	if !next.DeadLetter || next.GoOn { // an event that expired is nobody's fault
		return
	}
	if t := s.tallyOf(revision); t != nil {
		t.deadLetter()
	}
}

// rollout shows a function's rollout, and counts it when it has ended since the snapshot before. before is nil in the first snapshot.
func (m *metrics) rollout(n functionName, before, now *api.Rollout) {
	if now.Running() {
		m.percent.WithLabelValues(n.namespace, n.name).Set(float64(now.Now))
	} else {
		m.percent.DeleteLabelValues(n.namespace, n.name)
	}
	if before == nil || !before.Ended.IsZero() {
		return
	}
	outcome := api.PhaseAborted // another has taken its place, or nobody knows of it any more
	if now != nil && now.Started.Equal(before.Started) {
		if outcome = now.Phase; now.Ended.IsZero() {
			return
		}
	}
	m.rollouts.WithLabelValues(n.namespace, n.name, outcome).Inc()
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
	labels := prometheus.Labels{"namespace": n.namespace, "function": n.name}
	m.percent.DeletePartialMatch(labels)
	m.rollouts.DeletePartialMatch(labels)
	m.fetches.DeletePartialMatch(labels)
	m.fetchTime.DeletePartialMatch(labels)
	if s.counted.Load() == nil {
		return
	}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.attempts, m.seconds, m.memory, m.fuel, m.guest, m.bytesIn, m.bytesOut, m.host, m.dropped, m.unfit,
	} {
		v.DeletePartialMatch(labels)
	}
}

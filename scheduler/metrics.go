package scheduler

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	attempts  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	conflicts prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "evoke_attempts_total", Help: "Attempts by function, verdict and class of failure.",
		}, []string{"namespace", "function", "verdict", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "evoke_attempt_seconds", Help: "Time of an attempt in the sandbox.", Buckets: prometheus.ExponentialBuckets(50e-6, 4, 10),
		}, []string{"namespace", "function"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "evoke_state_conflicts_total", Help: "Attempts run again because keyed state had changed under them.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.attempts, m.seconds, m.conflicts)
	}
	return m
}

func (m *metrics) attempt(f *function, a attempt) {
	namespace, name := f.spec.Namespace, f.spec.Name
	m.attempts.WithLabelValues(namespace, name, verdictName(a.result.Verdict), a.result.Class).Inc()
	m.seconds.WithLabelValues(namespace, name).Observe(a.duration.Seconds())
}

// forget deletes the series of a function that is gone.
func (m *metrics) forget(n functionName) {
	labels := prometheus.Labels{"namespace": n.namespace, "function": n.name}
	m.attempts.DeletePartialMatch(labels)
	m.seconds.DeletePartialMatch(labels)
}

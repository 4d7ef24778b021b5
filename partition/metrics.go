package partition

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	published  *prometheus.CounterVec
	settles    *prometheus.CounterVec
	dedupEarly prometheus.Counter

	stored, duplicate, done prometheus.Counter // of the two vectors: what nearly every event counts

	pinned         *prometheus.GaugeVec
	lapsed         prometheus.Counter
	lettersExpired prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, t *Table) *metrics {
	m := &metrics{
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "evoke_published_events_total", Help: "Events that came in from outside, by result: stored or duplicate.",
		}, []string{"result"}),
		settles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "evoke_settles_total", Help: "Outcomes of attempts as applied, by result: done, retry, dead_letter, canceled, conflict or stale.",
		}, []string{"result"}),
		dedupEarly: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "evoke_dedup_evicted_early_total", Help: "Identities forgotten before the deduplication window ended, because a partition had too many.",
		}),
	}
	m.stored, m.duplicate, m.done = m.published.WithLabelValues("stored"), m.published.WithLabelValues("duplicate"), m.settles.WithLabelValues("done")
	m.pinned = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "evoke_topic_pinned_seconds", Help: "How long the oldest event that is not settled has outlived the retention of its topic; absent when none has.",
	}, []string{"namespace", "topic"})
	m.lapsed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "evoke_lapsed_events_total", Help: "Events that were not settled within the retention of their topic and became dead letters (unsettled: deadletter).",
	})
	m.lettersExpired = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "evoke_dead_letters_expired_total", Help: "Dead letters removed because they were kept long enough.",
	})
	gauge := func(name, help string, value func(*trigger) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(t.sum(value)) })
	}
	if reg != nil {
		reg.MustRegister(t.positionGauges()...)
		reg.MustRegister(m.published, m.settles, m.dedupEarly, m.pinned, m.lapsed, m.lettersExpired,
			gauge("evoke_pending_events", "Events waiting, running or between attempts, over all triggers.", func(t *trigger) int { return t.pending.count }),
			newLetterCollector(t))
	}
	return m
}

func (t *Table) sum(value func(*trigger) int) (n int) {
	for _, p := range t.parts {
		p.mu.Lock()
		for _, tr := range p.machine.triggers {
			n += value(tr)
		}
		p.mu.Unlock()
	}
	return n
}

func (m *metrics) publishedEvents(stored []Stored) {
	duplicates := 0
	for _, s := range stored {
		if s.Duplicate {
			duplicates++
		}
	}
	m.stored.Add(float64(len(stored) - duplicates))
	m.duplicate.Add(float64(duplicates))
}

func (m *metrics) settled(n next, canceled bool, o Outcome, events int) {
	var result string
	switch {
	case o == Conflict:
		result = "conflict"
	case o == Stale:
		result = "stale"
	case canceled:
		result = "canceled"
	case n == nextRetry:
		result = "retry"
	case n == nextDeadLetter:
		result = "dead_letter"
	default:
		m.done.Add(float64(events))
		return
	}
	m.settles.WithLabelValues(result).Add(float64(events))
}
